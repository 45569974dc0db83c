/*
 * window_test.c
 *		When messages may leave.
 */
#include "rules/window.h"

#include "window_tools.h"

/* ---- reading --------------------------------------------------------------------------- */

static void
check_read(const char *json, size_t len, const char *expected, int line)
{
	char problem[WINDOW_PROBLEM_SIZE] = "";
	Window window;

	check_note(window_read(json, len, &window, problem) == (expected == NULL), __FILE__, line,
			   json);
	check_text(problem, expected != NULL ? expected : "", __FILE__, line, json);
	if (expected != NULL)
		check_int(window.n, 0, __FILE__, line, json);
}

#define READS(json) check_read(json, strlen(json), NULL, __LINE__)
#define REFUSES(json, problem) check_read(json, strlen(json), problem, __LINE__)

#define NO_FROM "\"das\" is not a time from \"00:00\" to \"23:59\""
#define NO_TO "\"ate\" is not a time from \"00:00\" to \"24:00\""
#define NO_DAY                                                                        \
	"\"dias\" holds something else than the days of the week, from 1, Monday, to 7, " \
	"Sunday"
#define NO_DAYS "\"dias\" is not a list of days of the week, from 1, Monday, to 7, Sunday"
#define NO_SPAN "it is not a list of objects with dias, das and ate"

static void
reads(void)
{
	Window w = window_of("[{\"dias\": [1,2,3,4,5], \"das\": \"08:00\", \"ate\": \"18:00\"},"
						 " {\"das\": \"22:30\", \"ate\": \"05:59\"}]");

	CHECK_INT(w.n, 2);
	CHECK_INT(w.spans[0].days, 0x3e);
	CHECK_INT(w.spans[0].from, 480);
	CHECK_INT(w.spans[0].to, 1080);
	CHECK_INT(w.spans[1].days, 0xfe);
	CHECK_INT(w.spans[1].from, 1350);
	CHECK_INT(w.spans[1].to, 359);
	READS("[{\"das\": \"00:00\", \"ate\": \"24:00\"}]");
	READS("[{\"das\": \"08:00\", \"ate\": \"00:00\"}]");
	READS("[{\"dias\": [7,6,5,4,3,2,1], \"das\": \"08:00\", \"ate\": \"08:01\"}]");
	READS("[{\"dias\": [1,1], \"das\": \"23:59\", \"ate\": \"23:58\"}]");
}

static void
refuses_other_json(void)
{
	REFUSES("null", "it is not a list");
	REFUSES("{}", "it is not a list");
	REFUSES("\"08:00-18:00\"", "it is not a list");
	REFUSES("1e5", "it is not a list");
	REFUSES("[]", "it never opens: a list without a span; null is always");
	REFUSES("[1]", NO_SPAN);
	REFUSES("[null]", NO_SPAN);
	REFUSES("[[]]", NO_SPAN);
	REFUSES("[[{\"das\": \"08:00\", \"ate\": \"18:00\"}]]", NO_SPAN);
	REFUSES("[{\"das\": \"08:00\", \"ate\": \"18:00\"}, \"x\"]", NO_SPAN);
	REFUSES("[{}]", NO_FROM);
	REFUSES("[{\"das\": \"08:00\", \"ate\": \"18:00\", \"dia\": [1]}]",
			"\"dia\" is not one of dias, das and ate");
	REFUSES("[{\"das\": \"08:00\", \"até\": \"18:00\"}]",
			"\"até\" is not one of dias, das and ate");
}

