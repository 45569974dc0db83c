/*
 * conf.c
 *		What the configuration's file says: lines of "name = value", empty lines, and
 *		lines that begin with "#".
 */
#include "conf.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <libpq-fe.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"

typedef struct Setting
{
	const char *name;
	size_t offset;
	const char *value; /* where the file says nothing */
} Setting;

static const Setting settings[] = {
	{"listen", offsetof(Conf, listen), "127.0.0.1"},
	{"port", offsetof(Conf, port), "8480"},
	{"database", offsetof(Conf, database), ""},
	{"schema", offsetof(Conf, schema), "public"},
	{"hosts", offsetof(Conf, hosts), ""},
	{"trusted_proxy", offsetof(Conf, trusted_proxy), ""},
	{"dashboard", offsetof(Conf, dashboard), DOOR_DASHBOARD},
	{"log", offsetof(Conf, log), "requests"},
};

#define SETTINGS (sizeof(settings) / sizeof(settings[0]))

static char **
place_of(Conf *conf, const Setting *setting)
{
	return (char **) ((char *) conf + setting->offset);
}

static bool
set(Conf *conf, const Setting *setting, const char *value)
{
	char **place = place_of(conf, setting);

	free(*place);
	*place = strdup(value);
	return *place != NULL;
}

static char *
trim(char *text)
{
	char *end = text + strlen(text);

	while (end > text && isspace((unsigned char) end[-1]))
		*--end = '\0';
	while (isspace((unsigned char) *text))
		text++;
	return text;
}

static bool
read_line(Conf *conf, char *line)
{
	char *name = trim(line);
	char *equals = strchr(name, '=');

	if (*name == '\0' || *name == '#')
		return true;
	if (equals == NULL)
		return false;
	*equals = '\0';
	name = trim(name);
	for (size_t i = 0; i < SETTINGS; i++)
		if (strcmp(settings[i].name, name) == 0)
			return set(conf, &settings[i], trim(equals + 1));
	return false;
}

static bool
read_file(Conf *conf, const char *name)
{
	FILE *file = fopen(name, "re");
	char *line = NULL;
	size_t room = 0;
	int number = 0;
	bool is_good = true;

	if (file == NULL)
	{
		log_line("%s: %s", name, strerror(errno));
		return false;
	}
	while (is_good && getline(&line, &room, file) >= 0)
	{
		number++;
		is_good = read_line(conf, line);
	}
	if (!is_good)
		log_line("%s, line %d: neither \"name = value\" with a name that is known, nor a comment",
				 name, number);
	else if (ferror(file))
	{
		log_line("%s: %s", name, strerror(errno));
		is_good = false;
	}
	free(line);
	fclose(file);
	return is_good;
}

/* ---- what values may be --------------------------------------------------- */

static bool
is_port(const char *text)
{
	char *end;
	unsigned long port = strtoul(text, &end, 10);

	return isdigit((unsigned char) *text) && *end == '\0' && port <= 65535;
}

static bool
is_address(const char *text)
{
	unsigned char address[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1;
}

static bool
is_database(const char *text)
{
	PQconninfoOption *options = PQconninfoParse(text, NULL);
	bool is_good = options != NULL;

	PQconninfoFree(options);
	return is_good;
}

static bool
check(bool is_good, const char *what)
{
	if (!is_good)
		log_line("%s", what);
	return is_good;
}

static bool
is_usable(const Conf *conf)
{
	return check(is_address(conf->listen), "listen is not an address") &&
		   check(is_port(conf->port), "port is not a number from 0 to 65535") &&
		   check(is_database(conf->database), "database is not a connection string") &&
		   check(*conf->schema != '\0', "schema is empty") &&
		   check(*conf->trusted_proxy == '\0' || is_address(conf->trusted_proxy),
				 "trusted_proxy is not an address") &&
		   check(strcmp(conf->log, "requests") == 0 || strcmp(conf->log, "errors") == 0,
				 "log is neither \"requests\" nor \"errors\"");
}

/* False: it has been said why. Without a file everything is as it is by default. */
bool
conf_read(Conf *conf, const char *file)
{
	memset(conf, 0, sizeof(*conf));
	for (size_t i = 0; i < SETTINGS; i++)
		if (!set(conf, &settings[i], settings[i].value))
			return false;
	return (file == NULL || read_file(conf, file)) && is_usable(conf);
}

void
conf_free(Conf *conf)
{
	for (size_t i = 0; i < SETTINGS; i++)
	{
		free(*place_of(conf, &settings[i]));
		*place_of(conf, &settings[i]) = NULL;
	}
}
