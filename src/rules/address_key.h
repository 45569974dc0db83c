/*
 * address_key.h
 *		An address as it is remembered, however it was typed.
 */
#ifndef CADENCE_ADDRESS_KEY_H
#define CADENCE_ADDRESS_KEY_H

#include <stdbool.h>

/* Of any address that is sent to, and the end. */
#define ADDRESS_KEY_SIZE 1001

/* Of one that can be written to: a mailbox is the longest, and the end. */
#define ADDRESS_ONE_SIZE 255

extern bool address_one(const char *stored, bool is_email, const char *country, char *one);
extern bool address_reached(const char *stored, bool is_email, const char *country, char *one);
extern void address_key(const char *stored, bool is_email, const char *country, char *key);

#endif
