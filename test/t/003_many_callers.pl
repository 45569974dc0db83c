# Many executions at once share what is due: each step is sent by exactly one of them.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use JSON::PP ();
use Test::More;

my $node = new_cluster('main', conf => ['max_connections = 100']);
my $provider = start_provider();

make_company($node, 'ok', $provider->url('ok'));
make_company($node, 'slow', $provider->url('slow/50'));

# Starts so many executions at once; their summaries, and what the failed ones said.
sub run_together
{
	my ($callers) = @_;
	my @sessions = map { start_sql($node, "SELECT cadence_run('TEST')") } 1 .. $callers;
	my (@summaries, @errors);

	for my $session (@sessions)
	{
		if ($session->finish == 0)
		{
			push @summaries, JSON::PP::decode_json($session->output)->{summary};
		}
		else
		{
			push @errors, $session->error;
		}
	}
	return (\@summaries, \@errors);
}

sub sum
{
	my ($field, @summaries) = @_;
	my $sum = 0;
	$sum += $_->{$field} for @summaries;
	return $sum;
}

sub each_sent_once
{
	my ($n, $what) = @_;
	my %times = $provider->per_run;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($provider->count, $n, "$what: $n requests");
	is(keys %times, $n, "$what: one for each run");
	is(sql($node, "SELECT count(*) FROM lead_cadence_runs WHERE status <> 'CONCLUIDA'"), 0,
		"$what: every run has ended");
	is(sql($node, "SELECT count(*) FROM lead_cadence_events WHERE tipo_evento = 'DISPARADO'"),
		sql($node, 'SELECT count(*) FROM lead_messages'), "$what: an event for each message");
	return;
}

