# A standby with a resident worker of its own does nothing until it is promoted, and then takes over
# by itself: it says of every message that was under way that it may have been sent, within ten
# seconds, and goes on. Behind a synchronous standby nothing that was acknowledged is lost, so no
# message is sent twice without being said to be uncertain in between.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use PostgreSQL::Test::Utils;
use Test::More;

my $conf = [
	"shared_preload_libraries = 'cadence_runner'",
	"cadence_runner.databases = 'postgres'",
	'cadence_runner.retry_dispatch = 3s',
	'max_connections = 40',
	'wal_receiver_status_interval = 1s'
];
my $ours = q{SELECT count(*) FROM pg_stat_activity WHERE backend_type ~ 'cadence_runner'};
my $resident = q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'cadence_runner resident'};
my $uncertain = q{lead_cadence_events WHERE detalhes ->> 'codigo' = 'INCERTO'};

# A standby of a node by that name, from a backup taken now.
sub standby_of
{
	my ($node, $name) = @_;
	my $standby = PostgreSQL::Test::Cluster->new($name);

	$node->backup($name, backup_options => [ '--checkpoint', 'fast' ]);
	$standby->init_from_backup($node, $name, has_streaming => 1);
	$standby->append_conf('postgresql.conf',
		"primary_conninfo = '" . $node->connstr . " application_name=$name'\n");
	$standby->start;
	return $standby;
}

# The requests of each idempotency key, in the order in which they came.
sub requests_by_key
{
	my ($provider) = @_;
	my %requests;

	push @{ $requests{ $_->{headers}{'idempotency-key'} } }, $_
	  for sort { $a->{t} <=> $b->{t} } $provider->journal;
	return %requests;
}

