/*
 * definition.h
 *		A protocol's definition, compiled: how an API is spoken, as data.
 *
 * Made once per configuration, then only read. Everything hangs on one arena,
 * malloc'd, so that units and fuzzers build without the server.
 */
#ifndef CADENCE_DEFINITION_H
#define CADENCE_DEFINITION_H

#include <stdbool.h>
#include <stddef.h>

#include "rules/class.h"
#include "rules/template.h"

/* What a message brings along; the names are those of placeholders. */
typedef enum MessageField
{
	FIELD_RECIPIENT,
	FIELD_MESSAGE,
	FIELD_SUBJECT,
	FIELD_HTML,
	FIELD_KEY,
	FIELD_RUN_ID,
	FIELD_LEAD_ID,
	FIELD_EMPRESA,
	FIELD_STEP,
	FIELD_TEMPLATE_CODE,
	FIELD_CHANNEL,
	FIELD_MEDIA_URL,
	FIELD_MEDIA_TYPE, /* image, audio, video or document */
	FIELD_MEDIA_MIME,
	FIELD_MEDIA_NAME,
	FIELD_MEDIA_EXTENSION, /* of its name, else of its address */
	FIELD_MEDIA_CAPTION,
	FIELD_TEMPLATE_NAME,
	FIELD_TEMPLATE_LANGUAGE,
	FIELD_TEMPLATE_CATEGORY,
	FIELD_TEMPLATE_COMPONENTS,
	FIELD_TEMPLATE_VARIABLES,
	FIELD_UNSUBSCRIBE_URL,
	FIELD_UNSUBSCRIBE_POST, /* what RFC 8058 has stand beside it */
	FIELD_EVENT,			/* news for other tools, as JSON */
	/* of an address only */
	FIELD_E164,
	FIELD_DIGITS,
	FIELD_AS_STORED,
	FIELD_COUNT
} MessageField;

/* Whether what a placeholder names is JSON already, and no text. */
static inline bool
field_is_json(int value)
{
	return value == FIELD_STEP || value == FIELD_TEMPLATE_COMPONENTS ||
		   value == FIELD_TEMPLATE_VARIABLES || value == FIELD_EVENT;
}

/*
 * Values by number: a message's fields, then the server's options, then its
 * mapping's secrets, both in the definition's order. NULL and "" are no value.
 */
typedef const char *const *Values;

/* A text with placeholders. */
typedef struct DefinitionText
{
	TemplatePart *parts; /* whose value is a number of Values */
	size_t nparts;
} DefinitionText;

typedef struct NamedText
{
	const char *name;
	DefinitionText text;
	struct BodyNode *json; /* instead of the text: written as JSON; NULL: none */
} NamedText;

typedef struct NamedTexts
{
	NamedText *list;
	size_t n;
} NamedTexts;

typedef enum BodyKind
{
	BODY_LITERAL,
	BODY_TEXT,
	BODY_OBJECT,
	BODY_ARRAY
} BodyKind;

/* A JSON value of a request's body. */
typedef struct BodyNode
{
	const char *name; /* in its object, quoted and with its colon; NULL: none */
	BodyKind kind;
	const char *literal;
	DefinitionText text;
	bool keep_null; /* written as null where it has no value, not left out */
	struct BodyNode *children;
	size_t n;
} BodyNode;

typedef struct DefinitionOperation
{
	const char *name;
	const char *method;
	DefinitionText url;
	NamedTexts headers;
	NamedTexts query;
	NamedTexts form;
	BodyNode *json;			/* NULL: none */
	DefinitionText *basic;	/* user and password; NULL: none */
	unsigned long fields;	/* of the message that it names, a bit for each */
	int when_option;		/* only where this one among Values ... */
	const char *when_value; /* ... is this; NULL: always */
} DefinitionOperation;

/* A value of an option that its provider takes no longer from a day on. */
typedef struct OptionEnd
{
	const char *value;
	const char *date; /* YYYY-MM-DD */
} OptionEnd;

