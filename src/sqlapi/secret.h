/*
 * secret.h
 *		Secrets by which something may be seen or done over HTTP.
 */
#ifndef CADENCE_SQLAPI_SECRET_H
#define CADENCE_SQLAPI_SECRET_H

#include "postgres.h"

#include "common/sha2.h"

#include "schema/tables.h"

#define SECRET_DIGEST_SIZE PG_SHA256_DIGEST_LENGTH
#define SECRET_NAME_MAX 63
#define SECRETS_MAX 200

extern int cadence_secret_rights(const char *name);
extern bool cadence_secret_is_somebodys(const char *name);
extern void cadence_secret_end_sessions(const CadenceTables *t, const char *name);
extern void cadence_secret_digest(const uint8 *bytes, size_t len, uint8 *to);

#endif
