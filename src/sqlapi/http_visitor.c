/*
 * http_visitor.c
 *		Who asks: by a token in the request, or by a session that a token has begun.
 *
 * Of a secret the table has a digest of a digest. The inner one, which is in no table,
 * is in the cookie of a session, with a time and a signature of both by a key of the
 * secret's row. So whoever reads the table, or a dump of it, can make no session; who
 * has an old cookie can not make it last; a new key ends the sessions of the old one;
 * and a standby, which can store nothing, knows all of them.
 */
#include "postgres.h"

#include "common/cryptohash.h"
#include "common/sha2.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/hmac.h"
#include "base/row.h"
#include "base/statement.h"
#include "rules/http_text.h"
#include "sqlapi/http.h"
#include "sqlapi/secret.h"

typedef struct Secret
{
	const char *name;
	int rights;
	uint8 digest[SECRET_DIGEST_SIZE];
	uint8 session_key[SECRET_DIGEST_SIZE];
} Secret;

/* ---- the secrets ----------------------------------------------------------------------- */

/* Into so many bytes; false: it has another length. */
static bool
read_bytes(int column, uint64 row, uint8 *to)
{
	bool isnull;
	Datum value = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &isnull);
	bytea *bytes = isnull ? NULL : DatumGetByteaPP(value);

	if (bytes == NULL || VARSIZE_ANY_EXHDR(bytes) != SECRET_DIGEST_SIZE)
		return false;
	memcpy(to, VARDATA_ANY(bytes), SECRET_DIGEST_SIZE);
	return true;
}

/* In the current memory context; what nobody can know again is left out. */
static int
read_secrets(const CadenceTables *t, Secret **secrets)
{
	Statement read = ROWS_STATEMENT(
		"reading secrets",
		psprintf("SELECT s.name::pg_catalog.text, s.digest::pg_catalog.bytea, "
				 "s.session_key::pg_catalog.bytea FROM %s AS s ORDER BY s.name LIMIT %d",
				 t->secrets, SECRETS_MAX),
		SPI_OK_SELECT);
	int n = 0;

	read.in_query = true;
	statement_execute(&read, NULL, NULL, 0);
	*secrets = palloc0(sizeof(Secret) * Max(SPI_processed, 1));
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		Secret *secret = &(*secrets)[n];

		secret->name = row_text(SPI_tuptable->tupdesc, SPI_tuptable->vals[i], 1, SECRET_NAME_MAX);
		secret->rights = secret->name != NULL ? cadence_secret_rights(secret->name) : 0;
		if (secret->rights != 0 && read_bytes(2, i, secret->digest) &&
			read_bytes(3, i, secret->session_key))
			n++;
	}
	return n;
}

static int
load_secrets(const CadenceTables *t, Secret **secrets)
{
	MemoryContext context = CurrentMemoryContext;
	CadenceCaller caller = cadence_owner_begin(t->owner);
	int n;

	(void) SPI_connect();
	MemoryContextSwitchTo(context);
	n = read_secrets(t, secrets);
	SPI_finish();
	cadence_owner_end(caller);
	return n;
}

static HttpVisitor
stranger(const Secret *secrets, int n)
{
	HttpVisitor visitor = {0};

	for (int i = 0; i < n; i++)
		visitor.there_are |= secrets[i].rights;
	return visitor;
}

/*
 * Every secret is looked at, whichever fits; two names of one secret give what both
 * give, and the first that has more is its name.
 */
static const Secret *
find_secret(const Secret *secrets, int n, const uint8 *proof, HttpVisitor *visitor)
{
	uint8 digest[SECRET_DIGEST_SIZE];
	const Secret *found = NULL;

	cadence_secret_digest(proof, SECRET_DIGEST_SIZE, digest);
	for (int i = 0; i < n; i++)
	{
		if (!cadence_bytes_equal(digest, secrets[i].digest, SECRET_DIGEST_SIZE))
			continue;
		if (found == NULL || (secrets[i].rights & ~visitor->rights) != 0)
			found = &secrets[i];
		visitor->rights |= secrets[i].rights;
		visitor->name = found->name;
	}
	return found;
}