/* An option of the server, or a secret of its user mapping. */
typedef struct DefinitionOption
{
	const char *name;
	const char *otherwise; /* NULL: no default */
	const char *help;
	const char *alternative;   /* instead of which it is required; NULL: none */
	const char *excludes;	   /* that can not be given beside it; NULL: none */
	const char *const *values; /* NULL: any; else NULL at its end */
	size_t min_length;		   /* of a secret that stands in an address; 0: any */
	OptionEnd *ends;
	size_t nends;
	bool required;
	bool is_previous; /* a secret that was, while another is rotated */
} DefinitionOption;

typedef struct DefinitionOptions
{
	DefinitionOption *list;
	size_t n;
} DefinitionOptions;

/* Where something stands in an answer: a JSON pointer, cut, or a header. */
typedef struct AnswerPlace
{
	const char *header;		  /* NULL: a pointer */
	const char *const *steps; /* NULL at the end */
} AnswerPlace;

typedef struct AnswerPlaces
{
	AnswerPlace *list;
	size_t n;
} AnswerPlaces;

/* An answer's value is one of these; as texts, or from first to last. */
typedef struct AnswerMatch
{
	const char *text;
	bool is_string;
	bool is_range;
	long first;
	long last;
} AnswerMatch;

typedef struct AnswerMatches
{
	AnswerMatch *list;
	size_t n;
} AnswerMatches;

/* Of whom an answer speaks, where that is not what its class says. */
typedef enum RuleScope
{
	SCOPE_OF_CLASS,
	SCOPE_FIRST_TOUCHES, /* "later": all who were not written to before */
	SCOPE_RECIPIENT		 /* "slow_down": this one alone, unless several get it */
} RuleScope;

/* What has no entries holds for every answer. */
typedef struct ClassRule
{
	AnswerMatches status;
	AnswerMatches code;
	AnswerMatches text; /* a part of it, any case */
	AnswerMatches channel;
	AnswerMatches category;
	AnswerMatches recipient; /* its beginning */
	const AnswerPlace *place;
	AnswerMatches value; /* of it; none: something is there */
	int times;			 /* when it has come so many times at a step */
	long wait_s;		 /* 0: not said */
	CadenceClass class;
	RuleScope scope;
} ClassRule;

typedef struct Definition
{
	struct Arena *arena; /* all of it */
	const char *const *channels;
	bool is_smtp;
	DefinitionOptions options;
	DefinitionOptions secrets;
	NamedTexts address; /* by channel, "" for the others */
	DefinitionOperation *operations;
	size_t noperations;

	AnswerMatches success_status;
	AnswerPlace *success_place; /* NULL: the status says it all */
	AnswerMatches success_value;
	bool success_is_optional;
	AnswerPlaces id;
	AnswerPlaces code;
	AnswerPlaces error;
	AnswerPlaces wait;
	AnswerPlaces state;
	ClassRule *rules;
	size_t nrules;

	bool honours_key;		  /* the provider sends a key's message once */
	long key_valid_s;		  /* for so long; 0: for ever */
	DefinitionOptions limits; /* defaults of options that every server has */

	struct ReceiveRules *receive; /* its webhook; NULL: it has none */
} Definition;

/* Told of each problem: where (a JSON pointer), and what is wrong. */
typedef void (*DefinitionReport)(void *arg, const char *pointer, const char *problem);

extern const char *const message_field_names[FIELD_COUNT];
extern const char *const common_option_names[];

extern Definition *definition_compile(const char *json, size_t len, DefinitionReport report,
									  void *arg);
extern void definition_free(Definition *d);
extern const DefinitionOperation *definition_operation(const Definition *d, const char *name,
													   const char *channel, Values values);
extern bool operation_names(const DefinitionOperation *op, MessageField field);
extern const DefinitionText *definition_address(const Definition *d, const char *channel);
extern bool definition_text_names(const DefinitionText *text, int first, int end);

#endif
