# What the resident worker does once a minute: it looks although nothing has woken it, logs what it
# has done since the last row, and removes old rows of the log. These minutes pass here, once, for
# all of it; the processor is free meanwhile.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use PostgreSQL::Test::Utils;
use Resident;
use Test::More;
use Time::HiRes qw(time);

my $provider = start_provider();
my $node = resident_cluster('main', 'postgres',
	conf => [ 'cadence_runner.log_retention = 1d', 'max_prepared_transactions = 5' ]);

make_company($node, 'ok', $provider->url('ok'));
wait_for_resident($node, 'postgres', $SOON) or die 'no worker';

sql($node, q{INSERT INTO cadence_runner_logs (executed_at, trigger_source)
	SELECT now() - i * interval '12 hours' + interval '1 hour', 'CRON' FROM generate_series(1, 9) AS i});
my $since = time();
sql($node, enrol_at('ok', 2));
sent_within($provider, 2, $since, $SOON, 'an enrolment');
sql($node, 'SET session_replication_role = replica;' . enrol_at('ok', 3));
sql($node, 'BEGIN;' . enrol_at('ok', 4) . "PREPARE TRANSACTION 'p'");
sql($node, "COMMIT PREPARED 'p'");

# The first row is written when a minute has passed since what it tells of; the look may come first.
poll_until(sub { $provider->count == 9 }, 'wake-ups that were lost: everything is found', 180);
cmp_ok(time() - $since, '<', 110, 'at the look of the minute, not of the next');
$node->poll_query_until('postgres', "SELECT count(*) = 9 FROM lead_cadence_runs WHERE status = 'CONCLUIDA'") or die;

poll_until(
	sub { sql($node, "SELECT count(*) FROM cadence_runner_logs WHERE trigger_source = 'WORKER'") > 0 },
	'a row of the log', 180);
my $row_after = time() - $since;
cmp_ok($row_after, '>', 55, 'after a minute');
cmp_ok($row_after, '<', 110, 'and not after two');
my ($row) = sql_rows($node, "SELECT * FROM cadence_runner_logs WHERE trigger_source = 'WORKER'");
cmp_ok($row->{steps_executed}, '>=', 2, 'with what was sent');
ok( $node->poll_query_until('postgres',
		"SELECT count(*) = 0 FROM cadence_runner_logs WHERE executed_at < now() - interval '1 day'"),
	'after it, rows older than log_retention are removed');
is(sql($node, "SELECT count(*) FROM cadence_runner_logs WHERE trigger_source = 'CRON'"), 2, 'and no others');

done_testing();
