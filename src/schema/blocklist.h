/*
 * blocklist.h
 *		Addresses that are blocked, for all or for one company: how they are stored, and
 *		which are there.
 */
#ifndef CADENCE_BLOCKLIST_H
#define CADENCE_BLOCKLIST_H

#include "postgres.h"

#include "common/sha2.h"

#include "schema/tables.h"

/*
 * The first 12 bytes of an HMAC-SHA256 (RFC 2104, section 5): among millions no two are
 * the same, and looking one up costs a third less than with the whole. Four more bytes
 * are the same in all that one key has made: by another one nobody would be found.
 */
typedef struct BlockedHash
{
	uint8 bytes[12];
	uint8 key[4];
} BlockedHash;

/* Of an address as address_one() writes it. */
#define BLOCKLIST_ADDRESS_SIZE 255

/* An address that is looked up, and what was found. */
typedef struct BlocklistLookup
{
	char address[BLOCKLIST_ADDRESS_SIZE]; /* "": there is none */
	bool is_email;
	const char *empresa; /* who wants to write; NULL: nobody knows */
	bool is_blocked;
	char *reason; /* NULL: none */
} BlocklistLookup;

typedef struct CadenceBlocklist CadenceBlocklist;

extern const char *cadence_block_kind(bool is_email);
extern Datum cadence_block_hash_datum(const BlockedHash *hash);

extern CadenceBlocklist *cadence_blocklist_create(const CadenceTables *tables, bool in_query);
extern void cadence_blocklist_read_key(CadenceBlocklist *list);
extern BlockedHash cadence_blocklist_hash(const CadenceBlocklist *list, const char *address);
extern bool cadence_blocklist_begin(CadenceBlocklist *list);
extern int cadence_blocklist_find(CadenceBlocklist *list, BlocklistLookup *lookups, int n);

#endif