static void
refuses_times(void)
{
	static const char *const times[] = {
		"\"8:00\"",	 "\"08:0\"",   "\"0800\"",	 "\"08:00:00\"", "\"08h00\"",  "\"24:01\"",
		"\"25:00\"", "\"99:99\"",  "\"08:60\"",	 "\"-1:00\"",	 "\"+8:00\"",  "\" 8:00\"",
		"\"08: 0\"", "\"12:3:\"",  "\":1:00\"",	 "\"1::00\"",	 "\"::::::\"", "\":::::\"",
		"\"\"",		 "\"08:00 \"", "8",			 "8.5",			 "null",	   "[]",
		"{}",		 "\"0８:0\"",  "\"08:00Z\"", "\"meia\"",	 "\"1e:00\"",  "true"};
	char json[200];

	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
	{
		snprintf(json, sizeof(json), "[{\"das\": %s, \"ate\": \"18:00\"}]", times[i]);
		REFUSES(json, NO_FROM);
		snprintf(json, sizeof(json), "[{\"das\": \"08:00\", \"ate\": %s}]", times[i]);
		REFUSES(json, NO_TO);
	}
	REFUSES("[{\"das\": \"24:00\", \"ate\": \"18:00\"}]", NO_FROM);
	REFUSES("[{\"das\": \"08:00\"}]", NO_TO);
	REFUSES("[{\"ate\": \"08:00\"}]", NO_FROM);
	REFUSES("[{\"das\": \"08:00\", \"ate\": \"08:00\"}]",
			"a span from 08:00 to itself is empty; the whole day is from \"00:00\" to \"24:00\"");
	REFUSES("[{\"das\": \"00:00\", \"ate\": \"00:00\"}]",
			"a span from 00:00 to itself is empty; the whole day is from \"00:00\" to \"24:00\"");
}

static void
refuses_days(void)
{
	static const char *const days[] = {"[0]",
									   "[8]",
									   "[-1]",
									   "[1.0]",
									   "[1e0]",
									   "[\"1\"]",
									   "[null]",
									   "[[1]]",
									   "[true]",
									   "[1,2,8]",
									   "[257]",
									   "[4294967297]",
									   "[9223372036854775807]",
									   "[-9223372036854775808]"};
	char json[200];

	for (size_t i = 0; i < sizeof(days) / sizeof(days[0]); i++)
	{
		snprintf(json, sizeof(json), "[{\"dias\": %s, \"das\": \"08:00\", \"ate\": \"18:00\"}]",
				 days[i]);
		REFUSES(json, NO_DAY);
	}
	REFUSES("[{\"dias\": [], \"das\": \"08:00\", \"ate\": \"18:00\"}]", NO_DAYS);
	REFUSES("[{\"dias\": null, \"das\": \"08:00\", \"ate\": \"18:00\"}]", NO_DAYS);
	REFUSES("[{\"dias\": 1, \"das\": \"08:00\", \"ate\": \"18:00\"}]", NO_DAYS);
	REFUSES("[{\"dias\": {\"1\": 1}, \"das\": \"08:00\", \"ate\": \"18:00\"}]", NO_DAYS);
	REFUSES("[{\"dias\": [1,2,3,4,5,6,7,7], \"das\": \"08:00\", \"ate\": \"18:00\"}]",
			"\"dias\" holds more than the 7 days of the week");
	/* jansson's largest */
	REFUSES("[{\"dias\": [9223372036854775808], \"das\": \"08:00\", \"ate\": \"18:00\"}]",
			"it is not JSON: too big integer near '9223372036854775808'");
}

