/*
 * interrupt.c
 *		How a sending worker is woken and stopped.
 *
 * While messages are under way the worker waits inside curl_multi_poll(),
 * which knows nothing of latches: on Linux a latch is a blocked signal, and
 * would not even interrupt it. Every signal that has something to say
 * therefore also writes to a pipe that is one of the polled descriptors; a
 * signal that arrives just before the wait is not lost.
 *
 * SIGTERM means: take nothing more, finish and record what is under way. The
 * server's own handler for background workers would leave at once, between an
 * answer and its record. Ours sets a flag and cancels the statement, lock wait
 * or wait for a synchronous standby that is running, once: the statements of
 * the shutdown must not be cancelled by a second signal. SIGUSR2, from whoever
 * waits for this process and wants nothing more, means the same, but that what
 * is under way may take its time.
 */
#include "postgres.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "storage/latch.h"
#include "storage/procsignal.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"

#include "base/interrupt.h"

static volatile sig_atomic_t stop_requested = false;
static volatile sig_atomic_t stop_is_urgent = false;
static volatile sig_atomic_t cancellable = false;
static bool resident = false;
static bool settings_changed;
static int wakeup_pipe[2] = {-1, -1};

/* A full pipe is as good as one more byte in it. */
static void
wake_up(void)
{
	int saved_errno = errno;
	ssize_t ignored = write(wakeup_pipe[1], "", 1);

	(void) ignored;
	errno = saved_errno;
}

static void
stop(void)
{
	if (!stop_requested)
	{
		stop_requested = true;
		InterruptPending = true;
		QueryCancelPending = true;
		SetLatch(MyLatch);
	}
	wake_up();
}

static void
on_terminate(SIGNAL_ARGS)
{
	stop_is_urgent = true;
	stop();
}

static void
on_unwanted(SIGNAL_ARGS)
{
	stop();
}

/*
 * The server's own timers cancel by this signal, too. In a commit it would end
 * the wait for a synchronous standby: a claim that is not safe yet would be
 * used. A resident worker has nothing to cancel between its transactions, while
 * an execution can be cancelled as a whole.
 */
static void
on_cancel(SIGNAL_ARGS)
{
	if (cancellable)
		StatementCancelHandler(postgres_signal_arg);
}

static void
on_reload(SIGNAL_ARGS)
{
	SignalHandlerForConfigReload(postgres_signal_arg);
	wake_up();
}

static void
on_proc_signal(SIGNAL_ARGS)
{
	procsignal_sigusr1_handler(postgres_signal_arg);
	wake_up();
}

/*
 * To be called with signals still blocked, at the start of a worker. A resident
 * one has no caller: between its transactions there is nothing to cancel.
 */
void
cadence_interrupts_install(bool is_resident)
{
	resident = is_resident;
	if (pipe(wakeup_pipe) != 0)
		ereport(ERROR, (errcode_for_file_access(), errmsg("could not create a pipe: %m")));
	for (int i = 0; i < 2; i++)
		if (fcntl(wakeup_pipe[i], F_SETFL, O_NONBLOCK) != 0 ||
			fcntl(wakeup_pipe[i], F_SETFD, FD_CLOEXEC) != 0)
			ereport(ERROR, (errcode_for_file_access(), errmsg("could not set up a pipe: %m")));
	pqsignal(SIGTERM, on_terminate);
	pqsignal(SIGINT, on_cancel);
	pqsignal(SIGHUP, on_reload);
	pqsignal(SIGUSR1, on_proc_signal);
	pqsignal(SIGUSR2, on_unwanted);
}

/* Whether what is being done may be cancelled. */
void
cadence_set_cancellable(bool value)
{
	cancellable = value;
}

/* Between two transactions an execution can be cancelled, as a whole. */
void
cadence_set_cancellable_between(void)
{
	cancellable = !resident;
}

bool
cadence_stop_requested(void)
{
	return stop_requested;
}

/* Whether what is under way is to be broken off, too. */
bool
cadence_stop_is_urgent(void)
{
	return stop_is_urgent;
}

/* Whether settings were read again since the last call. */
bool
cadence_settings_changed(void)
{
	bool changed = settings_changed;

	settings_changed = false;
	return changed;
}

int
cadence_wakeup_fd(void)
{
	return wakeup_pipe[0];
}

/*
 * What woke us is looked at from here on; the next wait is for something new.
 *
 * Barriers are absorbed here, since every wait comes by, also those of a worker
 * that ends and must not be interrupted: DROP DATABASE of any database waits
 * for all processes of the server.
 */
void
cadence_drain_wakeups(void)
{
	char buffer[64];

	while (read(wakeup_pipe[0], buffer, sizeof(buffer)) > 0)
		;
	ResetLatch(MyLatch);
	if (ProcSignalBarrierPending)
		ProcessProcSignalBarrier();
}

/*
 * Waits until something wakes this process, at most so long. The latch alone
 * would not do: a wait for a lock inside a transaction may have reset it.
 */
void
cadence_sleep(int at_most_ms)
{
	(void) WaitLatchOrSocket(MyLatch,
							 WL_LATCH_SET | WL_SOCKET_READABLE | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
							 wakeup_pipe[0], Max(at_most_ms, 0), PG_WAIT_EXTENSION);
}

/*
 * Between two waits, with no transaction open: settings are read again, and
 * whatever else the server asks of its processes is done.
 */
void
cadence_process_interrupts(void)
{
	cadence_drain_wakeups();
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
		settings_changed = true;
	}
	if (!stop_requested)
		CHECK_FOR_INTERRUPTS();
	else if (ProcSignalBarrierPending)
		ProcessProcSignalBarrier();
}

/*
 * The stop has been heard: what follows is the shutdown, and a cancel that
 * hit no statement must not hit the next one.
 */
void
cadence_forget_cancel(void)
{
	HOLD_INTERRUPTS();
	QueryCancelPending = false;
	RESUME_INTERRUPTS();
}
