/*
 * late_class_test.c
 *		What a failure means that comes after the message was accepted.
 */
#include "rules/late_class.h"

#include "check.h"
#include "definition_tools.h"

static void
check_class(const Definition *d, const char *code, const char *error, const char *expected,
			int line)
{
	check_text(cadence_classes[late_class(d, "WHATSAPP", code, error)].name, expected, __FILE__,
			   line, code != NULL ? code : "(no code)");
}

#define IS(code, error, expected) check_class(d, code, error, expected, __LINE__)

static void
by_code(void)
{
	Definition *d = compile_protocol("whatsapp_cloud");

	IS("131050", NULL, "opted_out");
	IS("131047", NULL, "window_closed");
	IS("250", NULL, "stopped");
	IS("368", NULL, "stopped");
	/* a rule that counts attempts does not count this one */
	IS("131026", NULL, "retry");
	IS("99999999", NULL, NULL);
	IS("131050x", NULL, NULL);
	IS(NULL, NULL, NULL);
	definition_free(d);
}

static void
others(void)
{
	Definition *d = compile_protocol("twilio");

	IS("21610", NULL, "opted_out");
	IS("21211", NULL, "dead_address");
	definition_free(d);
	d = compile_protocol("sendgrid");
	IS(NULL, "Unsubscribed Address", "opted_out");
	IS(NULL, "Spam Reporting Address", "opted_out");
	IS(NULL, "Spam Content (if Spam Checker app enabled)", NULL);
	definition_free(d);
	d = compile_protocol("mailgun");
	IS("605", "suppress-unsubscribe", "opted_out");
	IS("607", "suppress-complaint", "opted_out");
	IS("605", "Not delivering to previously bounced address", NULL);
	definition_free(d);
	d = compile_protocol("webhook");
	IS("1", "no", NULL);
	definition_free(d);
}

int
main(void)
{
	RUN_GROUP("late class: by the provider's code", by_code);
	RUN_GROUP("late class: other protocols", others);
	return check_result();
}
