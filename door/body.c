/*
 * body.c
 *		The body of a request while it comes.
 *
 * 256 clients could send 4 MB each: large bodies together have a limit, too. Small
 * ones have none but that of clients, so that whoever sends large ones slowly keeps
 * nobody else out. What counts is what has come: room that nothing was written to
 * takes no memory, as what a client has only announced.
 */
#include "body.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_BYTES 1024
#define SMALL_BYTES (64 * 1024)
#define LARGE_BYTES_MAX (8 * 1024 * 1024)

static size_t large_bytes;

/* What counts of so many bytes. */
static size_t
counted(size_t len)
{
	return len > SMALL_BYTES ? len : 0;
}

bool
body_is_large(const Body *body)
{
	return counted(body->len) > 0;
}

static bool
make_room(Body *body, size_t more)
{
	size_t room = body->room > 0 ? body->room : FIRST_BYTES;
	char *data;

	while (room < body->len + more)
		room *= 2;
	if (room == body->room)
		return true;
	if ((data = realloc(body->data, room)) == NULL)
		return false;
	body->data = data;
	body->room = room;
	return true;
}

/* False: there is no room for it. */
bool
body_add(Body *body, const char *data, size_t size)
{
	size_t all = large_bytes - counted(body->len) + counted(body->len + size);

	if (all > LARGE_BYTES_MAX || !make_room(body, size))
		return false;
	large_bytes = all;
	memcpy(body->data + body->len, data, size);
	body->len += size;
	return true;
}

void
body_free(Body *body)
{
	large_bytes -= counted(body->len);
	free(body->data);
	memset(body, 0, sizeof(*body));
}
