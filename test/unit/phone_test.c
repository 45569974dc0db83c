/*
 * phone_test.c
 *		Telephone numbers as people type them.
 */
#include "rules/phone.h"

#include "check.h"

/* expected NULL: it can not be a telephone number. */
static void
check_number(const char *stored, const char *country, const char *expected, int line)
{
	char e164[PHONE_E164_SIZE] = "(none)";
	bool ok = phone_e164(stored, country, e164);

	check_text(ok ? e164 : NULL, expected, __FILE__, line, stored);
	if (!ok)
		check_text(e164, "(none)", __FILE__, line, stored);
}

#define NUMBER(stored, country, expected) check_number(stored, country, expected, __LINE__)
#define BR(stored, expected) check_number(stored, "BR", expected, __LINE__)

static void
mobiles(void)
{
	static const char *const spellings[] = {
		"11987654321", "(11) 98765-4321", "11 9 8765-4321", "11 98765.4321", "11/98765-4321",
		"011987654321", "(011) 98765-4321", "(0)11 98765-4321", "0 15 11 98765-4321",
		"01511987654321", "0(21)11 98765-4321", "5511987654321", "55 (11) 98765-4321",
		"55 011 98765-4321", "055 11 98765-4321", "+5511987654321", "+55 (11) 98765-4321",
		"+55 (011) 98765-4321", "+55 (0)11 98765-4321", "+55 0 15 11 98765-4321",
		"(+55) 11 98765-4321", "+55.11.98765.4321", "005511987654321", "00 55 11 98765-4321",
		"00 55 (0)11 98765-4321", "  +55 11 98765-4321  ",
		/* what spreadsheets and contact lists bring along */
		"+55\xc2\xa0"
		"11\xc2\xa0"
		"98765\xe2\x80\x91"
		"4321",
		"\xe2\x80\xaa+5511987654321\xe2\x80\xac", "11\t98765-4321"};

	for (size_t i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++)
		check_number(spellings[i], "BR", "+5511987654321", (int) i);
}

static void
landlines(void)
{
	BR("1133334444", "+551133334444");
	BR("(11) 3333-4444", "+551133334444");
	BR("011 3333-4444", "+551133334444");
	BR("0 15 11 3333-4444", "+551133334444");
	BR("55 11 3333-4444", "+551133334444");
	BR("+55 11 3333-4444", "+551133334444");
	BR("0055 11 3333-4444", "+551133334444");
	BR("+55 (0)11 3333-4444", "+551133334444");
}

/* As mobiles were until 2016, and as some accounts still are: nothing is added. */
static void
old_mobiles(void)
{
	BR("11 8765-4321", "+551187654321");
	BR("5511 9765-4321", "+551197654321");
	BR("+55 51 9765-4321", "+555197654321");
}

/* 55 is the country, and the area of Santa Maria. */
static void
area_55(void)
{
	BR("55 98765-4321", "+5555987654321");
	BR("55 3222-1111", "+555532221111");
	BR("(055) 98765-4321", "+5555987654321");
	BR("55 55 98765-4321", "+5555987654321");
	BR("+55 55 3222-1111", "+555532221111");
	BR("+55 98765-4321", NULL);
}

static void
none(void)
{
	BR("", NULL);
	BR(" ", NULL);
	BR("+", NULL);
	BR("190", NULL);
	BR("28282", NULL);
	BR("4004-1234", NULL);
	BR("3333-4444", NULL);
	BR("98765-4321", NULL);
	BR("0800 123 4567", NULL);
	BR("0300 123 456", NULL);
	BR("10 98765-4321", NULL);
	BR("11 0333-4444", NULL);
	BR("11 1333-4444", NULL);
	BR("11 88765-4321", NULL);
	BR("119876543210", NULL);
	BR("+55 11 98765-43210", NULL);
	BR("+55 11 9876", NULL);
	BR("+0 11 98765-4321", NULL);
	BR("000 11 98765-4321", NULL);
	BR("++5511987654321", NULL);
	BR("55+11987654321", NULL);
	BR("ana@example.com", NULL);
	BR("11 98765-4321 (Ana)", NULL);
	BR("(0xx11) 3333-4444", NULL);
	BR("11 98765-4321 r. 12", NULL);
	BR("+55119876543\xc3\xa9", NULL);
	BR("11987654321;ext=1", NULL);
	BR("\xff\xfe", NULL);
}

