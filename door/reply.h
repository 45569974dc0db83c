/*
 * reply.h
 *		Answers: refusals of our own, and what the database says.
 */
#ifndef DOOR_REPLY_H
#define DOOR_REPLY_H

#include <libpq-fe.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct Reply
{
	unsigned int status;
	struct MHD_Response *response;
} Reply;

extern Reply reply_refusal(unsigned int status, bool to_a_person);
extern Reply reply_answer(PGresult *answer, bool to_a_person);
extern size_t reply_bytes(unsigned int status, char *bytes, size_t room);

#endif
