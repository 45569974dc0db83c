/*
 * opt_out_word_test.c
 *		Answers that are a word.
 */
#include "rules/opt_out_word.h"

#include "check.h"

/* expected NULL: it can be none. */
static void
check_word(const char *text, const char *expected, int line)
{
	char word[OPT_OUT_WORD_SIZE];

	check_text(opt_out_word(text, word) ? word : NULL, expected, __FILE__, line, text);
}

#define WORD(text, expected) check_word(text, expected, __LINE__)

static void
words(void)
{
	WORD("SAIR", "SAIR");
	WORD("sair", "SAIR");
	WORD("  Sair.\n", "SAIR");
	WORD("\"sair\"!!!", "SAIR");
	WORD("s-a-i-r", "S A I R");
	WORD("Não quero  mais,\treceber", "NAO QUERO MAIS RECEBER");
	/* with the tilde as a mark of its own */
	WORD("Na\xcc\x83o", "NAO");
	WORD("INSCRIÇÃO", "INSCRICAO");
	WORD("Ñandú ß", "NANDU S");
	WORD("STOP 2", "STOP 2");
}

static void
between(void)
{
	WORD("sair \xf0\x9f\x99\x8f", "SAIR");
	WORD("\xe2\x9b\x94sair\xe2\x80\xa6", "SAIR");
	WORD("sair\xef\xb8\x8f", "SAIR");
	WORD("\xe2\x80\x8bsa\xc2\xadir\xef\xbb\xbf", "SAIR");
	WORD("\xc2\xa1"
		 "baja!",
		 "BAJA");
	WORD("3\xc3\x97"
		 "4",
		 "3 4");
}

static void
fonts(void)
{
	WORD("\xef\xbc\xb3\xef\xbc\xa1\xef\xbc\xa9\xef\xbc\xb2", "SAIR");
	WORD("\xef\xbd\x93\xef\xbd\x81\xef\xbd\x89\xef\xbd\x92\xef\xbc\x81\xe3\x80\x80", "SAIR");
	WORD("\xf0\x9d\x90\x92\xf0\x9d\x90\xa9 \xf0\x9d\x9f\x90", "SP 2");
	WORD("\xf0\x9d\x9a\xa3", "Z");
	WORD("\xf0\x9d\x95\x8a\xf0\x9d\x94\xb8\xf0\x9d\x95\x80\xe2\x84\x9d", "SAIR");
	WORD("\xe2\x84\x99\xf0\x9d\x94\xb8\xe2\x84\x9d\xf0\x9d\x94\xb8\xe2\x84\x9d", "PARAR");
	WORD("\xf0\x9d\x94\x96\xf0\x9d\x94\x84\xe2\x84\x91\xe2\x84\x9c", "SAIR");
	WORD("\xe2\x93\xa2\xe2\x93\xa3\xe2\x93\x9e\xe2\x93\x9f", "STOP");
	WORD("\xf0\x9f\x85\x82\xf0\x9f\x85\x83\xf0\x9f\x84\xbe\xf0\x9f\x84\xbf", "STOP");
	WORD("\xf0\x9f\x85\xa2\xf0\x9f\x85\xa3\xf0\x9f\x85\x9e\xf0\x9f\x85\x9f", "STOP");
	WORD("\xf0\x9f\x86\x82\xf0\x9f\x86\x83\xf0\x9f\x85\xbe\xf0\x9f\x85\xbf", "STOP");
	WORD("\xe2\x84\xac\xf0\x9d\x92\xb6\xf0\x9d\x92\xbf\xe2\x84\xaf", "BAJE");
	WORD("\xf0\x9d\x9a\xa4", NULL);
}

static void
none(void)
{
	char text[OPT_OUT_WORD_SIZE + 1];

	WORD("", NULL);
	WORD(" \n", NULL);
	WORD("\xf0\x9f\x91\x8d", NULL);
	WORD("stop \xd0\xb4\xd0\xb0", NULL);
	WORD("sair\xff", NULL);
	WORD("sair\xe2\x80", NULL);
	memset(text, 'a', sizeof(text));
	text[OPT_OUT_WORD_SIZE] = '\0';
	WORD(text, NULL);
	text[OPT_OUT_WORD_SIZE - 3] = '\0';
	CHECK(opt_out_word(text, (char[OPT_OUT_WORD_SIZE]){0}));
}

int
main(void)
{
	RUN_GROUP("opt-out words: case, accents and punctuation", words);
	RUN_GROUP("opt-out words: what stands beside them", between);
	RUN_GROUP("opt-out words: letters that are drawn in another way", fonts);
	RUN_GROUP("opt-out words: what is none", none);
	return check_result();
}
