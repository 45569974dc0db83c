/*
 * digest.h
 *		What is signed: its bytes, its HMAC, and secrets that are given.
 */
#ifndef CADENCE_DIGEST_H
#define CADENCE_DIGEST_H

#include "postgres.h"

#include "base/hmac.h"
#include "rules/receive.h"

/* 64 bytes of SHA-512 are the longest. */
#define DIGEST_MAX 64

extern bool cadence_secret_is(const char *given, const char *secret);
extern int cadence_bytes_decode(SignatureEncoding encoding, const char *text, size_t len, uint8 *to,
								size_t size);
extern int cadence_hmac(SignatureHash hash, const uint8 *key, size_t key_len,
						const SignedMessage *message, uint8 *to);

/* ecdsa.c */
extern bool cadence_ecdsa_verifies(const char *public_key, const SignedMessage *message,
								   const uint8 *signature, size_t len);

#endif
