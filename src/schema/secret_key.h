/*
 * secret_key.h
 *		Secret keys of this database: rows of cadence_keys.
 */
#ifndef CADENCE_SECRET_KEY_H
#define CADENCE_SECRET_KEY_H

#include "postgres.h"

#include "common/sha2.h"

#include "base/hmac.h"
#include "schema/tables.h"

typedef struct CadenceSecretKey CadenceSecretKey;

extern CadenceSecretKey *cadence_secret_key_create(const CadenceTables *tables, const char *name,
												   bool in_query);
extern void cadence_secret_key_read(CadenceSecretKey *key);
extern void cadence_secret_key_hmac(const CadenceSecretKey *key, const SignedMessage *message,
									uint8 *to);

#endif
