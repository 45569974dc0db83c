/*
 * receive_rules.c
 *		A definition's "receive", compiled: the whole of it.
 */
#include "rules/compiler.h"

#include <stdio.h>
#include <string.h>

static void
compile_body(Compiler *c, const Path *path, json_t *value, void *to)
{
	static const char *const names[] = {"json", "form", "either"};
	const char *name = json_string_value(value);

	for (int i = 0; i < 3; i++)
		if (name != NULL && strcmp(names[i], name) == 0)
		{
			*(ReceiveBody *) to = (ReceiveBody) i;
			return;
		}
	compiler_problem(c, path, "is none of json, form and either");
}

static void
compile_answer_status(Compiler *c, const Path *path, json_t *value, void *to)
{
	if (!json_is_integer(value) || json_integer_value(value) < 200 ||
		json_integer_value(value) > 299)
		compiler_problem(c, path, "is no status of success");
	else
		*(int *) to = json_integer_value(value);
}

static const Member answer_members[] = {
	{"status", compile_answer_status, offsetof(ReceiveRules, answer_status)},
	{"type", compile_string, offsetof(ReceiveRules, answer_type)},
	{"body", compile_string, offsetof(ReceiveRules, answer_body)},
	{"note", compile_documentation, 0},
	{NULL, NULL, 0}};

static void
compile_answer(Compiler *c, const Path *path, json_t *value, void *to)
{
	compile_object(c, path, value, answer_members, to);
}

static void
compile_scrub(Compiler *c, const Path *path, json_t *value, void *to)
{
	ReceiveRules *rules = to;

	rules->scrub =
		compile_array(c, path, value, compile_steps, sizeof(ReceiveSteps), &rules->nscrub);
}

static const Member receive_members[] = {
	{"note", compile_documentation, 0},
	{"verify", compile_verify, offsetof(ReceiveRules, verify)},
	{"signature", compile_signatures, 0},
	{"body", compile_body, offsetof(ReceiveRules, body)},
	{"international", compile_bool, offsetof(ReceiveRules, is_international)},
	{"events", compile_events, offsetof(ReceiveRules, events)},
	{"answer", compile_answer, 0},
	{"scrub", compile_scrub, 0},
	{NULL, NULL, 0}};

/* ---- secrets that are rotated ------------------------------------------------------- */

/* The number of NAME_previous among Values, which is a secret beside NAME from here on. */
static int
add_previous(Compiler *c, const Path *path, int secret, size_t min_length)
{
	DefinitionOptions *secrets = &c->d->secrets;
	int first = (int) (FIELD_COUNT + c->d->options.n);
	DefinitionOption *list;
	char name[80];

	if (secret == 0)
		return 0;
	if (secrets->list[secret - first].min_length < min_length)
		secrets->list[secret - first].min_length = min_length;
	snprintf(name, sizeof(name), "%.60s_previous", secrets->list[secret - first].name);
	for (size_t i = 0; i < secrets->n; i++)
		if (strcmp(secrets->list[i].name, name) == 0)
		{
			if (!secrets->list[i].is_previous)
				compiler_problem(c, path,
								 "has the secret \"%.60s\", which is one that was, while \"%.60s\" "
								 "is rotated",
								 name, secrets->list[secret - first].name);
			return first + (int) i;
		}
	list = arena_alloc(c->arena, sizeof(DefinitionOption) * (secrets->n + 1));
	memcpy(list, secrets->list, sizeof(DefinitionOption) * secrets->n);
	list[secrets->n] = (DefinitionOption){.name = arena_copy(c->arena, name, strlen(name)),
										  .min_length = min_length,
										  .is_previous = true};
	secrets->list = list;
	return first + (int) secrets->n++;
}

/* Each secret of a caller's may be two for a while. */
static void
add_all_previous(Compiler *c, const Path *path, ReceiveRules *rules)
{
	for (size_t i = 0; i < rules->nsignatures; i++)
	{
		ReceiveSignature *s = &rules->signatures[i];

		s->previous =
			add_previous(c, path, s->secret, s->kind == SIGNATURE_PATH ? PATH_SECRET_MIN : 0);
	}
	rules->verify.previous = add_previous(c, path, rules->verify.secret, 0);
}

/* ---- the whole ---------------------------------------------------------------------- */

/* Where nobody signs, the address is the secret. */
static void
add_path_signature(Compiler *c, const Path *path, ReceiveRules *rules)
{
	json_t *signature;
	bool is_there = false;

	for (size_t i = 0; i < c->d->secrets.n; i++)
		is_there = is_there || strcmp(c->d->secrets.list[i].name, "path_secret") == 0;
	if (!is_there)
	{
		compiler_problem(c, path, "has no signature, nor has the definition a secret path_secret");
		return;
	}
	signature = json_pack("{s:s, s:s}", "kind", "path", "secret", "path_secret");
	if (signature != NULL)
		compile_signatures(c, path, signature, rules);
	json_decref(signature);
}

void
compile_receive(Compiler *c, const Path *path, json_t *value, void *to)
{
	ReceiveRules *rules = arena_alloc(c->arena, sizeof(*rules));

	rules->answer_status = 200;
	rules->answer_type = "text/plain";
	rules->answer_body = "";
	compile_object(c, path, value, receive_members, rules);
	if (!json_is_object(value))
		return;
	if (json_object_get(value, "signature") == NULL)
		add_path_signature(c, path, rules);
	if (json_object_get(value, "events") == NULL)
		compiler_problem(c, path, "has no events");
	add_all_previous(c, path, rules);
	*(ReceiveRules **) to = rules;
}
