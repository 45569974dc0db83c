/*
 * render.c
 *		cadence_render(): the template engine by itself.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
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

/* A variable as a template shows it, *text NULL for JSON null; false: there is none. */
static bool
get_variable(Jsonb *vars, const char *name, size_t len, bool is_name, char **text)
{
	JsonbValue *value = getKeyJsonValueFromContainer(&vars->root, name, len, NULL);

	if (value == NULL)
		return false;
	if (value->type == jbvNull)
		*text = NULL;
	else if (value->type == jbvString)
		*text = pnstrdup(value->val.string.val, value->val.string.len);
	else
		*text = JsonbToCString(NULL, &JsonbValueToJsonb(value)->root, -1);
	if (is_name)
		*text = text_trimmed(*text);
	return true;
}

/* primeiro_nome and lead_nome come from nome where they are not given themselves. */
static bool
get_value(Jsonb *vars, const TemplatePart *part, char **text)
{
	bool is_first = template_name_is(part, "primeiro_nome");
	bool is_name =
		is_first || template_name_is(part, "lead_nome") || template_name_is(part, "nome");
	bool found = get_variable(vars, part->name, part->name_len, is_name, text);
	const char *word;

	if (!is_name || (found && !(is_first && template_value_is_empty(*text))))
		return found;
	if (!get_variable(vars, "nome", strlen("nome"), true, text))
		return found;
	if (is_first && *text != NULL)
	{
		size_t len = template_first_word(*text, &word);

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

/*
 * cadence_render(template text, vars jsonb) -> text
 *
 * Errors: 22023 for a placeholder that is not closed, has no name, or is no
 * key of vars, and for vars that is not an object; 54000 for what is too long.
 */
Datum
cadence_render(PG_FUNCTION_ARGS)
{
	char *source;
	size_t len;
	Jsonb *vars = PG_GETARG_JSONB_P(1);
	TemplatePart *parts;
	TemplateStatus status;
	const char **values;
	size_t nparts;
	size_t error_at;
	text *result;

	/* before it is read */
	if (toast_raw_datum_size(PG_GETARG_DATUM(0)) - VARHDRSZ > TEMPLATE_MAX_BYTES)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("the template is longer than %d bytes", TEMPLATE_MAX_BYTES)));
	if (!JB_ROOT_IS_OBJECT(vars))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the variables of a template must be a JSON object")));
	source = TextDatumGetCString(PG_GETARG_DATUM(0));
	len = strlen(source);
	parts = palloc(sizeof(TemplatePart) * template_max_parts(source, len));
	status = template_parse(source, len, parts, &nparts, &error_at);
	if (status != TEMPLATE_OK)
		refuse_template(status, source, error_at);
	values = get_values(vars, parts, nparts);

	len = template_render(parts, nparts, values, NULL);
	if (len > TEMPLATE_MAX_MESSAGE)
		refuse_message();
	result = palloc(len + VARHDRSZ);
	SET_VARSIZE(result, len + VARHDRSZ);
	template_render(parts, nparts, values, VARDATA(result));
	PG_RETURN_TEXT_P(result);
}
