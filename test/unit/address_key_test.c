/*
 * address_key_test.c
 *		Addresses as they are remembered.
 */
#include "rules/address_key.h"

#include <string.h>

#include "check.h"
#include "rules/mailbox.h"

static void
check_key(const char *stored, bool is_email, const char *country, const char *expected, int line)
{
	char key[ADDRESS_KEY_SIZE];

	memset(key, 0x55, sizeof(key));
	address_key(stored, is_email, country, key);
	check_text(key, expected, __FILE__, line, stored);
}

#define NUMBER(stored, country, expected) check_key(stored, false, country, expected, __LINE__)
#define MAIL(stored, expected) check_key(stored, true, "BR", expected, __LINE__)

static void
numbers(void)
{
	/* however it was typed; the country's own numbers are that country's */
	NUMBER("(11) 98765-4321", "BR", "+5511987654321");
	NUMBER("0055 11 98765-4321", NULL, "+5511987654321");
	NUMBER("912 345 678", "PT", "+351912345678");
	/* the ninth digit may be all that was wrong */
	NUMBER("11 8765-4321", "BR", "+551187654321");
	NUMBER("55 1234 5678", "MX", "+525512345678");
	/* what is no number is known as it is */
	NUMBER("11 1", "BR", "11 1");
	NUMBER("Ana@Example.com", "BR", "Ana@Example.com");
}

static void
mailboxes(void)
{
	MAIL("Ana.Souza+Tag@Example.COM", "ana.souza+tag@example.com");
	MAIL("\xc3\x81na@example.com", "\xc3\x81na@example.com");
	/* one of digits is no telephone */
	MAIL("11987654321", "11987654321");
}

/* What is sent to is never longer. */
static void
long_ones(void)
{
	char longest[ADDRESS_KEY_SIZE + 5];
	char key[ADDRESS_KEY_SIZE];

	memset(longest, 'A', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	address_key(longest, true, NULL, key);
	CHECK(strlen(key) == ADDRESS_KEY_SIZE - 1 && key[0] == 'a');
	address_key(longest, false, NULL, key);
	CHECK(strlen(key) == ADDRESS_KEY_SIZE - 1 && key[0] == 'A');
}

static void
check_one(const char *stored, bool is_email, const char *expected, int line)
{
	char one[ADDRESS_ONE_SIZE];

	memset(one, 0x55, sizeof(one));
	check_text(address_one(stored, is_email, "BR", one) ? one : NULL, expected, __FILE__, line,
			   stored);
}

#define ONE_NUMBER(stored, expected) check_one(stored, false, expected, __LINE__)
#define ONE_MAILBOX(stored, expected) check_one(stored, true, expected, __LINE__)

/* All spellings are one, and what can be no address is none. */
static void
one_address(void)
{
	char longest[MAILBOX_ADDRESS_MAX + 3];

	ONE_NUMBER("(11) 98765-4321", "+5511987654321");
	ONE_NUMBER("+551187654321", "+5511987654321");
	ONE_NUMBER("11 3765-4321", "+551137654321");
	ONE_NUMBER("+14155550100", "+14155550100");
	ONE_NUMBER("+52 55 1234 5678", "+5215512345678");
	ONE_NUMBER("+52 1 55 1234 5678", "+5215512345678");
	ONE_NUMBER("+54 11 2345-6789", "+5491123456789");
	ONE_NUMBER("+54 9 11 2345-6789", "+5491123456789");
	ONE_NUMBER("11 1", NULL);
	ONE_NUMBER("", NULL);
	ONE_NUMBER("ana@example.com", NULL);
	ONE_MAILBOX(" Ana <Ana+Tag@Example.COM>\r\n", "ana+tag@example.com");
	ONE_MAILBOX("\xe2\x80\x8b"
				"ana@example.com",
				"ana@example.com");
	ONE_MAILBOX("11987654321", NULL);
	ONE_MAILBOX("", NULL);
	ONE_MAILBOX("a@b c", NULL);
	memset(longest, 'a', sizeof(longest));
	longest[1] = '@';
	longest[MAILBOX_ADDRESS_MAX] = '\0';
	ONE_MAILBOX(longest, longest);
	longest[MAILBOX_ADDRESS_MAX] = 'a';
	longest[MAILBOX_ADDRESS_MAX + 1] = '\0';
	ONE_MAILBOX(longest, NULL);
}

static void
check_reached(const char *stored, const char *country, const char *expected, int line)
{
	char one[ADDRESS_ONE_SIZE];

	check_text(address_reached(stored, false, country, one) ? one : NULL, expected, __FILE__, line,
			   stored);
}

#define REACHED(stored, country, expected) check_reached(stored, country, expected, __LINE__)

/* Of what can be no number, the one that its digits are. */
static void
reached_address(void)
{
	char one[ADDRESS_ONE_SIZE];
	char longest[ADDRESS_ONE_SIZE * 2];

	REACHED("(11) 98765-4321", "BR", "+5511987654321");
	REACHED("351912345678", "BR", "+351912345678");
	REACHED("5511987654321@c.us", "BR", "+5511987654321");
	REACHED("1187654321@c.us", "BR", "+5511987654321");
	REACHED("912345678 (Rui)", "PT", "+351912345678");
	REACHED("11 1", "BR", NULL);
	REACHED("5511 123456", "BR", NULL);
	REACHED("", NULL, NULL);
	CHECK(!address_reached("351912345678", true, "BR", one));
	memset(longest, '1', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	REACHED(longest, "BR", NULL);
}

int
main(void)
{
	RUN_GROUP("the number that digits are", reached_address);
	RUN_GROUP("numbers in E.164", numbers);
	RUN_GROUP("mailboxes in lower case", mailboxes);
	RUN_GROUP("long addresses", long_ones);
	RUN_GROUP("all spellings are one", one_address);
	return check_result();
}
