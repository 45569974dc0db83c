/*
 * worker.c
 *		The one-shot background worker behind cadence_run(), and its helpers.
 *
 * Errors go to the starter through the message queue, also those that the
 * server raises before this process is connected: the queue is made the
 * client's place first of all.
 */
#include "postgres.h"

#include "libpq/pqformat.h"
#include "libpq/pqmq.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "storage/shm_mq.h"
#include "storage/shm_toc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "base/compat.h"
#include "engine/execution.h"
#include "base/interrupt.h"
#include "engine/pipeline.h"
#include "base/transaction.h"

PGDLLEXPORT void cadence_worker_main(Datum main_arg);

/*
 * Maps the starter's segment and sends messages there from now on. A starter
 * that is gone already has taken it along: then nobody wants this worker.
 */
static CadenceShared *
attach_to_starter(Datum main_arg)
{
	dsm_segment *segment;
	int number;
	shm_toc *toc;
	shm_mq *mq;

	CurrentResourceOwner = ResourceOwnerCreate(NULL, "cadence_runner");
	segment = dsm_attach(DatumGetUInt32(main_arg));
	if (segment == NULL)
		proc_exit(0);
	toc = shm_toc_attach(CADENCE_DSM_MAGIC, dsm_segment_address(segment));
	if (toc == NULL)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("bad magic number in dynamic shared memory segment")));
	memcpy(&number, MyBgworkerEntry->bgw_extra, sizeof(int));
	mq = shm_toc_lookup(toc, CADENCE_DSM_KEY_QUEUE + number, false);
	shm_mq_set_sender(mq, MyProc);
	pq_redirect_to_shm_mq(segment, shm_mq_attach(mq, segment, NULL));
	dsm_pin_mapping(segment);
	return shm_toc_lookup(toc, CADENCE_DSM_KEY_HEADER, false);
}

static void
send_message(char type, StringInfo body)
{
	StringInfoData message;

	pq_beginmessage(&message, type);
	pq_sendbytes(&message, body->data, body->len);
	pq_endmessage(&message);
}

static void
help(CadenceShared *shared)
{
	ErrorData *error;

	StringInfo share = cadence_pipeline_help(shared, &error);

	/* A stop must not tear the share in two; a leader that is gone ends the wait. */
	HOLD_INTERRUPTS();
	send_message(CADENCE_MESSAGE_SHARE, share);
	RESUME_INTERRUPTS();
	if (error != NULL)
		ThrowErrorData(error);
}

void
cadence_worker_main(Datum main_arg)
{
	CadenceShared *shared;

	cadence_interrupts_install();
	BackgroundWorkerUnblockSignals();
	shared = attach_to_starter(main_arg);
	BackgroundWorkerInitializeConnectionByOid(shared->database, shared->owner,
											  CADENCE_WORKER_FLAGS);
	if (pg_atomic_read_u32(&shared->starter_gone) != 0)
		proc_exit(0);

	if (shared->is_help)
		help(shared);
	else
		send_message(CADENCE_MESSAGE_SUMMARY, cadence_pipeline_execute(shared));
	proc_exit(0);
}
