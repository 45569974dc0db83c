/*
 * registry_supervisor.c
 *		The registry as the supervisor has it: which databases there are, and who is missing.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/ipc.h"

#include "server/registry_parts.h"

static void
detach_supervisor(int code, Datum arg)
{
	registry_lock();
	resident_registry->supervisor = NULL;
	registry_unlock();
}

void
registry_attach_supervisor(void)
{
	registry_lock();
	resident_registry->supervisor = MyLatch;
	registry_unlock();
	before_shmem_exit(detach_supervisor, (Datum) 0);
}

static bool
is_listed(List *names, const char *name)
{
	ListCell *cell;

	foreach (cell, names)
		if (strcmp(lfirst(cell), name) == 0)
			return true;
	return false;
}

/* An entry whose workers are still ending is not used again before they have ended. */
static ResidentDatabase *
add_database(const char *name)
{
	for (int i = 0; i < CADENCE_DATABASES_MAX; i++)
	{
		ResidentDatabase *d = &resident_registry->databases[i];

		if (d->used || registry_has_process(d))
			continue;
		memset(d, 0, sizeof(*d));
		for (int k = 0; k <= RESIDENT_PROBE; k++)
			pg_atomic_init_u32(&d->workers[k].woken, 0);
		d->used = true;
		strlcpy(d->name, name, NAMEDATALEN);
		return d;
	}
	ereport(LOG, (errmsg("no place is free for resident workers in database \"%s\"", name),
				  errdetail("There can be %d such databases at a time.", CADENCE_DATABASES_MAX)));
	return NULL;
}

/*
 * One entry for each of the names, for so many workers each; those of others,
 * and those that are too many, are told to end.
 */
void
registry_sync(List *names, int nworkers)
{
	ListCell *cell;

	registry_lock();
	for (int i = 0; i < CADENCE_DATABASES_MAX; i++)
	{
		ResidentDatabase *d = &resident_registry->databases[i];

		if (!d->used)
			continue;
		d->used = is_listed(names, d->name);
		registry_end_processes(d, d->used ? nworkers : 0);
	}
	foreach (cell, names)
	{
		ResidentDatabase *d = registry_entry(lfirst(cell));

		if (d == NULL)
			d = add_database(lfirst(cell));
		if (d != NULL)
			d->nworkers = nworkers;
	}
	registry_unlock();
}

/* A probe is about to be started in the database that its name leads to. */
void
registry_begin(int entry, Oid database)
{
	registry_lock();
	resident_registry->databases[entry].database = database;
	resident_registry->databases[entry].hurry = false;
	registry_unlock();
}

/* It could not be started. */
void
registry_refuse(int entry, const char *problem)
{
	registry_lock();
	registry_set_problem(&resident_registry->databases[entry], true, problem);
	registry_unlock();
}

/* The first worker that a database lacks; its number of workers, when it lacks none. */
int
registry_first_missing(const ResidentDatabase *d)
{
	int i = 0;

	while (i < d->nworkers && d->workers[i].pid != 0)
		i++;
	return i;
}
