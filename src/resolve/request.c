/*
 * request.c
 *		A resolved step's request: which operation of its protocol, and the values
 *		that its placeholders name.
 *
 * Looked at when a step is resolved, so that what can not be sent is said then,
 * and made when its turn comes: its server may be another meanwhile.
 */
#include "postgres.h"

#include "utils/formatting.h"
#include "utils/timestamp.h"

#include "provider/options.h"
#include "provider/provider.h"
#include "base/clip.h"
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

/* Kinds of media, in both languages in which templates are written. */
static const struct MediaKind
{
	const char *name;
	const char *nome;
	const char *operation;
} media_kinds[] = {{"image", "imagem", "media.image"},
				   {"audio", "áudio", "media.audio"},
				   {"video", "vídeo", "media.video"},
				   /* and whatever else there is */
				   {"document", "documento", "media.document"}};

static const struct MediaKind *
media_kind(const char *type)
{
	size_t i = 0;

	while (i < lengthof(media_kinds) - 1 &&
		   (type == NULL || (pg_strcasecmp(media_kinds[i].name, type) != 0 &&
							 pg_strcasecmp(media_kinds[i].nome, type) != 0)))
		i++;
	return &media_kinds[i];
}

static bool
has_approved_template(const CadenceStep *step, Values values)
{
	return message_has(step, FIELD_TEMPLATE_NAME) &&
		   definition_operation(step->request.configuration->definition, "template", step->canal,
								values) != NULL;
}

/*
 * Outside the window only an approved template may be sent, where the protocol has
 * such; inside it, too, where the message has no words of its own.
 */
static bool
wants_approved_template(const CadenceStep *step, Values values)
{
	return has_approved_template(step, values) &&
		   (!step->window_is_open || !message_has_text(step, FIELD_MESSAGE));
}

static const char *
operation_name(const CadenceStep *step, Values values)
{
	const char *category;

	if (step->kept != NULL)
		return step->kept->operation;
	if (pg_strcasecmp(step->canal, "EMAIL") == 0)
		return message_has_text(step, FIELD_HTML) ? "email.html" : "email";
	if (wants_approved_template(step, values))
	{
		category = text_of(step, FIELD_TEMPLATE_CATEGORY);
		return category != NULL && pg_strcasecmp(category, "MARKETING") == 0 ? "template.marketing"
																			 : "template";
	}
	if (message_has(step, FIELD_MEDIA_URL))
		return media_kind(text_of(step, FIELD_MEDIA_TYPE))->operation;
	return "text";
}

/* Finds what a request needs of its protocol; NULL where that does not have it. */
static void
find_operation(CadenceStep *step)
{
	const char *const none[FIELD_COUNT] = {NULL};
	const CadenceConfiguration *c = step->request.configuration;
	const char **values = cadence_configuration_values(c, none);

	step->operation = operation_name(step, values);
	step->request.operation =
		definition_operation(c->definition, step->operation, step->canal, values);
}

/* Longer ones are no extensions, but a part of the name. */
#define EXTENSION_MAX 5

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* What stands behind its last dot, in small letters; NULL: nothing that names a file's kind. */
static const char *
extension_of(const char *name, const char *end)
{
	const char *dot = end;
	bool has_letter = false;

	while (dot > name && (is_letter(dot[-1]) || (dot[-1] >= '0' && dot[-1] <= '9')))
		has_letter = is_letter(*--dot) || has_letter;
	if (!has_letter || dot <= name + 1 || dot[-1] != '.' || end - dot > EXTENSION_MAX)
		return NULL;
	return asc_tolower(dot, end - dot);
}

/* The same of a URL's path. */
static const char *
extension_of_url(const char *url)
{
	const char *host = strstr(url, "://");
	const char *path = host != NULL ? strchr(host + strlen("://"), '/') : NULL;

	return path != NULL ? extension_of(path, path + strcspn(path, "?#")) : NULL;
}

