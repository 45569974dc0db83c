/*
 * settings.c
 *		The settings cadence_runner.*
 *
 * All are PGC_SUSET: an execution is the work of the tables' owner, and who
 * may merely start one must not bend its lease or its limits. A superuser sets
 * them for the server, a database or the owner's role. The worker reads them
 * in a session of its own; a SET in the caller's session does not reach it.
 */
#include "postgres.h"

#include <limits.h>
#include <unistd.h>

#include "access/htup_details.h"
#include "utils/varlena.h"

#include "base/compat.h"
#include "base/settings.h"

int cadence_batch_size = 500;
int cadence_max_in_flight = 100;
int cadence_workers; /* its default is the machine's */
int cadence_lease = 300;
int cadence_retry_unresolved = 1800;
int cadence_retry_dispatch = 900;
int cadence_retry_dispatch_max = 6 * 3600;
double cadence_retry_factor = 2;
int cadence_max_attempts = 20;
int cadence_connect_timeout = 10000;
int cadence_request_timeout = 30000;
int cadence_log_results = 1000;
int cadence_log_retention = 90 * 24 * 60;
bool cadence_enabled = true;
char *cadence_databases = "";
char *cadence_allowed_hosts = "";
char *cadence_hidden_columns = "";
char *cadence_metrics_empresas = "";
char *cadence_unsubscribe_base = "";

typedef struct IntSetting
{
	const char *name;
	const char *description;
	const char *detail;
	int *variable;
	int min;
	int max;
	int flags;
} IntSetting;

static const IntSetting int_settings[] = {
	{"cadence_runner.batch_size", "How many due runs are taken in one transaction.",
	 "Larger batches cost fewer commits and more memory.", &cadence_batch_size, 1, 10000, 0},
	{"cadence_runner.max_in_flight", "How many messages may be on their way at once.",
	 "The server's max_files_per_process bounds it too: a third of that many sockets at most.",
	 &cadence_max_in_flight, 1, 10000, 0},
	{"cadence_runner.workers",
	 "How many processes share a large execution, or the work of a database with resident workers.",
	 "By default half of the cores, from one to four. They come out of "
	 "max_worker_processes; if that has fewer to give, fewer are used.",
	 &cadence_workers, 1, CADENCE_WORKERS_MAX, 0},
	{"cadence_runner.lease", "How long a taken run belongs to the execution that took it.",
	 "A worker that is stopped for longer loses the runs that it had taken.", &cadence_lease, 10,
	 24 * 3600, GUC_UNIT_S},
	{"cadence_runner.retry_unresolved",
	 "Wait before a step without contact, address, template or provider is looked at again.", NULL,
	 &cadence_retry_unresolved, 1, 30 * 24 * 3600, GUC_UNIT_S},
	{"cadence_runner.retry_dispatch", "Wait before a failed dispatch is tried again.",
	 "It grows by retry_factor with each attempt, up to retry_dispatch_max. A provider's "
	 "Retry-After counts where it is later.",
	 &cadence_retry_dispatch, 1, 30 * 24 * 3600, GUC_UNIT_S},
	{"cadence_runner.retry_dispatch_max", "Longest wait before a failed dispatch is tried again.",
	 NULL, &cadence_retry_dispatch_max, 1, 30 * 24 * 3600, GUC_UNIT_S},
	{"cadence_runner.max_attempts", "Attempts to send one step before its run is paused.",
	 "0 means no end.", &cadence_max_attempts, 0, INT_MAX, 0},
	{"cadence_runner.connect_timeout", "Longest wait for a connection to a provider.",
	 "A server's option connect_timeout overrides it.", &cadence_connect_timeout, 1, 600000,
	 GUC_UNIT_MS},
	{"cadence_runner.request_timeout", "Longest wait for a provider's whole answer.",
	 "A server's option timeout overrides it.", &cadence_request_timeout, 1, 600000, GUC_UNIT_MS},
	{"cadence_runner.log_results", "How many results the summary and the log row list at most.",
	 "Errors come first; the counts are always complete.", &cadence_log_results, 0, 10000, 0},
	{"cadence_runner.log_retention", "Age at which rows of cadence_runner_logs are removed.",
	 "0 keeps them for ever.", &cadence_log_retention, 0, INT_MAX, GUC_UNIT_MIN},
};

/* Half of the cores: the server's other processes and the providers at work need theirs. */
static int
default_workers(void)
{
	return Max(1, Min(4, (int) (sysconf(_SC_NPROCESSORS_ONLN) / 2)));
}

