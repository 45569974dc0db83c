/*
 * text_test.c
 *		Characters that nobody sees, in exactly sized memory.
 */
#include "rules/text.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"

static void
check_trim(const char *text, const char *expected, int line)
{
	size_t len = strlen(text);
	char *copy = malloc(len > 0 ? len : 1);
	const char *start = copy;
	const char *end = copy + len;
	char *whole = strdup(text);

	memcpy(copy, text, len);
	text_trim(&start, &end);
	check_int(end - start, strlen(expected), __FILE__, line, text);
	if (end - start == (long) strlen(expected))
		check_int(memcmp(start, expected, end - start), 0, __FILE__, line, text);
	check_text(text_trimmed(whole), expected, __FILE__, line, text);
	free(copy);
	free(whole);
}

#define TRIMS(text, expected) check_trim(text, expected, __LINE__)

static void
trimmed(void)
{
	TRIMS("", "");
	TRIMS("Ana", "Ana");
	TRIMS(" \t\n\v\f\rAna \t\n\v\f\r", "Ana");
	TRIMS("   ", "");
	TRIMS("\u00a0Ana\u00a0", "Ana");
	TRIMS(" \u00a0 \u2003Ana\u3000 \u202f ", "Ana");
	TRIMS("\u202aAna\u202c", "Ana");
	TRIMS("\ufeffAna\u200b\u2060", "Ana");
	TRIMS("\u00ad\xc2\x85"
		  "Ana\xc2\x9f",
		  "Ana");
	TRIMS("\U000E0001Ana\U000E007F", "Ana");
	TRIMS("\u00a0\u200b", "");
}

/* What is not of their kind stays, and so does what is inside. */
static void
kept(void)
{
	TRIMS("Maria\u00a0Souza", "Maria\u00a0Souza");
	TRIMS("क्\u200dष", "क्\u200dष");
	TRIMS("ção", "ção");
	TRIMS("\001a\001", "\001a\001");
	TRIMS("¡!", "¡!");
	TRIMS("\u00a1\u00bf", "\u00a1\u00bf");
	TRIMS("🎉", "🎉");
	TRIMS("😀 ", "😀");
}

/* What is not UTF-8 ends somewhere, too. */
static void
broken(void)
{
	TRIMS("\xc2", "\xc2");
	TRIMS("a\xe2\x80", "a\xe2\x80");
	TRIMS("\xa0", "\xa0");
	TRIMS("\xf3\xa0\x80", "\xf3\xa0\x80");
	TRIMS("\x80\x80\x80\x80\x80", "\x80\x80\x80\x80\x80");
	CHECK(text_trimmed(NULL) == NULL);
}

static const char *
found(const char *text)
{
	return text_find_invisible(text, text + strlen(text));
}

static void
inside(void)
{
	const char *number = "+5511\u200b9";

	CHECK(found("+55 11 9") == NULL);
	CHECK(found("joão@exemplo.com.br") == NULL);
	CHECK(found("") == NULL);
	CHECK(found(number) == number + 5);
	CHECK(found("a\u00a0") != NULL);
	CHECK(found("\u202ea") != NULL);
}

static void
kinds(void)
{
	const char *nbsp = "\u00a0";
	const char *mark = "\u200e";
	const char *space = " ";

	CHECK_INT(text_blank(nbsp, nbsp + 2), 2);
	CHECK_INT(text_invisible(nbsp, nbsp + 2), 2);
	CHECK_INT(text_blank(mark, mark + 3), 0);
	CHECK_INT(text_invisible(mark, mark + 3), 3);
	CHECK_INT(text_blank(space, space + 1), 1);
	CHECK_INT(text_invisible(space, space + 1), 0);
	CHECK_INT(text_blank(space, space), 0);
	CHECK_INT(text_invisible(nbsp, nbsp + 1), 0);
}

/* Of UTF-8 what RFC 3629 lets be: the library reads nothing else. */
static void
characters(void)
{
	CHECK_INT(text_character("a", 1), 1);
	CHECK_INT(text_character("\xC3\xA3", 2), 2);
	CHECK_INT(text_character("\xEF\xBF\xBF", 3), 3);
	CHECK_INT(text_character("\xF4\x8F\xBF\xBF", 4), 4);
	CHECK_INT(text_character("\xC3", 1), 0);
	CHECK_INT(text_character("\xC1\x81", 2), 0);
	CHECK_INT(text_character("\xE0\x9F\xBF", 3), 0);
	CHECK_INT(text_character("\xED\xA0\x80", 3), 0);
	CHECK_INT(text_character("\xF0\x8F\xBF\xBF", 4), 0);
	CHECK_INT(text_character("\xF4\x90\x80\x80", 4), 0);
}

int
main(void)
{
	RUN_GROUP("text: blanks and invisible characters are trimmed", trimmed);
	RUN_GROUP("text: others are not", kept);
	RUN_GROUP("text: what is not UTF-8", broken);
	RUN_GROUP("text: invisible characters inside", inside);
	RUN_GROUP("text: kinds", kinds);
	RUN_GROUP("text: characters", characters);
	return check_result();
}
