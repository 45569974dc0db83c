/*
 * received_value.h
 *		Values of a webhook, as the rest of the program writes them.
 */
#ifndef CADENCE_RECEIVED_VALUE_H
#define CADENCE_RECEIVED_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A part of a text; it needs no terminator. */
typedef struct Slice
{
	const char *at;
	size_t len;
} Slice;

/* RFC 5321 allows 254; the other kinds are shorter. */
#define RECEIVED_ADDRESS_SIZE 320

extern Slice slice_trimmed(Slice s);
extern Slice slice_after(Slice s, const char *mark);
extern Slice slice_until(Slice s, const char *mark);
extern bool slice_is(Slice s, const char *text);
extern bool slice_begins(Slice s, const char *text);
extern bool slice_ends(Slice s, const char *text);

/* Each writes a terminated text into RECEIVED_ADDRESS_SIZE bytes; false: it is none. */
extern bool received_phone(Slice s, bool is_international, char *to);
extern bool received_email(Slice s, char *to);
extern bool received_lid(Slice s, char *to);

extern bool received_time(Slice s, int64_t *us);

#endif
