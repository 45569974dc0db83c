/*
 * receive.h
 *		A definition's "receive", compiled: who may call its webhook, and what of a
 *		call's body is an event.
 *
 * Made with the definition, on its arena, then only read. The readers of it are
 * receive_reader (events) and whoever checks signatures; neither changes it.
 */
#ifndef CADENCE_RECEIVE_H
#define CADENCE_RECEIVE_H

#include "rules/definition.h"

/* ---- what can be told --------------------------------------------------------------- */

typedef enum ReceivedKind
{
	RECEIVED_UNKNOWN, /* no rule knows it, or its rule lacks what the kind needs */
	RECEIVED_IGNORED, /* known, and not for us: a group, a reaction, a receipt of no use */
	RECEIVED_MESSAGE,
	RECEIVED_ECHO, /* from our own number, by hand or by API */
	RECEIVED_RECEIPT,
	RECEIVED_OPT_OUT,
	RECEIVED_OPT_IN,
	RECEIVED_BOUNCE,	/* of a mail; a receipt of the message that it names, too */
	RECEIVED_COMPLAINT, /* likewise: it was delivered */
	RECEIVED_SENDER,
	RECEIVED_IDENTITY, /* a person's number or id is another now */
	RECEIVED_KINDS
} ReceivedKind;

/* In the order in which they imply each other, for a receipt. */
typedef enum ReceivedState
{
	STATE_NONE,
	STATE_SENT,
	STATE_DELIVERED,
	STATE_READ,
	STATE_FAILED,
	STATE_CONNECTED,
	STATE_DISCONNECTED,
	STATE_BANNED,
	STATE_QUALITY, /* the sender's quality has changed; "code" says to what */
	STATE_HARD,
	STATE_SOFT,
	RECEIVED_STATES
} ReceivedState;

/*
 * Of a message, an opt-out and an identity the person is who sent it; of a
 * receipt, an echo and a bounce who got it.
 */
typedef enum ReceivedField
{
	RECEIVED_ID,	   /* of the message, at the provider */
	RECEIVED_OTHER_ID, /* another under which the provider may know it */
	RECEIVED_KEY,	   /* ours, echoed */
	RECEIVED_FROM,	   /* as the provider writes them */
	RECEIVED_TO,
	RECEIVED_TEXT,
	RECEIVED_MEDIA, /* its URL, or its id where it must be asked for */
	RECEIVED_MEDIA_TYPE,
	RECEIVED_NAME,
	RECEIVED_TIME,	/* the provider's text; the event has it as a number */
	RECEIVED_STATE, /* the provider's word; the event has it as a ReceivedState */
	RECEIVED_CODE,
	RECEIVED_ERROR,
	RECEIVED_PHONE,	  /* "+" and digits where the definition says "international" */
	RECEIVED_EMAIL,	  /* the bare address, in small letters */
	RECEIVED_LID,	  /* digits@lid */
	RECEIVED_USER_ID, /* WhatsApp's own for this business, BR.123 */
	RECEIVED_QUOTES,  /* id of our message that is answered */
	RECEIVED_SUBJECT,
	RECEIVED_OLD, /* what the person had until now: a phone, a LID, a user id */
	RECEIVED_NEW,
	RECEIVED_CHANNEL, /* where one server's webhook serves several */
	RECEIVED_FIELDS
} ReceivedField;

extern const char *const received_kind_names[RECEIVED_KINDS];	/* NULL: not an event's */
extern const char *const received_state_names[RECEIVED_STATES]; /* NULL: STATE_NONE */
extern const char *const received_field_names[RECEIVED_FIELDS];

extern const char *received_lacks(ReceivedKind kind, unsigned long fields);
extern ReceivedState received_state_named(ReceivedKind kind, const char *name);

/* ---- where, and whether ------------------------------------------------------------- */

/* A step of a path into a body: a member, an array's element, or every element. */
typedef struct ReceiveStep
{
	const char *key;   /* of an object */
	const char *value; /* of an array: of the first whose member "name" is this ... */
	const char *name;  /* ... as KEY=VALUE says; NULL: none */
	size_t index;	   /* of an array; SIZE_MAX: none */
	bool is_every;	   /* "*" */
	bool is_only;	   /* "only": of an array of one */
} ReceiveStep;

typedef struct ReceiveSteps
{
	ReceiveStep *list;
	size_t n;
} ReceiveSteps;

/* From the element, from one around it, or from the whole body. */
typedef struct ReceivePlace
{
	int up; /* how many elements; -1: the whole body */
	ReceiveSteps steps;
} ReceivePlace;

typedef struct ReceivePlaces
{
	ReceivePlace *list;
	size_t n;
} ReceivePlaces;

/* All that are given hold. */
typedef struct ReceiveCondition
{
	ReceivePlace place;
	const char *const *values; /* its text is one of these, NULL at the end; NULL: any */
	const char *const *begins; /* with one of these */
	const char *const *ends;
	int other_than;		/* its text is not this option's, which is set; 0: none, as in Values */
	bool must_be_there; /* something that is not null, nor an empty text */
	bool must_be_absent;
} ReceiveCondition;

typedef struct ReceiveConditions
{
	ReceiveCondition *list;
	size_t n;
} ReceiveConditions;

/* ---- rules -------------------------------------------------------------------------- */

