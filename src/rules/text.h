/*
 * text.h
 *		Characters that nobody sees: what editors and copied texts bring along at
 *		the ends of names, placeholders and addresses.
 */
#ifndef CADENCE_TEXT_H
#define CADENCE_TEXT_H

#include <stddef.h>

/* The length in bytes of the character at "at" if it is of that kind, else 0. */
extern size_t text_blank(const char *at, const char *end);
extern size_t text_invisible(const char *at, const char *end);

/* The same of any that is UTF-8. */
extern size_t text_character(const char *at, size_t len);

extern void text_trim(const char **start, const char **end);
extern char *text_trimmed(char *text);
extern const char *text_find_invisible(const char *start, const char *end);

#endif
