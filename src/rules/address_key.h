/*
 * address_key.h
 *		An address as it is remembered, however it was typed.
 */
#ifndef CADENCE_ADDRESS_KEY_H
#define CADENCE_ADDRESS_KEY_H

#include <stdbool.h>

/* Of any address that is sent to, and the end. */
#define ADDRESS_KEY_SIZE 1001

extern void address_key(const char *stored, bool is_email, const char *country, char *key);

#endif
