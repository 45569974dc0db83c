/*
 * person.c
 *		Whose an event is.
 *
 * Who answers a message of ours is whom that was sent to. Else WhatsApp's user id
 * or LID tells, and then the number or the mailbox: as the contacts have it now,
 * and only then as it was learned. Where two leads of a company share an address
 * they are one person; in another company it is another.
 *
 * A number is found by its last eight digits, however it was typed, and compared in
 * E.164. What names somebody beside that is learned from what comes back, into
 * lead_identities.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/formatting.h"
#include "utils/lsyscache.h"

#include "base/row.h"
#include "inbound/acts.h"
#include "schema/key.h"
#include "schema/marks.h"

/* What cadence_erase() says of an opt-out. */
#define OPT_OUT_ERASED "erased"

/* So many rows of one address are looked at. */
#define CANDIDATES_MAX "200"

struct InboundPeople
{
	Statement country;
	Statement by_phone;
	Statement by_email;
	Statement by_identity;
	Statement learn;
};

enum
{
	FOUND_LEAD = 1,
	FOUND_EMPRESA,
	FOUND_TELEFONE,
	FOUND_E164,
	FOUND_PAIS
};

static const Oid one_type[] = {TEXTOID};
static const Oid address_types[] = {TEXTOID, TEXTOID};
static const Oid identity_types[] = {TEXTOID, TEXTOID, TEXTOID, TEXTOID};
static const Oid learn_types[] = {TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID};

/* ---- statements ---------------------------------------------------------------------- */

/* As the indexes that cadence_create_tables() makes have it. */
#define TAIL(column)                                                               \
	"pg_catalog.\"right\"(pg_catalog.regexp_replace(" column "::pg_catalog.text, " \
	"'[^0-9]'::pg_catalog.text, ''::pg_catalog.text, 'g'::pg_catalog.text), 8)"

static char *
company_is(const CadenceTables *t, const char *alias, const char *value)
{
	return psprintf("(%s IS NULL OR %s)", value,
					cadence_key_is(t, "lead_contacts", alias, "empresa", value));
}

/* Who is in a cadence first, then whoever was changed last. */
static char *
contacts_sql(const CadenceTables *t, const char *found, const char *e164)
{
	return psprintf(
		"SELECT x.lead_id::pg_catalog.text, x.empresa::pg_catalog.text, "
		"x.telefone::pg_catalog.text, x.%s::pg_catalog.text, (SELECT c.pais::pg_catalog.text "
		"FROM %s AS c WHERE %s LIMIT 1) FROM (%s) AS x WHERE x.lead_id IS NOT NULL "
		"AND x.empresa IS NOT NULL ORDER BY EXISTS (SELECT FROM %s AS r WHERE %s AND %s "
		"AND r.status " EQ " 'ATIVA') DESC, x.updated_at DESC NULLS LAST, "
		"x.lead_id::pg_catalog.text LIMIT " CANDIDATES_MAX,
		e164, t->empresas, cadence_key_is(t, "cadence_empresas", "c", "empresa", "x.empresa"),
		found, t->runs, cadence_key_is(t, "lead_cadence_runs", "r", "lead_id", "x.lead_id"),
		cadence_key_is(t, "lead_cadence_runs", "r", "empresa", "x.empresa"));
}

static char *
by_phone_sql(const CadenceTables *t)
{
	const char *where = company_is(t, "k", "$2");
	char *found = psprintf("SELECT k.* FROM %s AS k WHERE " TAIL("k.telefone") " " EQ " $1 AND %s",
						   t->contacts, where);

	/* who has both is found twice, which makes no difference */
	if (cadence_contacts_have_e164(t))
		found = psprintf("%s UNION ALL SELECT k.* FROM %s AS k WHERE " TAIL(
							 "k.telefone_e164") " " EQ " $1 AND %s",
						 found, t->contacts, where);
	return contacts_sql(t, found, cadence_contacts_have_e164(t) ? "telefone_e164" : "telefone");
}

