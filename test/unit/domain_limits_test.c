/*
 * domain_limits_test.c
 *		The option domain_limits, and the domain that an address has.
 */
#include "rules/domain_limits.h"

#include <stdio.h>
#include <string.h>

#include "check.h"

static char told[200];

static void
note(void *arg, const char *domain, int per_minute)
{
	(void) arg;
	snprintf(told + strlen(told), sizeof(told) - strlen(told), "%s=%d ", domain, per_minute);
}

static void
check_limits(const char *json, const char *expected, int line)
{
	told[0] = '\0';
	check_note(domain_limits_read(json, note, NULL) == (expected != NULL), __FILE__, line, json);
	check_text(told, expected != NULL ? expected : "", __FILE__, line, json);
}

#define LIMITS(json, expected) check_limits(json, expected, __LINE__)
#define NO_LIMITS(json) check_limits(json, NULL, __LINE__)

static void
option(void)
{
	LIMITS("{}", "");
	LIMITS("{\"gmail.com\": 20}", "gmail.com=20 ");
	LIMITS(" {\"Gmail.com\": 1, \"münchen.example\": 1000000} ",
		   "Gmail.com=1 münchen.example=1000000 ");
	NO_LIMITS("");
	NO_LIMITS("20");
	NO_LIMITS("[\"gmail.com\"]");
	NO_LIMITS("{\"gmail.com\": 20");
	NO_LIMITS("{\"gmail.com\": 0}");
	NO_LIMITS("{\"gmail.com\": -1}");
	NO_LIMITS("{\"gmail.com\": 1000001}");
	NO_LIMITS("{\"gmail.com\": 2.5}");
	NO_LIMITS("{\"gmail.com\": \"20\"}");
	NO_LIMITS("{\"\": 20}");
	NO_LIMITS("{\"a b\": 20}");
	NO_LIMITS("{\"@gmail.com\": 20}");
	NO_LIMITS("{\".com\": 20}");
	NO_LIMITS("{\"gmail.com.\": 20}");
	NO_LIMITS("{\"uol.com.br\": 1, \"gmail.com\": 20, \"gmail.com\": 30}");
	NO_LIMITS("{\"uol.com.br\": 1, \"gmail.com\": 20, \"GMAIL.com\": 30}");
}

static void
many(void)
{
	char json[DOMAIN_LIMITS_MAX * 20];

	for (int n = DOMAIN_LIMITS_MAX; n <= DOMAIN_LIMITS_MAX + 1; n++)
	{
		char *to = json + sprintf(json, "{\"d0\": 1");

		for (int i = 1; i < n; i++)
			to += sprintf(to, ", \"d%d\": 1", i);
		sprintf(to, "}");
		CHECK(domain_limits_read(json, NULL, NULL) == (n <= DOMAIN_LIMITS_MAX));
	}
}

static void
check_domain(const char *address, const char *expected, int line)
{
	size_t len = 0;
	const char *domain = domain_limits_domain(address, &len);
	char copy[100];

	snprintf(copy, sizeof(copy), "%.*s", (int) len, domain != NULL ? domain : "");
	check_text(copy, expected, __FILE__, line, address);
}

#define DOMAIN_OF(address, expected) check_domain(address, expected, __LINE__)

static void
addresses(void)
{
	DOMAIN_OF("ana@gmail.com", "gmail.com");
	DOMAIN_OF("ana@GMAIL.com.", "GMAIL.com");
	DOMAIN_OF("Ana <ana@gmail.com>", "gmail.com");
	DOMAIN_OF("\"a@b\"@gmail.com", "gmail.com");
	DOMAIN_OF("ana", "");
	DOMAIN_OF("ana@", "");
	DOMAIN_OF("ana@.", "");
	DOMAIN_OF("", "");
}

int
main(void)
{
	RUN_GROUP("domain limits: the option", option);
	RUN_GROUP("domain limits: many", many);
	RUN_GROUP("domain limits: addresses", addresses);
	return check_result();
}
