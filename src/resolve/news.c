/*
 * news.c
 *		Resolve, for news: rows of cadence_outbox.
 *
 * What is sent stands in the row, as what an uncertain attempt has sent stands in its
 * event, and is sent again as it is: so they are resolved as such. There is nobody
 * whom they go to, and nothing that would forbid them.
 */
#include "postgres.h"

#include "utils/jsonb.h"

#include "provider/kept.h"
#include "resolve/news.h"

static KeptRequest *
request_of(const CadenceStep *step)
{
	KeptRequest *kept = palloc0(sizeof(*kept));
	char *body = JsonbToCString(NULL, &step->news->root, VARSIZE(step->news));

	kept->operation = "event";
	kept->texts[FIELD_EVENT] = body;
	kept->texts[FIELD_RECIPIENT] = kept->texts[FIELD_AS_STORED] = "";
	kept->texts[FIELD_CHANNEL] = CADENCE_NEWS_CHANNEL;
	kept->bytes = strlen(body);
	kept->since = step->news_since;
	return kept;
}

/* A company that is too long for one is NULL. */
static bool
is_same(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcmp(a, b) == 0;
}

/*
 * Resolves news as far as their providers, as cadence_resolve() does steps of runs.
 * In the current memory context.
 */
void
cadence_news_resolve(const CadenceProviders *providers, CadenceStep **steps, int n)
{
	for (int i = 0; i < n; i++)
	{
		CadenceStep *step = steps[i];

		step->canal = CADENCE_NEWS_CHANNEL;
		step->pool = i > 0 && is_same(steps[i - 1]->empresa, step->empresa)
						 ? steps[i - 1]->pool
						 : cadence_pool_of(providers, CADENCE_NEWS_CHANNEL, step->empresa);
		step->recipient = "";
		if (step->news == NULL)
		{
			step->outcome = OUTCOME_REFUSED;
			step->reason.code = "CORPO_INVALIDO";
			step->reason.text = pstrdup("its corpo is missing, or too long");
			continue;
		}
		step->kept = request_of(step);
	}
}