# Keys with a request that came after another of them, without an event between the two that says
# that the earlier one is uncertain.
sub unexplained_duplicates
{
	my ($node, $provider) = @_;
	my %requests = requests_by_key($provider);
	my %said;

	for my $event (sql_rows($node, "SELECT lead_cadence_run_id AS run, step_ordem AS ordem,
		extract(epoch FROM created_at)::float8 AS at FROM $uncertain"))
	{
		push @{ $said{ idempotency_key($event->{run}, $event->{ordem}) } }, $event->{at};
	}
	my @unexplained;
	for my $key (keys %requests)
	{
		my @times = map { $_->{t} } @{ $requests{$key} };

		for my $i (1 .. $#times)
		{
			push @unexplained, $key
			  unless grep { $_ > $times[ $i - 1 ] && $_ < $times[$i] } @{ $said{$key} // [] };
		}
	}
	return @unexplained;
}

# ---- a standby ---------------------------------------------------------------------------------

my $primary = new_cluster('primary', streaming => 1, conf => $conf);
my $provider = start_provider();

make_company($primary, 'ok', $provider->url('ok'));
make_company($primary, 'hang', $provider->url('hang'), timeout => '60s');
make_company($primary, 'hold', $provider->url('hang'), timeout => '60s', on_uncertain => 'hold');
make_company($primary, 'long', $provider->url('hang'), timeout => '60s', on_uncertain => 'hold');
enrol($primary, 'ok', 10);
ok(poll_until(sub { $provider->count('ok') == 10 }), 'the primary serves');

my $standby = standby_of($primary, 'standby');
is(sql($standby, $ours), 0, 'a standby has no process of ours');
like(sql_error($standby, q{SELECT cadence_run('TEST')}),
	qr/ERROR:  25006: cannot execute cadence_run\(\) during recovery/, 'and says why it sends nothing');
like(sql_error($standby, 'SELECT cadence_arm()'), qr/ERROR:  25006: /, 'it can not be armed');

enrol($primary, 'hang', 20);
enrol($primary, 'hold', 20);
ok(poll_until(sub { $provider->count('hang') == 40 }), 'messages hang');
# the two servers need not have the same settings
set_server($primary, 'cadence_runner.lease', '1h');
enrol($primary, 'long', 5);
ok(poll_until(sub { $provider->count('hang') == 45 }), 'some with a long lease');
enrol($primary, 'ok', 5);
ok(poll_until(sub { sql($primary, q{SELECT count(*) FROM lead_cadence_runs WHERE status = 'CONCLUIDA'}) == 15 }),
	'others go past them');
sql($primary, q{INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem, next_run_at)
	SELECT 'lead-1', 'ok', id, 1, now() + interval '1 hour' FROM cadences WHERE codigo = 'ok'});
$primary->wait_for_catchup($standby);
is(sql($standby, 'SELECT worker_state, worker_pid IS NULL, due_now, claimed FROM cadence_runner_status()'),
	'standby|t|0|45', 'its status can be read');
is(sql($standby, 'SELECT ok, reasons FROM cadence_health()'), 't|{}', 'so can its health');
is($provider->count, 60, 'it has sent nothing');

# ---- its promotion -----------------------------------------------------------------------------

my $old = sql($primary, $resident);
$primary->kill9;
ok(poll_until(sub { !kill 0, $old }, undef, 30), 'the worker of a primary that was killed goes with it');
$standby->promote;
ok(poll_until(sub { sql($standby, "SELECT count(*) FROM $uncertain") >= 40 }, undef, 30),
	'within ten seconds its worker has said of all that was under way that it may have been sent')
  or diag(sql($standby, 'SELECT status, claim_id, next_run_at, now() FROM lead_cadence_runs
		WHERE claim_id IS NOT NULL LIMIT 3'));
# the next try shall be answered
sql($standby, q{ALTER SERVER hang OPTIONS (SET url '} . $provider->url('ok') . q{')});
ok(poll_until(sub { sql($standby, "SELECT count(*) FROM $uncertain") == 45 }, undef, 30),
	'however long the lease was');
is(sql($standby, q{SELECT status, claim_id IS NULL, count(*) FROM lead_cadence_runs
		WHERE empresa = 'hold' GROUP BY 1, 2}),
	'PAUSADA|t|20', 'what is to be sent once at most is held');
ok(poll_until(sub { sql($standby, q{SELECT count(*) FROM lead_cadence_runs
		WHERE empresa = 'hang' AND status = 'CONCLUIDA'}) == 20 }, undef, 20), 'the rest is sent again');
sql($standby, q{UPDATE lead_cadence_runs SET next_run_at = now() WHERE status = 'ATIVA'});
ok(poll_until(sub { $provider->count('ok') == 15 + 20 + 1 }, undef, 30), 'and what falls due is sent');
is(sql($standby, q{SELECT count(*) FROM cadence_runner_logs WHERE trigger_source NOT IN ('WORKER')}), 0,
	'without anybody calling');
is_deeply([ unexplained_duplicates($standby, $provider) ], [],
	'what was sent twice was uncertain in between');
is(sql($standby, q{SELECT ok, reasons FROM cadence_health() WHERE NOT ok}), '', 'it is well');
is(sql($standby, q{SELECT timeline FROM cadence_arming}), 2, 'the tables are armed for its timeline');

# ---- a synchronous standby ---------------------------------------------------------------------

$provider->forget;
my $second = standby_of($standby, 'second');
$standby->append_conf('postgresql.conf', "synchronous_standby_names = 'second'\n");
$standby->reload;
$standby->poll_query_until('postgres',
	q{SELECT sync_state = 'sync' FROM pg_stat_replication WHERE application_name = 'second'})
  or die 'the standby is not synchronous';

# no byte leaves for a claim that the standby does not have
make_company($standby, 'wait', $provider->url('slow/1'));
$second->stop;
sql($standby, q{SET synchronous_commit = local; BEGIN;
	UPDATE lead_contacts SET empresa = 'wait' WHERE lead_id = 'lead-1';
	UPDATE lead_cadence_runs SET next_run_at = now(), status = 'ATIVA', next_step_ordem = 1, empresa = 'wait',
		cadence_id = (SELECT id FROM cadences WHERE codigo = 'wait')
	WHERE id = (SELECT id FROM lead_cadence_runs WHERE lead_id = 'lead-1' LIMIT 1);
	COMMIT});
my $waits = q{SELECT count(*) FROM pg_stat_activity
	WHERE backend_type = 'cadence_runner resident' AND wait_event = 'SyncRep'};
ok(poll_until(sub { sql($standby, $waits) == 1 }), 'a claim waits for the synchronous standby');
is($provider->count('slow'), 0, 'before anything is sent');
# who could cancel that wait would get a claim that only this server has
for (1 .. 5)
{
	sql($standby, q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE backend_type = 'cadence_runner resident'});
}
is(sql($standby, $waits), 1, 'nobody can cancel its wait');
is($provider->count('slow'), 0, 'still nothing is sent');
$second->start;
ok(poll_until(sub { $provider->count('slow') > 0 }), 'then it is');

# a failover in the middle of 200 sends
$provider->forget;
make_company($standby, 'sync', $provider->url('slow/500'));
set_server($standby, 'cadence_runner.max_in_flight', 20);
enrol($standby, 'sync', 200);
ok(poll_until(sub { $provider->count('slow') >= 80 }), 'in the middle of 200 messages');
my @acknowledged = split /\n/, sql($standby, q{SELECT run_id FROM lead_messages WHERE empresa = 'sync'});
$standby->stop('immediate');
my $before = $provider->count('slow');
$second->promote;
cmp_ok($before, '<', 200, 'the primary dies');
ok(poll_until(sub { sql($second, q{SELECT count(*) FROM lead_cadence_runs
		WHERE empresa = 'sync' AND status = 'CONCLUIDA'}) == 200 }, undef, 30),
	'its standby sends the rest by itself');
my %kept = map { $_ => 1 } split /\n/, sql($second, q{SELECT run_id FROM lead_messages WHERE empresa = 'sync'});
cmp_ok(scalar(@acknowledged), '>', 0, 'some had been recorded');
is_deeply([ grep { !$kept{$_} } @acknowledged ], [], 'no record that could be seen is lost');
my %requests = requests_by_key($provider);
is(keys %requests, 200, 'each message was sent');
my $again = grep { @$_ > 1 } values %requests;
cmp_ok($again, '>', 0, 'some of them twice');
is_deeply([ grep { @{ $requests{ idempotency_key($_, 1) } } > 1 } @acknowledged ], [],
	'nothing that was recorded before');
is_deeply([ unexplained_duplicates($second, $provider) ], [],
	'each of those was said to be uncertain in between');
is(sql($second, q{SELECT timeline FROM cadence_arming}), 3, 'a second failover needs no arming, either');

done_testing();
