/*
 * signature_rules.c
 *		Who may call a webhook: "signature" and "verify" of a definition's "receive",
 *		compiled.
 */
#include "rules/compiler.h"

#include <string.h>

/* ---- words -------------------------------------------------------------------------- */

/* The number of a word among names; 0, and a problem, when it is none. */
static int
word_of(Compiler *c, const Path *path, json_t *value, const char *const *names, int n)
{
	const char *name = json_string_value(value);

	for (int i = 0; i < n; i++)
		if (name != NULL && strcmp(names[i], name) == 0)
			return i;
	compiler_problem(c, path, "\"%.60s\" is not known here", name != NULL ? name : "");
	return 0;
}

static void
compile_signature_kind(Compiler *c, const Path *path, json_t *value, void *to)
{
	static const char *const names[SIGNATURE_KINDS] = {"hmac", "ecdsa", "basic", "header", "path"};

	*(SignatureKind *) to = word_of(c, path, value, names, SIGNATURE_KINDS);
}

static void
compile_hash(Compiler *c, const Path *path, json_t *value, void *to)
{
	static const char *const names[SIGNATURE_HASHES] = {"sha256", "sha1", "sha512"};

	*(SignatureHash *) to = word_of(c, path, value, names, SIGNATURE_HASHES);
}

static void
compile_encoding(Compiler *c, const Path *path, json_t *value, void *to)
{
	static const char *const names[SIGNATURE_ENCODINGS] = {"hex", "base64"};

	*(SignatureEncoding *) to = word_of(c, path, value, names, SIGNATURE_ENCODINGS);
}

/* By its number among Values. */
static void
compile_secret(Compiler *c, const Path *path, json_t *value, void *to)
{
	const Definition *d = c->d;
	const char *name = json_string_value(value);

	for (size_t i = 0; i < d->secrets.n; i++)
		if (name != NULL && strcmp(d->secrets.list[i].name, name) == 0)
		{
			*(int *) to = (int) (FIELD_COUNT + d->options.n + i);
			return;
		}
	compiler_problem(c, path, "\"%.60s\" is no secret of this definition",
					 name != NULL ? name : "");
}

static void
compile_url(Compiler *c, const Path *path, json_t *value, void *to)
{
	DefinitionText *text = to;

	compile_text(c, path, value, text);
	for (size_t i = 0; i < text->nparts; i++)
		if (text->parts[i].name != NULL && text->parts[i].value < FIELD_COUNT)
			compiler_problem(c, path, "names what only a message has");
}

/* ---- what is signed ----------------------------------------------------------------- */

static const char *const signed_names[SIGNED_KINDS] = {[SIGNED_BODY] = "{body}",
													   [SIGNED_ID] = "{id}",
													   [SIGNED_TIMESTAMP] = "{timestamp}",
													   [SIGNED_URL] = "{url}",
													   [SIGNED_FORM_SORTED] = "{form_sorted}"};

/* The part that begins at a text, and its length; of what is none, up to the next brace. */
static size_t
read_part(Compiler *c, const char *at, SignedPart *part)
{
	size_t len = 1 + strcspn(at + 1, "{");

	for (SignedKind kind = SIGNED_BODY; kind < SIGNED_KINDS; kind++)
		if (strncmp(at, signed_names[kind], strlen(signed_names[kind])) == 0)
		{
			part->kind = kind;
			return strlen(signed_names[kind]);
		}
	part->text = arena_copy(c->arena, at, len);
	return len;
}

static void
compile_signed(Compiler *c, const Path *path, json_t *value, void *to)
{
	ReceiveSignature *signature = to;
	const char *text = "";

	compile_string(c, path, value, &text);
	signature->parts = arena_alloc(c->arena, sizeof(SignedPart) * (strlen(text) + 1));
	while (*text != '\0')
	{
		SignedPart *part = &signature->parts[signature->nparts++];

		text += read_part(c, text, part);
		if (part->kind == SIGNED_TEXT && strchr(part->text, '{') != NULL)
			compiler_problem(c, path,
							 "has \"%.40s\", which is none of {body}, {id}, {timestamp}, {url} and "
							 "{form_sorted}",
							 part->text);
	}
}

static bool
signs(const ReceiveSignature *signature, SignedKind kind)
{
	for (size_t i = 0; i < signature->nparts; i++)
		if (signature->parts[i].kind == kind)
			return true;
	return false;
}

/* ---- a signature -------------------------------------------------------------------- */

