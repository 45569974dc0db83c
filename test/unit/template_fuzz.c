/*
 * template_fuzz.c
 *		Any bytes as a template: parsed and rendered inside their bounds, and
 *		what comes out is what the parts say.
 */
#include "rules/template.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void
require(int condition)
{
	if (!condition)
		abort();
}

/* Parts lie in the source, one behind the other. */
static void
check_parts(const char *source, size_t len, TemplatePart *parts, size_t nparts)
{
	const char *at = source;

	for (size_t i = 0; i < nparts; i++)
	{
		if (parts[i].name == NULL)
		{
			require(parts[i].text == at && parts[i].text_len > 0);
			at += parts[i].text_len;
			continue;
		}
		require(parts[i].name >= at + 2 && parts[i].name_len > 0);
		at = parts[i].name + parts[i].name_len;
		require(memchr(parts[i].name, '{', parts[i].name_len) == NULL);
		require(memchr(parts[i].name, '}', parts[i].name_len) == NULL);
		if (parts[i].text != NULL)
		{
			require(parts[i].text > at - 1);
			at = parts[i].text + parts[i].text_len;
		}
		while (at < source + len && *at != '}')
			at++;
		require(at + 2 <= source + len && at[0] == '}' && at[1] == '}');
		at += 2;
	}
	require(at == source + len);
}

static int
is_a_name(const TemplatePart *part)
{
	return template_name_is(part, "nome") || template_name_is(part, "primeiro_nome") ||
		   template_name_is(part, "lead_nome");
}

static void
check_render(TemplatePart *parts, size_t nparts)
{
	static const char *const choices[] = {"{{nome}}", "", NULL, "Ana {{", "🎉"};
	const char **values = malloc(sizeof(char *) * (nparts + 1));
	char *out;
	size_t len;
	size_t at = 0;

	for (size_t i = 0; i < nparts; i++)
	{
		parts[i].value = i;
		values[i] = choices[i % 5];
	}
	len = template_render(parts, nparts, values, NULL);
	out = malloc(len > 0 ? len : 1);
	require(template_render(parts, nparts, values, out) == len);

	/* values and literals stand there as they are */
	for (size_t i = 0; i < nparts; i++)
	{
		const char *piece = parts[i].text;
		size_t piece_len = parts[i].text_len;

		if (parts[i].name != NULL && values[i] != NULL && values[i][0] != '\0')
		{
			piece = values[i];
			piece_len = strlen(piece);
		}
		else if (parts[i].name != NULL && piece == NULL)
		{
			piece = is_a_name(&parts[i]) ? "você" : "";
			piece_len = strlen(piece);
		}
		require(at + piece_len <= len);
		require(piece_len == 0 || memcmp(out + at, piece, piece_len) == 0);
		at += piece_len;
	}
	require(at == len);
	free(out);
	free(values);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *source = malloc(size > 0 ? size : 1);
	TemplatePart *parts;
	size_t most;
	size_t nparts = 0;
	size_t error_at = size;
	TemplateStatus status;

	if (size > 0)
		memcpy(source, data, size);
	most = template_max_parts(source, size);
	parts = malloc(sizeof(TemplatePart) * most);
	status = template_parse(source, size, parts, &nparts, &error_at);
	if (status == TEMPLATE_OK)
	{
		require(nparts <= most);
		check_parts(source, size, parts, nparts);
		check_render(parts, nparts);
	}
	else
		require(error_at + 2 <= size && memcmp(source + error_at, "{{", 2) == 0);
	free(parts);
	free(source);
	return 0;
}
