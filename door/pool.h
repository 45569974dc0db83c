/*
 * pool.h
 *		The connections to the database, and the calls that wait for one.
 */
#ifndef DOOR_POOL_H
#define DOOR_POOL_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "conf.h"

#define CALL_VALUES 6

/* A call of cadence_http(). What it points to must last until it was sent. */
typedef struct Call
{
	const char *values[CALL_VALUES];
	int lengths[CALL_VALUES];
	bool is_execution;
	int timeout_ms; /* of the statement; 0: none */

	void (*sent)(struct Call *call);
	/* With the answer, whose owner the callee becomes, or with null: the connection was lost. */
	void (*done)(struct Call *call, PGresult *answer);

	/* the pool's own */
	struct Call *next;
	bool is_waiting;
} Call;

typedef enum PoolVerdict
{
	POOL_TAKEN,
	POOL_FULL, /* too many wait already */
	POOL_AWAY  /* there is no database */
} PoolVerdict;

extern void pool_open(const Conf *conf);
extern void pool_close(void);
extern PoolVerdict pool_submit(Call *call);
extern void pool_drop(Call *call);
extern int64_t pool_tick(void);

#endif
