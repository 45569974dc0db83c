/*
 * signature.c
 *		Whether a call comes from whom its server's secrets say.
 *
 * The first signature of the definition that the server has secrets for is the
 * one that a call must bear: whoever leaves it out does not come in by another.
 * While a secret is rotated there are two, and both are always tried, so that
 * nobody learns by the time which one fits.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "inbound/digest.h"
#include "inbound/signature.h"
#include "rules/receive_form.h"
#include "rules/receive_reader.h"
#include "rules/request_builder.h"
#include "rules/signature_text.h"

/* Of a header with signatures, of an id, of a timestamp. */
#define SIGNATURE_TEXT_MAX 4096

/* ---- secrets ------------------------------------------------------------------------- */

/* NULL: the server has none. */
static const char *
secret_of(const InboundCall *call, int number)
{
	return number > 0 ? call->values[number] : NULL;
}

/* It is there, but nobody knows what it says: its file is not as it should be. */
bool
cadence_secret_unreadable(const InboundCall *call, int number)
{
	const CadenceConfiguration *c = call->configuration;
	const CadenceSecret *secret =
		number > 0 ? &c->secrets[number - FIELD_COUNT - c->definition->options.n] : NULL;

	return secret != NULL && secret->path != NULL && secret->value == NULL;
}

bool
cadence_either_secret_is(const InboundCall *call, const char *given, int secret, int previous)
{
	const char *now = secret_of(call, secret);
	const char *before = secret_of(call, previous);
	bool is_now = now != NULL && cadence_secret_is(given, now);
	bool is_before = before != NULL && cadence_secret_is(given, before);

	return is_now | is_before;
}

/* In an address a short one could be guessed. */
static bool
has_secret(const InboundCall *call, const ReceiveSignature *s, int number)
{
	const char *secret = secret_of(call, number);

	return secret != NULL && (s->kind != SIGNATURE_PATH || strlen(secret) >= PATH_SECRET_MIN);
}

static bool
has_url(const InboundCall *call, const ReceiveSignature *s)
{
	char *url;
	bool is_there;

	if (s->url.nparts == 0)
		return true;
	url = definition_render(&s->url, call->values);
	is_there = url != NULL && *url != '\0';
	free(url);
	return is_there;
}

/* ---- what is signed ------------------------------------------------------------------ */

/* What parts of a message are made of. */
typedef struct SignedTexts
{
	char id[SIGNATURE_TEXT_MAX];
	char timestamp[SIGNATURE_TEXT_MAX];
	char *url;
	SignedBytes form;
} SignedTexts;

/* Only where something stands in it: most signatures are checked before a body is read. */
static struct json_t *
body_for(InboundCall *call, const AnswerPlaces *places)
{
	for (size_t i = 0; i < places->n; i++)
		if (places->list[i].header == NULL)
			return cadence_call_json(call);
	return NULL;
}

static bool
text_at(InboundCall *call, const AnswerPlaces *places, char *to, size_t size)
{
	return receive_text_at(places, body_for(call, places), cadence_call_header, call, to, size);
}

/* Nothing where it is no form. */
static SignedBytes
sorted_form(const InboundCall *call)
{
	char *text = palloc(call->body_len + 1);
	size_t n;
	Form form;

	if (!form_read(call->body, call->body_len, &form))
		return (SignedBytes){NULL, 0};
	n = form_sorted(&form, text);
	form_free(&form);
	return (SignedBytes){text, n};
}

/* A part of what is signed; one that is not there is NULL. */
static SignedBytes
signed_part(const InboundCall *call, const SignedPart *part, const SignedTexts *texts)
{
	const char *text[SIGNED_KINDS] = {[SIGNED_TEXT] = part->text,
									  [SIGNED_ID] = texts->id,
									  [SIGNED_TIMESTAMP] = texts->timestamp,
									  [SIGNED_URL] = texts->url};

	if (part->kind == SIGNED_BODY)
		return (SignedBytes){call->body, call->body_len};
	if (part->kind == SIGNED_FORM_SORTED)
		return texts->form;
	return (SignedBytes){text[part->kind], text[part->kind] != NULL ? strlen(text[part->kind]) : 0};
}

