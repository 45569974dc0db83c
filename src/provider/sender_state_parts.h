/*
 * sender_state_parts.h
 *		The states of a process, and the statements on their rows.
 */
#ifndef CADENCE_SENDER_STATE_PARTS_H
#define CADENCE_SENDER_STATE_PARTS_H

#include "postgres.h"

#include "base/statement.h"
#include "provider/sender_state.h"

typedef struct SenderStatements
{
	Statement read;
	Statement add;
	Statement lock;
	Statement lock_free;
	Statement save;
	Statement others;
	Statement note_permits;
} SenderStatements;

struct CadenceSenderStates
{
	MemoryContext context;
	List *list;
	SenderStatements *statements;
};

extern void sender_permits_prepare(SenderStatements *statements, const CadenceTables *tables);

#endif