static char *
by_email_sql(const CadenceTables *t)
{
	char *found = psprintf("SELECT k.* FROM %s AS k WHERE pg_catalog.\"left\"("
						   "pg_catalog.lower(k.email::pg_catalog.text), 320) " EQ
						   " pg_catalog.lower($1) AND %s",
						   t->contacts, company_is(t, "k", "$2"));

	return contacts_sql(t, found, "telefone");
}

/* Who is no contact any more is found by nothing that was learned. */
static char *
by_identity_sql(const CadenceTables *t)
{
	return psprintf("SELECT i.lead_id::pg_catalog.text, i.empresa::pg_catalog.text "
					"FROM %s AS i WHERE i.value " EQ " ANY (ARRAY[$1, $2]) AND i.kind " EQ " $3 "
					"AND %s AND EXISTS (SELECT FROM %s AS k WHERE %s AND %s) "
					"ORDER BY i.created_at DESC, i.lead_id LIMIT " CANDIDATES_MAX,
					t->identities, company_is(t, "i", "$4"), t->contacts,
					cadence_key_is(t, "lead_contacts", "k", "lead_id", "i.lead_id"),
					cadence_key_is(t, "lead_contacts", "k", "empresa", "i.empresa"));
}

/* What is known already is not written again; who is gone from the contacts, or erased, is not
 * known again. */
static char *
learn_sql(const CadenceTables *t)
{
	return psprintf("INSERT INTO %s AS i (lead_id, empresa, kind, value, source, created_at) "
					"SELECT $1, $2, $3, $4, $5, " NOW " WHERE NOT EXISTS (SELECT FROM %s AS x "
					"WHERE x.value " EQ " $4 AND x.kind " EQ " $3 AND x.empresa " EQ " $2 "
					"AND x.lead_id " EQ " $1) AND EXISTS (SELECT FROM %s AS k WHERE %s AND %s) "
					"AND NOT EXISTS (SELECT FROM %s AS o WHERE %s AND o.motivo " EQ
					" '" OPT_OUT_ERASED "') ON CONFLICT (value, kind, empresa) DO UPDATE SET "
					"lead_id = EXCLUDED.lead_id, source = EXCLUDED.source, "
					"created_at = EXCLUDED.created_at",
					t->identities, t->identities, t->contacts,
					cadence_key_is(t, "lead_contacts", "k", "lead_id", "$1"),
					cadence_key_is(t, "lead_contacts", "k", "empresa", "$2"), t->opt_outs,
					cadence_opt_out_is_of(t, "o", "$1", "$2"));
}

/* In the current memory context. */
struct InboundPeople *
inbound_people_create(const CadenceTables *t)
{
	struct InboundPeople *p = palloc0(sizeof(*p));

	p->country = STATEMENT("looking for a company's country",
						   psprintf("SELECT c.pais::pg_catalog.text FROM %s AS c WHERE %s LIMIT 1",
									t->empresas,
									cadence_key_is(t, "cadence_empresas", "c", "empresa", "$1")),
						   one_type, SPI_OK_SELECT);
	p->by_phone =
		STATEMENT("looking for whose number it is", by_phone_sql(t), address_types, SPI_OK_SELECT);
	p->by_email =
		STATEMENT("looking for whose mailbox it is", by_email_sql(t), address_types, SPI_OK_SELECT);
	p->by_identity = STATEMENT("looking for who is known by that", by_identity_sql(t),
							   identity_types, SPI_OK_SELECT);
	p->learn = STATEMENT("learning an identity", learn_sql(t), learn_types, SPI_OK_INSERT);
	return p;
}

/* ---- numbers ------------------------------------------------------------------------- */

