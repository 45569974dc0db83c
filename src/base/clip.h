/*
 * clip.h
 *		Texts of people and providers in places of a fixed size.
 */
#ifndef CADENCE_CLIP_H
#define CADENCE_CLIP_H

#include "postgres.h"

#include "mb/pg_wchar.h"

/* So many bytes of a text as fit in a place, without a part of a character. */
static inline int
cadence_text_fits(const char *text, Size size)
{
	return pg_mbcliplen(text, strlen(text), size - 1);
}

#endif