/* ---- sessions -------------------------------------------------------------------------- */

static void
sign(const Secret *secret, const char *text, size_t len, uint8 *signature)
{
	SignedBytes part = {text, len};
	SignedMessage message = {&part, 1};

	cadence_hmac_of(PG_SHA256, secret->session_key, SECRET_DIGEST_SIZE, &message, signature,
					SECRET_DIGEST_SIZE);
}

static void
append_hex(StringInfo text, const uint8 *bytes)
{
	for (int i = 0; i < SECRET_DIGEST_SIZE; i++)
		appendStringInfo(text, "%02x", bytes[i]);
}

static int64
seconds_now(void)
{
	return (int64) timestamptz_to_time_t(GetCurrentTimestamp());
}

static char *
make_session(const Secret *secret, const uint8 *proof)
{
	uint8 signature[SECRET_DIGEST_SIZE];
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text, INT64_FORMAT ".", seconds_now() + HTTP_SESSION_SECONDS);
	append_hex(&text, proof);
	sign(secret, text.data, text.len, signature);
	appendStringInfoChar(&text, '.');
	append_hex(&text, signature);
	return text.data;
}

/* A session starts no execution. */
static HttpVisitor
visitor_by_session(const Secret *secrets, int n, Slice cookie)
{
	HttpVisitor visitor = stranger(secrets, n);
	HttpVisitor known = visitor;
	uint8 signature[SECRET_DIGEST_SIZE];
	const Secret *secret;
	HttpSession session;

	StaticAssertStmt(HTTP_PROOF_SIZE == SECRET_DIGEST_SIZE, "a proof is a digest");
	if (!http_session_read(cookie, &session))
		return visitor;
	secret = find_secret(secrets, n, session.proof, &known);
	if (secret == NULL)
		return visitor;
	sign(secret, session.is_signed.at, session.is_signed.len, signature);
	if (!cadence_bytes_equal(signature, session.signature, SECRET_DIGEST_SIZE) ||
		session.until <= seconds_now())
		return visitor;
	known.rights &= ~HTTP_RUN;
	return known;
}

/* ---- who it is ------------------------------------------------------------------------- */

/* Whether it is somebody who looks at pages, but not at people. */
bool
http_masks_people(const HttpVisitor *visitor)
{
	return (visitor->rights & HTTP_PAGES) != 0 && (visitor->rights & HTTP_PEOPLE) == 0;
}

/* session: NULL, or where a new one is left for whoever is known. */
HttpVisitor
http_visitor_by_token(const CadenceTables *tables, const char *token, size_t len, char **session)
{
	Secret *secrets;
	int n = load_secrets(tables, &secrets);
	HttpVisitor visitor = stranger(secrets, n);
	uint8 proof[SECRET_DIGEST_SIZE];
	const Secret *secret;

	if (len > HTTP_TOKEN_MAX)
		return visitor;
	cadence_secret_digest((const uint8 *) token, len, proof);
	secret = find_secret(secrets, n, proof, &visitor);
	if (secret != NULL && session != NULL)
		*session = make_session(secret, proof);
	return visitor;
}

/* A token counts before a session; another scheme's header may be for a proxy. */
HttpVisitor
http_visitor(const HttpRequest *request, bool takes_sessions)
{
	Slice text = {"", 0};
	Secret *secrets;

	if (http_bearer(http_header(request, "authorization"), &text))
		return http_visitor_by_token(request->tables, text.at, text.len, NULL);
	if (takes_sessions && http_cookie(http_header(request, "cookie"), HTTP_SESSION_COOKIE, &text))
	{
		int n = load_secrets(request->tables, &secrets);

		return visitor_by_session(secrets, n, text);
	}
	return stranger(secrets, load_secrets(request->tables, &secrets));
}
