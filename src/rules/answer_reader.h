/*
 * answer_reader.h
 *		What an answer says about the message.
 */
#ifndef CADENCE_ANSWER_READER_H
#define CADENCE_ANSWER_READER_H

#include "rules/definition.h"

/* An answer as it came; the body needs no terminator. */
typedef struct AnswerText
{
	long status;
	const char *content_type; /* NULL: none was given */
	const char *body;
	size_t body_len;
	bool is_cut;										/* the body was longer than is read */
	const char *(*header)(void *arg, const char *name); /* a header's value, NULL: none */
	void *header_arg;
} AnswerText;

/* What the rules ask of the message that it answers. */
typedef struct AnsweredMessage
{
	const char *channel;
	const char *category;  /* of an approved template, NULL: it is none */
	const char *recipient; /* as the provider got it */
	const char *earlier;   /* answers at its step, as numbers, the latest first; NULL: none */
} AnsweredMessage;

#define ANSWER_REASON_MAX 512
#define ANSWER_ID_MAX 256
#define ANSWER_CODE_MAX 64

typedef struct AnswerReading
{
	CadenceClass class;
	bool is_unknown;  /* no rule knows this refusal: the class is a guess */
	bool of_category; /* it is said of messages of this one's category alone */
	RuleScope scope;
	bool says_when; /* it names the wait itself */
	long wait_s;	/* 0: not said */
	char reason[ANSWER_REASON_MAX];
	char message_id[ANSWER_ID_MAX]; /* each "" where the answer names none */
	char code[ANSWER_CODE_MAX];
	uint32_t answer;  /* which one it is, as a number: the same for the same */
	int times;		  /* that it has come at this step, with this one; */
	int times_in_row; /* and without another between them */
} AnswerReading;

extern void answer_read(const Definition *d, const AnswerText *answer,
						const AnsweredMessage *message, AnswerReading *reading);

#endif
