/*
 * conf.h
 *		What the configuration's file says.
 */
#ifndef DOOR_CONF_H
#define DOOR_CONF_H

#include <stdbool.h>

typedef struct Conf
{
	char *listen; /* an address */
	char *port;
	char *database; /* a connection string; what it does not say, the PG* variables do */
	char *schema;	/* the extension's */
	char *hosts;	/* names that pages may be asked for by, with spaces between them */
	char *trusted_proxy;
	char *dashboard; /* a directory */
	char *log;
} Conf;

extern bool conf_read(Conf *conf, const char *file);
extern void conf_free(Conf *conf);

#endif
