/*
 * key.h
 *		How a key of the user's tables compares.
 */
#ifndef CADENCE_KEY_H
#define CADENCE_KEY_H

#include "postgres.h"

#include "schema/tables.h"

extern char *cadence_key_is(const CadenceTables *tables, const char *table, const char *alias,
							const char *column, const char *value);
extern char *cadence_key_of(const CadenceTables *tables, const char *table, const char *column,
							const char *value);

#endif
