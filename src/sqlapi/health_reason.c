/*
 * health_reason.c
 *		What a line of cadence_health() is about, in a word of a closed set.
 *
 * Lines are for people, and name servers, companies and times; a label of a metric
 * must not. docs/monitoring.md lists the lines.
 */
#include "postgres.h"

#include "sqlapi/health_reason.h"

/* The first that fits: how a line begins, and what it has somewhere. */
static const struct
{
	const char *name;
	const char *begins; /* NULL: anyhow */
	const char *has;	/* NULL: anything */
} reasons[] = {{"disabled", "cadence_runner.enabled is off", NULL},
			   {"worker_paused", "the resident worker is paused", NULL},
			   {"worker_down", "the resident worker does not run", NULL},
			   {"worker_stuck", "the resident worker is stuck", NULL},
			   {"overdue", "overdue:", NULL},
			   {"never_due", "active without next_run_at", NULL},
			   {"execution_failed", "the last execution failed", NULL},
			   {"not_armed", "nothing may be sent from here", NULL},
			   {"view_failing", "nothing is sent while a view", NULL},
			   {"policy", NULL, " sends nothing"},
			   {"template_stopped", "template \"", NULL},
			   {"server_paused", "server \"", " has been paused since "},
			   {"breaker_open", "server \"", " has sent nothing since "},
			   {"first_touch_stopped", "server \"", " has written to nobody first since "},
			   {"server_failing", "server \"", " fails: "},
			   {"version_ends", "server \"", " of its API, which ends on "},
			   {"rejected", NULL, " answers or receipts could not be taken "},
			   {"news_stopped", NULL, " news for other tools could not be delivered"},
			   {"news_waiting", NULL, " news for other tools have waited "},
			   {"trigger_missing", "table ", " has no trigger "},
			   {"tables_missing", "table ", " does not exist"},
			   {"planted", NULL, " might be called instead of cadence_runner's own"},
			   {"other", NULL, NULL}};

StaticAssertDecl(lengthof(reasons) == HEALTH_REASONS, "each reason has a number");

static bool
fits(int i, const char *line)
{
	if (reasons[i].begins != NULL &&
		strncmp(line, reasons[i].begins, strlen(reasons[i].begins)) != 0)
		return false;
	return reasons[i].has == NULL || strstr(line, reasons[i].has) != NULL;
}

int
health_reason_of(const char *line)
{
	int i = 0;

	while (!fits(i, line))
		i++;
	return i;
}

const char *
health_reason_name(int reason)
{
	return reasons[reason].name;
}
