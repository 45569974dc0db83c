/*
 * opt_outs.h
 *		Who does not want to be written to, as somebody has said: rows of
 *		contact_opt_outs.
 */
#ifndef CADENCE_OPT_OUTS_H
#define CADENCE_OPT_OUTS_H

#include "postgres.h"

#include "datatype/timestamp.h"

#include "schema/tables.h"

/* An opt-out that is said, or taken back. */
typedef struct OptOut
{
	const char *lead_id;
	const char *empresa;
	const char *canal;	   /* in capital letters; NULL: all */
	const char *categoria; /* only approved templates of that; NULL: everything */
	const char *motivo;	   /* NULL: none */
	const char *origem;	   /* the server, or the role, that has said so */
	TimestampTz at;		   /* when it was said, which may be told late; 0: now */
	const char *how; /* as metrics call it: reply, provider, complaint, link, operator, answer */
} OptOut;

/* How an attempt's answer says it. */
#define OPT_OUT_BY_ANSWER "answer"

typedef struct CadenceOptOuts CadenceOptOuts;

extern CadenceOptOuts *cadence_opt_outs_create(const CadenceTables *tables);
extern int cadence_opt_outs_add(CadenceOptOuts *opt_outs, OptOut *said, int n);
extern int64 cadence_opt_outs_remove(CadenceOptOuts *opt_outs, const OptOut *said);
extern const char *cadence_channel_named(const char *name);

#endif
