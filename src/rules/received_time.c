/*
 * received_time.c
 *		When something was, as webhooks write it: since 1970 in any unit, ISO 8601,
 *		or a mail's date.
 */
#include "rules/received_value.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define SECOND INT64_C(1000000)
#define DAY (86400 * SECOND)

/* Beyond the year 2200 it is an error of the unit, or a joke. */
#define LATEST (INT64_C(7258118400) * SECOND)

/* All of a text that is left to be read. */
typedef struct Cursor
{
	const char *at;
	const char *end;
} Cursor;

static bool
skip(Cursor *c, char expected)
{
	if (c->at == c->end || *c->at != expected)
		return false;
	c->at++;
	return true;
}

/* From "least" to "most" digits as a number; -1: there are less. */
static int64_t
number(Cursor *c, int least, int most)
{
	int64_t value = 0;
	int n = 0;

	for (; n < most && c->at < c->end && isdigit((unsigned char) *c->at); n++)
		value = value * 10 + (*c->at++ - '0');
	return n < least ? -1 : value;
}

/* A fraction of a second, in microseconds; what is finer is cut off. */
static int64_t
fraction(Cursor *c)
{
	int64_t value = 0;
	int n = 0;

	if (!skip(c, '.') && !skip(c, ','))
		return 0;
	for (; c->at < c->end && isdigit((unsigned char) *c->at); c->at++)
		if (n < 6)
		{
			value = value * 10 + (*c->at - '0');
			n++;
		}
	for (; n < 6; n++)
		value *= 10;
	return value;
}

/* ---- since 1970 --------------------------------------------------------------------- */

/* The unit shows in the size: no clock of a webhook is from before 1973 or after 5138. */
static bool
read_epoch(Cursor *c, int64_t *us)
{
	int64_t value = number(c, 1, 18);

	if (value < 0 || (c->at < c->end && isdigit((unsigned char) *c->at)))
		return false;
	if (value < INT64_C(100000000000))
		*us = value * SECOND + fraction(c);
	else if (value < INT64_C(100000000000000))
		*us = value * 1000 + fraction(c) / 1000;
	else if (value < INT64_C(100000000000000000))
		*us = value;
	else
		*us = value / 1000;
	return true;
}

/* ---- dates -------------------------------------------------------------------------- */

/* Days since 1970 of the Gregorian calendar. */
static int64_t
days_of(int64_t year, int64_t month, int64_t day)
{
	int64_t y = month > 2 ? year : year - 1;
	int64_t from_march = month > 2 ? month - 3 : month + 9;

	return y * 365 + y / 4 - y / 100 + y / 400 + (from_march * 153 + 2) / 5 + day - 1 - 719468;
}

static bool
read_clock(Cursor *c, int64_t *us)
{
	int64_t hour = number(c, 1, 2);
	int64_t minute = skip(c, ':') ? number(c, 2, 2) : -1;
	int64_t second = skip(c, ':') ? number(c, 2, 2) : 0;

	if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60)
		return false;
	*us += ((hour * 60 + minute) * 60 + second) * SECOND + fraction(c);
	return true;
}

/* "Z", "+03:00", "-0300"; a zone's name or nothing is UTC. */
static bool
read_zone(Cursor *c, int64_t *us)
{
	int64_t sign = skip(c, '+') ? -1 : skip(c, '-') ? 1 : 0;
	int64_t hours;
	int64_t minutes = 0;

	if (sign == 0)
		return true;
	hours = number(c, 2, 2);
	if (skip(c, ':') || (c->at < c->end && isdigit((unsigned char) *c->at)))
		minutes = number(c, 2, 2);
	if (hours < 0 || hours > 15 || minutes < 0 || minutes > 59)
		return false;
	*us += sign * (hours * 60 + minutes) * 60 * SECOND;
	return true;
}

static void
skip_blanks(Cursor *c)
{
	while (skip(c, ' '))
		continue;
}

static bool
read_iso(Cursor *c, int64_t *us)
{
	int64_t year = number(c, 4, 4);
	int64_t month = skip(c, '-') ? number(c, 2, 2) : -1;
	int64_t day = skip(c, '-') ? number(c, 2, 2) : -1;

	if (year < 1970 || month < 1 || month > 12 || day < 1 || day > 31)
		return false;
	*us = days_of(year, month, day) * DAY;
	if (!skip(c, 'T') && !skip(c, 't') && !skip(c, ' '))
		return c->at == c->end;
	if (!read_clock(c, us))
		return false;
	skip_blanks(c);
	return read_zone(c, us);
}

/* RFC 5322: "Mon, 17 Jul 2023 11:11:22 -0700", the day's name left out or not. */
static bool
read_mail_date(Cursor *c, int64_t *us)
{
	static const char months[] = "janfebmaraprmayjunjulaugsepoctnovdec";
	int64_t month = 0;
	int64_t day;
	int64_t year;
	const char *comma = memchr(c->at, ',', c->end - c->at);

	if (comma != NULL)
		c->at = comma + 1;
	skip_blanks(c);
	day = number(c, 1, 2);
	skip_blanks(c);
	while (month < 12 && (c->end - c->at < 3 || strncasecmp(c->at, months + month * 3, 3) != 0))
		month++;
	if (day < 1 || day > 31 || month == 12)
		return false;
	c->at += 3;
	skip_blanks(c);
	year = number(c, 4, 4);
	if (year < 1970)
		return false;
	*us = days_of(year, month + 1, day) * DAY;
	skip_blanks(c);
	if (!read_clock(c, us))
		return false;
	skip_blanks(c);
	return read_zone(c, us);
}

/* In microseconds since 1970; false when it is no time after that. */
bool
received_time(Slice s, int64_t *us)
{
	Cursor whole;
	Cursor c;

	s = slice_trimmed(s);
	c = whole = (Cursor){s.at, s.at + s.len};
	if (s.len > 5 && isdigit((unsigned char) s.at[0]) && s.at[4] == '-')
	{
		if (!read_iso(&c, us))
			return false;
	}
	else if (!read_epoch(&c, us) || c.at != c.end)
	{
		c = whole;
		if (!read_mail_date(&c, us))
			return false;
	}
	return *us > 0 && *us < LATEST;
}