/* A list that can not be read must not pass as an empty one. */
static bool
check_names(const char *value, int most)
{
	char *copy = pstrdup(value);
	List *names;
	bool ok = SplitIdentifierString(copy, ',', &names);

	if (!ok)
		GUC_check_errdetail("It is a list of names, separated by commas.");
	else if (list_length(names) > most)
		GUC_check_errdetail("It has more than %d names.", most);
	ok = ok && list_length(names) <= most;
	list_free(names);
	pfree(copy);
	return ok;
}

static bool
check_databases(char **value, void **extra, GucSource source)
{
	return check_names(*value, CADENCE_DATABASES_MAX);
}

static bool
check_columns(char **value, void **extra, GucSource source)
{
	return check_names(*value, MaxHeapAttributeNumber);
}

/* Where links to unsubscribe begin: it goes into headers and pages as it is. */
#define UNSUBSCRIBE_BASE_MAX 300

/* Whether it is encrypted, or does not leave this machine. */
static bool
is_safe_address(const char *url)
{
	static const char *const local[] = {"http://127.0.0.1", "http://localhost"};

	if (strncmp(url, "https://", 8) == 0)
		return true;
	for (size_t i = 0; i < lengthof(local); i++)
		if (strncmp(url, local[i], strlen(local[i])) == 0 &&
			(url[strlen(local[i])] == '/' || url[strlen(local[i])] == ':'))
			return strchr(url, '@') == NULL;
	return false;
}

static bool
check_unsubscribe_base(char **value, void **extra, GucSource source)
{
	const char *url = *value;
	bool ok = is_safe_address(url);

	for (const char *at = url; *at != '\0' && ok; at++)
		ok = *at > ' ' && *at < 0x7F && strchr("<>\"\\", *at) == NULL;
	ok = (ok && strlen(url) <= UNSUBSCRIBE_BASE_MAX) || url[0] == '\0';
	if (!ok)
		GUC_check_errdetail("It is an address that begins with https://, of at most %d bytes.",
							UNSUBSCRIBE_BASE_MAX);
	return ok;
}

void
cadence_define_settings(void)
{
	cadence_workers = default_workers();
	for (size_t i = 0; i < lengthof(int_settings); i++)
	{
		const IntSetting *s = &int_settings[i];

		DefineCustomIntVariable(s->name, s->description, s->detail, s->variable, *s->variable,
								s->min, s->max, PGC_SUSET, s->flags, NULL, NULL, NULL);
	}
	DefineCustomRealVariable(
		"cadence_runner.retry_factor",
		"By how much the wait after a failed dispatch grows with each attempt.",
		"With 1 it is always retry_dispatch; otherwise it is spread by a tenth, "
		"so that what failed together does not come back together.",
		&cadence_retry_factor, 2, 1, 10, PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("cadence_runner.enabled", "Whether anything is sent at all.",
							 "Off: an execution refuses to start, and a running one takes "
							 "nothing more after a reload.",
							 &cadence_enabled, true, PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable(
		"cadence_runner.databases", "The databases that have a resident worker.",
		"Takes effect only where shared_preload_libraries has "
		"cadence_runner.",
		&cadence_databases, "", PGC_SIGHUP, GUC_LIST_INPUT, check_databases, NULL, NULL);
	DefineCustomStringVariable(
		"cadence_runner.allowed_hosts", "The hosts that messages may be sent to.",
		"A name that begins with a dot stands for all hosts below it. Empty: any host.",
		&cadence_allowed_hosts, "", PGC_SUSET, GUC_LIST_INPUT, NULL, NULL, NULL);
	DefineCustomStringVariable(
		"cadence_runner.hidden_columns", "Columns of the contact that no placeholder may show.",
		"A template that names one is unresolved. Names as in SQL, separated by commas.",
		&cadence_hidden_columns, "", PGC_SUSET, GUC_LIST_INPUT, check_columns, NULL, NULL);
	DefineCustomStringVariable(
		"cadence_runner.metrics_empresas", "The companies that have metrics of their own.",
		"As they are written in the tables, separated by commas; the others are counted together.",
		&cadence_metrics_empresas, "", PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("cadence_runner.unsubscribe_url",
							   "The address that links to unsubscribe begin with; a token follows.",
							   "Empty: messages have no such link.", &cadence_unsubscribe_base, "",
							   PGC_SUSET, 0, check_unsubscribe_base, NULL, NULL);
	MarkGUCPrefixReserved("cadence_runner");
}
