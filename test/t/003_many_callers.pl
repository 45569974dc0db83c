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

for my $case ([ 'ok', 500 ], [ 'ok', 7 ], [ 'slow', 50 ])
{
	my ($company, $batch) = @$case;
	my $what = "$company, batches of $batch";

	start_over($node, $provider);
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

# Each would take some of it if they began at once; whoever comes first takes all.
subtest 'callers that meet begin one after the other' => sub {
	start_over($node, $provider);
	enrol($node, 'ok', 1000);
	set_server($node, 'cadence_runner.batch_size', 50);
	my ($summaries, $errors) = run_together(25);

	is_deeply($errors, [], 'none fails');
	is(sum('success', @$summaries), 1000, 'together they sent 1000');
	each_sent_once(1000, '25 callers');
	is(sql($node, 'SELECT count(*) FROM cadence_runner_logs'), 25, 'each is logged');
	is(sql($node, 'SELECT count(*) FROM cadence_runner_logs WHERE runs_touched > 0'), 1,
		'the first of them has found all there was');
	is(sql($node, "SELECT count(*) FROM pg_locks WHERE locktype = 'userlock'"), 0, 'no lock is left');
};

my $executions = 'SELECT count(*) FROM cadence_runner_logs';
my $waiting = q{SELECT count(*) FROM pg_locks WHERE locktype = 'userlock' AND NOT granted};

# Makes an execution wait in its claim, and so keep its turn.
sub hold_up
{
	my $locker = start_sql($node, 'BEGIN; LOCK TABLE lead_cadence_runs IN SHARE MODE; SELECT pg_sleep(600)');
	my $blocked = "SELECT count(*) FROM pg_locks WHERE relation = 'lead_cadence_runs'::regclass AND NOT granted";

	poll_until(sub { sql($node, q{SELECT count(*) FROM pg_locks
		WHERE relation = 'lead_cadence_runs'::regclass AND mode = 'ShareLock' AND granted}) == 1 }, 'a lock');
	my $first = start_sql($node, "SELECT cadence_run('TEST')");
	poll_until(sub { sql($node, $blocked) > 0 }, 'is in the way of the first');
	return ($locker, $first);
}

subtest 'a caller that waits for its turn' => sub {
	start_over($node, $provider);
	enrol($node, 'ok', 10);
	my ($locker, $first) = hold_up();
	my $second = start_sql($node, "SELECT cadence_run('TEST') -> 'summary' -> 'total'");

	ok(poll_until(sub { sql($node, $waiting) == 1 }), 'it waits');
	like(sql_error($node, "SET statement_timeout = '300ms'; SELECT cadence_run('TEST')"),
		qr/ERROR:  57014: /, 'one more can be cancelled');
	is(sql($node, $executions), 0, 'and has not begun');
	sql($node, 'SELECT pg_terminate_backend(' . $locker->pid . ')');
	is(join(' ', map { $_->finish } $first, $second), '0 0', 'both end well');
	like($second->output, qr/^0$/, 'the second finds nothing left');
	is(sql($node, $executions), 2, 'and is logged');
	each_sent_once(10, 'both');
};

# What holds an execution up is no reason for others to wait for ever.
subtest 'a caller that has waited for too long' => sub {
	start_over($node, $provider);
	enrol($node, 'ok', 10);
	my ($locker, $first) = hold_up();
	my $workers = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'cadence_runner'";
	my $second = start_sql($node, "SELECT cadence_run('TEST')");

	ok(poll_until(sub { sql($node, $workers) == 2 || sql($node, $workers) == 1 && sql($node, $executions) == 1 }),
		'begins all the same');
	sql($node, 'SELECT pg_terminate_backend(' . $locker->pid . ')');
	$_->finish for $first, $second;
	execute($node);
	each_sent_once(10, 'all');
};

# A provider may hold an execution up for as long as it likes: all is taken, and the next one may begin.
subtest 'an execution that only waits for answers keeps nobody waiting' => sub {
	start_over($node, $provider);
	enrol($node, 'slow', 1);
	sql($node, "ALTER SERVER slow OPTIONS (SET url '" . $provider->url('gate') . "')");
	my $first = start_sql($node, "SELECT cadence_run('TEST')");

	ok(poll_until(sub { $provider->count == 1 }), 'the first waits for an answer');
	is(execute($node)->{summary}{total}, 0, 'the second looks, and ends before it');
	$provider->ask('POST', '__open');
	is($first->finish, 0, 'which ends well');
	sql($node, "ALTER SERVER slow OPTIONS (SET url '" . $provider->url('slow/50') . "')");
};

# Every lock that SQL can take is taken, whatever it may stand for.
subtest 'no lock of SQL holds an execution up' => sub {
	start_over($node, $provider);
	enrol($node, 'ok', 10);
	my $first = start_sql($node, "SELECT cadence_run('TEST')");
	$first->finish;
	my $other = start_sql($node, q{SELECT pg_advisory_lock(x'43414447'::int, 2), pg_advisory_lock(x'CADE'::int, 0),
		pg_advisory_lock(0, 0), pg_advisory_lock(0); SELECT pg_sleep(600)});

	ok(poll_until(sub { sql($node, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 4 }), 'locks are held');
	start_over($node, $provider);
	enrol($node, 'ok', 10);
	my $offset = -s $node->logfile;
	is(execute($node)->{summary}{success}, 10, 'all is sent');
	is(sql($node, $waiting), 0, 'nobody waits');
	sql($node, 'SELECT pg_terminate_backend(' . $other->pid . ')');
	$other->finish;
};

# One slot is the server's own (logical replication), two are those of executions that wait for answers.
subtest 'more callers than worker slots' => sub {
	sql($node, 'ALTER SYSTEM SET max_worker_processes = 3');
	$node->restart;
	start_over($node, $provider);
	sql($node, "ALTER SERVER slow OPTIONS (SET url '" . $provider->url('gate') . "')");
	my @callers;
	for my $n (1, 2)
	{
		enrol($node, 'slow', 1);
		push @callers, start_sql($node, "SELECT cadence_run('TEST')");
		ok(poll_until(sub { $provider->count == $n }), "$n under way");
	}
	my $said = sql_error($node, "SELECT cadence_run('TEST')");

	like($said, qr/ERROR:  53400: no background worker slot is free/, 'a third finds no slot');
	like($said, qr/HINT: .*max_worker_processes/, 'and is told which setting to raise');
	$provider->ask('POST', '__open');
	is(join(' ', map { $_->finish } @callers), '0 0', 'the others end well');
	each_sent_once(2, 'nothing was lost');
};

done_testing();