static char *
country_of(const InboundEvent *e)
{
	Datum values[] = {CStringGetTextDatum(e->from->empresa)};
	char *country = NULL;

	statement_execute(&e->acts->people->country, values, NULL, 1);
	if (SPI_processed > 0)
		country = row_text(SPI_tuptable->tupdesc, SPI_tuptable->vals[0], 1, ROW_KEY_MAX);
	SPI_freetuptable(SPI_tuptable);
	return country;
}

/* A number that an event tells, in E.164; false: it can be none. */
bool
inbound_read_number(const InboundEvent *e, const char *told, char *e164)
{
	const char *country = NULL;

	if (e->from->is_international && told[0] != '+')
		told = psprintf("+%s", told);
	else if (told[0] != '+' && e->from->empresa != NULL)
		country = country_of(e);
	return phone_e164(told, country, e164);
}

/* Reads the number of an event's person. */
void
inbound_read_phone(InboundEvent *e)
{
	const char *told = inbound_field(e, RECEIVED_PHONE);

	if (told == NULL || !inbound_read_number(e, told, e->phone))
		e->phone[0] = '\0';
}

/* ---- finding ------------------------------------------------------------------------- */

static int
by_company_and_lead(const void *a, const void *b)
{
	const InboundPerson *left = a;
	const InboundPerson *right = b;
	int order = strcmp(left->empresa, right->empresa);

	return order != 0 ? order : strcmp(left->lead_id, right->lead_id);
}

/* Whoever locks what is of several people does it in this order. */
InboundPersons
inbound_in_order(const InboundPersons *people)
{
	InboundPersons in_order = *people;

	qsort(in_order.list, in_order.n, sizeof(in_order.list[0]), by_company_and_lead);
	return in_order;
}

bool
inbound_is_among(const InboundPersons *people, const InboundPerson *person)
{
	for (int i = 0; i < people->n; i++)
		if (by_company_and_lead(&people->list[i], person) == 0)
			return true;
	return false;
}

static void
add_person(InboundPersons *found, const char *lead_id, const char *empresa)
{
	InboundPerson person = {(char *) lead_id, (char *) empresa};

	if (lead_id == NULL || empresa == NULL || found->n == PEOPLE_MAX ||
		inbound_is_among(found, &person))
		return;
	found->list[found->n++] = (InboundPerson){pstrdup(lead_id), pstrdup(empresa)};
}

/* Of a server for all companies, an address that several know tells of nobody. */
static void
forget_several_companies(const InboundEvent *e, InboundPersons *found)
{
	for (int i = 1; i < found->n && e->from->empresa == NULL; i++)
		if (strcmp(found->list[i].empresa, found->list[0].empresa) != 0)
			found->n = 0;
}

static char *
column(int row, int number)
{
	return row_text(SPI_tuptable->tupdesc, SPI_tuptable->vals[row], number, ROW_KEY_MAX);
}

static bool
is_number(const char *stored, const char *country, const char *e164)
{
	char own[PHONE_E164_SIZE];

	return stored != NULL && phone_e164(stored, country, own) && phone_is_same(own, e164);
}

static void
find_contacts(const InboundEvent *e, Statement *find, const char *key, InboundPersons *found)
{
	const char *empresa = e->from->empresa;
	Datum values[] = {CStringGetTextDatum(key),
					  empresa != NULL ? CStringGetTextDatum(empresa) : (Datum) 0};
	bool by_phone = find == &e->acts->people->by_phone;

	statement_execute(find, values, empresa != NULL ? NULL : " n", 0);
	for (int i = 0; i < (int) SPI_processed; i++)
	{
		char *country = column(i, FOUND_PAIS);

		if (!by_phone || is_number(column(i, FOUND_TELEFONE), country, e->phone) ||
			is_number(column(i, FOUND_E164), country, e->phone))
			add_person(found, column(i, FOUND_LEAD), column(i, FOUND_EMPRESA));
	}
	SPI_freetuptable(SPI_tuptable);
}

