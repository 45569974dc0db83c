/*
 * arena.c
 *		Memory that is freed together.
 */
#include "rules/arena.h"

#include <stdlib.h>
#include <string.h>

typedef struct ArenaBlock
{
	struct ArenaBlock *next;
	max_align_t memory[];
} ArenaBlock;

/* NULL when memory is short. */
Arena *
arena_create(void)
{
	return calloc(1, sizeof(Arena));
}

void
arena_free(Arena *arena)
{
	while (arena->blocks != NULL)
	{
		ArenaBlock *block = arena->blocks;

		arena->blocks = block->next;
		free(block);
	}
	free(arena);
}

void *
arena_alloc(Arena *arena, size_t size)
{
	ArenaBlock *block = calloc(1, sizeof(*block) + size);

	if (block == NULL)
		longjmp(arena->out_of_memory, 1);
	block->next = arena->blocks;
	arena->blocks = block;
	return block->memory;
}

char *
arena_copy(Arena *arena, const char *text, size_t len)
{
	char *copy = arena_alloc(arena, len + 1);

	memcpy(copy, text, len);
	return copy;
}