static void
other_countries(void)
{
	NUMBER("912 345 678", "PT", "+351912345678");
	NUMBER("351 912 345 678", "PT", "+351912345678");
	NUMBER("912345678", "pt", "+351912345678");
	NUMBER("(212) 555-0123", "US", "+12125550123");
	NUMBER("1 212 555 0123", "US", "+12125550123");
	NUMBER("011 2345-6789", "AR", "+541123456789");
	NUMBER("020 7946 0958", "GB", "+442079460958");
	NUMBER("01512 3456789", "DE", "+4915123456789");
	NUMBER("030 12345678901", "DE", "+493012345678901");
	/* a zero that belongs to the number */
	NUMBER("06 1234 5678", "IT", "+390612345678");
	NUMBER("391 234 5678", "IT", "+393912345678");
	/* whatever the company's own country is */
	NUMBER("+351 912 345 678", "BR", "+351912345678");
	NUMBER("00351 912 345 678", "BR", "+351912345678");
	NUMBER("+55 11 98765-4321", "PT", "+5511987654321");
	NUMBER("+1 (212) 555-0123", NULL, "+12125550123");
	/* none, and one that is not known, are Brazil */
	NUMBER("11 98765-4321", NULL, "+5511987654321");
	NUMBER("11 98765-4321", "XX", "+5511987654321");
	NUMBER("11 98765-4321", "", "+5511987654321");
}

static void
lengths(void)
{
	NUMBER("+123456789012345", "BR", "+123456789012345");
	NUMBER("+1234567890123456", "BR", NULL);
	NUMBER("+12345678901234567890", "BR", NULL);
	NUMBER("+123456789012345678901234567890", "BR", NULL);
	NUMBER("+12345678", "BR", "+12345678");
	NUMBER("+1234567", "BR", NULL);
	NUMBER("1234567890123456", "PT", NULL);
}

static void
check_other(const char *e164, const char *expected, int line)
{
	char other[PHONE_E164_SIZE];

	check_text(phone_other(e164, other) ? other : NULL, expected, __FILE__, line, e164);
}

#define OTHER(e164, expected) check_other(e164, expected, __LINE__)

static void
ninth_digit(void)
{
	OTHER("+5511987654321", "+551187654321");
	OTHER("+551187654321", "+5511987654321");
	OTHER("+555196543210", "+5551996543210");
	/* a landline, and a mobile number that never was without it */
	OTHER("+551133334444", NULL);
	OTHER("+5511933334444", NULL);
	OTHER("+351912345678", NULL);
	OTHER("+12125550123", NULL);
	OTHER("+5598765432", NULL);
	OTHER("+55", NULL);
	CHECK(phone_is_same("+5511987654321", "+551187654321"));
	CHECK(phone_is_same("+551187654321", "+5511987654321"));
	CHECK(phone_is_same("+12125550123", "+12125550123"));
	CHECK(!phone_is_same("+5511987654321", "+5521987654321"));
	CHECK(!phone_is_same("+5511933334444", "+551133334444"));
	check_text(phone_tail("+5511987654321"), phone_tail("+551187654321"), __FILE__, __LINE__,
			   "tail");
	check_text(phone_tail("+12345678"), "12345678", __FILE__, __LINE__, "tail");
}

/* Argentina's 9 and Mexico's 1, which WhatsApp's accounts have. */
static void
mobile_marks(void)
{
	OTHER("+525512345678", "+5215512345678");
	OTHER("+5215512345678", "+525512345678");
	OTHER("+541123456789", "+5491123456789");
	OTHER("+5491123456789", "+541123456789");
	/* of another length, or with another digit there */
	OTHER("+5255123456", NULL);
	OTHER("+5225512345678", NULL);
	OTHER("+52155123456789", NULL);
	OTHER("+5411234567", NULL);
	OTHER("+5481123456789", NULL);
	OTHER("+520512345678", NULL);
	CHECK(phone_is_same("+525512345678", "+5215512345678"));
	CHECK(phone_is_same("+5491123456789", "+541123456789"));
	CHECK(!phone_is_same("+525512345678", "+5215512345679"));
	CHECK(!phone_is_same("+5215512345678", "+5495512345678"));
	check_text(phone_tail("+525512345678"), phone_tail("+5215512345678"), __FILE__, __LINE__,
			   "tail");
}

int
main(void)
{
	RUN_GROUP("phone: a Brazilian mobile in every spelling", mobiles);
	RUN_GROUP("phone: landlines", landlines);
	RUN_GROUP("phone: mobiles of eight digits", old_mobiles);
	RUN_GROUP("phone: area 55", area_55);
	RUN_GROUP("phone: what is none", none);
	RUN_GROUP("phone: other countries", other_countries);
	RUN_GROUP("phone: lengths", lengths);
	RUN_GROUP("phone: Brazil's ninth digit", ninth_digit);
	RUN_GROUP("phone: Argentina's 9 and Mexico's 1", mobile_marks);
	return check_result();
}
