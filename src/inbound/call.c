/*
 * call.c
 *		One call of a webhook, as it came: its headers and its body.
 *
 * JSON costs far more than its text: four megabytes of "[]," are a hundred and
 * eighty as a tree. What a tree takes is counted while it is made, by the functions that
 * the library allocates with, and ends where it is too much. The library has one
 * pair of these for the whole process: ours are there only while a body is parsed.
 */
#include "postgres.h"

#include <jansson.h>

#include "lib/stringinfo.h"
#include "utils/memutils.h"

#include "inbound/call.h"
#include "rules/receive_reader.h"

/* Of a tree, with what malloc adds to each piece; the texts beside it are the rest of 64 MB. */
#define TREE_BYTES_MAX ((size_t) 56 * 1024 * 1024)
#define BYTES_PER_PIECE 16

/* ---- headers ------------------------------------------------------------------------- */

/* A header that came several times is one, as in HTTP. */
static char *
joined(JsonbContainer *array)
{
	JsonbIterator *it = JsonbIteratorInit(array);
	StringInfoData text;
	JsonbValue value;
	JsonbIteratorToken token;

	initStringInfo(&text);
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
		if (token == WJB_ELEM && value.type == jbvString)
		{
			if (text.len > 0)
				appendStringInfoString(&text, ", ");
			appendBinaryStringInfo(&text, value.val.string.val, value.val.string.len);
		}
	return text.data;
}

/* NULL: it is no header's. */
static char *
header_value(const JsonbValue *value)
{
	if (value->type == jbvString)
		return pnstrdup(value->val.string.val, value->val.string.len);
	if (value->type == jbvBinary && JsonContainerIsArray(value->val.binary.data))
		return joined(value->val.binary.data);
	return NULL;
}

/* Of an object of texts, or of arrays of such; what is none has no headers. */
List *
cadence_call_headers(Jsonb *headers)
{
	JsonbIterator *it = JsonbIteratorInit(&headers->root);
	List *list = NIL;
	InboundHeader *header = NULL;
	JsonbValue value;
	JsonbIteratorToken token;

	if (!JB_ROOT_IS_OBJECT(headers))
		return NIL;
	/* the object itself, and then what is in it, nothing of which is gone into */
	(void) JsonbIteratorNext(&it, &value, true);
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
		{
			header = palloc0(sizeof(*header));
			header->name = pnstrdup(value.val.string.val, value.val.string.len);
		}
		else if (token == WJB_VALUE && (header->value = header_value(&value)) != NULL)
			list = lappend(list, header);
	}
	return list;
}

const char *
cadence_call_header(void *call, const char *name)
{
	ListCell *cell;

	foreach (cell, ((InboundCall *) call)->headers)
	{
		const InboundHeader *header = lfirst(cell);

		if (pg_strcasecmp(header->name, name) == 0)
			return header->value;
	}
	return NULL;
}

/* ---- the body -------------------------------------------------------------------------- */

static json_malloc_t others_take;
static size_t taken;
static bool is_too_much;

static void *
take(size_t size)
{
	taken += size + BYTES_PER_PIECE;
	is_too_much = is_too_much || taken > TREE_BYTES_MAX;
	return is_too_much ? NULL : others_take(size);
}

static json_t *
parse_bounded(const ReceiveRules *rules, const char *body, size_t len)
{
	json_free_t others_free;
	json_t *json;

	taken = 0;
	is_too_much = false;
	json_get_alloc_funcs(&others_take, &others_free);
	json_set_alloc_funcs(take, others_free);
	json = receive_parse(rules, body, len);
	json_set_alloc_funcs(others_take, others_free);
	return json;
}

static void
free_json(void *json)
{
	json_decref(json);
}

/* Its body as JSON, for as long as the current memory context; NULL: it is none. */
json_t *
cadence_call_json(InboundCall *call)
{
	MemoryContextCallback *callback;

	if (call->was_parsed)
		return call->json;
	callback = palloc0(sizeof(*callback));
	call->was_parsed = true;
	call->json = parse_bounded(call->rules, call->body, call->body_len);
	if (call->json == NULL)
	{
		call->problem = is_too_much ? "the body would take too much memory"
									: "the body is not what the protocol says";
		return NULL;
	}
	callback->func = free_json;
	callback->arg = call->json;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	return call->json;
}
