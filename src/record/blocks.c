/*
 * blocks.c
 *		Whom nobody may write to, or a company may not, as somebody has said.
 *
 * Of millions so many at a time are hashed, put in order and written: next to each
 * other in the index they cost a fraction, and whoever writes the same at this
 * moment waits in the same order.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

#include "base/statement.h"
#include "record/blocks.h"
#include "rules/address_key.h"
#include "schema/blocklist.h"
#include "schema/key.h"

#define CHUNK 100000

struct CadenceBlocks
{
	CadenceBlocklist *list;
	Statement add;
	Statement remove;
};

static const RowsetColumn hash_columns[] = {{"value_hash", BYTEAOID}};
static const Oid add_types[] = {TEXTOID, TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID};
static const Oid remove_types[] = {TEXTOID, BYTEAOID, TEXTOID, TEXTOID, TIMESTAMPTZOID};

/* In the current memory context. */
CadenceBlocks *
cadence_blocks_create(const CadenceTables *t)
{
	CadenceBlocks *b = palloc0(sizeof(*b));

	b->list = cadence_blocklist_create(t, false);
	b->add =
		STATEMENT("blocking addresses",
				  psprintf("INSERT INTO %s (kind, value_hash, empresa, reason, source, created_at) "
						   "SELECT $1, d.value_hash, $2, $3, $4, COALESCE($5, " NOW
						   ") FROM " ROWSET_NAME " AS d ON CONFLICT DO NOTHING",
						   t->blocklist),
				  add_types, SPI_OK_INSERT);
	b->remove = STATEMENT(
		"taking an address off the blocklist",
		psprintf("DELETE FROM %s AS b WHERE b.kind " EQ " $1 AND b.value_hash " EQ
				 " $2 AND CASE WHEN $3 " EQ " '' THEN b.empresa " EQ " '' ELSE %s END "
				 "AND ($4 IS NULL OR b.source " EQ " ANY (ARRAY[$4, '" BLOCK_BY_LINK
				 "']) AND b.reason " EQ " ANY (ARRAY['" BLOCK_OPT_OUT "', '" BLOCK_COMPLAINT "'])) "
				 "AND ($5 IS NULL OR b.created_at " LE " $5)",
				 t->blocklist, cadence_key_is(t, "lead_contacts", "b", "empresa", "$3")),
		remove_types, SPI_OK_DELETE);
	return b;
}

static int
in_order(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(BlockedHash));
}

static const char *
company_of(const AddressBlock *block)
{
	return block->empresa != NULL ? block->empresa : "";
}

/* How many of them are new. */
static int64
write_chunk(CadenceBlocks *b, const AddressBlock *block, BlockedHash *hashes, int n)
{
	Datum values[lengthof(add_types)];
	char nulls[lengthof(add_types)];
	Rowset rows;

	if (n == 0)
		return 0;
	statement_put_text(values, nulls, 0, cadence_block_kind(block->is_email));
	statement_put_text(values, nulls, 1, company_of(block));
	statement_put_text(values, nulls, 2, block->reason);
	statement_put_text(values, nulls, 3, block->source);
	statement_put_time(values, nulls, 4, block->at);
	qsort(hashes, n, sizeof(*hashes), in_order);
	rowset_begin(&rows, hash_columns, lengthof(hash_columns));
	for (int i = 0; i < n; i++)
	{
		Datum hash = cadence_block_hash_datum(&hashes[i]);

		if (i == 0 || in_order(&hashes[i - 1], &hashes[i]) != 0)
			rowset_put_datum(&rows, hash);
		pfree(DatumGetPointer(hash));
	}
	statement_execute(&b->add, values, nulls, 0);
	rowset_end(&rows);
	return SPI_processed;
}

/* Hashes the next of n addresses, from the one numbered first on; how many can be one. */
static int
hash_chunk(CadenceBlocks *b, const AddressBlock *block, BlockReader next, void *arg, int64 first,
		   int n, BlockedHash *hashes, BlockCounts *counts)
{
	int nhashes = 0;

	for (int i = 0; i < n; i++)
	{
		const char *address = next(arg);
		char one[ADDRESS_ONE_SIZE];

		CHECK_FOR_INTERRUPTS();
		if (address != NULL && address_one(address, block->is_email, block->country, one))
			hashes[nhashes++] = cadence_blocklist_hash(b->list, one);
		else if (counts->refused++ < BLOCKS_REFUSED_MAX)
			counts->refused_at[counts->refused - 1] = first + i + 1;
	}
	return nhashes;
}

/*
 * Puts addresses on the list, as next() gives them, inside an SPI connection, as the
 * tables' owner. What is there already stays as it was first said.
 */
BlockCounts
cadence_blocks_add(CadenceBlocks *b, const AddressBlock *block, BlockReader next, void *arg,
				   int64 n)
{
	BlockedHash *hashes = palloc(sizeof(*hashes) * Max(Min(n, CHUNK), 1));
	BlockCounts counts = {0};

	cadence_blocklist_read_key(b->list);
	for (int64 first = 0; first < n; first += CHUNK)
	{
		int nhashes =
			hash_chunk(b, block, next, arg, first, Min(n - first, CHUNK), hashes, &counts);
		int64 added = write_chunk(b, block, hashes, nhashes);

		counts.added += added;
		counts.known += nhashes - added;
	}
	pfree(hashes);
	return counts;
}

static const char *
the_one(void *arg)
{
	return arg;
}

BlockCounts
cadence_blocks_add_one(CadenceBlocks *b, const AddressBlock *block, const char *address)
{
	return cadence_blocks_add(b, block, the_one, (void *) address, 1);
}

/*
 * Takes an address off the list, if its person has told that source to put it there,
 * or a link, and not later than then; false: it was not, or it can be no address. What
 * others have put there stays, whoever they are. Inside an SPI connection, as the tables'
 * owner.
 */
bool
cadence_blocks_remove(CadenceBlocks *b, const AddressBlock *block, const char *address)
{
	char one[ADDRESS_ONE_SIZE];
	Datum values[lengthof(remove_types)];
	char nulls[lengthof(remove_types)] = {' ', ' '};
	BlockedHash hash;

	if (!address_one(address, block->is_email, block->country, one))
		return false;
	cadence_blocklist_read_key(b->list);
	hash = cadence_blocklist_hash(b->list, one);
	statement_put_text(values, nulls, 0, cadence_block_kind(block->is_email));
	values[1] = cadence_block_hash_datum(&hash);
	statement_put_text(values, nulls, 2, company_of(block));
	statement_put_text(values, nulls, 3, block->source);
	statement_put_time(values, nulls, 4, block->at);
	statement_execute(&b->remove, values, nulls, 0);
	return SPI_processed > 0;
}