/* What stands for another text. */
typedef struct ReceiveMapping
{
	const char *from;
	const char *to;
} ReceiveMapping;

/* The first place that has a value fit for the field. */
typedef struct ReceiveValue
{
	ReceivedField field;
	ReceivePlaces places;
	const char *constant;	  /* where no place has one; NULL: none */
	const char *after;		  /* what follows its last occurrence, where there is one */
	const char *const *until; /* what precedes their first, NULL at the end; NULL: none */
	const char *begin;		  /* added where it is missing */
	const char *end;		  /* likewise */
	ReceiveMapping *map;	  /* what it has no entry for is no value */
	size_t nmap;			  /* 0: as it is */
} ReceiveValue;

typedef struct ReceiveValues
{
	ReceiveValue *list;
	size_t n;
} ReceiveValues;

typedef struct ReceiveRule
{
	ReceiveConditions when;
	ReceivedKind kind;			/* RECEIVED_IGNORED and _UNKNOWN: no event */
	const char *ignored;		/* why; NULL: it is not */
	const char *rejected;		/* why it is told as unknown; NULL: it is not */
	struct ReceiveList *inside; /* rules for what the element holds; NULL: none */
	ReceiveValues values;
	ReceiveConditions *is_auto; /* alternatives: sent by a machine when one holds */
	size_t nauto;
} ReceiveRule;

/* The rules of one path, asked in their order for each element that it leads to. */
typedef struct ReceiveGroup
{
	const char *source; /* the path as it is written; "" is the element itself */
	ReceiveSteps each;
	ReceiveRule *rules;
	size_t n;
} ReceiveGroup;

typedef struct ReceiveList
{
	ReceiveGroup *groups;
	size_t n;
} ReceiveList;

/* ---- who calls ---------------------------------------------------------------------- */

typedef enum SignatureKind
{
	SIGNATURE_HMAC,
	SIGNATURE_ECDSA,  /* P-256 with SHA-256; the secret is the public key, base64 of its DER */
	SIGNATURE_BASIC,  /* HTTP Basic; the secret is the password */
	SIGNATURE_HEADER, /* a header has the secret, after the prefix */
	SIGNATURE_PATH,	  /* the address has it; PATH_SECRET_MIN characters at least */
	SIGNATURE_KINDS
} SignatureKind;

#define PATH_SECRET_MIN 32

typedef enum SignatureHash
{
	HASH_SHA256,
	HASH_SHA1,
	HASH_SHA512,
	SIGNATURE_HASHES
} SignatureHash;

typedef enum SignatureEncoding
{
	ENCODING_HEX, /* either case */
	ENCODING_BASE64,
	SIGNATURE_ENCODINGS
} SignatureEncoding;

typedef enum SignedKind
{
	SIGNED_TEXT,
	SIGNED_BODY,
	SIGNED_ID,
	SIGNED_TIMESTAMP,
	SIGNED_URL,
	SIGNED_FORM_SORTED, /* names and values one after the other, by name */
	SIGNED_KINDS
} SignedKind;

typedef struct SignedPart
{
	SignedKind kind;
	const char *text; /* of SIGNED_TEXT */
} SignedPart;

/* A secret is a number of Values, as in texts. */
typedef struct ReceiveSignature
{
	SignatureKind kind;
	int secret;
	int previous; /* the secret that was, while it is rotated: NAME_previous */
	int user;	  /* of SIGNATURE_BASIC: whose secret is the name; -1: any name */
	SignatureHash hash;
	SignatureEncoding encoding;
	AnswerPlaces at;	   /* headers, or pointers into the body */
	const char *prefix;	   /* "": none */
	const char *separator; /* between several of them, any of which may be right; "": one */
	SignedPart *parts;	   /* what is signed */
	size_t nparts;
	AnswerPlaces id;
	AnswerPlaces timestamp;	   /* in seconds */
	long window_s;			   /* how far that may be from now; 0: any */
	DefinitionText url;		   /* the webhook's address as the caller knows it */
	const char *secret_prefix; /* left out of the secret where it is there */
	bool secret_is_base64;
} ReceiveSignature;

/* The challenge of a GET; mode NULL: there is none. */
typedef struct ReceiveVerify
{
	const char *mode; /* parameters of the query */
	const char *mode_value;
	const char *token;
	const char *challenge; /* answered with, if 1 to 64 of [A-Za-z0-9_-] */
	int secret;			   /* what the token must be */
	int previous;		   /* or was, while it is rotated */
} ReceiveVerify;

typedef enum ReceiveBody
{
	RECEIVE_JSON,
	RECEIVE_FORM,
	RECEIVE_EITHER /* JSON where it begins so */
} ReceiveBody;

/*
 * The first signature whose secrets (and url) the server has is the one that a
 * call must bear; the others are not asked. A server that has none takes no call.
 */
typedef struct ReceiveRules
{
	ReceiveVerify verify;
	ReceiveSignature *signatures; /* at least one */
	size_t nsignatures;
	ReceiveBody body;
	bool is_international; /* numbers come with their country */
	ReceiveList events;
	int answer_status; /* to a call that was taken */
	const char *answer_type;
	const char *answer_body;
	ReceiveSteps *scrub; /* paths, whose values are never kept */
	size_t nscrub;
} ReceiveRules;

#endif
