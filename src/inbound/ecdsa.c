/*
 * ecdsa.c
 *		A signature by a key on the curve P-256, with SHA-256: whether it is the
 *		one's whose public key is known.
 *
 * The only file that knows libcrypto, which keeps a queue of errors of its own:
 * whatever becomes of a call, that is left empty, or somebody else would find an
 * error of ours there.
 */
#include "postgres.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "inbound/digest.h"

/* Of a public key's DER; one of P-256 has 91 bytes. */
#define KEY_MAX 1024

static EVP_PKEY *
read_key(const char *text)
{
	uint8 der[KEY_MAX];
	const unsigned char *at = der;
	int len = cadence_bytes_decode(ENCODING_BASE64, text, strlen(text), der, sizeof(der));
	EVP_PKEY *key = len > 0 ? d2i_PUBKEY(NULL, &at, len) : NULL;

	if (key != NULL && EVP_PKEY_base_id(key) != EVP_PKEY_EC)
	{
		EVP_PKEY_free(key);
		return NULL;
	}
	return key;
}

static bool
verifies(EVP_PKEY *key, EVP_MD_CTX *context, const SignedMessage *message, const uint8 *signature,
		 size_t len)
{
	if (EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key) != 1)
		return false;
	for (int i = 0; i < message->n; i++)
		if (EVP_DigestVerifyUpdate(context, message->parts[i].at, message->parts[i].len) != 1)
			return false;
	return EVP_DigestVerifyFinal(context, signature, len) == 1;
}

/* The key: its DER in base64. Nothing between making and freeing raises an error. */
bool
cadence_ecdsa_verifies(const char *public_key, const SignedMessage *message, const uint8 *signature,
					   size_t len)
{
	EVP_PKEY *key = read_key(public_key);
	EVP_MD_CTX *context = key != NULL ? EVP_MD_CTX_new() : NULL;
	bool is_theirs = context != NULL && verifies(key, context, message, signature, len);

	EVP_MD_CTX_free(context);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return is_theirs;
}
