/*
 * mail.h
 *		A mail over SMTP: what the endpoint does with a connection that is ours.
 */
#ifndef CADENCE_MAIL_TRANSFER_H
#define CADENCE_MAIL_TRANSFER_H

#include "transport/transfer.h"

/* Whether it has a connection, with a mail under way or without. */
static inline bool
mail_has_connection(const Transfer *t)
{
	return t->mail.state != MAIL_AWAY;
}

/* Whether it has a mail under way, and it is our turn, not libcurl's. */
static inline bool
mail_is_under_way(const Transfer *t)
{
	return t->mail.state > MAIL_IDLE && t->mail.state < MAIL_STALE;
}

extern bool mail_take_connection(Transfer *t);
extern void mail_start(Transfer *t);
extern void mail_act(Transfer *t, int64 now);
extern bool mail_idle_is_over(Transfer *t);
extern void mail_say_goodbye(Transfer *t);
extern void mail_connection_is_gone(Transfer *t);
extern void mail_connect_again(Transfer *t, int64 now);

#endif
