/*
 * secret_key.c
 *		Secret keys of this database, each made once with its table.
 *
 * A key is a row of a table, so that it goes wherever what was made with it goes: a
 * dump, a standby, a subscription. The tables' owner alone may read it: whoever needs
 * one for somebody else is that owner meanwhile.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"

#include "base/statement.h"
#include "schema/secret_key.h"

/* Shorter ones could be guessed. */
#define KEY_MIN 32

struct CadenceSecretKey
{
	const CadenceTables *tables;
	const char *name;
	Statement read;
	uint8 bytes[PG_SHA256_BLOCK_LENGTH];
	size_t len; /* 0: it was not read */
};

static const Oid read_types[] = {TEXTOID};

/* In the current memory context. in_query: for one call in somebody's query. */
CadenceSecretKey *
cadence_secret_key_create(const CadenceTables *t, const char *name, bool in_query)
{
	CadenceSecretKey *key = palloc0(sizeof(*key));

	key->tables = t;
	key->name = name;
	key->read = STATEMENT("reading a key",
						  psprintf("SELECT k.key::pg_catalog.bytea FROM %s AS k "
								   "WHERE k.name " EQ " $1 LIMIT 1",
								   t->keys),
						  read_types, SPI_OK_SELECT);
	key->read.in_query = in_query;
	return key;
}

/*
 * Inside an SPI connection, as the tables' owner.
 *
 * Errors: 55000 where the key is missing, or shorter than 32 bytes.
 */
void
cadence_secret_key_read(CadenceSecretKey *key)
{
	Datum values[] = {CStringGetTextDatum(key->name)};
	bool isnull = true;
	Datum value = (Datum) 0;
	size_t len = 0;

	statement_execute(&key->read, values, NULL, 1);
	if (SPI_processed > 0)
		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	if (!isnull)
	{
		bytea *bytes = DatumGetByteaPP(value);

		len = VARSIZE_ANY_EXHDR(bytes);
		memcpy(key->bytes, VARDATA_ANY(bytes), Min(len, sizeof(key->bytes)));
	}
	SPI_freetuptable(SPI_tuptable);
	if (len < KEY_MIN || len > sizeof(key->bytes))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("table %s has no key \"%s\"", key->tables->keys, key->name),
						errdetail("What was made with that key can not be known without it."),
						errhint("Restore its row from a backup.")));
	key->len = len;
}

/* HMAC-SHA256, after the key was read. */
void
cadence_secret_key_hmac(const CadenceSecretKey *key, const SignedMessage *message, uint8 *to)
{
	Assert(key->len > 0);
	cadence_hmac_of(PG_SHA256, key->bytes, key->len, message, to, PG_SHA256_DIGEST_LENGTH);
}