static void
refuses_texts(void)
{
	char problem[WINDOW_PROBLEM_SIZE];
	Window window;
	static const char *const texts[] = {
		"",
		" ",
		"[",
		"[{\"das\": \"08:00\", \"ate\": \"18:00\"}",
		"[{\"das\": \"08:00\", \"ate\": \"18:00\"}]]",
		"[{\"das\": \"08:00\", \"ate\": \"18:00\",}]",
		"[{das: \"08:00\"}]",
		"[{\"das\": \"08:00\", \"das\": \"09:00\", \"ate\": \"18:00\"}]",
		"[{\"das\": \"\xff\xfe\", \"ate\": \"18:00\"}]",
		"[{\"d\xc3\": \"08:00\", \"ate\": \"18:00\"}]",
		"[{\"das\": \"08:00\\u0000\", \"ate\": \"18:00\"}]",
		"[{\"das\\u0000x\": \"08:00\", \"ate\": \"18:00\"}]",
		"[{\"das\": \"\\ud800\", \"ate\": \"18:00\"}]",
		"\xef\xbb\xbf[]"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
	{
		check_note(!window_read(texts[i], strlen(texts[i]), &window, problem), __FILE__, __LINE__,
				   texts[i]);
		check_note(strncmp(problem, "it is not JSON: ", 16) == 0, __FILE__, __LINE__, problem);
	}
	/* a NUL is not the end */
	CHECK(!window_read("[{\"das\": \"08:00\", \"ate\": \"18:00\"}]\0", 39, &window, problem));
}

/* What is long is not read, or not said in full. */
static void
refuses_much(void)
{
	static char json[2 << 20];
	char problem[WINDOW_PROBLEM_SIZE];
	Window window;
	int len = 0;

	for (int i = 0; i < WINDOW_SPANS_MAX; i++)
		len += sprintf(json + len,
					   "%s{\"dias\": [1, 2, 3, 4, 5, 6, 7], \"das\": \"08:00\", "
					   "\"ate\": \"18:00\"}",
					   i == 0 ? "[" : ", ");
	strcpy(json + len, "]");
	READS(json);
	CHECK_INT(window_of(json).n, WINDOW_SPANS_MAX);
	strcpy(json + len, ", {}]");
	REFUSES(json, "it has more than 50 spans");
	memset(json, ' ', sizeof(json));
	check_read(json, sizeof(json), "it is longer than 16384 bytes", __LINE__);
	/* an alphabet of two bytes a letter, of which 40 bytes are shown */
	len = sprintf(json, "[{\"x");
	for (int i = 0; i < 1000; i++)
		len += sprintf(json + len, "é");
	strcpy(json + len, "\": 1}]");
	REFUSES(json, "\"xééééééééééééééééééé\" is not one of dias, das and ate");
	/* more brackets than the parser goes into */
	memset(json, '[', 16000);
	CHECK(!window_read(json, 16000, &window, problem));
}

/* ---- open, opens, closes --------------------------------------------------------------- */

static void
check_open(const Window *w, const Calendar *c, const char *utc, bool expected, int line)
{
	check_note(window_is_open(w, c, instant_of(utc)) == expected, __FILE__, line, utc);
}

#define OPEN(utc) check_open(&w, &c, utc, true, __LINE__)
#define CLOSED(utc) check_open(&w, &c, utc, false, __LINE__)
#define OPENS(utc, local) CHECK_LOCAL(&c, window_opens(&w, &c, instant_of(utc)), local)
#define CLOSES(utc, local) CHECK_LOCAL(&c, window_closes(&w, &c, instant_of(utc)), local)

static void
office_hours(void)
{
	Calendar c = calendar_of(SAO_PAULO, NULL, 0);
	Window w = window_of("[{" WORKDAYS "\"das\": \"08:00\", \"ate\": \"18:00\"}]");

	/* Monday, 2026-11-30 */
	CLOSED("2026-11-30 10:59:59");
	OPEN("2026-11-30 11:00:00");
	OPEN("2026-11-30 20:59:59");
	CLOSED("2026-11-30 21:00:00");
	CLOSED("2026-11-29 12:00");
	CLOSED("2026-11-28 12:00");
	OPENS("2026-11-30 12:34:56", "2026-11-30 09:34:56-03:00");
	OPENS("2026-11-30 10:00", "2026-11-30 08:00:00-03:00");
	OPENS("2026-11-30 21:00", "2026-12-01 08:00:00-03:00");
	OPENS("2026-11-27 21:00", "2026-11-30 08:00:00-03:00");
	CLOSES("2026-11-30 11:00", "2026-11-30 18:00:00-03:00");
	CLOSES("2026-11-30 20:59:59", "2026-11-30 18:00:00-03:00");
	CHECK_INT(window_closes(&w, &c, instant_of("2026-11-30 21:00")),
			  instant_of("2026-11-30 21:00"));
}

#define SINCE(utc, local) CHECK_LOCAL(&c, window_closed(&w, &c, instant_of(utc)), local)

static void
closed_since(void)
{
	const int32_t list[] = {day_of("2026-11-30")};
	Calendar c = calendar_of(SAO_PAULO, NULL, 0);
	Window w = window_of("[{" WORKDAYS "\"das\": \"08:00\", \"ate\": \"18:00\"}]");

	SINCE("2026-11-30 21:00", "2026-11-30 18:00:00-03:00");
	SINCE("2026-11-30 22:00", "2026-11-30 18:00:00-03:00");
	SINCE("2026-11-30 10:59", "2026-11-27 18:00:00-03:00");
	/* a day that begins as a holiday ends what goes on over midnight */
	c = calendar_of(SAO_PAULO, list, 1);
	w = window_of("[{\"dias\": [7], \"das\": \"20:00\", \"ate\": \"02:00\"}]");
	SINCE("2026-11-30 04:00", "2026-11-30 00:00:00-03:00");
	w = window_of("[{\"dias\": [1], \"das\": \"08:00\", \"ate\": \"09:00\"}]");
	SINCE("2026-12-01 12:00", "2026-11-23 09:00:00-03:00");
	CHECK(window_closed(&w, &c, instant_of("2026-12-04 12:00")) == CALENDAR_NEVER);
}

static void
touching(void)
{
	Calendar c = calendar_of(SAO_PAULO, NULL, 0);
	Window w = window_of("[{\"das\": \"12:00\", \"ate\": \"18:00\"},"
						 " {\"das\": \"08:00\", \"ate\": \"12:00\"}]");

	OPEN("2026-11-30 14:59:59");
	OPEN("2026-11-30 15:00:00");
	CLOSES("2026-11-30 11:00", "2026-11-30 18:00:00-03:00");
	CLOSES("2026-11-30 15:00", "2026-11-30 18:00:00-03:00");
	OPENS("2026-11-30 15:00", "2026-11-30 12:00:00-03:00");
	/* and over each other, and over midnight */
	w = window_of("[{\"das\": \"20:00\", \"ate\": \"02:00\"}, {\"das\": \"01:00\", \"ate\": "
				  "\"03:00\"}, {\"das\": \"19:00\", \"ate\": \"20:30\"}]");
	CLOSES("2026-11-30 22:00", "2026-12-01 03:00:00-03:00");
	OPENS("2026-12-01 06:00", "2026-12-01 19:00:00-03:00");
}

static void
over_midnight(void)
{
	Calendar c = calendar_of(SAO_PAULO, NULL, 0);
	Window w = window_of("[{\"dias\": [5], \"das\": \"22:00\", \"ate\": \"02:00\"}]");

	/* Friday, 2026-11-27 */
	CLOSED("2026-11-27 04:00");
	OPEN("2026-11-28 01:00");
	OPEN("2026-11-28 04:59:59");
	CLOSED("2026-11-28 05:00");
	CLOSED("2026-11-29 01:00");
	CLOSES("2026-11-28 01:00", "2026-11-28 02:00:00-03:00");
	OPENS("2026-11-28 03:30", "2026-11-28 00:30:00-03:00");
	OPENS("2026-11-28 05:00", "2026-12-04 22:00:00-03:00");
	w = window_of("[{\"dias\": [7], \"das\": \"08:00\", \"ate\": \"00:00\"}]");
	OPEN("2026-11-30 02:59:59");
	CLOSED("2026-11-30 03:00");
	CLOSES("2026-11-29 12:00", "2026-11-30 00:00:00-03:00");
}

static void
whole_days(void)
{
	const int32_t christmas[] = {day_of("2026-12-25")};
	Calendar c = calendar_of(SAO_PAULO, NULL, 0);
	Window w = window_of("[{\"das\": \"00:00\", \"ate\": \"24:00\"}]");

	OPEN("2026-11-30 02:59:59");
	OPEN("2026-11-30 03:00:00");
	/* two days are enough */
	CLOSES("2026-11-30 12:00", "2026-12-03 00:00:00-03:00");
	OPENS("2026-11-30 12:00", "2026-11-30 09:00:00-03:00");
	c = calendar_of(SAO_PAULO, christmas, 1);
	CLOSES("2026-12-24 12:00", "2026-12-25 00:00:00-03:00");
	CLOSES("2026-12-23 12:00", "2026-12-25 00:00:00-03:00");
	OPENS("2026-12-25 12:00", "2026-12-26 00:00:00-03:00");
	w = window_of("[{\"dias\": [6, 7], \"das\": \"00:00\", \"ate\": \"24:00\"}]");
	CLOSES("2026-11-28 12:00", "2026-11-30 00:00:00-03:00");
	CLOSED("2026-11-30 03:00");
}

/* All day, and what goes on from it. */
static void
holidays(void)
{
	const int32_t list[] = {day_of("2026-12-25"), day_of("2027-01-01")};
	Calendar c = calendar_of(SAO_PAULO, list, 2);
	Window w = window_of("[{\"das\": \"22:00\", \"ate\": \"06:00\"}]");

	OPEN("2026-12-25 02:59:59");
	CLOSED("2026-12-25 03:00");
	CLOSES("2026-12-25 01:30", "2026-12-25 00:00:00-03:00");
	CLOSED("2026-12-26 02:00");
	CLOSED("2026-12-26 04:00");
	OPENS("2026-12-25 03:00", "2026-12-26 22:00:00-03:00");
	OPENS("2026-12-25 02:59:59", "2026-12-24 23:59:59-03:00");
	w = window_of("[{" WORKDAYS "\"das\": \"08:00\", \"ate\": \"18:00\"}]");
	CLOSED("2026-12-25 12:00");
	OPENS("2026-12-24 21:00", "2026-12-28 08:00:00-03:00");
	OPENS("2026-12-31 21:00", "2027-01-04 08:00:00-03:00");
}

static void
leap_days(void)
{
	const int32_t list[] = {day_of("2024-02-29")};
	Calendar c = calendar_of(SAO_PAULO, NULL, 0);
	Window w = window_of("[{\"dias\": [4], \"das\": \"08:00\", \"ate\": \"18:00\"}]");

	/* a Thursday */
	OPEN("2024-02-29 12:00");
	OPENS("2024-02-28 12:00", "2024-02-29 08:00:00-03:00");
	c = calendar_of(SAO_PAULO, list, 1);
	CLOSED("2024-02-29 12:00");
	OPENS("2024-02-28 12:00", "2024-03-07 08:00:00-03:00");
	w = window_of("[{\"dias\": [3], \"das\": \"22:00\", \"ate\": \"06:00\"}]");
	CLOSES("2024-02-29 01:30", "2024-02-29 00:00:00-03:00");
}

/* A time that does not exist moves forward. */
static void
clocks_put_forward(void)
{
	Calendar c = calendar_of(NEW_YORK, NULL, 0);
	Window w = window_of("[{\"das\": \"02:30\", \"ate\": \"08:00\"}]");

	OPENS("2024-03-10 05:00", "2024-03-10 03:30:00-04:00");
	CLOSED("2024-03-10 07:29:59");
	OPEN("2024-03-10 07:30");
	w = window_of("[{\"das\": \"00:00\", \"ate\": \"02:30\"}]");
	CLOSES("2024-03-10 06:00", "2024-03-10 03:30:00-04:00");
	/* nothing is left of a span within the gap that is moved beyond its end */
	w = window_of("[{\"das\": \"02:30\", \"ate\": \"03:15\"}]");
	OPENS("2024-03-10 06:00", "2024-03-11 02:30:00-04:00");
	w = window_of("[{\"das\": \"02:00\", \"ate\": \"03:00\"}]");
	OPENS("2024-03-10 06:00", "2024-03-11 02:00:00-04:00");
	w = window_of("[{\"das\": \"02:10\", \"ate\": \"02:20\"}]");
	OPENS("2024-03-10 06:00", "2024-03-10 03:10:00-04:00");
	CLOSES("2024-03-10 07:10", "2024-03-10 03:20:00-04:00");
	/* midnight itself */
	c = calendar_of(SAO_PAULO, NULL, 0);
	w = window_of("[{\"dias\": [7], \"das\": \"00:00\", \"ate\": \"08:00\"}]");
	OPENS("2018-11-04 02:00", "2018-11-04 01:00:00-02:00");
	CLOSES("2018-11-04 03:00", "2018-11-04 08:00:00-02:00");
	w = window_of("[{\"dias\": [6], \"das\": \"18:00\", \"ate\": \"24:00\"}]");
	CLOSES("2018-11-04 02:00", "2018-11-04 01:00:00-02:00");
	CLOSED("2018-11-04 03:00");
	/* what is moved behind the opening of the next day */
	c = calendar_of(NUUK, NULL, 0);
	w = window_of("[{\"dias\": [6], \"das\": \"23:30\", \"ate\": \"06:00\"},"
				  " {\"dias\": [7], \"das\": \"00:00\", \"ate\": \"00:10\"}]");
	OPENS("2024-03-30 12:00", "2024-03-31 00:00:00-01:00");
	OPENS("2024-03-31 01:10", "2024-03-31 00:30:00-01:00");
	c = calendar_of(LORD_HOWE, NULL, 0);
	w = window_of("[{\"das\": \"02:15\", \"ate\": \"04:00\"}]");
	OPENS("2024-10-05 14:00", "2024-10-06 02:45:00+11:00");
}

/* Of a time that comes twice the first counts. */
static void
clocks_put_back(void)
{
	Calendar c = calendar_of(NEW_YORK, NULL, 0);
	Window w = window_of("[{\"das\": \"01:30\", \"ate\": \"08:00\"}]");

	OPENS("2024-11-03 04:00", "2024-11-03 01:30:00-04:00");
	OPEN("2024-11-03 06:15");
	CLOSES("2024-11-03 05:30", "2024-11-03 08:00:00-05:00");
	w = window_of("[{\"das\": \"00:00\", \"ate\": \"01:30\"}]");
	CLOSES("2024-11-03 04:00", "2024-11-03 01:30:00-04:00");
	CLOSED("2024-11-03 06:15");
	OPENS("2024-11-03 06:15", "2024-11-04 00:00:00-05:00");
	c = calendar_of(SAO_PAULO, NULL, 0);
	w = window_of("[{\"dias\": [6], \"das\": \"18:00\", \"ate\": \"24:00\"}]");
	OPEN("2019-02-17 02:30");
	CLOSES("2019-02-17 01:30", "2019-02-17 00:00:00-03:00");
}

/* A Friday that never was has no office hours on the Saturday. */
static void
days_left_out(void)
{
	const int32_t friday[] = {day_of("2011-12-30")};
	Calendar c = calendar_of(APIA, NULL, 0);
	Window w = window_of("[{" WORKDAYS "\"das\": \"08:00\", \"ate\": \"18:00\"}]");

	OPEN("2011-12-29 20:00");
	CLOSED("2011-12-30 20:00");
	OPENS("2011-12-30 05:00", "2012-01-02 08:00:00+14:00");
	w = window_of("[{\"dias\": [4], \"das\": \"22:00\", \"ate\": \"06:00\"}]");
	/* and what goes on from the day before it ends with that */
	CLOSES("2011-12-30 08:30", "2011-12-31 00:00:00+14:00");
	CLOSED("2011-12-30 10:00");
	/* nor is it a holiday */
	c = calendar_of(APIA, friday, 1);
	w = window_of("[{\"das\": \"00:00\", \"ate\": \"24:00\"}]");
	OPEN("2011-12-30 09:59:59");
	OPEN("2011-12-30 10:00:00");
	CLOSES("2011-12-30 09:59:59", "2012-01-02 00:00:00+14:00");
}

static void
never_opens(void)
{
	int32_t list[500];
	Calendar c = calendar_of(SAO_PAULO, list, 500);
	Window w = window_of("[{\"das\": \"08:00\", \"ate\": \"18:00\"}]");

	for (int i = 0; i < 500; i++)
		list[i] = day_of("2026-11-30") + i;
	OPENS("2026-11-30 12:00", "never");
	OPENS("2026-11-30 02:00", "never");
	OPENS("2026-11-29 12:00", "2026-11-29 09:00:00-03:00");
	c.nholidays = 300;
	OPENS("2026-11-30 12:00", "2027-09-26 08:00:00-03:00");
	/* each Monday */
	for (int i = 0; i < 100; i++)
		list[i] = day_of("2026-11-30") + 7 * i;
	c.nholidays = 100;
	w = window_of("[{\"dias\": [1], \"das\": \"08:00\", \"ate\": \"18:00\"}]");
	OPENS("2026-11-30 12:00", "never");
	w.n = 0;
	OPENS("2026-11-30 12:00", "never");
	CLOSED("2026-11-30 12:00");
}

/* ---- against what is painted ----------------------------------------------------------- */

/* How many of the questions are answered otherwise than it is painted. */
static int
ask_painted(const Timeline *t, const bool *open, const Window *w, const Calendar *c, int n)
{
	int last = TIMELINE_MINUTES - 6 * 1440;
	int wrong = 0;

	for (int i = 0; i < n; i++)
	{
		int minute = 3 * 1440 + chance(last - 3 * 1440);
		int64_t second = chance(2) * chance(60) * CALENDAR_SECOND;
		int64_t at = timeline_at(t, minute) + second;
		int64_t opens = window_opens(w, c, at);
		int next = painted_next(open, minute, last, true);

		wrong += window_is_open(w, c, at) != open[minute];
		if (next >= 0)
			wrong += opens != (next == minute ? at : timeline_at(t, next));
		else
			wrong += opens < timeline_at(t, last);
		if (!open[minute])
			continue;
		next = painted_next(open, minute, minute + 2 * 1440, false);
		if (next >= 0)
			wrong += window_closes(w, c, at) != timeline_at(t, next);
		else
			wrong += window_closes(w, c, at) < timeline_at(t, minute + 2 * 1440);
	}
	return wrong;
}

static void
by_chance(void)
{
	static Timeline t;
	static bool open[TIMELINE_MINUTES];

	for (int p = 0; p < NPERIODS; p++)
	{
		int wrong = 0;

		timeline_fill(&t, periods[p].zone, periods[p].from);
		for (int i = 0; i < 120; i++)
		{
			int32_t list[20];
			Calendar c = calendar_of(periods[p].zone, list, 0);
			Window w;

			chance_window(&w, i % 10 == 0 ? WINDOW_SPANS_MAX : 4);
			c.nholidays = chance_holidays(t.day[2880], list, 20);
			paint_window(&t, &w, &c, open);
			wrong += ask_painted(&t, open, &w, &c, 30);
		}
		check_int(wrong, 0, __FILE__, __LINE__, periods[p].from);
	}
}

int
main(void)
{
	RUN_GROUP("window: reads spans", reads);
	RUN_GROUP("window: refuses other JSON", refuses_other_json);
	RUN_GROUP("window: refuses other times", refuses_times);
	RUN_GROUP("window: refuses other days", refuses_days);
	RUN_GROUP("window: refuses what is not JSON", refuses_texts);
	RUN_GROUP("window: refuses what is too much", refuses_much);
	RUN_GROUP("window: office hours", office_hours);
	RUN_GROUP("window: since when it is closed", closed_since);
	RUN_GROUP("window: spans that touch", touching);
	RUN_GROUP("window: over midnight", over_midnight);
	RUN_GROUP("window: whole days", whole_days);
	RUN_GROUP("window: holidays", holidays);
	RUN_GROUP("window: 29 February", leap_days);
	RUN_GROUP("window: clocks put forward", clocks_put_forward);
	RUN_GROUP("window: clocks put back", clocks_put_back);
	RUN_GROUP("window: a day left out", days_left_out);
	RUN_GROUP("window: never opens", never_opens);
	RUN_GROUP("window: as it is painted, minute by minute", by_chance);
	return check_result();
}
