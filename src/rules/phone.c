/*
 * phone.c
 *		Telephone numbers, in E.164.
 *
 * What people have typed into a CRM: with and without the country, a trunk zero,
 * a carrier's number, blanks and brackets. No plan of numbers is known here but
 * Brazil's outline, and the digit that Argentina and Mexico have put before mobile
 * ones: whether a number exists is the provider's to say.
 */
#include "rules/phone.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "rules/text.h"

#define DIGITS_MIN 8
#define DIGITS_MAX 15

/* ITU-T E.164 annex: countries that the contacts of this kind of installation come from. */
static const struct
{
	const char *country; /* ISO 3166 */
	const char *code;
} codes[] = {{"BR", "55"},	{"PT", "351"}, {"US", "1"},	 {"CA", "1"},  {"AR", "54"},  {"UY", "598"},
			 {"PY", "595"}, {"BO", "591"}, {"CL", "56"}, {"PE", "51"}, {"EC", "593"}, {"CO", "57"},
			 {"VE", "58"},	{"MX", "52"},  {"ES", "34"}, {"IT", "39"}, {"FR", "33"},  {"DE", "49"},
			 {"GB", "44"},	{"AO", "244"}, {"MZ", "258"}};

/* NULL: it is none of them. */
static const char *
known_code(const char *country)
{
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (strcasecmp(codes[i].country, country) == 0)
			return codes[i].code;
	return NULL;
}

static const char *
code_of(const char *country)
{
	const char *code = country != NULL ? known_code(country) : NULL;

	return code != NULL ? code : codes[0].code;
}

bool
phone_knows_country(const char *country)
{
	return known_code(country) != NULL;
}

/* The length in bytes of what people put between digits; 0: it is something else. */
static size_t
separator(const char *at, const char *end)
{
	static const char dashes[] = "\xE2\x80"; /* U+2010 to U+2015 begin so */
	size_t len = strchr("()-./", *at) != NULL ? 1 : text_blank(at, end);

	if (end - at > 2 && memcmp(at, dashes, 2) == 0 && (unsigned char) at[2] >= 0x90 &&
		(unsigned char) at[2] <= 0x95)
		return 3;
	return len > 0 ? len : text_invisible(at, end);
}

/* How many; -1 when something else is in it than digits and what stands between them. */
static int
take_digits(const char *text, char *digits)
{
	const char *end = text + strlen(text);
	int n = 0;

	while (text < end)
	{
		size_t len = separator(text, end);

		if (len == 0 && (!isdigit((unsigned char) *text) || n == DIGITS_MAX + 5))
			return -1;
		if (len == 0)
			digits[n++] = *text;
		text += len > 0 ? len : 1;
	}
	digits[n] = '\0';
	return n;
}

/* An area code has no zero (11 to 99); a number has eight digits, a mobile one also nine. */
static bool
is_brazilian(const char *national, int n)
{
	return (n == 10 || (n == 11 && national[2] == '9')) && national[0] != '0' &&
		   national[1] != '0' && national[2] != '0' && national[2] != '1';
}

/* Without the trunk zero, and in Brazil the carrier's two digits that may follow it. */
static const char *
without_trunk(const char *digits, const char *code)
{
	int n = strlen(digits);

	/* in Italy the zero is a part of the number */
	if (digits[0] != '0' || strcmp(code, "39") == 0)
		return digits;
	return strcmp(code, "55") == 0 && (n == 13 || n == 14) ? digits + 3 : digits + 1;
}

static bool
write_number(char *e164, const char *code, const char *number)
{
	size_t n = strlen(code) + strlen(number);

	if (n < DIGITS_MIN || n > DIGITS_MAX)
		return false;
	e164[0] = '+';
	strcpy(e164 + 1, code);
	strcat(e164, number);
	return true;
}

static bool
write_brazilian(char *e164, const char *national)
{
	national = without_trunk(national, "55");
	return is_brazilian(national, strlen(national)) && write_number(e164, "55", national);
}

/*
 * Writes a stored number in E.164 into a buffer of PHONE_E164_SIZE. "+" or "00"
 * begins an international one; any other is of the country (ISO 3166; NULL or
 * unknown: BR). False when it can not be a telephone number.
 */
bool
phone_e164(const char *stored, const char *country, char *e164)
{
	char digits[DIGITS_MAX + 6];
	const char *code = code_of(country);
	const char *end = stored + strlen(stored);
	size_t len;
	bool plus;

	while (stored < end && (len = separator(stored, end)) > 0)
		stored += len;
	plus = *stored == '+';
	if (take_digits(stored + (plus ? 1 : 0), digits) < DIGITS_MIN)
		return false;
	if (plus || strncmp(digits, "00", 2) == 0)
	{
		const char *number = plus ? digits : digits + 2;

		if (number[0] == '0')
			return false;
		return strncmp(number, "55", 2) == 0 ? write_brazilian(e164, number + 2)
											 : write_number(e164, "", number);
	}
	/* 55 is also an area's code */
	if (strcmp(code, "55") == 0)
		return write_brazilian(e164, digits) ||
			   (strncmp(digits, "55", 2) == 0 && write_brazilian(e164, digits + 2));
	if (strncmp(digits, code, strlen(code)) == 0 && strlen(digits) >= strlen(code) + 9)
		return write_number(e164, "", digits);
	return write_number(e164, code, without_trunk(digits, code));
}

/* The digits by which it is looked for: those that a number may lack do not change them. */
const char *
phone_tail(const char *e164)
{
	return e164 + strlen(e164) - PHONE_TAIL;
}

/*
 * Countries of which WhatsApp knows people by a digit more or less than others write:
 * a "+", two digits of the country, and ten of the number without it.
 */
static const struct
{
	const char *code;
	char digit;
	int at;		  /* where it stands */
	char follows; /* what follows it is not less */
} marked[] = {
	/* after the area; mobile numbers alone, those of a landline begin with 2 to 5 */
	{"+55", '9', 5, '6'},
	/* mobile numbers, but nothing else tells them from landlines */
	{"+54", '9', 3, '1'},
	{"+52", '1', 3, '1'}};

#define UNMARKED_LEN 13

/*
 * The same number with the digit by which its country has marked mobile ones where it
 * has none, and without it where it has one, in E.164: Brazil's ninth, which accounts
 * of WhatsApp lack that are older, Argentina's 9 and Mexico's 1, which its accounts
 * have. False: there is no other.
 */
bool
phone_other(const char *e164, char *other)
{
	size_t len = strlen(e164);

	for (size_t i = 0; i < sizeof(marked) / sizeof(marked[0]); i++)
	{
		int at = marked[i].at;
		bool has_digit = len == UNMARKED_LEN + 1 && e164[at] == marked[i].digit;
		const char *rest = e164 + at + (has_digit ? 1 : 0);

		if (strncmp(e164, marked[i].code, strlen(marked[i].code)) != 0)
			continue;
		if ((len != UNMARKED_LEN && !has_digit) || rest[0] < marked[i].follows)
			return false;
		memcpy(other, e164, at);
		other[at] = marked[i].digit;
		strcpy(other + at + (has_digit ? 0 : 1), rest);
		return true;
	}
	return false;
}

/* Both in E.164. */
bool
phone_is_same(const char *a, const char *b)
{
	char other[PHONE_E164_SIZE];

	return strcmp(a, b) == 0 || (phone_other(a, other) && strcmp(other, b) == 0);
}
