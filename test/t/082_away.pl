# A database that goes away, comes back, is full or may not be written to; and a door that dies again
# and again while steps are sent. Nobody waits in vain, and no step is lost or sent twice.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use IO::Select;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $STEPS = 10_000;
my $SECRET = 'a-secret-of-the-test';
# the door tries again at the latest ten seconds after it has found nothing
my $BACK = 30;

my $node = new_cluster(
	'main',
	streaming => 1,
	# so that an execution ends with the door that has asked for it, and is not seen to its end
	conf => [ 'cadence_runner.batch_size = 50', "client_connection_check_interval = '100ms'" ]);
my $execution = '/functions/v1/cadence-runner';
my %bearer = (headers => { Authorization => "Bearer $SECRET", 'Content-Type' => 'application/json' });

# the standby has what is there until here
sql($node, "SELECT cadence_secret_set('service_role', '$SECRET')");
sql($node, 'CREATE ROLE cadence_door LOGIN; GRANT EXECUTE ON FUNCTION cadence_http TO cadence_door');
make_door_database($node, 'door');
$node->backup('base');

sub stub_door
{
	return start_door($node, database => 'door', schema => 'stub', @_);
}

# ---- away, and back ------------------------------------------------------------------------------

my $door = stub_door();
is($door->status('GET', '/health'), 200, 'a database');
my $caught = $door->begin('GET', '/wait?x');
poll_until(sub { sql($node, "SELECT count(*) FROM pg_stat_activity WHERE usename = 'cadence_door' AND state = 'active'") eq 1 }, 'and a call');
my $since = time;
$node->stop('immediate');
my $answer = answer_of($caught);
is("$answer->{status} $answer->{headers}{'retry-after'}", '503 5', 'that the end of the database ends');
poll_until(sub { ($answer = $door->ask('GET', '/health'))->{status} == 503 && time - $since > 1 }, 'while it is away the door says so');
$since = time;
is($door->status('GET', '/health'), 503, 'to everybody') for 1 .. 20;
cmp_ok(time - $since, '<', 5, 'at once');
like($answer->{body}, qr/"code": "57P03"/, 'in a form that programs can read');
like($door->ask('GET', '/u/token')->{body}, qr/^N\xC3\xA3o foi poss\xC3\xADvel agora.*Please try again/s, 'and people');
my $ticks = $door->ticks;
is(scalar(() = $door->log =~ /the database is away/g), 1, 'the log says it once');
$node->start;
poll_until(sub { $door->status('GET', '/health') == 200 }, 'it finds it again', $BACK);
cmp_ok($door->ticks - $ticks, '<', 30, 'and has not run itself hot');
is(scalar(() = $door->log =~ /the database is back/g), 1, 'the log says that as well');
poll_until(sub { sql($node, "SELECT count(*) FROM pg_stat_activity WHERE usename = 'cadence_door'") eq 10 }, 'with all its connections', $BACK);

