/*
 * request.c
 *		A resolved step's request: which operation of its protocol, and the values
 *		that its placeholders name.
 *
 * Looked at when a step is resolved, so that what can not be sent is said then,
 * and made when its turn comes: its server may be another meanwhile.
 */
#include "postgres.h"

#include "provider/options.h"
#include "provider/provider.h"
#include "resolve/message.h"
#include "resolve/request.h"
#include "rules/mailbox.h"
#include "rules/phone.h"
#include "rules/request_builder.h"

static const char *
text_of(const CadenceStep *step, MessageField field)
{
	for (int i = 0; i < step->template->ntexts; i++)
		if (step->template->texts[i].field == field)
			return message_render_text(step, &step->template->texts[i]);
	return NULL;
}

/* In both languages in which templates are written. */
static const char *
media_operation(const char *type)
{
	static const char *const kinds[][3] = {{"media.image", "image", "imagem"},
										   {"media.audio", "audio", "áudio"},
										   {"media.video", "video", "vídeo"}};

	for (size_t i = 0; i < lengthof(kinds) && type != NULL; i++)
		for (int k = 0; k < 3; k++)
			if (pg_strcasecmp(kinds[i][k] + (k == 0 ? strlen("media.") : 0), type) == 0)
				return kinds[i][0];
	return "media.document";
}

/* Outside the window only an approved template may be sent, where the protocol has such. */
static bool
wants_approved_template(const CadenceStep *step, Values values)
{
	return message_has(step, FIELD_TEMPLATE_NAME) &&
		   (!step->window_is_open || !message_has_text(step)) &&
		   definition_operation(step->request.configuration->definition, "template", step->canal,
								values) != NULL;
}

static const char *
operation_name(const CadenceStep *step, Values values)
{
	const char *category;

	if (pg_strcasecmp(step->canal, "EMAIL") == 0)
		return message_has(step, FIELD_HTML) ? "email.html" : "email";
	if (wants_approved_template(step, values))
	{
		category = text_of(step, FIELD_TEMPLATE_CATEGORY);
		return category != NULL && pg_strcasecmp(category, "MARKETING") == 0 ? "template.marketing"
																			 : "template";
	}
	if (message_has(step, FIELD_MEDIA_URL))
		return media_operation(text_of(step, FIELD_MEDIA_TYPE));
	return "text";
}

static const DefinitionOperation *
find_operation(const CadenceStep *step)
{
	const char *const none[FIELD_COUNT] = {NULL};
	const CadenceConfiguration *c = step->request.configuration;
	const char **values = cadence_configuration_values(c, none);

	return definition_operation(c->definition, operation_name(step, values), step->canal, values);
}

/* "image" whatever its template calls it. */
static void
name_media(const char **fields)
{
	if (fields[FIELD_MEDIA_URL] == NULL)
		return;
	fields[FIELD_MEDIA_TYPE] = media_operation(fields[FIELD_MEDIA_TYPE]) + strlen("media.");
	if (template_value_is_empty(fields[FIELD_MEDIA_CAPTION]))
		fields[FIELD_MEDIA_CAPTION] = fields[FIELD_MESSAGE];
}

/*
 * A mail's subject may be its text's first line, "Assunto: ...". Only where its
 * protocol has subjects: an endpoint of the user's own gets the text as it is.
 */
static void
split_subject(const CadenceStep *step, const char **fields)
{
	static const char mark[] = "Assunto:";
	const char *text = fields[FIELD_MESSAGE];
	const char *end;

	if (pg_strcasecmp(step->canal, "EMAIL") != 0 || fields[FIELD_SUBJECT] != NULL ||
		pg_strncasecmp(text, mark, strlen(mark)) != 0)
		return;
	end = text + strcspn(text, "\r\n");
	text += strlen(mark);
	text += strspn(text, " \t");
	fields[FIELD_SUBJECT] = pnstrdup(text, Max(end - text, 0));
	fields[FIELD_MESSAGE] = end + strspn(end, "\r\n");
}

static bool
takes_subjects(const Definition *d, const DefinitionOperation *op)
{
	return d->is_smtp || operation_names(op, FIELD_SUBJECT);
}

/* A number as its protocol has it needs one that can be a telephone number's. */
static bool
read_phone(const CadenceStep *step, const DefinitionText *address, const char **fields)
{
	char e164[PHONE_E164_SIZE];

	if (!definition_text_names(address, FIELD_E164, FIELD_AS_STORED))
		return true;
	if (!phone_e164(step->recipient, step->pais, e164))
		return false;
	fields[FIELD_E164] = pstrdup(e164);
	fields[FIELD_DIGITS] = fields[FIELD_E164] + 1;
	return true;
}

/* The recipient as its provider wants it, in the current memory context; NULL: it can not be. */
static char *
recipient_for(const CadenceStep *step)
{
	const CadenceConfiguration *c = step->request.configuration;
	const DefinitionText *address = definition_address(c->definition, step->canal);
	const char *fields[FIELD_COUNT] = {[FIELD_AS_STORED] = step->recipient};
	char *rendered;
	char *copy;

	if (address == NULL)
		return step->recipient;
	if (!read_phone(step, address, fields))
		return NULL;
	rendered = definition_render(address, cadence_configuration_values(c, fields));
	copy = rendered != NULL ? pstrdup(rendered) : NULL;
	free(rendered);
	return copy;
}