static const Member signature_members[] = {
	{"kind", compile_signature_kind, offsetof(ReceiveSignature, kind)},
	{"secret", compile_secret, offsetof(ReceiveSignature, secret)},
	{"user", compile_secret, offsetof(ReceiveSignature, user)},
	{"algorithm", compile_hash, offsetof(ReceiveSignature, hash)},
	{"encoding", compile_encoding, offsetof(ReceiveSignature, encoding)},
	{"at", compile_places, offsetof(ReceiveSignature, at)},
	{"prefix", compile_string, offsetof(ReceiveSignature, prefix)},
	{"separator", compile_string, offsetof(ReceiveSignature, separator)},
	{"signed", compile_signed, 0},
	{"id", compile_places, offsetof(ReceiveSignature, id)},
	{"timestamp", compile_places, offsetof(ReceiveSignature, timestamp)},
	{"window", compile_duration, offsetof(ReceiveSignature, window_s)},
	{"url", compile_url, offsetof(ReceiveSignature, url)},
	{"secret_prefix", compile_string, offsetof(ReceiveSignature, secret_prefix)},
	{"secret_is_base64", compile_bool, offsetof(ReceiveSignature, secret_is_base64)},
	{"note", compile_documentation, 0},
	{NULL, NULL, 0}};

static void
check_signed(Compiler *c, const Path *path, const ReceiveSignature *s)
{
	if (!signs(s, SIGNED_BODY) && !signs(s, SIGNED_FORM_SORTED) && !signs(s, SIGNED_ID))
		compiler_problem(c, path, "signs neither the body nor an id");
	if (signs(s, SIGNED_ID) != (s->id.n > 0))
		compiler_problem(c, path, "must sign an id if, and only if, it says where that is");
	if (signs(s, SIGNED_TIMESTAMP) != (s->timestamp.n > 0))
		compiler_problem(c, path, "must sign a timestamp if, and only if, it says where that is");
	if (signs(s, SIGNED_URL) != (s->url.nparts > 0))
		compiler_problem(c, path, "must sign an url if, and only if, it says which");
	if (s->window_s > 0 && s->timestamp.n == 0)
		compiler_problem(c, path, "has a window, but no timestamp");
}

static void
check_signature(Compiler *c, const Path *path, const ReceiveSignature *s)
{
	bool is_digest = s->kind == SIGNATURE_HMAC || s->kind == SIGNATURE_ECDSA;

	if (s->secret == 0)
		compiler_problem(c, path, "has no secret");
	if ((is_digest || s->kind == SIGNATURE_HEADER) && s->at.n == 0)
		compiler_problem(c, path, "does not say where it stands (\"at\")");
	if (s->kind == SIGNATURE_HEADER)
		for (size_t i = 0; i < s->at.n; i++)
			if (s->at.list[i].header == NULL)
				compiler_problem(c, path, "is a header, but stands at a pointer");
	if (is_digest)
		check_signed(c, path, s);
	else if (s->nparts > 0)
		compiler_problem(c, path, "signs something, which only hmac and ecdsa do");
}

static void
compile_signature(Compiler *c, const Path *path, json_t *value, ReceiveSignature *s)
{
	s->user = -1;
	s->prefix = "";
	s->separator = "";
	s->secret_prefix = "";
	compile_object(c, path, value, signature_members, s);
	if (!json_is_object(value))
		return;
	if (json_object_get(value, "kind") == NULL)
		compiler_problem(c, path, "has no kind");
	check_signature(c, path, s);
}

/* One, or alternatives. */
void
compile_signatures(Compiler *c, const Path *path, json_t *value, void *to)
{
	ReceiveRules *rules = to;

	rules->nsignatures = compile_count(value);
	rules->signatures = arena_alloc(c->arena, sizeof(ReceiveSignature) * (rules->nsignatures + 1));
	if (rules->nsignatures == 0)
		compiler_problem(c, path, "is an empty array");
	for (size_t i = 0; i < rules->nsignatures; i++)
	{
		Path at = compile_path_of(c, path, i);

		compile_signature(c, json_is_array(value) ? &at : path, compile_element(value, i),
						  &rules->signatures[i]);
	}
}

/* ---- the challenge of a GET --------------------------------------------------------- */

static const Member verify_members[] = {
	{"mode", compile_string, offsetof(ReceiveVerify, mode)},
	{"value", compile_string, offsetof(ReceiveVerify, mode_value)},
	{"token", compile_string, offsetof(ReceiveVerify, token)},
	{"challenge", compile_string, offsetof(ReceiveVerify, challenge)},
	{"secret", compile_secret, offsetof(ReceiveVerify, secret)},
	{"note", compile_documentation, 0},
	{NULL, NULL, 0}};

void
compile_verify(Compiler *c, const Path *path, json_t *value, void *to)
{
	ReceiveVerify *verify = to;

	compile_object(c, path, value, verify_members, verify);
	if (json_is_object(value) &&
		(verify->mode == NULL || verify->mode_value == NULL || verify->token == NULL ||
		 verify->challenge == NULL || verify->secret == 0))
		compiler_problem(c, path, "lacks one of mode, value, token, challenge and secret");
}
