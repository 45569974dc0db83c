/*
 * message.h
 *		A step's message: its template, and the values that it names.
 */
#ifndef CADENCE_MESSAGE_H
#define CADENCE_MESSAGE_H

#include "postgres.h"

#include "access/htup.h"

#include "resolve/contact.h"
#include "resolve/step_lookup.h"
#include "step.h"

extern bool message_names_link(const CadenceTemplate *t);
extern const CadenceTemplate *message_template(const ContactColumns *columns,
											   CadenceStepLookup *lookup);
extern char *message_read_values(const ContactColumns *columns, HeapTuple row,
								 const CadenceStepLookup *lookup, CadenceStep *step);
extern char *message_render(const CadenceStep *step);
extern char *message_render_text(const CadenceStep *step, const CadenceTemplateText *text);
extern void message_render_others(const CadenceStep *step, const char **fields);
extern bool message_has_text(const CadenceStep *step, MessageField field);
extern bool message_has(const CadenceStep *step, MessageField field);

#endif
