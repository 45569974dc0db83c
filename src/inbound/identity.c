/*
 * identity.c
 *		A person's number, or WhatsApp's name for it, is another now.
 */
#include "postgres.h"

#include "inbound/acts.h"

/*
 * What kind of name a text is that may be any, and as what it is kept, in a buffer
 * of RECEIVED_FIELD_MAX and one; NULL: none.
 */
static const char *
kind_of(const InboundEvent *e, const char *text, char *value)
{
	size_t len = strlen(text);
	char e164[PHONE_E164_SIZE];

	strlcpy(value, text, RECEIVED_FIELD_MAX + 1);
	if (len > 4 && strcmp(text + len - 4, "@lid") == 0)
		return "wa_lid";
	if (strchr(text, '@') != NULL)
		return "email";
	if (inbound_read_number(e, text, e164))
	{
		strcpy(value, e164);
		return "phone";
	}
	return text[0] != '\0' ? "wa_user_id" : NULL;
}

static void
find_by_old(const InboundEvent *e, const char *old, InboundPersons *people)
{
	char *value = palloc(RECEIVED_FIELD_MAX + 1);
	const char *kind = kind_of(e, old, value);
	InboundEvent before = *e;

	if (kind != NULL && strcmp(kind, "phone") == 0)
	{
		strcpy(before.phone, value);
		(void) inbound_find_address(&before, people);
	}
	else if (kind != NULL)
		inbound_find_identity(e, kind, value, people);
}

/* Whoever was known by the old one is known by the new one, too. The contact is its owner's. */
InboundResult
inbound_identity(InboundEvent *e)
{
	const char *old = inbound_field(e, RECEIVED_OLD);
	const char *new = inbound_field(e, RECEIVED_NEW);
	char *value = palloc(RECEIVED_FIELD_MAX + 1);
	InboundPersons people = {.n = 0};
	const char *kind = new != NULL ? kind_of(e, new, value) : NULL;

	if (kind == NULL)
		return INBOUND_NOTHING;
	inbound_find_people(e, &people);
	if (people.n == 0 && old != NULL)
		find_by_old(e, old, &people);
	if (people.n == 0)
		return INBOUND_UNMATCHED;
	inbound_learn(e, &people.list[0]);
	return inbound_learn_as(e, &people.list[0], kind, value) ? INBOUND_DONE : INBOUND_REPEATED;
}
