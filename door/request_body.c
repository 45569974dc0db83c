/*
 * request_body.c
 *		The body of a request while it comes, and who gives way where there is no room.
 *
 * Large bodies share their room, and two clients could keep all of it by sending slowly. Who
 * means it is whole within a second or so: after that a large body goes on coming as long as
 * nobody else needs its room.
 */
#include "request_parts.h"

#include "loop.h"

#define UNDISTURBED_MS 2000

/* Ends it in the middle; it is told why. */
void
request_cut(Request *request, unsigned int status)
{
	request->state = CUT;
	request->status = status;
	body_free(&request->body);
	client_cut(request->client, status);
}

/* Of the large ones that come, the one that has taken longest (clients come newest first); null:
 * none has taken long. */
static Request *
slowest(void)
{
	Request *found = NULL;

	for (Client *client = client_next(NULL); client != NULL; client = client_next(client))
	{
		Request *request = client->request;

		if (request != NULL && request->state == COMING && body_is_large(&request->body) &&
			(found == NULL || request->since <= found->since))
			found = request;
	}
	return found != NULL && loop_now() - found->since >= UNDISTURBED_MS ? found : NULL;
}

void
request_take_body(Request *request, const char *data, size_t size)
{
	if (request->state != COMING)
		return;
	if (request->body.len + size > request->route.body_limit)
	{
		request_cut(request, MHD_HTTP_CONTENT_TOO_LARGE);
		return;
	}
	while (request->state == COMING && !body_add(&request->body, data, size))
	{
		Request *other = slowest();

		request_cut(other != NULL ? other : request, MHD_HTTP_SERVICE_UNAVAILABLE);
	}
}
