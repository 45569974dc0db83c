/*
 * received_field.c
 *		A field of an event, from where it stands to how the program has it.
 *
 * A field that is taken from around an element is short (RECEIVED_FIELD_MAX), or
 * a large text there would be copied for each element.
 */
#include "rules/received_field.h"

#include <stdlib.h>
#include <string.h>

#include "rules/receive_reader.h"
#include "rules/text.h"

/* ---- texts -------------------------------------------------------------------------- */

/* Room for so many more bytes. */
static bool
make_room(ReceivedTexts *texts, size_t len)
{
	size_t size = texts->size < 4096 ? 4096 : texts->size;
	char *at;

	while (size < texts->used + len)
		size *= 2;
	if (size == texts->size)
		return true;
	at = realloc(texts->at, size);
	if (at == NULL)
	{
		texts->is_short = true;
		return false;
	}
	texts->at = at;
	texts->size = size;
	return true;
}

static bool
is_control(char c)
{
	return (unsigned char) c < 0x20 || c == 0x7F;
}

/*
 * Adds a text, cut at a character's edge: what is no UTF-8 and what is no
 * character becomes a blank, but lines stay lines where there can be some.
 */
static bool
add_text(ReceivedTexts *texts, Slice s, size_t most, bool has_lines)
{
	char *to;
	size_t n = 0;

	if (!make_room(texts, (s.len < most ? s.len : most) + 1))
		return false;
	to = texts->at + texts->used;
	while (s.len > 0)
	{
		size_t len = text_character(s.at, s.len);
		bool is_line = has_lines && (*s.at == '\n' || *s.at == '\t');
		bool is_return = has_lines && slice_begins(s, "\r\n");

		if (n + (len > 0 ? len : 1) > most)
			break;
		if (len == 0 || (is_control(*s.at) && !is_line))
			to[n] = ' ';
		else
			memcpy(to + n, s.at, len);
		len = len > 0 ? len : 1;
		n += is_return ? 0 : len;
		s.at += len;
		s.len -= len;
	}
	to[n] = '\0';
	texts->used += n + 1;
	return n > 0;
}

/* ---- one field ---------------------------------------------------------------------- */

static bool
is_mapped(const ReceiveValue *v, Slice *s)
{
	if (v->nmap == 0)
		return true;
	for (size_t i = 0; i < v->nmap; i++)
		if (slice_is(*s, v->map[i].from))
		{
			*s = (Slice){v->map[i].to, strlen(v->map[i].to)};
			return true;
		}
	return false;
}

/* Whoever it is, by the shape. */
static bool
identity(Slice s, bool is_international, char *to)
{
	return received_lid(s, to) || received_phone(s, is_international, to) || received_email(s, to);
}

/* As a mail's header has a name. */
static Slice
without_quotes(Slice s)
{
	return s.len > 1 && s.at[0] == '"' && s.at[s.len - 1] == '"' ? (Slice){s.at + 1, s.len - 2} : s;
}

/* Adds a text as its field has it, if it fits. */
static bool
add_field(ReceivedTexts *texts, const ReceiveValue *v, ReceivedKind kind, Slice s, bool is_own)
{
	char address[RECEIVED_ADDRESS_SIZE];
	bool is_international = texts->is_international;
	bool is_known = false;

	switch (v->field)
	{
		case RECEIVED_TEXT:
			return add_text(texts, s, is_own ? RECEIVED_TEXT_MAX : RECEIVED_FIELD_MAX, true);
		case RECEIVED_STATE:
			if (s.len >= sizeof(address))
				return false;
			memcpy(address, s.at, s.len);
			address[s.len] = '\0';
			is_known = received_state_named(kind, address) != STATE_NONE;
			break;
		case RECEIVED_PHONE:
			is_known = received_phone(s, is_international, address);
			break;
		case RECEIVED_EMAIL:
			is_known = received_email(s, address);
			break;
		case RECEIVED_LID:
			is_known = received_lid(s, address);
			break;
		case RECEIVED_OLD:
		case RECEIVED_NEW:
			if (!identity(s, is_international, address))
				return add_text(texts, s, RECEIVED_FIELD_MAX, false);
			is_known = true;
			break;
		case RECEIVED_NAME:
			return add_text(texts, without_quotes(s), RECEIVED_FIELD_MAX, false);
		default:
			return add_text(texts, s, RECEIVED_FIELD_MAX, false);
	}
	return is_known && add_text(texts, (Slice){address, strlen(address)}, sizeof(address), false);
}

static bool
has(const char *affix, Slice s, bool (*fits)(Slice s, const char *text))
{
	return affix == NULL || fits(s, affix);
}

/* The same with what it must begin and end with. */
static bool
add_whole(ReceivedTexts *texts, const ReceiveValue *v, ReceivedKind kind, Slice s, bool is_own)
{
	char whole[RECEIVED_FIELD_MAX + 1];
	const char *begin = has(v->begin, s, slice_begins) ? "" : v->begin;
	const char *end = has(v->end, s, slice_ends) ? "" : v->end;
	size_t nbegin = strlen(begin);
	size_t nend = strlen(end);

	if ((nbegin == 0 && nend == 0) || nbegin + s.len + nend > RECEIVED_FIELD_MAX)
		return add_field(texts, v, kind, s, is_own);
	memcpy(whole, begin, nbegin);
	memcpy(whole + nbegin, s.at, s.len);
	memcpy(whole + nbegin + s.len, end, nend);
	return add_field(texts, v, kind, (Slice){whole, nbegin + s.len + nend}, is_own);
}

/* What stands at a place, as the field's; false: nothing does that fits. */
static bool
add_from(ReceivedTexts *texts, const ReceiveValue *v, ReceivedKind kind, const ReceivePlace *place,
		 const ReceivedElement *element)
{
	NumberText number;
	Slice s;

	if (!received_slice(received_at(place, element), &number, &s))
		return false;
	if (place->up != 0 && s.len > RECEIVED_FIELD_MAX)
		s.len = RECEIVED_FIELD_MAX;
	if (v->after != NULL)
		s = slice_after(s, v->after);
	for (const char *const *mark = v->until; mark != NULL && *mark != NULL; mark++)
		s = slice_until(s, *mark);
	s = slice_trimmed(s);
	return s.len > 0 && is_mapped(v, &s) && add_whole(texts, v, kind, s, place->up == 0);
}

/*
 * Adds the text of a field, terminated, where one of its places has a value that
 * is fit for it; false: none has.
 */
bool
received_add(ReceivedTexts *texts, const ReceiveValue *v, ReceivedKind kind,
			 const ReceivedElement *element)
{
	for (size_t i = 0; i < v->places.n; i++)
	{
		size_t used = texts->used;

		if (add_from(texts, v, kind, &v->places.list[i], element))
			return true;
		texts->used = used;
	}
	return v->constant != NULL &&
		   add_field(texts, v, kind, (Slice){v->constant, strlen(v->constant)}, true);
}
