/*
 * opt_out_word.c
 *		Answers that are a word, as words are compared: in capital letters, without
 *		accents, punctuation and pictures, with one blank between two.
 *
 * The whole answer has to be one: "quero sair do plano atual" is no opt-out.
 */
#include "rules/opt_out_word.h"

#include <stddef.h>
#include <string.h>

#include "rules/text.h"

/* U+00C0 to U+00FF without what is above and below the letter; blank: no letter. */
static const char latin[] = "AAAAAAACEEEEIIIIDNOOOOO OUUUUYTS"
							"AAAAAAACEEEEIIIIDNOOOOO OUUUUYTY";

/* The next character; 0 at the end, and for what is none. */
static unsigned
next_point(const char **text)
{
	size_t len = text_character(*text, strnlen(*text, 4));
	unsigned point = len > 0 ? text_code_point(*text, len) : 0;

	*text += len;
	return point;
}

/* What stands between and beside words, pictures too. */
static bool
is_between(unsigned point)
{
	return point < 0xC0 || (point >= 0x2000 && point < 0x2C00) ||
		   (point >= 0x3000 && point < 0x3040) || (point >= 0xFE00 && point < 0xFE70) ||
		   point >= 0x1F000;
}

/* Marks that follow their letter, and what is not seen. */
static bool
is_nothing(unsigned point)
{
	return (point >= 0x300 && point < 0x370) || point == 0xAD || point == 0xFEFF ||
		   (point >= 0x200B && point < 0x2010);
}

/*
 * From U+2100 on the letters that were there before the other fonts' came, each where those have
 * a gap. Source: Unicode's Letterlike Symbols.
 */
static const char letterlike[] = "  C       gHHHh IILl N   PQRRR      Z   Z   BC eEF Mo";

/* Letters and digits that are ASCII's, drawn in another way: what phones call fonts. */
static unsigned
undrawn(unsigned point)
{
	if (point >= 0xFF01 && point <= 0xFF5E)
		return point - 0xFF01 + '!';
	if (point >= 0x1D400 && point <= 0x1D6A3)
	{
		unsigned letter = (point - 0x1D400) % 52;

		return letter < 26 ? 'A' + letter : 'a' + letter - 26;
	}
	if (point >= 0x2100 && point < 0x2100 + sizeof(letterlike) - 1 &&
		letterlike[point - 0x2100] != ' ')
		return (unsigned char) letterlike[point - 0x2100];
	if (point >= 0x24B6 && point <= 0x24E9)
		return point < 0x24D0 ? point - 0x24B6 + 'A' : point - 0x24D0 + 'a';
	if (point >= 0x1F130 && point <= 0x1F189)
		return 'A' + (point - 0x1F130) % 32;
	if (point >= 0x1D7CE && point <= 0x1D7FF)
		return '0' + (point - 0x1D7CE) % 10;
	return point;
}

/* A letter or digit of a word; blank: something between; 0: a letter that no word has. */
static char
plain(unsigned point)
{
	if (point < 0x80)
	{
		char c = (char) point;

		if (c >= 'a' && c <= 'z')
			return (char) (c - 'a' + 'A');
		return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ? c : ' ';
	}
	if (point >= 0xC0 && point <= 0xFF)
		return latin[point - 0xC0];
	return is_between(point) ? ' ' : '\0';
}

/*
 * Writes an answer as words are compared into a buffer of OPT_OUT_WORD_SIZE; false
 * when it is too long for one, empty, or has letters of other alphabets.
 */
bool
opt_out_word(const char *text, char *word)
{
	size_t n = 0;
	bool blank = false;

	while (*text != '\0')
	{
		unsigned point = undrawn(next_point(&text));
		char c = is_nothing(point) ? ' ' : plain(point);

		if (point == 0 || c == '\0')
			return false;
		if (is_nothing(point))
			continue;
		if (c == ' ')
		{
			blank = n > 0;
			continue;
		}
		if (n + 2 >= OPT_OUT_WORD_SIZE)
			return false;
		if (blank)
			word[n++] = ' ';
		blank = false;
		word[n++] = c;
	}
	word[n] = '\0';
	return n > 0;
}
