/*
 * http_count.c
 *		How many requests there were, for monitoring.
 *
 * Strangers make requests, too, and a row for each would be theirs to fill a disk with. So
 * they are counted in the session's memory, and written once in a second, with whatever
 * request comes then. What a session has not written when it ends is lost.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "executor/spi.h"
#include "utils/timestamp.h"

#include "base/transaction.h"
#include "record/tally.h"
#include "sqlapi/http.h"

#define KINDS_MAX 64
#define EVERY USECS_PER_SEC

typedef struct Kind
{
	const char *route;
	const char *method;
	int status;
	int64 n;
} Kind;

static Kind kinds[KINDS_MAX];
static int nkinds;

static void
add(const char *route, const char *method, int status)
{
	int i = 0;

	while (i < nkinds &&
		   (kinds[i].route != route || kinds[i].method != method || kinds[i].status != status))
		i++;
	if (i == KINDS_MAX)
		return;
	if (i == nkinds)
		kinds[nkinds++] = (Kind){.route = route, .method = method, .status = status};
	kinds[i].n++;
}

static void
write_all(void *arg, int first, int n)
{
	const CadenceTables *tables = cadence_tables_load(cadence_extension_schema());
	CadenceCaller caller = cadence_owner_begin(tables->owner);
	TallyRow rows[KINDS_MAX];

	memset(rows, 0, sizeof(rows));
	for (int i = 0; i < nkinds; i++)
	{
		rows[i].kind = "http";
		rows[i].server = kinds[i].route;
		rows[i].outcome = kinds[i].method;
		rows[i].code = psprintf("%d", kinds[i].status);
		rows[i].n = kinds[i].n;
	}
	(void) SPI_connect();
	cadence_tally_write(cadence_tally_create(tables), rows, nkinds);
	SPI_finish();
	cadence_owner_end(caller);
}

/*
 * Counts a request that was answered. route and method are of closed sets, and constants.
 * Whatever keeps the numbers from being written costs nobody the answer.
 */
void
http_count(const char *route, const char *method, int status)
{
	static TimestampTz written_at = 0;
	TimestampTz now = GetCurrentTimestamp();

	add(route, method, status);
	if ((now >= written_at && now < written_at + EVERY) || XactReadOnly || RecoveryInProgress())
		return;
	written_at = now;
	if (cadence_try(write_all, NULL, 0, 0, false) == NULL)
		nkinds = 0;
}