/* As it is kept, and compared: mailboxes are the same in any case. */
static const char *
as_kept(const char *kind, const char *value)
{
	return strcmp(kind, "email") == 0 ? asc_tolower(value, strlen(value)) : value;
}

void
inbound_find_identity(const InboundEvent *e, const char *kind, const char *told,
					  InboundPersons *found)
{
	const char *empresa = e->from->empresa;
	const char *value = as_kept(kind, told);
	char other[PHONE_E164_SIZE];
	bool has_other = strcmp(kind, "phone") == 0 && phone_other(value, other);
	Datum values[] = {CStringGetTextDatum(value), CStringGetTextDatum(has_other ? other : value),
					  CStringGetTextDatum(kind),
					  empresa != NULL ? CStringGetTextDatum(empresa) : (Datum) 0};

	statement_execute(&e->acts->people->by_identity, values, empresa != NULL ? NULL : "   n", 0);
	for (int i = 0; i < (int) SPI_processed; i++)
		add_person(found, column(i, FOUND_LEAD), column(i, FOUND_EMPRESA));
	SPI_freetuptable(SPI_tuptable);
}

/*
 * Those whose address the event names, added to what was found before, in whose
 * company they are; false: it is nobody's there.
 */
bool
inbound_find_address(const InboundEvent *e, InboundPersons *found)
{
	const char *email = inbound_field(e, RECEIVED_EMAIL);
	InboundPersons here = {.n = 0};
	bool is_known = false;

	if (e->phone[0] != '\0')
		find_contacts(e, &e->acts->people->by_phone, phone_tail(e->phone), &here);
	if (here.n == 0 && e->phone[0] != '\0')
		inbound_find_identity(e, "phone", e->phone, &here);
	if (here.n == 0 && email != NULL)
		find_contacts(e, &e->acts->people->by_email, email, &here);
	if (here.n == 0 && email != NULL)
		inbound_find_identity(e, "email", email, &here);
	if (found->n == 0)
		forget_several_companies(e, &here);
	for (int i = 0; i < here.n; i++)
		if (found->n == 0 || strcmp(found->list[0].empresa, here.list[i].empresa) == 0)
		{
			add_person(found, here.list[i].lead_id, here.list[i].empresa);
			is_known = true;
		}
	return is_known;
}

/*
 * Whose an event is that quotes no message of ours: the first of them is the most
 * likely. Leads that share a number are all found, whatever else one is known by.
 */
void
inbound_find_people(const InboundEvent *e, InboundPersons *found)
{
	const char *user_id = inbound_field(e, RECEIVED_USER_ID);
	const char *lid = inbound_field(e, RECEIVED_LID);

	found->n = 0;
	if (user_id != NULL)
		inbound_find_identity(e, "wa_user_id", user_id, found);
	if (found->n == 0 && lid != NULL)
		inbound_find_identity(e, "wa_lid", lid, found);
	forget_several_companies(e, found);
	(void) inbound_find_address(e, found);
}

/* ---- learning ------------------------------------------------------------------------ */

/* False: it is known already. */
bool
inbound_learn_as(const InboundEvent *e, const InboundPerson *person, const char *kind,
				 const char *value)
{
	Datum values[] = {CStringGetTextDatum(person->lead_id), CStringGetTextDatum(person->empresa),
					  CStringGetTextDatum(kind), CStringGetTextDatum(as_kept(kind, value)),
					  CStringGetTextDatum(e->source)};

	statement_execute(&e->acts->people->learn, values, NULL, 0);
	return SPI_processed > 0;
}

/* By what a person is known beside what its contact says. */
void
inbound_learn(const InboundEvent *e, const InboundPerson *person)
{
	const char *user_id = inbound_field(e, RECEIVED_USER_ID);
	const char *lid = inbound_field(e, RECEIVED_LID);

	if (user_id != NULL)
		(void) inbound_learn_as(e, person, "wa_user_id", user_id);
	if (lid != NULL)
		(void) inbound_learn_as(e, person, "wa_lid", lid);
}
