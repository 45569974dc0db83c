/*
 * phone.h
 *		Telephone numbers, in E.164.
 */
#ifndef CADENCE_PHONE_H
#define CADENCE_PHONE_H

#include <stdbool.h>

/* "+", at most fifteen digits, and the end (ITU-T E.164). */
#define PHONE_E164_SIZE 17

/* So many digits at the end of a number tell it well enough to look for it. */
#define PHONE_TAIL 8

extern bool phone_knows_country(const char *country);
extern bool phone_e164(const char *stored, const char *country, char *e164);
extern const char *phone_tail(const char *e164);
extern bool phone_other(const char *e164, char *other);
extern bool phone_is_same(const char *a, const char *b);

#endif
