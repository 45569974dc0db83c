/*
 * wish.c
 *		Who wants no more messages, and who wants them again: as an answer says, or
 *		a provider that has asked.
 *
 * What is noted counts for whoever has the address, in that company: a message that
 * is forbidden to one lead would reach the same person as another. Of an address that
 * is nobody's it is noted in the blocklist: somebody may have it later.
 */
#include "postgres.h"

#include "executor/spi.h"

#include "base/row.h"
#include "inbound/acts.h"
#include "rules/opt_out_word.h"

/* So many words are compared, with answers of so many bytes. */
#define WORDS_MAX 1000
#define ANSWER_MAX 400

struct InboundWishes
{
	Statement words;
};

enum
{
	WORD_TEXT = 1,
	WORD_OPTS_IN,
	WORD_ALL_CHANNELS
};

typedef struct Wish
{
	bool opts_in;
	bool all_channels;
} Wish;

/* In the current memory context. */
struct InboundWishes *
inbound_wishes_create(const CadenceTables *t)
{
	struct InboundWishes *w = palloc0(sizeof(*w));

	w->words = (Statement){
		.what = "reading the words of opt-outs",
		.sql = psprintf("SELECT w.word::pg_catalog.text, w.opts_in, w.all_channels FROM %s AS w "
						"ORDER BY w.word",
						t->opt_out_words),
		.expected = SPI_OK_SELECT,
		.context = CurrentMemoryContext};
	return w;
}

/* ---- words --------------------------------------------------------------------------- */

static bool
is_word(int row, const char *said)
{
	char *text = row_text(SPI_tuptable->tupdesc, SPI_tuptable->vals[row], WORD_TEXT, ROW_KEY_MAX);
	char word[OPT_OUT_WORD_SIZE];

	return text != NULL && opt_out_word(text, word) && strcmp(word, said) == 0;
}

/* Whether a whole text is one of the words. */
static bool
says_wish(const InboundEvent *e, const char *text, Wish *wish)
{
	char said[OPT_OUT_WORD_SIZE];
	bool found = false;

	if (text == NULL || strlen(text) > ANSWER_MAX || !opt_out_word(text, said))
		return false;
	statement_execute(&e->acts->wishes->words, NULL, NULL, WORDS_MAX);
	for (int i = 0; i < (int) SPI_processed && !found; i++)
	{
		TupleDesc desc = SPI_tuptable->tupdesc;
		HeapTuple row = SPI_tuptable->vals[i];

		found = is_word(i, said);
		wish->opts_in = row_true(desc, row, WORD_OPTS_IN);
		wish->all_channels = row_true(desc, row, WORD_ALL_CHANNELS);
	}
	SPI_freetuptable(SPI_tuptable);
	return found;
}

/* The same of a message: what its provider has understood, its text, or a mail's subject. */
static bool
message_says_wish(const InboundEvent *e, Wish *wish, const char **said)
{
	static const ReceivedField fields[] = {RECEIVED_CODE, RECEIVED_TEXT, RECEIVED_SUBJECT};

	for (size_t i = 0; i < lengthof(fields); i++)
	{
		*said = inbound_field(e, fields[i]);
		if (says_wish(e, *said, wish))
			return true;
	}
	return false;
}

/* ---- strangers ----------------------------------------------------------------------- */

/* The event's addresses, a number and a mailbox; "" and NULL where it names none. */
static const char *
address_of(const InboundEvent *e, bool is_email)
{
	const char *phone = e->phone[0] != '\0' ? e->phone : NULL;

	return is_email ? inbound_field(e, RECEIVED_EMAIL) : phone;
}

/*
 * The company does not write to an address that wants no more, whoever comes to have
 * it; nobody does where the server is of any company.
 */
InboundResult
inbound_block(const InboundEvent *e, const char *reason)
{
	InboundResult result = INBOUND_UNMATCHED;

	for (int is_email = 0; is_email <= 1; is_email++)
	{
		const char *address = address_of(e, is_email);
		AddressBlock block = {.is_email = is_email,
							  .empresa = e->from->empresa,
							  .reason = reason,
							  .source = e->source,
							  .at = e->at};
		BlockCounts counts;

		if (address == NULL)
			continue;
		counts = cadence_blocks_add_one(e->acts->blocks, &block, address);
		if (counts.added > 0)
			result = INBOUND_DONE;
		else if (counts.known > 0 && result == INBOUND_UNMATCHED)
			result = INBOUND_REPEATED;
	}
	return result;
}

/* Takes back what the person has said of the event's addresses, and nobody else. */
bool
inbound_unblock(const InboundEvent *e)
{
	bool found = false;

	for (int is_email = 0; is_email <= 1; is_email++)
	{
		const char *address = address_of(e, is_email);
		AddressBlock block = {
			.is_email = is_email, .empresa = e->from->empresa, .source = e->source, .at = e->at};

		if (address != NULL && cadence_blocks_remove(e->acts->blocks, &block, address))
			found = true;
	}
	return found;
}

/*
 * A message of nobody's that is one of the words. It may have been told before, so one
 * that does not say when it was takes nothing back.
 */
void
inbound_hear_stranger(const InboundEvent *e)
{
	const char *said;
	Wish wish;

	if (!message_says_wish(e, &wish, &said))
		return;
	if (!wish.opts_in)
		(void) inbound_block(e, BLOCK_OPT_OUT);
	else if (e->event->has_time)
		(void) inbound_unblock(e);
}