sql($node, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'cadence_door'");
poll_until(sub { $door->status('GET', '/health') == 200 }, 'connections that are ended are made again', $BACK);

# ---- started before its database -----------------------------------------------------------------

{
	$node->stop('fast');
	my $early = stub_door();
	is($early->status('GET', '/health'), 503, 'a door without a database');
	$node->start;
	poll_until(sub { $early->status('GET', '/health') == 200 }, 'needs no restart', $BACK);
	is($early->stop, 0, 'it ends as it should');
}

# ---- full, and read-only -------------------------------------------------------------------------

sub end_connections
{
	sql($node, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'cadence_door'");
	return;
}

sql($node, 'ALTER ROLE cadence_door CONNECTION LIMIT 5');
end_connections();
poll_until(sub { $door->status('GET', '/health') == 200 && $door->status('POST', $execution, %bearer) == 200 },
	'where there are five connections for ten, each kind has some', $BACK);
sql($node, 'ALTER ROLE cadence_door CONNECTION LIMIT 0');
end_connections();
poll_until(sub { $door->status('GET', '/health') == 503 }, 'where there are none, nobody is served');
sql($node, 'ALTER ROLE cadence_door CONNECTION LIMIT -1');
poll_until(sub { $door->status('GET', '/health') == 200 }, 'until there are', $BACK);
sql($node, 'ALTER ROLE cadence_door SET default_transaction_read_only = on');
end_connections();
poll_until(sub { $door->status('GET', '/health') == 200 }, 'a session that may only read', $BACK);
sql($node, 'ALTER ROLE cadence_door RESET ALL');
end_connections();
is($door->stop, 0, 'it ends as it should');

# ---- a standby, and its promotion ----------------------------------------------------------------

my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
# so that it knows, once it is promoted, that it was started as a standby
$standby->append_conf('postgresql.conf', "shared_preload_libraries = 'cadence_runner'\n");
$standby->start;
my $dashboard = PostgreSQL::Test::Utils::tempdir('dashboard');
append_to_file("$dashboard/index.html", '<p>page</p>');
$door = start_door($standby, dashboard => $dashboard);
is($door->status('GET', '/'), 200, 'the dashboard, before a standby');
like($door->status('GET', '/health'), qr/^(?:200|503)$/, 'which is asked for its health');
is($door->status('POST', $execution, %bearer), 503, 'and executes nothing');
is($door->status('POST', $execution, headers => { Authorization => 'Bearer wrong-wrong-wrong' }), 401, 'for nobody');
my @before = sort split /\n/, sql($standby, "SELECT pid FROM pg_stat_activity WHERE usename = 'cadence_door'");
$standby->promote;
poll_until(sub { $door->status('POST', $execution, %bearer) == 200 }, 'once it is promoted it does', $BACK)
  or diag($door->ask('POST', $execution, %bearer)->{body});
is_deeply([ sort split /\n/, sql($standby, "SELECT pid FROM pg_stat_activity WHERE usename = 'cadence_door'") ], \@before,
	'on the same connections');
is($door->stop, 0, 'it ends as it should');
$standby->stop;

# ---- the door dies while steps are sent ----------------------------------------------------------

srand(20);
my $provider = start_provider();
# slow enough to be met in the middle
make_company($node, 'ok', $provider->url('ok'), max_rate => 600);
enrol($node, 'ok', $STEPS);

sub left
{
	return sql($node, "SELECT count(*) FROM lead_cadence_runs WHERE status = 'ATIVA'");
}

# Each door begins an execution and dies when so many steps more have gone, if there are as many.
my $deaths = 0;
$door = start_door($node);
while (left() > 0)
{
	my $socket = $door->begin('POST', $execution, %bearer);
	my $until = left() - 100 - int rand 400;
	my $seen = IO::Select->new($socket);

	poll_until(sub { left() <= $until || $seen->can_read(0) });
	if (!$seen->can_read(0))
	{
		$door->kill;
		$deaths++;
		$door = start_door($node);
	}
}
cmp_ok($deaths, '>', 3, "the door has died $deaths times");
poll_until(sub { sql($node, "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'cadence_runner'") eq 0 }, 'what was begun has ended');
is($door->status('POST', $execution, %bearer), 200, 'nothing is left to do');
my %times = $provider->per_run;
is(scalar keys %times, $STEPS, 'each of the steps has left');
is_deeply([ grep { $times{$_} != 1 } keys %times ], [], 'once');
is(sql($node, "SELECT concat_ws(' ', count(*), count(DISTINCT lead_cadence_run_id)) FROM lead_cadence_events WHERE tipo_evento = 'DISPARADO'"),
	"$STEPS $STEPS", 'and is recorded once');
is(sql($node, "SELECT count(*) FROM lead_cadence_events WHERE tipo_evento = 'ERRO'"), 0, 'with no error');
is($door->stop, 0, 'it ends as it should');

done_testing();
