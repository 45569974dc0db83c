/*
 * opt_out_word.h
 *		Answers that are a word: of whoever wants no more messages, or wants them
 *		again.
 */
#ifndef CADENCE_OPT_OUT_WORD_H
#define CADENCE_OPT_OUT_WORD_H

#include <stdbool.h>

/* An answer that is longer is no such word. */
#define OPT_OUT_WORD_SIZE 101

extern bool opt_out_word(const char *text, char *word);

#endif
