/*
 * secret.c
 *		cadence_secret_set(): the secrets by which something may be seen or done over
 *		HTTP.
 *
 * The right to execute it is all that its caller needs: it acts as the owner of the
 * tables, so that a trigger of that one's on them never runs for somebody stronger. A
 * secret has enough entropy by itself, or it is refused, so a plain digest will do.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"

#include "base/statement.h"
#include "schema/tables.h"
#include "sqlapi/http.h"
#include "sqlapi/secret.h"

PG_FUNCTION_INFO_V1(cadence_secret_set);
PG_FUNCTION_INFO_V1(cadence_secret_make);

#define SECRET_MIN 16

/* Of a word of one letter no length makes a secret. */
#define CHARACTERS_MIN 10

static void
check_name(const char *name)
{
	if (name == NULL || cadence_secret_rights(name) == 0)
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("\"%s\" is no secret's name", name != NULL ? name : "null"),
			 errhint("Names are service_role, cron, health, metrics, viewer and people; the last "
					 "two may have a name of somebody's behind a colon, as people:ana.")));
}

static int
different_characters(const char *value)
{
	bool seen[256] = {false};
	int n = 0;

	for (; *value != '\0'; value++)
		if (!seen[(unsigned char) *value])
		{
			seen[(unsigned char) *value] = true;
			n++;
		}
	return n;
}

/* The message must not have it. */
static void
check_value(const char *value)
{
	size_t len = strlen(value);

	if (len < SECRET_MIN || different_characters(value) < CHARACTERS_MIN)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a secret has at least %d characters, and %d that differ",
							   SECRET_MIN, CHARACTERS_MIN),
						errhint("Let cadence_secret_set() make it: of a name alone.")));
	if (len > HTTP_TOKEN_MAX)
		ereport(ERROR, (errcode(ERRCODE_STRING_DATA_RIGHT_TRUNCATION),
						errmsg("a secret has at most %d characters", HTTP_TOKEN_MAX)));
	for (size_t i = 0; i < len; i++)
		if (value[i] <= ' ' || value[i] > '~' || strchr(",;\"\\", value[i]) != NULL)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("a secret has letters, digits and signs alone"),
							errdetail("It has to stand in a header: without blanks, commas, "
									  "semicolons, quotes and backslashes.")));
}

static Datum
bytes_datum(const uint8 *bytes)
{
	bytea *value = palloc(VARHDRSZ + SECRET_DIGEST_SIZE);

	SET_VARSIZE(value, VARHDRSZ + SECRET_DIGEST_SIZE);
	memcpy(VARDATA(value), bytes, SECRET_DIGEST_SIZE);
	return PointerGetDatum(value);
}

static void
make_random(uint8 *bytes)
{
	if (!pg_strong_random(bytes, SECRET_DIGEST_SIZE))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not generate random values")));
}

static void
store(const CadenceTables *t, const char *name, const char *value)
{
	static const Oid types[] = {TEXTOID, BYTEAOID, BYTEAOID};
	Statement write =
		STATEMENT("setting a secret",
				  psprintf("INSERT INTO %s AS s (name, digest, session_key, created_at) "
						   "VALUES ($1, $2, $3, " NOW ") ON CONFLICT (name) DO UPDATE SET "
						   "digest = excluded.digest, session_key = excluded.session_key, "
						   "created_at = excluded.created_at",
						   t->secrets),
				  types, SPI_OK_INSERT);
	uint8 digest[SECRET_DIGEST_SIZE];
	uint8 key[SECRET_DIGEST_SIZE];
	Datum values[3];

	cadence_secret_digest((const uint8 *) value, strlen(value), digest);
	cadence_secret_digest(digest, sizeof(digest), digest);
	make_random(key);
	values[0] = CStringGetTextDatum(name);
	values[1] = bytes_datum(digest);
	values[2] = bytes_datum(key);
	statement_execute(&write, values, NULL, 0);
}

static void
remove_secret(const CadenceTables *t, const char *name)
{
	static const Oid types[] = {TEXTOID};
	Datum values[] = {CStringGetTextDatum(name)};
	Statement remove = STATEMENT("removing a secret",
								 psprintf("DELETE FROM %s AS s WHERE s.name " EQ " $1", t->secrets),
								 types, SPI_OK_DELETE);

	statement_execute(&remove, values, NULL, 0);
}

/* Its sessions are signed by the key that it had. */
static void
set_key(const CadenceTables *t, const char *name)
{
	static const Oid types[] = {TEXTOID, BYTEAOID};
	Statement update = STATEMENT("ending the sessions of a secret",
								 psprintf("UPDATE %s AS s SET session_key = $2 "
										  "WHERE s.name " EQ " $1",
										  t->secrets),
								 types, SPI_OK_UPDATE);
	uint8 key[SECRET_DIGEST_SIZE];
	Datum values[2];

	make_random(key);
	values[0] = CStringGetTextDatum(name);
	values[1] = bytes_datum(key);
	statement_execute(&update, values, NULL, 0);
}

/* What is beyond would open nothing. */
static void
check_count(const CadenceTables *t)
{
	Statement count =
		ROWS_STATEMENT("counting secrets",
					   psprintf("SELECT s.name FROM %s AS s ORDER BY s.name OFFSET %d LIMIT 1",
								t->secrets, SECRETS_MAX),
					   SPI_OK_SELECT);

	statement_execute(&count, NULL, NULL, 0);
	if (SPI_processed > 0)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("there can be no more than %d secrets", SECRETS_MAX)));
}

/* The secret itself opens what it has opened. */
void
cadence_secret_end_sessions(const CadenceTables *t, const char *name)
{
	CadenceCaller caller = cadence_owner_begin(t->owner);

	(void) SPI_connect();
	set_key(t, name);
	SPI_finish();
	cadence_owner_end(caller);
}

/* NULL removes it. */
static void
set_secret(const char *name, const char *value)
{
	CadenceTables *t = cadence_tables_load(cadence_extension_schema());
	CadenceCaller caller;

	check_name(name);
	if (value != NULL)
		check_value(value);
	caller = cadence_owner_begin(t->owner);
	(void) SPI_connect();
	if (value == NULL)
		remove_secret(t, name);
	else
	{
		store(t, name, value);
		check_count(t);
	}
	SPI_finish();
	cadence_owner_end(caller);
}

/*
 * cadence_secret_set(name text, value text): whoever brings that value over HTTP may
 * see or do what the name says. NULL removes it. What was there before counts no more,
 * nor do sessions that it has begun.
 *
 * Errors: 22023 for another name, or a value that could be guessed or can stand in no
 * header; 54000 for too many; 42P01 without tables.
 */
Datum
cadence_secret_set(PG_FUNCTION_ARGS)
{
	set_secret(PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0)),
			   PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1)));
	PG_RETURN_VOID();
}

/* cadence_secret_set(name text): the same with a value that is made here, and returned. */
Datum
cadence_secret_make(PG_FUNCTION_ARGS)
{
	uint8 bytes[SECRET_DIGEST_SIZE];
	char *value = palloc0(2 * sizeof(bytes) + 1);

	make_random(bytes);
	hex_encode((const char *) bytes, sizeof(bytes), value);
	set_secret(PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0)), value);
	PG_RETURN_TEXT_P(cstring_to_text(value));
}
