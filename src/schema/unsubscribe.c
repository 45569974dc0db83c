/*
 * unsubscribe.c
 *		Links by which a person wants no more messages of a company on a channel.
 *
 * A link's token is the channel, the company and the lead, encrypted and
 * authenticated with a key of this database: it needs no row, so it never expires,
 * a preview can show it, and it works when lead, run and cadence are gone.
 *
 * The scheme is SIV (Rogaway and Shrimpton, "Deterministic Authenticated-Encryption",
 * 2006) with HMAC-SHA256 for both of its parts: the first 16 bytes of the HMAC of what
 * is said are sent along, and are where the key stream begins that hides it. It needs
 * no random numbers, so all messages to a person have the same link; and of two the
 * same link tells that they are to the same person, which their addresses do as well.
 */
#include "postgres.h"

#include "common/base64.h"

#include "base/settings.h"
#include "schema/unsubscribe.h"

/* What a token begins with. */
#define IV_LEN 16

/* In what is hidden all lengths are a multiple of this: how long an id is shows little. */
#define PADDING 16

/* Mail servers take lines of 998 bytes, with the header's name. */
#define LINK_MAX 900

/* What comes first in each HMAC, so that no two uses of the key are the same. */
enum
{
	USE_AUTHENTICATE = 1,
	USE_HIDE
};

static const struct
{
	char letter;
	const char *canal;
} channels[] = {{'W', "WHATSAPP"}, {'S', "SMS"}, {'E', "EMAIL"}};

/* ---- hiding -------------------------------------------------------------------------- */

static void
authenticate(const CadenceSecretKey *key, const char *text, size_t len, uint8 *iv)
{
	uint8 use = USE_AUTHENTICATE;
	uint8 digest[PG_SHA256_DIGEST_LENGTH];
	SignedBytes parts[] = {{&use, 1}, {text, len}};
	SignedMessage message = {parts, lengthof(parts)};

	cadence_secret_key_hmac(key, &message, digest);
	memcpy(iv, digest, IV_LEN);
}

/* Hides a text, or shows it again. */
static void
hide(const CadenceSecretKey *key, const uint8 *iv, char *text, size_t len)
{
	uint8 use = USE_HIDE;
	uint8 block[PG_SHA256_DIGEST_LENGTH];

	for (size_t at = 0; at < len; at += sizeof(block))
	{
		uint8 number[] = {at / sizeof(block) >> 8, at / sizeof(block)};
		SignedBytes parts[] = {{&use, 1}, {iv, IV_LEN}, {number, sizeof(number)}};
		SignedMessage message = {parts, lengthof(parts)};

		cadence_secret_key_hmac(key, &message, block);
		for (size_t i = 0; i < sizeof(block) && at + i < len; i++)
			text[at + i] ^= block[i];
	}
}

/* ---- as a part of an address --------------------------------------------------------- */

/* base64url without padding (RFC 4648, section 5), in the current memory context. */
static char *
encode(const uint8 *bytes, size_t len)
{
	int size = pg_b64_enc_len(len);
	char *text = palloc(size + 1);
	int n = pg_b64_encode((const void *) bytes, len, text, size);

	while (n > 0 && text[n - 1] == '=')
		n--;
	text[n] = '\0';
	for (char *at = text; *at != '\0'; at++)
		*at = *at == '+' ? '-' : *at == '/' ? '_' : *at;
	return text;
}

/* How many bytes, in the current memory context; -1: it is none. */
static int
decode(const char *text, uint8 **bytes)
{
	size_t len = strlen(text);
	char *copy;
	int size;

	if (len == 0 || len > LINK_MAX || len % 4 == 1 ||
		strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != len)
		return -1;
	copy = psprintf("%s%s", text, len % 4 == 0 ? "" : len % 4 == 2 ? "==" : "=");
	for (char *at = copy; *at != '\0'; at++)
		*at = *at == '-' ? '+' : *at == '_' ? '/' : *at;
	size = pg_b64_dec_len(strlen(copy));
	*bytes = palloc(size + 1);
	return pg_b64_decode(copy, strlen(copy), (void *) *bytes, size);
}

/* ---- what it says -------------------------------------------------------------------- */

/* A channel's letter, the company, and the lead, each with its end, and more zeros. */
static char *
say(const Unsubscribe *u, size_t *len)
{
	size_t company = strlen(u->empresa) + 1;
	size_t lead = strlen(u->lead_id) + 1;
	char *text;

	*len = TYPEALIGN(PADDING, 1 + company + lead);
	text = palloc0(*len);
	for (size_t i = 0; i < lengthof(channels); i++)
		if (strcmp(channels[i].canal, u->canal) == 0)
			text[0] = channels[i].letter;
	memcpy(text + 1, u->empresa, company);
	memcpy(text + 1 + company, u->lead_id, lead);
	return text;
}

static bool
hear(const char *text, size_t len, Unsubscribe *u)
{
	u->canal = NULL;
	for (size_t i = 0; i < lengthof(channels); i++)
		if (channels[i].letter == text[0])
			u->canal = channels[i].canal;
	u->empresa = text + 1;
	u->lead_id = memchr(u->empresa, '\0', len - 1);
	if (u->canal == NULL || u->lead_id == NULL)
		return false;
	u->lead_id++;
	return u->lead_id < text + len && memchr(u->lead_id, '\0', text + len - u->lead_id) != NULL;
}

/*
 * The link of a person, in the current memory context; NULL: there is no address of a
 * page, or it is too long for a mail. After the key was read, inside a transaction.
 */
char *
cadence_unsubscribe_link(const CadenceSecretKey *key, const Unsubscribe *u)
{
	size_t len;
	char *text;
	char *token;
	char *link = NULL;
	uint8 *bytes;

	if (cadence_unsubscribe_base[0] == '\0')
		return NULL;
	text = say(u, &len);
	bytes = palloc(IV_LEN + len);
	authenticate(key, text, len, bytes);
	hide(key, bytes, text, len);
	memcpy(bytes + IV_LEN, text, len);
	token = encode(bytes, IV_LEN + len);
	if (strlen(cadence_unsubscribe_base) + strlen(token) <= LINK_MAX)
		link = psprintf("%s%s", cadence_unsubscribe_base, token);
	pfree(text);
	pfree(bytes);
	pfree(token);
	return link;
}

/* Reads a token, in the current memory context; false: it is none of ours. */
bool
cadence_unsubscribe_read(const CadenceSecretKey *key, const char *token, Unsubscribe *u)
{
	uint8 iv[IV_LEN];
	uint8 *bytes;
	char *text;
	int len = decode(token, &bytes) - IV_LEN;

	if (len < PADDING)
		return false;
	text = (char *) bytes + IV_LEN;
	hide(key, bytes, text, len);
	authenticate(key, text, len, iv);
	return cadence_bytes_equal(iv, bytes, IV_LEN) && hear(text, len, u);
}