/* "image" whatever its template calls it. */
static void
name_media(const char **fields)
{
	const char *name = fields[FIELD_MEDIA_NAME];

	if (fields[FIELD_MEDIA_URL] == NULL)
		return;
	fields[FIELD_MEDIA_EXTENSION] = name != NULL ? extension_of(name, name + strlen(name)) : NULL;
	if (fields[FIELD_MEDIA_EXTENSION] == NULL)
		fields[FIELD_MEDIA_EXTENSION] = extension_of_url(fields[FIELD_MEDIA_URL]);
	fields[FIELD_MEDIA_TYPE] = media_kind(fields[FIELD_MEDIA_TYPE])->name;
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
takes_subjects(const CadenceRequest *request)
{
	return request->configuration->definition->is_smtp ||
		   operation_names(request->operation, FIELD_SUBJECT);
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

	if (step->kept != NULL)
		return (char *) step->kept->texts[FIELD_RECIPIENT];
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
	bool splits = pg_strcasecmp(step->canal, "EMAIL") == 0 && takes_subjects(&step->request);
	char *text = NULL;

	if (step->kept != NULL)
		memcpy(fields, step->kept->texts, sizeof(fields));
	else if (message_has(step, FIELD_SUBJECT))
		return text_of(step, FIELD_SUBJECT);
	else if (splits)
		fields[FIELD_MESSAGE] = text = message_render(step);
	if (splits)
		split_subject(step, fields);
	/* a batch of long ones must not stand in memory */
	if (text != NULL)
		pfree(text);
	return fields[FIELD_SUBJECT];
}

/* The field that would go into the request as JSON, and is none; NULL: there is no such. */
static const char *
find_no_json(const CadenceStep *step)
{
	static const MessageField fields[] = {FIELD_TEMPLATE_COMPONENTS, FIELD_TEMPLATE_VARIABLES};
	const DefinitionOperation *op = step->request.operation;

	for (size_t i = 0; i < lengthof(fields); i++)
	{
		MessageField field = fields[i];
		const char *text;
		bool is_json;

		if (op == NULL || !operation_names(op, field))
			continue;
		text = step->kept != NULL ? step->kept->texts[field] : text_of(step, field);
		is_json = text == NULL || *text == '\0' || request_value_is_json(text);
		if (text != NULL && step->kept == NULL)
			pfree((char *) text);
		if (!is_json)
			return message_field_names[field];
	}
	return NULL;
}

/* What a step's template makes that can not be sent; NULL: nothing. */
static char *
template_problem(const CadenceStep *step)
{
	const char *subject = subject_of(step);
	const char *field = find_no_json(step);

	if (subject != NULL && cadence_has_control_characters(subject))
		return psprintf("template \"%s\" yields a subject with control characters",
						step->template_codigo);
	if (field != NULL)
		return psprintf("template \"%s\" yields %s that are no JSON, or have a member twice",
						step->template_codigo, field);
	return NULL;
}

/*
 * Why a step with a provider can not be sent, with its reason's code; NULL: it
 * can, by its server as that is configured now.
 */
char *
step_request_problem(CadenceStep *step)
{
	const CadenceConfiguration *c = step->request.configuration;
	char *problem;

	if (c->problem != NULL)
	{
		step->reason.code = "PROVEDOR_INVALIDO";
		return psprintf("server \"%s\": %s", c->name, c->problem);
	}
	find_operation(step);
	if (step->request.operation == NULL && !c->definition->is_smtp)
	{
		step->reason.code = "PROVEDOR_INVALIDO";
		return psprintf("server \"%s\": its protocol has no operation for this message", c->name);
	}
	if (recipient_for(step) == NULL)
	{
		step->reason.code = "ENDERECO_INVALIDO";
		return psprintf("\"%.*s\" can not be a telephone number",
						cadence_text_fits(step->recipient, 41), step->recipient);
	}
	if (is_for_mail(step) &&
		!mailbox_can_be_written_to(step->kept != NULL ? step->kept->texts[FIELD_RECIPIENT]
													  : step->recipient))
	{
		step->reason.code = "ENDERECO_INVALIDO";
		return pstrdup("the e-mail address is too long, has a character that none can have, or is "
					   "more than one");
	}
	problem = template_problem(step);
	if (problem != NULL)
	{
		step->reason.code = "TEMPLATE_INVALIDO";
		return problem;
	}
	problem = sender_problem(step);
	if (problem == NULL)
		step->accepted_by = c;
	return problem;
}

/*
 * Whether a provider may have forgotten the key of what was sent: then it would
 * send that a second time.
 */
bool
step_key_has_expired(const CadenceStep *step, TimestampTz now)
{
	int64 valid = step->request.configuration->hold_after;

	return step->kept != NULL && valid > 0 && now >= step->kept->since + valid;
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
	return is_template(step->request.operation);
}

/* What rules ask of a recipient is its country: in one spelling, whatever the provider's is. */
static const char *
phone_of(const CadenceStep *step, const char *recipient)
{
	char e164[PHONE_E164_SIZE];

	return phone_e164(step->recipient, step->pais, e164) ? pstrdup(e164) : recipient;
}

/* What the message says: what was kept, or what its template makes of its contact now. */
static void
make_texts(CadenceStep *step)
{
	const char **texts = palloc0(sizeof(char *) * FIELD_COUNT);

	if (step->kept != NULL)
		memcpy(texts, step->kept->texts, sizeof(char *) * FIELD_COUNT);
	else
	{
		texts[FIELD_MESSAGE] = message_render(step);
		message_render_others(step, texts);
		texts[FIELD_RECIPIENT] = recipient_for(step);
		texts[FIELD_AS_STORED] = step->recipient;
		texts[FIELD_TEMPLATE_CODE] = step->template_codigo;
		texts[FIELD_CHANNEL] = step->canal;
		if (pg_strcasecmp(step->canal, "EMAIL") == 0)
			texts[FIELD_UNSUBSCRIBE_URL] = step->unsubscribe_url;
	}
	step->texts = texts;
	step->message = (char *) texts[FIELD_MESSAGE];
}

/* Whether its server, as it is now, takes it: that was asked before, of what it was then. */
static bool
is_accepted(CadenceStep *step)
{
	CadenceReason before = step->reason;
	bool ok =
		step->accepted_by == step->request.configuration || step_request_problem(step) == NULL;

	step->reason = before;
	return ok && !step_key_has_expired(step, GetCurrentTimestamp());
}

/*
 * Makes a step's request, with its server's latest configuration, in the current
 * memory context; false when that does not take it any more.
 */
bool
step_request_make(CadenceStep *step)
{
	CadenceRequest *request = &step->request;
	const char *fields[FIELD_COUNT];

	if (!is_accepted(step))
		return false;
	make_texts(step);
	memcpy(fields, step->texts, sizeof(fields));
	fields[FIELD_KEY] = step->key_text;
	fields[FIELD_RUN_ID] = step->run_id_text;
	fields[FIELD_LEAD_ID] = step->lead_id;
	fields[FIELD_EMPRESA] = step->empresa;
	fields[FIELD_STEP] = psprintf("%d", step->ordem);
	if (fields[FIELD_UNSUBSCRIBE_URL] != NULL)
		fields[FIELD_UNSUBSCRIBE_POST] = "List-Unsubscribe=One-Click";
	name_media(fields);
	if (takes_subjects(request))
		split_subject(step, fields);
	request->values = cadence_configuration_values(request->configuration, fields);
	request->message = (AnsweredMessage){
		.channel = step->canal,
		.category = is_template(request->operation) ? fields[FIELD_TEMPLATE_CATEGORY] : NULL,
		.recipient = phone_of(step, fields[FIELD_RECIPIENT]),
		.earlier = step->earlier};
	/* what may have been sent before is not sent a second time in other words */
	request->has_approved = step->kept == NULL && !is_template(request->operation) &&
							has_approved_template(step, request->values);
	request->answer = &step->answer;
	return true;
}
