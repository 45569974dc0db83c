/*
 * again.c
 *		What an earlier attempt has sent, or may have: it is sent again as it was, or
 *		not at all.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "base/clip.h"
#include "resolve/questions.h"
#include "resolve/request.h"

/*
 * What an earlier attempt has sent may have reached the provider. This claim
 * sends nothing, and is no attempt; it says so. False, as above.
 */
bool
resolve_uncertain(CadenceStep *step, char *why)
{
	step->outcome = OUTCOME_UNCERTAIN;
	step->attempts = Max(step->attempts - 1, 0);
	step->reason.code = "INCERTO";
	step->reason.text = why;
	return false;
}

/* The same, and nothing is sent until somebody has settled it. */
static bool
hold(CadenceStep *step, char *why)
{
	step->holds = true;
	return resolve_uncertain(step, why);
}

/*
 * What an uncertain attempt has sent is sent again as it was, to whom it was sent.
 * Opt-outs of its own category count, whatever its template has become.
 */
void
resolve_kept(CadenceStep *step)
{
	const KeptRequest *kept = step->kept;

	if (step->canal == NULL)
		step->canal = "";
	step->categoria = (char *) kept_category(kept);
	if (kept->texts[FIELD_TEMPLATE_CODE] != NULL)
		step->template_codigo = (char *) kept->texts[FIELD_TEMPLATE_CODE];
	step->recipient = (char *) kept->texts[FIELD_AS_STORED];
	step->message_len = kept->bytes;
	resolve_key(step);
}

/* Why nobody can send it again; NULL: the provider can. */
static char *
kept_problem(const CadenceStep *step, const CadenceProvider *provider)
{
	const KeptRequest *kept = step->kept;
	const char *name = kept->server_name;

	if (pg_strcasecmp(kept->texts[FIELD_CHANNEL], step->canal) != 0)
		return psprintf("it may have been sent by %s, which is not its step's channel any more",
						kept->texts[FIELD_CHANNEL]);
	if (provider == NULL)
		return psprintf("it may have been sent by server \"%.*s\", which does not serve it any "
						"more",
						cadence_text_fits(name, NAMEDATALEN), name);
	return NULL;
}

/*
 * And by the same server, whatever its name is now: another account does not know
 * its key, and would send it a second time.
 */
bool
resolve_kept_provider(CadenceStep *step)
{
	CadenceProvider *provider = cadence_pool_server(step->pool, step->kept->server);
	char *problem = kept_problem(step, provider);

	if (problem != NULL)
		return hold(step, problem);
	if (!resolve_assign(step, provider))
		return false;
	if (step_key_has_expired(step, GetCurrentTimestamp()))
		return hold(step, pstrdup("it may have been sent, so long ago that the provider does not "
								  "know its key any more"));
	return true;
}

/*
 * Nobody has said what became of a message that was held for review, and its time
 * has come: it counts as sent. Nothing that keeps messages back matters to it.
 */
void
resolve_held(CadenceStep *step)
{
	step->outcome = OUTCOME_SENT;
	step->reason.code = cadence_classes[CLASS_HELD].code;
	step->reason.text = pstrdup("the provider has accepted it, and holds it for review: "
								"it is not sent again");
	resolve_key(step);
}
