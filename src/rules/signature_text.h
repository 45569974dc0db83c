/*
 * signature_text.h
 *		The texts of a call that prove who makes it, taken apart.
 *
 * They come from whoever calls, before anybody knows who that is.
 */
#ifndef CADENCE_SIGNATURE_TEXT_H
#define CADENCE_SIGNATURE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rules/received_value.h"

/* So many signatures of a header are looked at. */
#define SIGNATURES_MAX 16

extern size_t signature_list(const char *header, const char *separator, const char *prefix,
							 Slice *signatures);
extern bool signature_timestamp(const char *text, int64_t *seconds);
extern bool basic_token(const char *header, Slice *token);
extern bool basic_credentials(char *plain, size_t len, char **user, char **password);
extern int hex_decode(const char *text, size_t len, unsigned char *to, size_t size);

#endif
