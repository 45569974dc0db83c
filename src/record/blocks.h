/*
 * blocks.h
 *		Whom nobody may write to, or a company may not, as somebody has said: rows
 *		of cadence_blocklist.
 */
#ifndef CADENCE_BLOCKS_H
#define CADENCE_BLOCKS_H

#include "postgres.h"

#include "datatype/timestamp.h"

#include "schema/tables.h"

/* Why, where the person has said it; and who tells of a link that was followed. */
#define BLOCK_OPT_OUT "opt-out"
#define BLOCK_COMPLAINT "complaint"
#define BLOCK_BY_LINK "cadence_unsubscribe"

/* What is said of addresses of one kind. */
typedef struct AddressBlock
{
	bool is_email;
	const char *empresa; /* whose list; NULL: everybody's */
	const char *country; /* of numbers that do not say it; NULL: Brazil */
	const char *reason;	 /* NULL: none */
	const char *source; /* where it is taken back: whom the person has told; NULL: whatever it is */
	TimestampTz at;		/* 0: now */
} AddressBlock;

/* What has become of many. */
#define BLOCKS_REFUSED_MAX 10

typedef struct BlockCounts
{
	int64 added;
	int64 known; /* before, or by another spelling among them */
	int64 refused;
	int32 refused_at[BLOCKS_REFUSED_MAX]; /* the first of these, from 1 on */
} BlockCounts;

/* One of many addresses; NULL: null. May raise errors. */
typedef const char *(*BlockReader)(void *arg);

typedef struct CadenceBlocks CadenceBlocks;

extern CadenceBlocks *cadence_blocks_create(const CadenceTables *tables);
extern BlockCounts cadence_blocks_add(CadenceBlocks *blocks, const AddressBlock *block,
									  BlockReader next, void *arg, int64 n);
extern BlockCounts cadence_blocks_add_one(CadenceBlocks *blocks, const AddressBlock *block,
										  const char *address);
extern bool cadence_blocks_remove(CadenceBlocks *blocks, const AddressBlock *block,
								  const char *address);

#endif
