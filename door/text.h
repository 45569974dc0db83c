/*
 * text.h
 *		Texts that grow, and what makes one fit for the database.
 */
#ifndef DOOR_TEXT_H
#define DOOR_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Always ends with a zero that is not counted; broken once memory was short. */
typedef struct Text
{
	char *data;
	size_t len;
	size_t room;
	bool broken;
} Text;

extern void text_add(Text *text, const char *bytes, size_t len);
extern void text_add_string(Text *text, const char *string);
extern void text_add_json(Text *text, const char *bytes, size_t len);
extern void text_free(Text *text);

extern bool text_is_utf8(const char *bytes, size_t len);

#endif
