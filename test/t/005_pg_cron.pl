# The job of pg_cron: scheduled, fired for real, seen in the history, and removed; from the database
# that has pg_cron, and by the call that the hint gives from another one.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use PostgreSQL::Test::Utils;
use Test::More;

my ($share) = run_command([ 'pg_config', '--sharedir' ]);
plan skip_all => 'pg_cron is not installed' unless -e "$share/extension/pg_cron.control";


my $node = new_cluster('main', extension => 0, conf => [ "shared_preload_libraries = 'pg_cron'",
		"cron.database_name = 'postgres'" ]);
# pg_cron connects like any client, and only now is it known where to
$node->append_conf('postgresql.conf', "cron.host = '" . $node->host . "'");
$node->restart;

my $provider = start_provider();
my $other_command = q{SELECT public.cadence_run('CRON')};

install($node, 'postgres');
sql($node, 'CREATE DATABASE other');
install($node, 'other');

my $error = sql_error($node, 'SELECT cadence_schedule()');
like($error, qr/ERROR:  55000: pg_cron is not installed in database "postgres"/, 'without pg_cron');
like(sql_error($node, 'SELECT cadence_unschedule()'), qr/ERROR:  55000: .*HINT: .*cron\.unschedule/s,
	'the same for its removal');
like(sql_error($node, 'SELECT * FROM cadence_cron_history()'), qr/ERROR:  55000: .*HINT: /s,
	'and for the history');

sql($node, 'CREATE EXTENSION pg_cron');
make_company($node, 'ok', $provider->url('ok'));
enrol($node, 'ok', 3);

my ($call) = sql_error($node, "SELECT cadence_schedule('* * * * *')", database => 'other') =~
  /HINT:  .*?(SELECT cron\.schedule_in_database\(.*?\);)/s;
ok(defined $call, 'in another database the hint has the call to make') or $call = 'SELECT 0';

my $job = sql($node, "SELECT cadence_schedule('* * * * *')");
like($job, qr/^\d+$/, 'cadence_schedule returns the number of the job');
is(sql($node, "SELECT cadence_schedule('* * * * *')"), $job, 'called again, it is the same job');
is(sql($node, 'SELECT jobid, schedule, command, database, jobname FROM cron.job'),
	"$job|* * * * *|SELECT public.cadence_run('CRON')|postgres|cadence-runner-cron", 'as pg_cron has it');
like(sql_error($node, "SELECT cadence_schedule('whenever')"), qr/ERROR: .*schedule/, 'a bad schedule');

# the job of the other database has the same name, so it belongs to another role
sql($node, 'CREATE ROLE cron_other LOGIN SUPERUSER');
sql($node, "SET SESSION AUTHORIZATION cron_other; $call");

for my $database ('postgres', 'other')
{
	ok($node->poll_query_until($database,
			"SELECT count(*) > 0 FROM cadence_runner_logs WHERE trigger_source = 'CRON'"),
		"the job fires in $database and leaves its row");
}
is($provider->count, 3, 'what was due was sent');
is(sql($node, "SELECT runs_touched, steps_executed, errors FROM cadence_runner_logs
	WHERE trigger_source = 'CRON' ORDER BY executed_at LIMIT 1"), '3|3|0', 'as the row says');
ok($node->poll_query_until('postgres', "SELECT status = 'succeeded' AND end_time >= start_time
	FROM cadence_cron_history() ORDER BY start_time LIMIT 1"), 'the history shows it');
is(sql($node, 'SELECT count(*) FROM cadence_cron_history(0)'), 0, 'of which one can ask for less');

is(sql($node, 'SELECT cadence_unschedule()'), 't', 'cadence_unschedule removes the job');
is(sql($node, "SELECT count(*) FROM cron.job WHERE username = current_user"), 0, 'it is gone');
is(sql($node, 'SET client_min_messages = warning; SELECT cadence_unschedule()'), 'f', 'once');
cmp_ok(sql($node, 'SELECT count(*) FROM cadence_cron_history()'), '>', 0, 'the history stays');

done_testing();
