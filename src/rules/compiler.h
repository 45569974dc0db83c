/*
 * compiler.h
 *		What the parts of the definition's compiler share.
 */
#ifndef CADENCE_COMPILER_H
#define CADENCE_COMPILER_H

#include <jansson.h>

#include "rules/arena.h"
#include "rules/definition.h"
#include "rules/receive.h"

/* Where in the definition: a JSON pointer, as it grows. */
typedef struct Path
{
	const struct Path *up; /* NULL: the whole */
	const char *key;
} Path;

typedef struct Compiler
{
	Arena *arena;
	Definition *d;
	DefinitionReport report;
	void *arg;
	int problems;
	unsigned long fields; /* that were named since somebody has set it to 0 */
	bool in_address;	  /* it has placeholders of its own */
	int around;			  /* elements around the one whose rule is compiled */
} Compiler;

typedef void (*Compile)(Compiler *c, const Path *path, json_t *value, void *to);

/* One member that an object may have, and what is to be done with it. */
typedef struct Member
{
	const char *name;
	Compile compile;
	size_t offset; /* of what it fills in, in the struct that is given */
} Member;

extern void compiler_problem(Compiler *c, const Path *path, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
extern void compile_object(Compiler *c, const Path *path, json_t *value, const Member *members,
						   void *to);
extern bool compile_is_object(Compiler *c, const Path *path, json_t *value);
extern void *compile_members(Compiler *c, const Path *path, json_t *value, Compile compile,
							 size_t size, size_t *n);
extern void *compile_array(Compiler *c, const Path *path, json_t *value, Compile compile,
						   size_t size, size_t *n);
extern size_t compile_count(const json_t *value); /* of an array; 1 of anything else */
extern json_t *compile_element(json_t *value, size_t i);
extern Path compile_path_of(Compiler *c, const Path *path, size_t i);

/* Of members: what fills in a struct's field. */
extern void compile_string(Compiler *c, const Path *path, json_t *value, void *to);
extern void compile_bool(Compiler *c, const Path *path, json_t *value, void *to);
extern void compile_count_of(Compiler *c, const Path *path, json_t *value, void *to);
extern void compile_words(Compiler *c, const Path *path, json_t *value, void *to);
extern void compile_duration(Compiler *c, const Path *path, json_t *value, void *to);
extern void compile_documentation(Compiler *c, const Path *path, json_t *value, void *to);
extern void compile_place(Compiler *c, const Path *path, json_t *value, void *to);
extern void compile_places(Compiler *c, const Path *path, json_t *value, void *to);
extern void compile_text(Compiler *c, const Path *path, json_t *value, DefinitionText *to);
extern BodyNode *compile_node(Compiler *c, const Path *path, json_t *value);
extern void compile_named_texts(Compiler *c, const Path *path, json_t *value, void *to);

extern const char *compiler_text_of(Compiler *c, const json_t *value);
extern bool compiler_is_pointer(const char *text);
extern const char *const *compiler_cut_pointer(Compiler *c, const char *pointer);
extern bool compiler_knows(const char *const *names, const char *name);
extern bool compiler_is_channel(const char *name);

/* option_rules.c */
extern void compile_options(Compiler *c, const Path *path, json_t *value, void *to);
extern void compile_limits(Compiler *c, const Path *path, json_t *value, void *to);
extern void compiler_check_alternatives(Compiler *c, const Path *path,
										const DefinitionOptions *options);
extern void compiler_check_names(Compiler *c, const Path *path, const DefinitionOptions *options);
extern void compiler_add_url(Compiler *c);

/* operation_rules.c */
extern void compile_operations(Compiler *c, const Path *path, json_t *value, void *to);
extern void compile_address(Compiler *c, const Path *path, json_t *value, void *to);
extern void compile_key(Compiler *c, const Path *path, json_t *value, void *to);
extern void compiler_place_key(Compiler *c, const Path *path, json_t *root);

/* answer_rules.c */
extern void compile_response(Compiler *c, const Path *path, json_t *value, void *to);
extern void compile_classes(Compiler *c, const Path *path, json_t *value, void *to);

/* receive_rules.c */
extern void compile_receive(Compiler *c, const Path *path, json_t *value, void *to);

/* signature_rules.c */
extern void compile_signatures(Compiler *c, const Path *path, json_t *value, void *to);
extern void compile_verify(Compiler *c, const Path *path, json_t *value, void *to);

/* event_rules.c */
extern void compile_events(Compiler *c, const Path *path, json_t *value, void *to);

/* received_places.c */
extern void compile_steps(Compiler *c, const Path *path, json_t *value, void *to);
extern void compile_received_places(Compiler *c, const Path *path, json_t *value, void *to);
extern void compile_values(Compiler *c, const Path *path, json_t *value, void *to);
extern void compile_conditions(Compiler *c, const Path *path, json_t *value, void *to);

#endif
