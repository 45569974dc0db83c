/*
 * buffer.h
 *		A text that grows: pure C, malloc'd.
 */
#ifndef CADENCE_BUFFER_H
#define CADENCE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

typedef struct Buffer
{
	char *text; /* terminated; NULL: nothing was put into it */
	size_t len;
	size_t size;
	bool failed; /* memory is short, or a value can not stand where it should */
} Buffer;

/* Signature by json_dump_callback(): 0 when all is well. */
extern int buffer_append(const char *text, size_t len, void *buffer);
extern void buffer_append_text(Buffer *buffer, const char *text);

#endif
