/*
 * buffer.c
 *		A text that grows.
 */
#include "rules/buffer.h"

#include <stdlib.h>
#include <string.h>

int
buffer_append(const char *text, size_t len, void *arg)
{
	Buffer *buffer = arg;

	if (len >= buffer->size - buffer->len)
	{
		size_t size = (buffer->len + len + 64) * 2;
		char *larger = realloc(buffer->text, size);

		if (larger == NULL)
		{
			buffer->failed = true;
			return -1;
		}
		buffer->text = larger;
		buffer->size = size;
	}
	memcpy(buffer->text + buffer->len, text, len);
	buffer->len += len;
	buffer->text[buffer->len] = '\0';
	return 0;
}

void
buffer_append_text(Buffer *buffer, const char *text)
{
	(void) buffer_append(text, strlen(text), buffer);
}