/* ---- acts ---------------------------------------------------------------------------- */

/* How somebody has said that they want no more, in a word. */
static const char *
how_said(const InboundEvent *e)
{
	if (e->event->kind == RECEIVED_MESSAGE)
		return "reply";
	if (e->event->kind == RECEIVED_COMPLAINT)
		return "complaint";
	return strcmp(e->source, BLOCK_BY_LINK) == 0 ? "link" : "provider";
}

static bool
note_opt_outs(const InboundEvent *e, const InboundPersons *people, const InboundStop *stop,
			  const char *categoria)
{
	OptOut said[PEOPLE_MAX];

	for (int i = 0; i < people->n; i++)
		said[i] = (OptOut){.lead_id = people->list[i].lead_id,
						   .empresa = people->list[i].empresa,
						   .canal = stop->canal,
						   .categoria = categoria,
						   .motivo = stop->motivo,
						   .origem = e->source,
						   .at = e->at,
						   .how = how_said(e)};
	return cadence_opt_outs_add(e->acts->opt_outs, said, people->n) > 0;
}

/*
 * Notes that people want no more, and stops what would use the channel. Of one
 * category only, what comes to its step is looked at there. False: it was known, and
 * stops nothing.
 */
bool
inbound_opt_out(const InboundEvent *e, const InboundPersons *people, const InboundStop *stop,
				const char *categoria)
{
	InboundPersons in_order = inbound_in_order(people);
	bool is_new = note_opt_outs(e, &in_order, stop, categoria);

	if (categoria == NULL && inbound_stop_all(e, &in_order, stop) > 0)
		is_new = true;
	return is_new;
}

static bool
take_back(const InboundEvent *e, const InboundPersons *people, const char *canal,
		  const char *categoria)
{
	int64 n = 0;

	for (int i = 0; i < people->n; i++)
	{
		OptOut said = {.lead_id = people->list[i].lead_id,
					   .empresa = people->list[i].empresa,
					   .canal = canal,
					   .categoria = categoria,
					   .at = e->at};

		n += cadence_opt_outs_remove(e->acts->opt_outs, &said);
	}
	return n > 0;
}

/*
 * Does what an answer wants that is one of the words; false: it is none. It is an
 * answer, too: its opt-outs are noted before the first run is locked.
 */
bool
inbound_hear_wish(InboundEvent *e, const InboundPersons *people, const pg_uuid_t *answer)
{
	InboundStop reply = {.reason = STOP_REPLY, .answer = answer};
	InboundStop stop = {.reason = STOP_WISH, .answer = answer};
	InboundPersons all = *people;
	Wish wish;

	if (!message_says_wish(e, &wish, &stop.motivo))
		return false;
	stop.canal = wish.all_channels ? NULL : e->canal;
	(void) inbound_find_address(e, &all);
	all = inbound_in_order(&all);
	if (wish.opts_in)
	{
		(void) take_back(e, &all, stop.canal, NULL);
		(void) inbound_unblock(e);
	}
	else
		(void) note_opt_outs(e, &all, &stop, NULL);
	for (int i = 0; i < all.n; i++)
	{
		if (inbound_is_among(people, &all.list[i]))
			(void) inbound_stop_runs(e, &all.list[i], &reply);
		if (!wish.opts_in)
			(void) inbound_stop_runs(e, &all.list[i], &stop);
	}
	return true;
}

/* Meta's switch is one for offers alone; what else was asked for still goes. */
static const char *
category_of(const InboundEvent *e)
{
	const char *code = inbound_field(e, RECEIVED_CODE);

	return code != NULL && pg_strncasecmp(code, "marketing", strlen("marketing")) == 0 ? "MARKETING"
																					   : NULL;
}

/* Told again it must not take back what was said since. */
static void
require_time(const InboundEvent *e)
{
	if (!e->event->has_time)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("it is not known when the opt-in was: it takes nothing back")));
}

/* What a provider tells that has asked the person. */
InboundResult
inbound_wish(InboundEvent *e)
{
	InboundStop stop = {.reason = STOP_WISH, .canal = e->canal};
	InboundPersons people = {.n = 0};
	bool opts_in = e->event->kind == RECEIVED_OPT_IN;
	bool is_new = false;
	InboundMessage sent;

	if (opts_in)
	{
		require_time(e);
		is_new = inbound_unblock(e);
	}
	if (inbound_find_sent(e, &sent) && sent.person.lead_id != NULL && sent.person.empresa != NULL)
		people.list[people.n++] = sent.person;
	else
		inbound_find_people(e, &people);
	(void) inbound_find_address(e, &people);
	if (people.n == 0 && opts_in)
		return is_new ? INBOUND_DONE : INBOUND_UNMATCHED;
	if (people.n == 0)
		return inbound_block(e, BLOCK_OPT_OUT);
	inbound_learn(e, &people.list[0]);
	stop.motivo = inbound_field(e, RECEIVED_TEXT);
	people = inbound_in_order(&people);
	if (opts_in ? take_back(e, &people, e->canal, category_of(e))
				: inbound_opt_out(e, &people, &stop, category_of(e)))
		is_new = true;
	return is_new ? INBOUND_DONE : INBOUND_REPEATED;
}
