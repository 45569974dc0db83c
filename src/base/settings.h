/*
 * settings.h
 *		The settings cadence_runner.*
 */
#ifndef CADENCE_SETTINGS_H
#define CADENCE_SETTINGS_H

#include "postgres.h"

/* The most workers that one execution, or one database with resident workers, can have. */
#define CADENCE_WORKERS_MAX 16

/* The most databases that can have resident workers. */
#define CADENCE_DATABASES_MAX 64

extern int cadence_batch_size;
extern int cadence_max_in_flight;
extern int cadence_workers;
extern int cadence_lease;			   /* seconds */
extern int cadence_retry_unresolved;   /* seconds */
extern int cadence_retry_dispatch;	   /* seconds */
extern int cadence_retry_dispatch_max; /* seconds */
extern double cadence_retry_factor;
extern int cadence_max_attempts;	/* 0: no end */
extern int cadence_connect_timeout; /* milliseconds */
extern int cadence_request_timeout; /* milliseconds */
extern int cadence_log_results;
extern int cadence_log_retention; /* minutes, 0: kept for ever */
extern bool cadence_enabled;
extern char *cadence_databases;
extern char *cadence_allowed_hosts;
extern char *cadence_hidden_columns;
extern char *cadence_metrics_empresas; /* with commas between them */
extern char *cadence_unsubscribe_base; /* "": there is no page */

extern void cadence_define_settings(void);

#endif
