/*
 * extension.h
 *		Where this database's cadence_runner is installed.
 */
#ifndef CADENCE_EXTENSION_H
#define CADENCE_EXTENSION_H

#include "postgres.h"

extern Oid cadence_extension_schema(void);

#endif
