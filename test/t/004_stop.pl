# Every way in which an execution is stopped while messages are under way: it ends soon, gives back
# what it had not sent, says of the rest that it is uncertain, logs, and loses nothing.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use JSON::PP ();
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

# Five messages hang, and the others wait for their turn.
my $HANGING = 5;
my $RUNS = 40;
# They hang for more than a minute, which is what a stop that waits for them takes.
my $SOON = 20;
my $CLAIM = "SELECT cadence_run('MANUAL')";

my $node = new_cluster(
	'main',
	conf => [
		'restart_after_crash = on',
		'cadence_runner.lease = 10s',
		'cadence_runner.request_timeout = 60s'
	]);
my $provider = start_provider();

make_company($node, 'hang', $provider->url('hang'), max_in_flight => $HANGING, timeout => '100s');
make_company($node, 'ok', $provider->url('ok'));
sql($node, 'CREATE TABLE due_before (id uuid PRIMARY KEY, due timestamptz)');

sub begin_again
{
	start_over($node, $provider);
	enrol($node, 'hang', $RUNS);
	sql($node, 'TRUNCATE due_before; INSERT INTO due_before SELECT id, next_run_at FROM lead_cadence_runs');
	return;
}

# An execution whose messages hang.
sub start_hanging
{
	my ($script) = @_;
	my $caller = start_sql($node, $script // $CLAIM);

	poll_until(sub { $provider->count == $HANGING }) or die 'no message hangs';
	return $caller;
}

sub worker_is_gone
{
	my ($what, $since) = @_;
	my $gone = "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'cadence_runner'";

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok($node->poll_query_until('postgres', $gone), "$what: the worker ends");
	cmp_ok(time() - $since, '<', $SOON, "$what: soon");
	return;
}

# What must be true after every stop in which the worker could still write.
sub nothing_is_lost
{
	my ($what) = @_;
	my %times = $provider->per_run;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($provider->count, $HANGING, "$what: nothing more was sent");
	is(sql($node, 'SELECT count(*) FROM lead_cadence_runs WHERE claim_id IS NOT NULL'), 0,
		"$what: no claim is left");
	is(sql($node, 'SELECT count(*) FROM lead_cadence_runs r JOIN due_before d USING (id)
		WHERE next_run_at = due AND attempts = 0 AND status = \'ATIVA\''),
		$RUNS - $HANGING, "$what: what was not sent is due as before, without an attempt");
	my @uncertain = map { $_->{run} } sql_rows($node,
		"SELECT lead_cadence_run_id AS run FROM lead_cadence_events WHERE detalhes ->> 'codigo' = 'INCERTO'");
	is_deeply([ sort @uncertain ], [ sort keys %times ],
		"$what: what was under way is uncertain, and says so");
	is(sql($node, "SELECT count(*) FROM lead_cadence_runs WHERE status = 'ATIVA' AND attempts = 1
		AND next_run_at > now() + interval '14 minutes'"),
		$HANGING, "$what: and tried again later");
	my ($log) = sql_rows($node, 'SELECT * FROM cadence_runner_logs');
	cmp_ok($log->{errors} // 0, '>=', 1, "$what: the log has an error");
	ok($log->{details}{erro}, "$what: and its text");
	return;
}

# What must be true after the end of a caller: nothing more was taken or sent, and what was under way
# has ended by itself.
sub only_the_caller_ended
{
	my ($what) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($provider->count, $HANGING, "$what: nothing more was sent");
	is(sql($node, 'SELECT count(*) FROM lead_cadence_runs r JOIN due_before d USING (id)
		WHERE next_run_at = due AND attempts = 0 AND status = \'ATIVA\' AND claim_id IS NULL'),
		$RUNS - $HANGING, "$what: what was not sent is due as before, without an attempt");
	ok(worker_pid($node), "$what: the worker waits for what is under way");
	$provider->ask('POST', '__open');
	ok($node->poll_query_until('postgres',
			"SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'cadence_runner'"),
		"$what: and ends with it");
	is($provider->count, $HANGING, "$what: still nothing more was sent");
	is(sql($node, "SELECT count(*) FROM lead_cadence_runs WHERE status = 'CONCLUIDA'"), $HANGING,
		"$what: what was under way has ended well");
	my ($log) = sql_rows($node, 'SELECT * FROM cadence_runner_logs');
	is($log->{steps_executed}, $HANGING, "$what: the log counts it");
	ok($log->{details}{erro}, "$what: and says how it ended");
	return;
}

sub begin_behind_the_gate
{
	begin_again();
	sql($node, "ALTER SERVER hang OPTIONS (SET url '" . $provider->url('gate') . "')");
	return;
}

# What was not sent is given back before the transfers end.
sub given_back
{
	return $node->poll_query_until('postgres',
		"SELECT count(*) = $HANGING FROM lead_cadence_runs WHERE claim_id IS NOT NULL");
}

# A stop by something done to the caller: what that is, how the caller reports it.
sub caller_stopped
{
	my ($what, $error, $action, $script) = @_;

	begin_behind_the_gate();
	my $caller = start_hanging($script);
	$action->($caller);
	$caller->finish;
	like($caller->error, $error, "$what: the caller's error");
	ok(given_back(), "$what: what was not sent is given back");
	only_the_caller_ended($what);
	return;
}

caller_stopped('cancel', qr/ERROR:  57014: canceling statement due to user request/,
	sub { sql($node, 'SELECT pg_cancel_backend(' . $_[0]->pid . ')') });
caller_stopped('terminate', qr/FATAL:  57P01: /,
	sub { sql($node, 'SELECT pg_terminate_backend(' . $_[0]->pid . ')') });
caller_stopped('statement_timeout', qr/ERROR:  57014: canceling statement due to statement timeout/,
	sub { $_[0]->finish },
	"SET statement_timeout = '1500ms';\n$CLAIM");
caller_stopped('client killed', qr/^\z/,
	sub { $_[0]->kill },
	"SET client_connection_check_interval = '100ms';\n$CLAIM");

subtest 'savepoint' => sub {
	begin_behind_the_gate();
	my $caller = start_hanging(qq{
		\\set ON_ERROR_STOP 0
		BEGIN; SAVEPOINT s; SET LOCAL statement_timeout = '1500ms';
		$CLAIM;
		ROLLBACK TO s;
		SELECT 'still here', current_setting('statement_timeout');
		COMMIT});

	is($caller->finish, 0, 'the session goes on');
	like($caller->output, qr/^still here\|0$/m, 'as does its transaction');
	ok(given_back(), 'what was not sent is given back');
	only_the_caller_ended('savepoint');
};
sql($node, "ALTER SERVER hang OPTIONS (SET url '" . $provider->url('hang') . "')");

subtest 'worker terminated' => sub {
	begin_again();
	my $caller = start_hanging();
	my $since = time();

	sql($node, 'SELECT pg_terminate_backend(' . worker_pid($node) . ')');
	worker_is_gone('worker terminated', $since);
	$caller->finish;
	like($caller->error, qr/ERROR:  57P01: the execution was stopped/, 'the caller gets its error');
	nothing_is_lost('worker terminated');
};

subtest 'fast shutdown' => sub {
	begin_again();
	my $caller = start_hanging();
	my $since = time();

	$node->stop('fast');
	cmp_ok(time() - $since, '<', $SOON, 'waits for no transfer');
	$caller->finish;
	$node->start;
	nothing_is_lost('fast shutdown');
};

# Nobody is in a hurry here, so what is under way may end.
subtest 'switched off on the way' => sub {
	begin_again();
	sql($node, "ALTER SERVER hang OPTIONS (SET url '" . $provider->url('slow/3000') . "')");
	my $caller = start_hanging();

	set_server($node, 'cadence_runner.enabled', 'off');
	$caller->finish;
	like($caller->error, qr/ERROR:  55000: .*switched off/, 'the caller is told');
	is($provider->count, $HANGING, 'nothing more was sent');
	is(sql($node, "SELECT count(*) FROM lead_cadence_runs WHERE status = 'CONCLUIDA'"), $HANGING,
		'what was under way has ended well');
	is(sql($node, 'SELECT count(*) FROM lead_cadence_runs r JOIN due_before d USING (id)
		WHERE next_run_at = due AND attempts = 0 AND claim_id IS NULL'),
		$RUNS - $HANGING, 'the rest is due as before');
	like(sql_error($node, $CLAIM), qr/ERROR:  55000: .*HINT:  Set cadence_runner.enabled/s,
		'another execution refuses to start');
	set_server($node, 'cadence_runner.enabled', 'on');
	sql($node, "ALTER SERVER hang OPTIONS (SET url '" . $provider->url('hang') . "')");
};

subtest 'another database is dropped meanwhile' => sub {
	begin_again();
	sql($node, 'CREATE DATABASE other');
	my $caller = start_hanging();
	my $since = time();

	sql($node, 'DROP DATABASE other');
	cmp_ok(time() - $since, '<', $SOON, 'without waiting for the transfers');
	is($provider->count, $HANGING, 'which still hang');
	ok($caller->running, 'and so does the execution');
	sql($node, 'SELECT pg_terminate_backend(' . worker_pid($node) . ')');
	$caller->finish;
};

subtest 'a table is dropped meanwhile' => sub {
	begin_again();
	sql($node, "ALTER SERVER hang OPTIONS (SET timeout '1500ms')");
	my $offset = -s $node->logfile;
	my $caller = start_hanging();

	sql($node, 'DROP TABLE lead_messages, lead_cadence_events, lead_cadence_runs CASCADE');
	$caller->finish;
	like($caller->error, qr/ERROR:  42P01: .*lead_cadence_runs/, 'a clear error');
	unlike(log_since($node, $offset), qr/PANIC|terminated by signal|TRAP/, 'nothing crashed');
	my ($log) = sql_rows($node, 'SELECT * FROM cadence_runner_logs');
	ok(!defined $log || $log->{errors} >= 1, 'the log says so, where it can');

	like(sql_error($node, $CLAIM), qr/ERROR:  42P01: .*HINT: .*cadence_create_tables/s,
		'the next call says what to do');
	sql($node, "SET client_min_messages = warning; SELECT cadence_create_tables();
		ALTER SERVER hang OPTIONS (SET timeout '100s')");
	begin_again();
	sql($node, "UPDATE lead_cadence_runs SET next_run_at = NULL");
	is(execute($node)->{success}, JSON::PP::true(), 'and then it works again');
};

subtest 'kill -9 of the worker' => sub {
	begin_again();
	my $caller = start_hanging();

	kill 'KILL', worker_pid($node);
	$caller->finish;
	ok($node->poll_query_until('postgres', 'SELECT true'), 'the server is back');
	is(sql($node, 'SELECT count(*) FROM lead_cadence_runs WHERE claim_id IS NOT NULL
		AND next_run_at > now() + interval \'3 minutes\''),
		$RUNS, 'what was taken is still taken, until a lease ends that nobody wants to wait for');

	# nobody but the worker knew which of them had left: all of them may have
	sql($node, "ALTER SERVER hang OPTIONS (SET url '" . $provider->url('ok') . "')");
	my $summary = execute($node)->{summary};
	is_deeply([ @$summary{qw(total errors success)} ], [ $RUNS, $RUNS, 0 ],
		'the next execution finds them all');
	is($provider->count, $HANGING, 'and sends none of them');
	is(sql($node, "SELECT count(DISTINCT lead_cadence_run_id) || ' ' || count(*) FROM lead_cadence_events
		WHERE tipo_evento = 'ERRO' AND detalhes ->> 'codigo' = 'INCERTO'"), "$RUNS $RUNS",
		'each is uncertain, and says so once');
	is(sql($node, "SELECT count(*) FROM lead_cadence_runs WHERE status = 'ATIVA' AND claim_id IS NULL
		AND attempts = 1 AND next_run_at BETWEEN now() + interval '14 minutes' AND now() + interval '15 minutes'"),
		$RUNS, 'and waits for its retry, without another attempt');
	is(execute($node)->{summary}{total}, 0, 'before which nobody takes it');

	make_all_due($node);
	is(execute($node)->{summary}{success}, $RUNS, 'then another execution sends it');
	is(sql($node, "SELECT count(*) FROM lead_cadence_runs WHERE status = 'CONCLUIDA' AND claim_id IS NULL"),
		$RUNS, 'and no claim is left');
	my %keys = map { $_->{headers}{'idempotency-key'} => 1 } $provider->journal;
	is($provider->count . ' ' . keys %keys, $RUNS + $HANGING . " $RUNS", 'and what was sent twice had the same key');
};

done_testing();
