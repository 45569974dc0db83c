/*
 * render.c
 *		cadence_render(): the template engine by itself.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"

#include "rules/template.h"
#include "rules/text.h"

PG_FUNCTION_INFO_V1(cadence_render);

static void
refuse_message(void)
{
	ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					errmsg("the message is longer than %d bytes", TEMPLATE_MAX_MESSAGE)));
}

/* A value as a template shows it; NULL for JSON null. */
static char *
json_value_text(JsonbValue *value)
{
	switch (value->type)
	{
		case jbvNull:
			return NULL;
		case jbvString:
			return pnstrdup(value->val.string.val, value->val.string.len);
		case jbvNumeric:
			return DatumGetCString(
				DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
		case jbvBool:
			return pstrdup(value->val.boolean ? "true" : "false");
		default:
		{
			Jsonb *json = JsonbValueToJsonb(value);

			return JsonbToCString(NULL, &json->root, VARSIZE(json));
		}
	}
}

static bool
get_variable(Jsonb *vars, const char *name, size_t len, char **text)
{
	JsonbValue key = {.type = jbvString};
	JsonbValue *value;

	key.val.string.val = (char *) name;
	key.val.string.len = len;
	value = findJsonbValueFromContainer(&vars->root, JB_FOBJECT, &key);
	if (value == NULL)
		return false;
	*text = json_value_text(value);
	return true;
}

static bool
get_name(Jsonb *vars, const char *name, char **text)
{
	bool found = get_variable(vars, name, strlen(name), text);

	if (found)
		*text = text_trimmed(*text);
	return found;
}

/* primeiro_nome and lead_nome come from nome where they are not given themselves. */
static bool
get_value(Jsonb *vars, const TemplatePart *part, char **text)
{
	const char *word;
	char *nome = NULL;
	bool found;
	size_t len;

	if (template_name_is(part, "nome"))
		return get_name(vars, "nome", text);
	if (template_name_is(part, "lead_nome"))
		return get_name(vars, "lead_nome", text) || get_name(vars, "nome", text);
	if (!template_name_is(part, "primeiro_nome"))
		return get_variable(vars, part->name, part->name_len, text);
	found = get_name(vars, "primeiro_nome", text);
	if ((found && !template_value_is_empty(*text)) || !get_name(vars, "nome", &nome))
		return found;
	if (nome != NULL)
	{
		len = template_first_word(nome, &word);
		*text = pnstrdup(word, len);
	}
	return true;
}

static void
refuse_template(TemplateStatus status, const char *source, size_t at)
{
	int position = pg_mbstrlen_with_len(source, at) + 1;

	if (status == TEMPLATE_TOO_MANY)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the template has more than %d placeholders", TEMPLATE_MAX_PLACEHOLDERS)));
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					status == TEMPLATE_UNCLOSED
						? errmsg("the placeholder at character %d has no closing braces", position)
						: errmsg("the placeholder at character %d has no valid name", position),
					errhint("A placeholder is written {{name}} or {{name|fallback}}.")));
}

static const char **
get_values(Jsonb *vars, TemplatePart *parts, size_t nparts)
{
	const char **values = palloc0(sizeof(char *) * Max(nparts, 1));
	size_t total = 0;

	for (size_t i = 0; i < nparts; i++)
	{
		char *text = NULL;

		if (parts[i].name != NULL && !get_value(vars, &parts[i], &text))
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("unknown placeholder \"%.*s\"",
								   pg_mbcliplen(parts[i].name, parts[i].name_len, NAMEDATALEN),
								   parts[i].name),
							errhint("Every placeholder must be a key of the second argument.")));
		/* each value is a part of the message: what is too long is not made first */
		total += text != NULL ? strlen(text) : 0;
		if (total > TEMPLATE_MAX_MESSAGE)
			refuse_message();
		values[i] = text;
		parts[i].value = i;
	}
	return values;
}

/* Refused before it is read. */
static char *
get_template(Datum template)
{
	if (toast_raw_datum_size(template) - VARHDRSZ > TEMPLATE_MAX_BYTES)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("the template is longer than %d bytes", TEMPLATE_MAX_BYTES)));
	return TextDatumGetCString(template);
}

/*
 * cadence_render(template text, vars jsonb) -> text
 *
 * Errors: 22023 for a placeholder that is not closed, has no name, or is no
 * key of vars, and for vars that is not an object; 54000 for what is too long.
 */
Datum
cadence_render(PG_FUNCTION_ARGS)
{
	char *source = get_template(PG_GETARG_DATUM(0));
	Jsonb *vars = PG_GETARG_JSONB_P(1);
	size_t len = strlen(source);
	TemplatePart *parts = palloc(sizeof(TemplatePart) * template_max_parts(source, len));
	TemplateStatus status;
	const char **values;
	size_t nparts;
	size_t error_at;
	size_t size;
	text *result;

	if (!JB_ROOT_IS_OBJECT(vars))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the variables of a template must be a JSON object")));
	status = template_parse(source, len, parts, &nparts, &error_at);
	if (status != TEMPLATE_OK)
		refuse_template(status, source, error_at);
	values = get_values(vars, parts, nparts);

	size = template_render(parts, nparts, values, NULL);
	if (size > TEMPLATE_MAX_MESSAGE)
		refuse_message();
	result = palloc(size + VARHDRSZ);
	SET_VARSIZE(result, size + VARHDRSZ);
	template_render(parts, nparts, values, VARDATA(result));
	PG_RETURN_TEXT_P(result);
}
