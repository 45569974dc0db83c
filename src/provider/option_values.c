/*
 * option_values.c
 *		What the options that every server has may be.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/guc.h"

#include "provider/options.h"
#include "provider/protocol.h"
#include "rules/domain_limits.h"

/*
 * Reads a number of the kinds that are numbers, in milliseconds for a
 * duration; false when it is none, or outside its range.
 */
bool
cadence_option_number(const OptionRule *rule, const char *value, double *number)
{
	bool is_time = rule->kind == OPTION_DURATION || rule->kind == OPTION_PAUSE;
	int flags = is_time ? GUC_UNIT_MS : 0;
	int whole;

	if (rule->kind == OPTION_RATE)
	{
		if (!parse_real(value, number, 0, NULL))
			return false;
	}
	else if (parse_int(value, &whole, flags, NULL))
		*number = whole;
	else
		return false;
	return *number >= rule->min && *number <= rule->max;
}

static bool
read_duration(const char *value, int unit, int64 *to)
{
	int whole;

	if (!parse_int(value, &whole, unit, NULL) || whole < 0)
		return false;
	*to = (int64) whole * (unit == GUC_UNIT_S ? 1000 : 1);
	return true;
}

/* Cuts a text at the first of some characters; the rest, NULL: there is none. */
static char *
cut(char *text, const char *mark)
{
	char *at = strstr(text, mark);

	if (at == NULL)
		return NULL;
	*at = '\0';
	return at + strlen(mark);
}

/* A gap, or one between two bounds; in milliseconds. */
bool
cadence_option_gap(const char *value, int64 *from_ms, int64 *to_ms)
{
	char *from = pstrdup(value);
	char *to = cut(from, "..");

	return read_duration(from, GUC_UNIT_MS, from_ms) &&
		   read_duration(to != NULL ? to : from, GUC_UNIT_MS, to_ms) && *from_ms <= *to_ms &&
		   *to_ms <= INT64CONST(86400000);
}

/* How a day's limit grows: from, to, and over how long. */
bool
cadence_option_warm_up(const char *value, int *from, int *to, int64 *over_ms)
{
	char *first = pstrdup(value);
	char *second = cut(first, "..");
	char *over = second != NULL ? cut(second, "/") : NULL;

	return over != NULL && parse_int(first, from, 0, NULL) && parse_int(second, to, 0, NULL) &&
		   *from >= 1 && *from <= *to && read_duration(over, GUC_UNIT_S, over_ms) && *over_ms > 0;
}

bool
cadence_option_is_one_of(const char *value, const char *const *words)
{
	while (*words != NULL && pg_strcasecmp(value, *words) != 0)
		words++;
	return *words != NULL;
}

/* ---- what else it should be: NULL, when it is that ------------------------------------- */

static const char *
expect_word(const char *value, const char *const *words)
{
	if (cadence_option_is_one_of(value, words))
		return NULL;
	return psprintf("One of: %s.", cadence_protocol_words(words));
}

/* As it is compared with the URL's: without a scheme, a port or a path. */
static const char *
expect_host(const char *value)
{
	if (strpbrk(value, "/?#@ ") != NULL || (value[0] != '[' && strchr(value, ':') != NULL))
		return "The name of a host, without a port.";
	return NULL;
}

/* Behind one of these and "://"; NULL: it begins with none. */
static const char *
behind_scheme(const char *url, const char *const *schemes)
{
	for (; *schemes != NULL; schemes++)
	{
		size_t len = strlen(*schemes);

		if (pg_strncasecmp(url, *schemes, len) == 0 && strncmp(url + len, "://", 3) == 0)
			return url + len + 3;
	}
	return NULL;
}

/*
 * Only what the promise needs is checked: the scheme, a host, and no password
 * in the address (every user may read a server's options). Whether the rest is
 * a URL is the transport's to say.
 */
