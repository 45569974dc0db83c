/*
 * address.h
 *		Addresses that no message may go to.
 */
#ifndef CADENCE_ADDRESS_H
#define CADENCE_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

extern bool address_is_refused(const struct sockaddr *address);

#endif
