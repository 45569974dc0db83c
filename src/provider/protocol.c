/*
 * protocol.c
 *		The protocols that there are. The first is the one of a server that names
 *		none.
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "provider/protocol.h"

const CadenceProtocol *const cadence_protocols[] = {&cadence_protocol_webhook, NULL};

/* By name, the first for NULL; NULL when there is none of that name. */
const CadenceProtocol *
cadence_protocol_find(const char *name)
{
	if (name == NULL)
		return cadence_protocols[0];
	for (int i = 0; cadence_protocols[i] != NULL; i++)
		if (pg_strcasecmp(cadence_protocols[i]->name, name) == 0)
			return cadence_protocols[i];
	return NULL;
}

/* Words in a row, for a hint. */
char *
cadence_protocol_words(const char *const *words)
{
	StringInfoData text;

	initStringInfo(&text);
	for (; *words != NULL; words++)
		appendStringInfo(&text, "%s%s", text.len > 0 ? ", " : "", *words);
	return text.data;
}