sub begin_again
{
	sql($node, 'TRUNCATE lead_messages, lead_cadence_events, lead_cadence_runs, lead_contacts,
		cadence_runner_logs');
	$provider->forget;
	return;
}

for my $case ([ 'ok', 500 ], [ 'ok', 7 ], [ 'slow', 50 ])
{
	my ($company, $batch) = @$case;
	my $what = "$company, batches of $batch";

	begin_again();
	enrol($node, $company, 1000);
	set_server($node, 'cadence_runner.batch_size', $batch);
	my ($summaries, $errors) = run_together(4);

	is_deeply($errors, [], "$what: no caller failed");
	is(sum('success', @$summaries), 1000, "$what: the callers sent 1000 together");
	is(sum('errors', @$summaries), 0, "$what: without an error");
	each_sent_once(1000, $what);
	is(sql($node, 'SELECT sum(steps_executed) FROM cadence_runner_logs'), 1000, "$what: in the log");
	is(sql($node, 'SELECT count(*) FROM cadence_runner_logs'), 4, "$what: a row per execution");
}

# Each would take some of it if they began at once; half a second lies between two that join.
subtest 'callers that meet do not all begin at once' => sub {
	begin_again();
	enrol($node, 'ok', 1000);
	set_server($node, 'cadence_runner.batch_size', 1);
	my ($summaries, $errors) = run_together(25);
	my ($took) = sql_rows($node, q{SELECT ceil(extract(epoch FROM (SELECT max(enviado_em) FROM lead_messages)
		- min((details ->> 'started_at')::timestamptz)) / 0.5)::int AS halves,
		count(*) FILTER (WHERE runs_touched > 0) AS busy FROM cadence_runner_logs});

	is_deeply($errors, [], 'none fails');
	is(sum('success', @$summaries), 1000, 'together they sent 1000');
	each_sent_once(1000, '25 callers');
	is(sql($node, 'SELECT count(*) FROM cadence_runner_logs'), 25, 'each is logged');
	cmp_ok($took->{busy}, '<=', 2 + $took->{halves}, 'few of them found something to do');
	is(sql($node, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), 0, 'no place is left taken');
};

# The place that each takes when it begins (admission.c), held by somebody who never lets go of it.
subtest 'a caller that waits for its turn' => sub {
	begin_again();
	enrol($node, 'ok', 10);
	my $holder = start_sql($node, 'SELECT pg_advisory_lock(x\'43414447\'::int, 2); SELECT pg_sleep(600)');
	my $executions = 'SELECT count(*) FROM cadence_runner_logs';

	ok(poll_until(sub { sql($node, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 1 }), 'held');
	like(sql_error($node, "SET statement_timeout = '300ms'; SELECT cadence_run('TEST')"),
		qr/ERROR:  57014: /, 'it can be cancelled');
	is(sql($node, $executions), 0, 'and has not begun');
	is(execute($node)->{summary}{success}, 10, 'it waits for some seconds, but not for ever');
	is(sql($node, $executions), 1, 'and is logged');
	sql($node, 'SELECT pg_terminate_backend(' . $holder->pid . ')');
	$holder->finish;
	is(execute($node)->{summary}{total}, 0, 'the next one does not wait');
	is(sql($node, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), 0, 'no place is left taken');
};

# It may be held up for as long as it likes: far from its end, and before a caller's patience is.
subtest 'an execution that is held up keeps nobody waiting' => sub {
	begin_again();
	enrol($node, 'ok', 10);
	set_server($node, 'cadence_runner.workers', 1);
	my $locker = start_sql($node, 'BEGIN; LOCK TABLE lead_cadence_runs IN SHARE MODE; SELECT pg_sleep(600)');
	my $workers = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'cadence_runner'";
	my $held_up = "SELECT count(*) FROM pg_locks WHERE relation = 'lead_cadence_runs'::regclass AND NOT granted";

	ok(poll_until(sub { sql($node, q{SELECT count(*) FROM pg_locks
		WHERE relation = 'lead_cadence_runs'::regclass AND mode = 'ShareLock' AND granted}) == 1 }), 'a lock');
	my $first = start_sql($node, "SELECT cadence_run('TEST')");
	ok(poll_until(sub { sql($node, $held_up) > 0 }), 'is in the way of the first');
	my $second = start_sql($node, "SELECT cadence_run('TEST')");
	ok(poll_until(sub { sql($node, $workers) == 2 }, undef, 5), 'the second begins all the same');
	sql($node, 'SELECT pg_terminate_backend(' . $locker->pid . ')');
	is(join(' ', map { $_->finish } $first, $second), '0 0', 'both end well');
	$locker->finish;
	each_sent_once(10, 'both');
};

# It claims one by one, 200 a second, since its provider keeps it waiting.
subtest 'an execution that is getting on is left alone for a second' => sub {
	begin_again();
	enrol($node, 'slow', 800);
	set_server($node, 'cadence_runner.batch_size', 1);
	set_server($node, 'cadence_runner.max_in_flight', 10);
	my ($summaries, $errors) = run_together(2);
	my ($between) = sql_rows($node, q{SELECT extract(epoch FROM max((details ->> 'started_at')::timestamptz)
		- min((details ->> 'started_at')::timestamptz))::float8 AS seconds FROM cadence_runner_logs});

	is_deeply($errors, [], 'neither fails');
	is(sum('success', @$summaries), 800, 'together they sent 800');
	cmp_ok($between->{seconds}, '>', 0.9, 'the second began a second later');
	cmp_ok($between->{seconds}, '<', 3, 'and not at its end');
	set_server($node, 'cadence_runner.max_in_flight', 100);
};

# The postmaster says of each process that it starts one.
subtest 'an execution that joins another has no helpers' => sub {
	my $processes = sub {
		my $offset = -s $node->logfile;

		begin_again();
		enrol($node, 'ok', 200);
		is(execute($node)->{summary}{success}, 200, 'all is sent');
		return scalar(() = log_since($node, $offset) =~ /starting background worker process "cadence_runner TEST"/g);
	};

	set_server($node, 'cadence_runner.batch_size', 50);
	set_server($node, 'cadence_runner.workers', 2);
	set_server($node, 'log_min_messages', 'debug1');
	is($processes->(), 2, 'alone in its database it has one');
	my $other = start_sql($node, 'SELECT pg_advisory_lock(x\'43414447\'::int, 1); SELECT pg_sleep(600)');
	ok(poll_until(sub { sql($node, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 1 }), 'another is under way');
	is($processes->(), 1, 'beside another it has none');
	sql($node, 'SELECT pg_terminate_backend(' . $other->pid . ')');
	$other->finish;
	set_server($node, 'log_min_messages', 'warning');
};

# One slot is the server's own (logical replication), two are those of executions that are held up.
subtest 'more callers than worker slots' => sub {
	sql($node, 'ALTER SYSTEM SET max_worker_processes = 3');
	$node->restart;
	begin_again();
	enrol($node, 'ok', 10);
	my $locker = start_sql($node, 'BEGIN; LOCK TABLE lead_cadence_runs IN EXCLUSIVE MODE; SELECT pg_sleep(600)');
	my $held_up = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'cadence_runner'";
	ok(poll_until(sub { sql($node, q{SELECT count(*) FROM pg_locks
		WHERE relation = 'lead_cadence_runs'::regclass AND mode = 'ExclusiveLock' AND granted}) == 1 }), 'a lock');
	my @callers = map { start_sql($node, "SELECT cadence_run('TEST')") } 1, 2;
	ok(poll_until(sub { sql($node, $held_up) == 2 }), 'is in the way of two executions');
	my $said = sql_error($node, "SELECT cadence_run('TEST')");

	like($said, qr/ERROR:  53400: no background worker slot is free/, 'a third finds no slot');
	like($said, qr/HINT: .*max_worker_processes/, 'and is told which setting to raise');
	sql($node, 'SELECT pg_terminate_backend(' . $locker->pid . ')');
	is(join(' ', map { $_->finish } @callers), '0 0', 'the others end well');
	each_sent_once(10, 'nothing was lost');
};

done_testing();