static bool
is_recent(const ReceiveSignature *s, const char *timestamp)
{
	int64 now = GetCurrentTimestamp() / USECS_PER_SEC +
				(POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY;
	int64 then;

	return s->window_s == 0 || (signature_timestamp(timestamp, &then) &&
								then >= now - s->window_s && then <= now + s->window_s);
}

/* False: something is missing, or it is too old. */
static bool
make_message(InboundCall *call, const ReceiveSignature *s, SignedTexts *texts,
			 SignedMessage *message)
{
	*message = (SignedMessage){.parts = palloc(sizeof(SignedBytes) * s->nparts), .n = s->nparts};
	texts->url = definition_render(&s->url, call->values);
	if (texts->url != NULL)
	{
		char *copy = pstrdup(texts->url);

		free(texts->url);
		texts->url = copy;
	}
	if ((s->id.n > 0 && !text_at(call, &s->id, texts->id, sizeof(texts->id))) ||
		(s->timestamp.n > 0 &&
		 !text_at(call, &s->timestamp, texts->timestamp, sizeof(texts->timestamp))) ||
		(s->timestamp.n > 0 && !is_recent(s, texts->timestamp)))
		return false;
	for (size_t i = 0; i < s->nparts; i++)
	{
		if (s->parts[i].kind == SIGNED_FORM_SORTED)
			texts->form = sorted_form(call);
		message->parts[i] = signed_part(call, &s->parts[i], texts);
		if (message->parts[i].at == NULL)
			return false;
	}
	return true;
}

/* ---- digests ------------------------------------------------------------------------- */

/* The bytes that a secret stands for; 0: it can not be one. */
static size_t
key_of(const ReceiveSignature *s, const char *secret, uint8 *to, size_t size)
{
	size_t prefix = strlen(s->secret_prefix);
	int len;

	if (strncmp(secret, s->secret_prefix, prefix) == 0)
		secret += prefix;
	if (s->secret_is_base64)
	{
		len = cadence_bytes_decode(ENCODING_BASE64, secret, strlen(secret), to, size);
		return len > 0 ? len : 0;
	}
	if (strlen(secret) > size)
		return 0;
	memcpy(to, secret, strlen(secret));
	return strlen(secret);
}

/* Whether a signature is what a secret makes of the message. */
static bool
is_made_by(const ReceiveSignature *s, const char *secret, const SignedMessage *message,
		   const uint8 *signature, int len)
{
	uint8 key[SIGNATURE_TEXT_MAX * 2];
	uint8 digest[DIGEST_MAX];
	size_t key_len;
	bool is_equal;

	if (s->kind == SIGNATURE_ECDSA)
		return cadence_ecdsa_verifies(secret, message, signature, len);
	key_len = key_of(s, secret, key, sizeof(key));
	is_equal = key_len > 0 && cadence_hmac(s->hash, key, key_len, message, digest) == len &&
			   cadence_bytes_equal(digest, signature, len);
	explicit_bzero(key, sizeof(key));
	return is_equal;
}

/* One of those that stand in the header. */
static bool
is_made_by_either(const InboundCall *call, const ReceiveSignature *s, const SignedMessage *message,
				  Slice text)
{
	const int secrets[] = {s->secret, s->previous};
	uint8 signature[SIGNATURE_TEXT_MAX];
	bool is_good = false;
	int len = cadence_bytes_decode(s->encoding, text.at, text.len, signature, sizeof(signature));

	for (size_t i = 0; i < lengthof(secrets) && len > 0; i++)
		if (secret_of(call, secrets[i]) != NULL)
			is_good |= is_made_by(s, secret_of(call, secrets[i]), message, signature, len);
	return is_good;
}

static bool
digest_is_good(InboundCall *call, const ReceiveSignature *s)
{
	char given[SIGNATURE_TEXT_MAX];
	SignedTexts *texts = palloc0(sizeof(*texts));
	Slice signatures[SIGNATURES_MAX];
	SignedMessage message;
	bool is_good = false;
	size_t n;

	if (!text_at(call, &s->at, given, sizeof(given)) || !make_message(call, s, texts, &message))
		return false;
	n = signature_list(given, s->separator, s->prefix, signatures);
	for (size_t i = 0; i < n; i++)
		is_good |= is_made_by_either(call, s, &message, signatures[i]);
	return is_good;
}

/* ---- secrets that are sent ------------------------------------------------------------- */

static bool
header_is_good(InboundCall *call, const ReceiveSignature *s)
{
	char given[SIGNATURE_TEXT_MAX];
	size_t prefix = strlen(s->prefix);

	/* "Bearer" is a word of HTTP, in any case */
	return text_at(call, &s->at, given, sizeof(given)) &&
		   pg_strncasecmp(given, s->prefix, prefix) == 0 &&
		   cadence_either_secret_is(call, given + prefix, s->secret, s->previous);
}

static bool
basic_is_good(InboundCall *call, const ReceiveSignature *s)
{
	const char *header = cadence_call_header(call, "Authorization");
	const char *expected = secret_of(call, s->user);
	char *plain = palloc(SIGNATURE_TEXT_MAX);
	char *user;
	char *password;
	Slice token;
	bool is_user;
	bool is_password;
	int len;

	if (header == NULL || !basic_token(header, &token))
		return false;
	len = cadence_bytes_decode(ENCODING_BASE64, token.at, token.len, (uint8 *) plain,
							   SIGNATURE_TEXT_MAX - 1);
	if (len < 0 || !basic_credentials(plain, len, &user, &password))
		return false;
	is_user = s->user < 0 || (expected != NULL && cadence_secret_is(user, expected));
	is_password = cadence_either_secret_is(call, password, s->secret, s->previous);
	return is_user & is_password;
}

/* What follows the secret in the address is the caller's: some add the event's name. */
static bool
path_is_good(InboundCall *call, const ReceiveSignature *s)
{
	const char *given = call->path_secret;
	bool is_whole;
	bool is_first;

	if (given == NULL || strlen(given) < PATH_SECRET_MIN)
		return false;
	is_whole = cadence_either_secret_is(call, given, s->secret, s->previous);
	is_first = cadence_either_secret_is(call, pnstrdup(given, strcspn(given, "/")), s->secret,
										s->previous);
	return is_whole | is_first;
}

/* ---- all of them ----------------------------------------------------------------------- */

static bool
is_good(InboundCall *call, const ReceiveSignature *s)
{
	switch (s->kind)
	{
		case SIGNATURE_HMAC:
		case SIGNATURE_ECDSA:
			return digest_is_good(call, s);
		case SIGNATURE_BASIC:
			return basic_is_good(call, s);
		case SIGNATURE_HEADER:
			return header_is_good(call, s);
		case SIGNATURE_PATH:
			return path_is_good(call, s);
		case SIGNATURE_KINDS:
			break;
	}
	return false;
}

SignatureVerdict
cadence_signature_check(InboundCall *call)
{
	for (size_t i = 0; i < call->rules->nsignatures; i++)
	{
		const ReceiveSignature *s = &call->rules->signatures[i];

		if (cadence_secret_unreadable(call, s->secret) ||
			cadence_secret_unreadable(call, s->previous) ||
			cadence_secret_unreadable(call, s->user))
			return SIGNATURE_UNREADABLE;
		if ((has_secret(call, s, s->secret) || has_secret(call, s, s->previous)) &&
			(s->user < 0 || secret_of(call, s->user) != NULL) && has_url(call, s))
			return is_good(call, s) ? SIGNATURE_GOOD : SIGNATURE_BAD;
	}
	return SIGNATURE_BAD;
}