static const char *
expect_url(const Definition *d, const char *value)
{
	static const char *const http[] = {"http", "https", NULL};
	static const char *const smtp[] = {"smtp", "smtps", NULL};
	const char *const *schemes = d->is_smtp ? smtp : http;
	const char *host = behind_scheme(value, schemes);
	size_t authority = host != NULL ? strcspn(host, "/?#") : 0;

	if (host == NULL)
		return psprintf("A URL starts with one of these, and \"://\": %s.",
						cadence_protocol_words(schemes));
	if (authority == 0 || host[0] == ':')
		return "A URL names a host.";
	if (memchr(host, '@', authority) != NULL)
		return "Put username and password into a user mapping: everybody may read a server's "
			   "options.";
	if (strpbrk(value, " \t\"<>\\^`{|}") != NULL)
		return "Blanks and other special characters are written as %xx in a URL.";
	return NULL;
}

static const char *
expect_number(const OptionRule *rule, const char *value)
{
	double number;

	if (cadence_option_number(rule, value, &number))
		return NULL;
	if (rule->kind == OPTION_DURATION)
		return psprintf("A duration from %gms to %gmin; without a unit: milliseconds.", rule->min,
						rule->max / 60000);
	return psprintf("A number from %g to %g.", rule->min, rule->max);
}

/*
 * Whoever writes '30' means seconds, or hours, and would get milliseconds: a number that
 * writes without a pause is closed by WhatsApp. What stands in the catalog is read as ever,
 * and a dump of it restored, which says so as it does for functions.
 */
static bool
says_unit(const char *duration)
{
	size_t digits = strspn(duration, " \t+0123456789.");

	return !check_function_bodies || duration[digits] != '\0' ||
		   strpbrk(duration, "123456789") == NULL;
}

static const char *
expect_pause(const OptionRule *rule, const char *value)
{
	double number;

	if (cadence_option_number(rule, value, &number) && says_unit(value))
		return NULL;
	return psprintf("A pause with its unit, such as '4h', of at most %gh.", rule->max / 3600000);
}

static const char *
expect_gap(const char *value)
{
	char *first = pstrdup(value);
	char *second = cut(first, "..");
	int64 from;
	int64 to;

	if (cadence_option_gap(value, &from, &to) && says_unit(first) &&
		(second == NULL || says_unit(second)))
		return NULL;
	return "A pause with its unit such as '30s', or one between two such as '30s..60s'.";
}

static const char *
expect_warm_up(const char *value)
{
	const char *time = strchr(value, '/');
	int from;
	int to;
	int64 over;

	if (cadence_option_warm_up(value, &from, &to, &over) && says_unit(time + 1))
		return NULL;
	return "Messages a day at first and at last, and how long that takes, with its unit: "
		   "'20..200/30d'.";
}

static const char *
expect_domains(const Definition *d, const char *value)
{
	if (!cadence_option_is_one_of("EMAIL", d->channels))
		return "Only a protocol with e-mail has domains.";
	if (!domain_limits_read(value, NULL, NULL))
		return "Domains, each once, and how many mails a minute: '{\"gmail.com\": 20}'.";
	return NULL;
}

/* What an option's value should be instead, in a sentence; NULL: it is that. */
const char *
cadence_option_expected(const Definition *d, const OptionRule *rule, const char *value)
{
	static const char *const policies[] = {"retry", "hold", NULL};
	static const char *const echoes[] = {"pause", "ignore", NULL};
	static const char *const late[] = {"keep", "resend", NULL};
	bool flag;

	switch (rule->kind)
	{
		case OPTION_CANAL:
			return expect_word(value, d->channels);
		case OPTION_UNCERTAIN:
			return expect_word(value, policies);
		case OPTION_ECHO:
			return expect_word(value, echoes);
		case OPTION_LATE:
			return expect_word(value, late);
		case OPTION_HOST:
			return expect_host(value);
		case OPTION_DURATION:
		case OPTION_COUNT:
		case OPTION_RATE:
			return expect_number(rule, value);
		case OPTION_PAUSE:
			return expect_pause(rule, value);
		case OPTION_GAP:
			return expect_gap(value);
		case OPTION_WARM_UP:
			return expect_warm_up(value);
		case OPTION_DOMAINS:
			return expect_domains(d, value);
		case OPTION_BOOL:
			return parse_bool(value, &flag) ? NULL : "Either on or off.";
		case OPTION_URL:
			return expect_url(d, value);
		case OPTION_PROTOCOL:
		case OPTION_NAME:
			break;
	}
	return NULL;
}
