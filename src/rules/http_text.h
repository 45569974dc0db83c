/*
 * http_text.h
 *		The texts of a request's headers and address, taken apart.
 *
 * They come from whoever calls, before anybody knows who that is.
 */
#ifndef CADENCE_HTTP_TEXT_H
#define CADENCE_HTTP_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rules/received_value.h"

/* Of what a session is proved by: SHA-256's. */
#define HTTP_PROOF_SIZE 32

/* A session's cookie: SECONDS.HEX.HEX */
typedef struct HttpSession
{
	int64_t until;
	unsigned char proof[HTTP_PROOF_SIZE];	  /* that the secret was known */
	unsigned char signature[HTTP_PROOF_SIZE]; /* of what stands before it, */
	Slice is_signed;						  /* which is this */
} HttpSession;

extern bool http_bearer(const char *authorization, Slice *token);
extern bool http_cookie(const char *cookies, const char *name, Slice *value);
extern bool http_session_read(Slice cookie, HttpSession *session);
extern bool http_decode(const char *at, size_t len, char *to);
extern int http_quality(const char *accept, const char *type);
extern bool http_has_tag(const char *if_none_match, const char *tag);
extern bool http_is_same_origin(const char *origin, const char *host);

#endif
