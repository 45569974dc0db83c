/*
 * check.h
 *		The units' assertions: counted, grouped, and never stopping at the first.
 *
 * A test calls its groups with RUN_GROUP() and returns check_result(). Each
 * group prints one line, "ok" or "not ok"; a failed assertion says where it
 * stands and what it saw.
 */
#ifndef CADENCE_CHECK_H
#define CADENCE_CHECK_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static int check_group_passed;
static int check_group_failed;
static int check_groups_failed;

static inline bool
check_note(bool ok, const char *file, int line, const char *what)
{
	if (ok)
		check_group_passed++;
	else
	{
		check_group_failed++;
		printf("# %s:%d: %s\n", file, line, what);
	}
	return ok;
}

static inline void
check_int(intmax_t actual, intmax_t expected, const char *file, int line, const char *what)
{
	if (!check_note(actual == expected, file, line, what))
		printf("#   is %jd, should be %jd\n", actual, expected);
}

static inline void
check_text(const char *actual, const char *expected, const char *file, int line, const char *what)
{
	bool same =
		actual != NULL && expected != NULL ? strcmp(actual, expected) == 0 : actual == expected;

	if (!check_note(same, file, line, what))
		printf("#   is \"%s\", should be \"%s\"\n", actual != NULL ? actual : "(null)",
			   expected != NULL ? expected : "(null)");
}

#define CHECK(condition) ((void) check_note((condition), __FILE__, __LINE__, #condition))
#define CHECK_INT(actual, expected) check_int((actual), (expected), __FILE__, __LINE__, #actual)
#define CHECK_TEXT(actual, expected) check_text((actual), (expected), __FILE__, __LINE__, #actual)

static inline void
check_run_group(const char *name, void (*group)(void))
{
	check_group_passed = check_group_failed = 0;
	group();
	/* A group that asserts nothing has not shown anything. */
	if (check_group_failed > 0 || check_group_passed == 0)
	{
		check_groups_failed++;
		printf("not ok %s (%d of %d checks failed)\n", name, check_group_failed,
			   check_group_failed + check_group_passed);
	}
	else
		printf("ok %s (%d checks)\n", name, check_group_passed);
	fflush(stdout);
}

#define RUN_GROUP(name, group) check_run_group(name, group)

static inline int
check_result(void)
{
	return check_groups_failed > 0 ? 1 : 0;
}

#endif
