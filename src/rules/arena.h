/*
 * arena.h
 *		Memory that is freed together: pure C, for what is made once and only read.
 */
#ifndef CADENCE_ARENA_H
#define CADENCE_ARENA_H

#include <setjmp.h>
#include <stddef.h>

typedef struct Arena
{
	struct ArenaBlock *blocks;
	jmp_buf out_of_memory; /* where to go then, set by who fills the arena */
} Arena;

extern Arena *arena_create(void);
extern void arena_free(Arena *arena);
extern void *arena_alloc(Arena *arena, size_t size); /* zeroed */
extern char *arena_copy(Arena *arena, const char *text, size_t len);

#endif
