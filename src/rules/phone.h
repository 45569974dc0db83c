/*
 * phone.h
 *		Telephone numbers, in E.164.
 */
#ifndef CADENCE_PHONE_H
#define CADENCE_PHONE_H

#include <stdbool.h>

/* "+", at most fifteen digits, and the end (ITU-T E.164). */
#define PHONE_E164_SIZE 17

extern bool phone_e164(const char *stored, const char *country, char *e164);

#endif
