/*
 * listen.h
 *		The socket on which clients come.
 */
#ifndef DOOR_LISTEN_H
#define DOOR_LISTEN_H

#include "conf.h"

extern int listen_open(const Conf *conf);
extern void listen_say(int fd);

#endif
