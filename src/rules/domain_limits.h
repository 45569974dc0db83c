/*
 * domain_limits.h
 *		How many mails a minute go to a domain's mailboxes at most.
 */
#ifndef CADENCE_DOMAIN_LIMITS_H
#define CADENCE_DOMAIN_LIMITS_H

#include <stdbool.h>
#include <stddef.h>

/* More domains are no limits any more, but a list of everybody. */
#define DOMAIN_LIMITS_MAX 100

/* Told of each domain, as it is written. */
typedef void (*DomainLimitTake)(void *arg, const char *domain, int per_minute);

extern bool domain_limits_read(const char *json, DomainLimitTake take, void *arg);
extern const char *domain_limits_domain(const char *address, size_t *len);

#endif
