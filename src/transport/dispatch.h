/*
 * dispatch.h
 *		Dispatch: sends requests to their providers, many at once.
 *
 * The transport is a library of its own, which is loaded when a worker is about
 * to send; the struct of functions is all that the rest knows of it.
 */
#ifndef CADENCE_DISPATCH_H
#define CADENCE_DISPATCH_H

#include "postgres.h"

#include "provider/request.h"

#define CADENCE_DISPATCH_LIBRARY "$libdir/cadence_runner_dispatch"
#define CADENCE_DISPATCH_SYMBOL "cadence_dispatch_functions"

/*
 * It is open until abandon(), and ended from then on. All functions may be
 * called in both states. What has ended starts nothing, and only waits.
 */
typedef struct CadenceDispatcher CadenceDispatcher;

typedef bool (*CadenceIsCrossed)(void *arg);
typedef bool (*CadenceMayBegin)(CadenceRequest *request, void *arg);

typedef struct CadenceDispatchFunctions
{
	const char *version; /* of the library, to be the caller's own */

	/*
	 * A dispatcher for at most max_in_flight transfers, in the current memory
	 * context; it goes with that context. wakeup_fd ends a wait when readable.
	 * is_crossed() says whether what has not left must be looked at before it may.
	 */
	CadenceDispatcher *(*create)(int max_in_flight, int wakeup_fd, CadenceIsCrossed is_crossed,
								 void *arg);

	/* How many transfers it can really hold. */
	int (*capacity)(const CadenceDispatcher *dispatcher);

	/* Changes how many it may hold; what is under way stays. */
	void (*resize)(CadenceDispatcher *dispatcher, int max_in_flight);

	/* How many were started and have not come out of next_done(). */
	int (*in_flight)(const CadenceDispatcher *dispatcher);

	/*
	 * Starts to send a request; its end comes out of next_done() in every case.
	 * It, its fields and its context must stay until then. Raises no error.
	 */
	void (*start)(CadenceDispatcher *dispatcher, CadenceRequest *request);

	/*
	 * Moves transfers on, waiting until one ends, but no longer than that. False: it
	 * has not, since what has not left must be looked at first; the next call moves
	 * them on. Each asks is_crossed() when it begins, and ends unsent if it must not.
	 */
	bool (*work)(CadenceDispatcher *dispatcher, int timeout_ms);

	/* A request that has ended, its answer filled in; or NULL. */
	CadenceRequest *(*next_done)(CadenceDispatcher *dispatcher);

	/*
	 * Asks of each request that is under way, and of which nothing has left yet, whether
	 * it may still begin. One that may not ends when it would, and nothing leaves.
	 */
	void (*ask_unsent)(CadenceDispatcher *dispatcher, CadenceMayBegin may_begin, void *arg);

	/* Ends what is under way and of which nothing has left yet, without waiting. */
	void (*withdraw)(CadenceDispatcher *dispatcher);

	/* Ends all that is under way, without waiting, and the dispatcher with it. */
	void (*abandon)(CadenceDispatcher *dispatcher);
} CadenceDispatchFunctions;

typedef const CadenceDispatchFunctions *(*CadenceDispatchEntry)(void);

#endif