/* Mail needs to know who sends it: the server's option may be anything. */
static char *
sender_problem(CadenceStep *step)
{
	const CadenceConfiguration *c = step->request.configuration;
	const char *from = cadence_configuration_value(c, "from");
	Mailbox mailbox;

	if (!c->definition->is_smtp || (from != NULL && mailbox_read(from, &mailbox)))
		return NULL;
	step->reason.code = "PROVEDOR_INVALIDO";
	return psprintf("server \"%s\": option \"from\" is no e-mail address", c->name);
}

/* Whoever gets a mail to send: what an address must not have would end a command, or a header. */
static bool
is_for_mail(const CadenceStep *step)
{
	return step->request.configuration->definition->is_smtp ||
		   pg_strcasecmp(step->canal, "EMAIL") == 0;
}

/* The subject that a step would have; NULL: none. */
static const char *
subject_of(const CadenceStep *step)
{
	const char *fields[FIELD_COUNT] = {NULL};
	const DefinitionOperation *op = find_operation(step);
	char *text;

	if (message_has(step, FIELD_SUBJECT))
		return text_of(step, FIELD_SUBJECT);
	if (pg_strcasecmp(step->canal, "EMAIL") == 0 &&
		takes_subjects(step->request.configuration->definition, op))
	{
		text = message_render(step);
		fields[FIELD_MESSAGE] = text;
		split_subject(step, fields);
		/* a batch of long ones must not stand in memory */
		pfree(text);
	}
	return fields[FIELD_SUBJECT];
}

/*
 * Why a step with a provider can not be sent, with its reason's code; NULL: it
 * can.
 */
char *
step_request_problem(CadenceStep *step)
{
	const CadenceConfiguration *c = step->request.configuration;
	const char *subject;

	if (c->problem != NULL)
	{
		step->reason.code = "PROVEDOR_INVALIDO";
		return psprintf("server \"%s\": %s", c->name, c->problem);
	}
	if (find_operation(step) == NULL && !c->definition->is_smtp)
	{
		step->reason.code = "PROVEDOR_INVALIDO";
		return psprintf("server \"%s\": its protocol has no operation for this message", c->name);
	}
	if (recipient_for(step) == NULL)
	{
		step->reason.code = "ENDERECO_INVALIDO";
		return psprintf("\"%.40s\" can not be a telephone number", step->recipient);
	}
	if (is_for_mail(step) && !mailbox_can_be_written_to(step->recipient))
	{
		step->reason.code = "ENDERECO_INVALIDO";
		return pstrdup("the e-mail address is too long, or has a character that none can have");
	}
	subject = subject_of(step);
	if (subject != NULL && cadence_has_control_characters(subject))
	{
		step->reason.code = "TEMPLATE_INVALIDO";
		return psprintf("template \"%s\" yields a subject with control characters",
						step->template_codigo);
	}
	return sender_problem(step);
}

static bool
is_template(const DefinitionOperation *op)
{
	return op != NULL && strncmp(op->name, "template", strlen("template")) == 0;
}

/* Whether a step with a provider would send an approved template. */
bool
step_request_is_template(const CadenceStep *step)
{
	return message_has(step, FIELD_TEMPLATE_NAME) && is_template(find_operation(step));
}

/* What rules ask of a recipient is its country: in one spelling, whatever the provider's is. */
static const char *
phone_of(const CadenceStep *step, const char *recipient)
{
	char e164[PHONE_E164_SIZE];

	return phone_e164(step->recipient, step->pais, e164) ? pstrdup(e164) : recipient;
}

/*
 * Makes a step's request, with its server's latest configuration, in the current
 * memory context; false when that does not take it any more.
 */
bool
step_request_make(CadenceStep *step)
{
	CadenceRequest *request = &step->request;
	const char *fields[FIELD_COUNT] = {
		[FIELD_MESSAGE] = step->message,	[FIELD_KEY] = step->key_text,
		[FIELD_RUN_ID] = step->run_id_text, [FIELD_LEAD_ID] = step->lead_id,
		[FIELD_EMPRESA] = step->empresa,	[FIELD_TEMPLATE_CODE] = step->template_codigo,
		[FIELD_CHANNEL] = step->canal};
	CadenceReason before = step->reason;

	if (step_request_problem(step) != NULL)
	{
		step->reason = before;
		return false;
	}
	message_render_others(step, fields);
	name_media(fields);
	fields[FIELD_STEP] = psprintf("%d", step->ordem);
	fields[FIELD_RECIPIENT] = recipient_for(step);
	request->operation = find_operation(step);
	if (takes_subjects(request->configuration->definition, request->operation))
		split_subject(step, fields);
	request->values = cadence_configuration_values(request->configuration, fields);
	request->message = (AnsweredMessage){
		.channel = step->canal,
		.category = is_template(request->operation) ? fields[FIELD_TEMPLATE_CATEGORY] : NULL,
		.recipient = phone_of(step, fields[FIELD_RECIPIENT]),
		.attempt = step->attempts};
	request->answer = &step->answer;
	return true;
}
