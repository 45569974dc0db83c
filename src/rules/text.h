/*
 * text.h
 *		Texts in UTF-8: their characters, and those that nobody sees, which editors
 *		and copied texts bring along at the ends of names, placeholders and addresses.
 */
#ifndef CADENCE_TEXT_H
#define CADENCE_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* The length in bytes of the character at "at" if it is of that kind, else 0. */
extern size_t text_blank(const char *at, const char *end);
extern size_t text_invisible(const char *at, const char *end);

/* The same of any that is UTF-8. */
extern size_t text_character(const char *at, size_t len);
extern uint32_t text_code_point(const char *at, size_t len);

extern void text_trim(const char **start, const char **end);
extern char *text_trimmed(char *text);
extern void text_copy(char *to, size_t size, const char *from);
extern void text_mend(char *text, size_t len);
extern const char *text_find_invisible(const char *start, const char *end);

#endif
