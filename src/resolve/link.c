/*
 * link.c
 *		The link in a message by which its person wants no more.
 *
 * Made when the step is resolved: the server's hashing needs a transaction, and there
 * is none when its turn to be sent comes. The key is read for the first link, and kept:
 * it never changes.
 */
#include "postgres.h"

#include "utils/formatting.h"

#include "base/settings.h"
#include "resolve/link.h"
#include "schema/unsubscribe.h"

struct CadenceLinks
{
	const CadenceTables *tables;
	CadenceSecretKey *key;
	bool in_query;
	bool has_key;
};

/* In the current memory context. in_query: for one call in somebody's query, as that caller. */
CadenceLinks *
cadence_links_create(const CadenceTables *t, bool in_query)
{
	CadenceLinks *links = palloc0(sizeof(*links));

	links->tables = t;
	links->in_query = in_query;
	links->key = cadence_secret_key_create(t, UNSUBSCRIBE_KEY, in_query);
	return links;
}

static void
read_key(CadenceLinks *links)
{
	CadenceCaller caller;

	if (links->in_query)
		caller = cadence_owner_begin(links->tables->owner);
	cadence_secret_key_read(links->key);
	if (links->in_query)
		cadence_owner_end(caller);
	links->has_key = true;
}

/* Notes it in a step, in the current memory context, inside an SPI connection. */
void
cadence_link_make(CadenceLinks *links, CadenceStep *step)
{
	Unsubscribe who = {.lead_id = step->lead_id, .empresa = step->empresa};

	if (cadence_unsubscribe_base[0] == '\0' || who.lead_id == NULL || who.empresa == NULL)
		return;
	if (!links->has_key)
		read_key(links);
	who.canal = asc_toupper(step->canal, strlen(step->canal));
	step->unsubscribe_url = cadence_unsubscribe_link(links->key, &who);
}
