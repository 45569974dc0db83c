/*
 * secret.h
 *		A secret of a user mapping, given there or in a file.
 */
#ifndef CADENCE_SECRET_H
#define CADENCE_SECRET_H

#include "postgres.h"

#include <sys/stat.h>

#include "nodes/pg_list.h"

typedef struct CadenceSecret
{
	const char *name;
	char *value;	 /* NULL: there is none */
	char *path;		 /* of its file; NULL: it stands in the mapping */
	struct stat was; /* that file's state when it was read */
} CadenceSecret;

extern const char *cadence_secret_read(CadenceSecret *secret, List *mapping, const char *name);
extern bool cadence_secret_has_changed(const CadenceSecret *secret);

#endif
