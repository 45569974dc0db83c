/*
 * marks.c
 *		Which rows of contact_opt_outs forbid a message.
 *
 * Whose they are is compared as lead_contacts compares its own: where L1 and l1
 * are one contact, the opt-out of one is that of the other.
 */
#include "postgres.h"

#include "schema/key.h"
#include "schema/marks.h"

/* The condition that a row, known by that alias, is a person's. */
char *
cadence_opt_out_is_of(const CadenceTables *t, const char *alias, const char *lead_id,
					  const char *empresa)
{
	return psprintf("%s AND %s", cadence_key_is(t, "lead_contacts", alias, "lead_id", lead_id),
					cadence_key_is(t, "lead_contacts", alias, "empresa", empresa));
}

/* That a row has that word, or none: then it holds for all. */
static char *
word_is(const char *alias, const char *column, const char *value)
{
	return psprintf("(%s.%s IS NULL OR " MARK_WORD("%s.%s") " " EQ " " MARK_WORD("%s") ")", alias,
					column, alias, column, value);
}

/*
 * And the condition that it forbids a channel's messages: of one without a
 * channel all, of one with a category those of that alone.
 */
char *
cadence_opt_out_forbids(const char *alias, const char *canal, const char *categoria)
{
	return psprintf("%s AND %s", word_is(alias, "canal", canal),
					word_is(alias, "categoria", categoria));
}
