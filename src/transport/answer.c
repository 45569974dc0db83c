/*
 * answer.c
 *		From what a transfer saw to a request's answer.
 */
#include "postgres.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "rules/text.h"
#include "transport/answer.h"

/* A provider may not put a message off for longer than this. */
#define RETRY_AFTER_MAX_S (7 * 24 * 3600)

/* The beginning of a secret that is still worth hiding, in bytes. */
#define SECRET_PREFIX_MIN 4

void
answer_reset(AnswerBuffer *answer)
{
	answer->status_line[0] = '\0';
	answer->header_bytes = answer->body_len = 0;
	answer->too_long = false;
}

static void
keep_status_line(AnswerBuffer *answer, const char *line, size_t len)
{
	const char *text = memchr(line, ' ', len);
	size_t n = 0;

	if (text == NULL)
		return;
	for (text++; text < line + len && n < STATUS_LINE_MAX - 1; text++)
		if (*text >= 0x20 && *text < 0x7F)
			answer->status_line[n++] = *text;
	answer->status_line[n] = '\0';
}

bool
answer_headers_are_too_long(const AnswerBuffer *answer)
{
	return answer->header_bytes > ANSWER_HEADERS_MAX;
}

/*
 * Takes one header line; false when there are too many.
 */
bool
answer_add_header(AnswerBuffer *answer, const char *line, size_t len)
{
	answer->header_bytes += len;
	if (answer_headers_are_too_long(answer))
		return false;
	if (len > 5 && memcmp(line, "HTTP/", 5) == 0)
		keep_status_line(answer, line, len);
	return true;
}

/*
 * Takes a part of the body; false when it is too long, and what fits was kept.
 */
bool
answer_add_body(AnswerBuffer *answer, const char *data, size_t len)
{
	size_t n = Min(len, ANSWER_MAX - answer->body_len);

	memcpy(answer->body + answer->body_len, data, n);
	answer->body_len += n;
	answer->too_long = n < len;
	return !answer->too_long;
}

/*
 * A provider may repeat what we sent it: a secret must not come back into an
 * event that way, not even the beginning of one where the text was cut.
 */
static void
blank_out(char *text, const char *secret)
{
	size_t len = strlen(secret);
	size_t text_len = strlen(text);

	if (len == 0)
		return;
	for (char *at = strstr(text, secret); at != NULL; at = strstr(at + len, secret))
		memset(at, '*', len);
	for (size_t n = Min(len - 1, text_len); n >= SECRET_PREFIX_MIN; n--)
		if (memcmp(text + text_len - n, secret, n) == 0)
		{
			memset(text + text_len - n, '*', n);
			return;
		}
}

/* Texts of libcurl's may repeat what is no UTF-8. */
static char *
keep_text(const CadenceRequest *request, const char *text)
{
	Size size = strlen(text) + 1;
	char *copy = MemoryContextAlloc(request->context, size);
	ListCell *cell;

	text_copy(copy, size, text);
	foreach (cell, request->configuration->hidden)
		blank_out(copy, lfirst(cell));
	return copy;
}

/* By what the answer says, where there is one. */
static void
judge(CadenceRequest *request, const AnswerReading *reading, int64 retry_after_s)
{
	CadenceAnswer *answer = request->answer;
	const ClassFacts *facts = &cadence_classes[reading->class];
	int64 wait_s = Max(retry_after_s, reading->wait_s);

	answer->class = reading->class;
	answer->outcome = facts->outcome;
	if (reading->class == CLASS_WINDOW_CLOSED && request->has_approved)
		answer->outcome = OUTCOME_OTHERWISE;
	answer->code = facts->code;
	if (reading->scope == SCOPE_RECIPIENT)
	{
		/* for its person it is that, whatever it is for the sender */
		answer->class = CLASS_LATER;
		answer->code = cadence_classes[CLASS_LATER].code;
	}
	answer->is_unknown = reading->is_unknown;
	answer->stops_first_touches = reading->scope == SCOPE_FIRST_TOUCHES;
	answer->is_of_recipient = reading->scope == SCOPE_RECIPIENT;
	answer->of_category = reading->of_category;
	answer->wait_is_own = wait_s > 0;
	answer->says_when = retry_after_s > 0 || reading->says_when;
	if (wait_s <= 0)
		wait_s = facts->wait_s;
	if (reading->class != CLASS_SENT && reading->class != CLASS_DUPLICATE)
		answer->retry_after_us = Min(wait_s, RETRY_AFTER_MAX_S) * USECS_PER_SEC;
}

/*
 * Fills in a request's answer: its outcome and, unless it was sent, the reason,
 * with our secrets blanked out.
 */
void
answer_judge(CadenceRequest *request, const TransferFacts *facts)
{
	CadenceAnswer *answer = request->answer;
	AnswerReading reading = {.class =
								 facts->end == TRANSFER_BROKEN ? CLASS_UNCERTAIN : CLASS_RETRY};
	const char *why = facts->error;

	if (facts->end == TRANSFER_ANSWERED)
	{
		answer_read(request->configuration->definition, &facts->text, &request->message, &reading);
		answer->http_status = facts->text.status;
		answer->number = reading.answer;
		why = reading.class == CLASS_HELD ? "it was accepted, and is held for review"
			  : reading.reason[0] != '\0' ? reading.reason
										  : facts->status_line;
	}
	answer->at = GetCurrentTimestamp();
	answer->elapsed_us = Max(answer->at - facts->started_at, 0);
	judge(request, &reading, facts->retry_after_s);
	if (reading.message_id[0] != '\0')
		answer->message_id = keep_text(request, reading.message_id);
	if (answer->code != NULL)
		answer->reason = keep_text(request, why);
}
