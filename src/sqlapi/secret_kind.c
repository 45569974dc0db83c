/*
 * secret_kind.c
 *		Which secrets there may be, what each opens, and by what one is known again.
 */
#include "postgres.h"

#include "common/cryptohash.h"

#include "sqlapi/http.h"
#include "sqlapi/secret.h"

static const struct
{
	const char *name;
	bool may_be_somebodys; /* with a name behind a colon */
	int rights;
} kinds[] = {
	{"service_role", false, HTTP_RUN | HTTP_HEALTH | HTTP_METRICS | HTTP_PAGES | HTTP_PEOPLE},
	{"cron", false, HTTP_RUN},
	{"health", false, HTTP_HEALTH},
	{"metrics", false, HTTP_METRICS},
	{"viewer", true, HTTP_HEALTH | HTTP_PAGES},
	{"people", true, HTTP_HEALTH | HTTP_PAGES | HTTP_PEOPLE}};

static bool
is_name(const char *text)
{
	return text[0] != '\0' &&
		   text[strspn(
			   text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.@-")] == '\0';
}

/* What a secret of that name opens; 0: there is none of that name. */
int
cadence_secret_rights(const char *name)
{
	if (strlen(name) > SECRET_NAME_MAX)
		return 0;
	for (size_t i = 0; i < lengthof(kinds); i++)
	{
		size_t len = strlen(kinds[i].name);

		if (strncmp(name, kinds[i].name, len) != 0)
			continue;
		if (name[len] == '\0' ||
			(kinds[i].may_be_somebodys && name[len] == ':' && is_name(name + len + 1)))
			return kinds[i].rights;
	}
	return 0;
}

/* Of a name that opens something: whether it is one person's, and not shared. */
bool
cadence_secret_is_somebodys(const char *name)
{
	return strchr(name, ':') != NULL;
}

/* SHA-256. */
void
cadence_secret_digest(const uint8 *bytes, size_t len, uint8 *to)
{
	pg_cryptohash_ctx *context = pg_cryptohash_create(PG_SHA256);
	bool failed = context == NULL || pg_cryptohash_init(context) < 0 ||
				  pg_cryptohash_update(context, bytes, len) < 0 ||
				  pg_cryptohash_final(context, to, SECRET_DIGEST_SIZE) < 0;

	if (context != NULL)
		pg_cryptohash_free(context);
	if (failed)
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not compute a digest")));
}
