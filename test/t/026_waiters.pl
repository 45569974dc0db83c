# Callers who wait for their turn are answered by an execution that began meanwhile and found
# nothing, without a process for each.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use JSON::PP ();
use Test::More;

# A place among the executions (admission.c), and the class of a waiting caller's ticket (ticket.c).
my $PLACE_LAST = q{x'43414447'::int, 2};
my $TICKETS = q{FROM pg_locks WHERE locktype = 'advisory' AND classid = x'43414454'::int::oid};

my $node = new_cluster('main', conf => [ 'log_min_messages = debug1', 'deadlock_timeout = 100ms' ]);
my $provider = start_provider();

make_company($node, 'ok', $provider->url('ok'));

sub begin_again
{
	sql($node, 'TRUNCATE lead_messages, lead_cadence_events, lead_cadence_runs, lead_contacts,
		cadence_runner_logs');
	$provider->forget;
	return;
}

sub end_session
{
	my ($session) = @_;
	sql($node, 'SELECT pg_terminate_backend(' . $session->pid . ')');
	$session->finish;
	return;
}

# While it lives no execution begins (for some seconds), unless one had begun before.
sub hold_place
{
	my ($database) = @_;
	my $holder = start_sql($node, "SELECT pg_advisory_lock($PLACE_LAST); SELECT pg_sleep(600)",
		database => $database // 'postgres');
	poll_until(sub { sql($node, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'
		AND granted AND pid = " . $holder->pid) == 1 }, 'no execution may begin');
	return $holder;
}

# Callers that wait, each with a statement of its own; [statement, database] for another database.
sub wait_in_line
{
	my (@statements) = @_;
	my $before = sql($node, "SELECT count(*) $TICKETS");
	my @callers = map { ref ? start_sql($node, $_->[0], database => $_->[1]) : start_sql($node, $_) } @statements;

	poll_until(sub { sql($node, "SELECT count(*) $TICKETS") == $before + @callers },
		@callers . ' callers wait');
	return @callers;
}

sub run_as
{
	my ($trigger) = @_;
	return "SELECT cadence_run('$trigger')";
}

sub total
{
	my ($caller) = @_;
	my $status = $caller->finish;
	return $status == 0 ? JSON::PP::decode_json($caller->output)->{summary}{total} : $caller->error;
}

sub processes_since
{
	my ($offset) = @_;
	return scalar(() = log_since($node, $offset) =~ /starting background worker process "cadence_runner /g);
}

sub log_rows
{
	return sql($node, q{SELECT string_agg(trigger_source || ' ' || n, ', ' ORDER BY trigger_source)
		FROM (SELECT trigger_source, count(*) AS n FROM cadence_runner_logs
			WHERE runs_touched = 0 AND errors = 0 AND details -> 'results' = '[]' GROUP BY 1) AS s});
}

sub nothing_is_left
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(sql($node, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), 0, 'no place or ticket is left');
	return;
}

subtest 'one process answers all who wait' => sub {
	begin_again();
	my $holder = hold_place();
	my $offset = -s $node->logfile;
	my @callers = wait_in_line(map { run_as($_) } ('CRON', 'MANUAL', 'TEST') x 4);

	end_session($holder);
	is_deeply([ map { total($_) } @callers ], [ (0) x 12 ], 'each has a summary');
	is(log_rows(), 'CRON 4, MANUAL 4, TEST 4', 'and a row in the log, with its own trigger');
	cmp_ok(processes_since($offset), '<=', 3, 'few processes were started for them');
	nothing_is_left();
};

subtest 'what is due is sent, once' => sub {
	begin_again();
	enrol($node, 'ok', 10);
	my $holder = hold_place();
	my @callers = wait_in_line((run_as('TEST')) x 6);

	end_session($holder);
	is(join(' ', sort { $a <=> $b } map { total($_) } @callers), '0 0 0 0 0 10', 'by one of them');
	is($provider->count, 10, 'each once');
	is(sql($node, 'SELECT count(*) FROM cadence_runner_logs'), 6, 'all have a row in the log');
	nothing_is_left();
};

# Each says so itself: an execution that could not take everything speaks for itself alone.
subtest 'what somebody else holds' => sub {
	begin_again();
	enrol($node, 'ok', 1);
	my $locker = start_sql($node, 'BEGIN; SELECT FROM lead_cadence_runs FOR UPDATE; SELECT pg_sleep(600)');
	ok(poll_until(sub { sql($node, 'SELECT count(*) FROM (SELECT FROM lead_cadence_runs FOR UPDATE SKIP LOCKED) AS s') == 0 }), 'a run is locked');
	my $holder = hold_place();
	my @callers = wait_in_line((run_as('TEST')) x 3);

	end_session($holder);
	is_deeply([ map { total($_) } @callers ], [ 1, 1, 1 ], 'every caller is told of it');
	end_session($locker);
	is(execute($node)->{summary}{success}, 1, 'and the next one sends it');
	nothing_is_left();
};

# It is due since the first began, and before the second called: only the second may speak of it.
subtest 'an execution answers nobody who came after it began' => sub {
	begin_again();
	my $locker = start_sql($node, 'BEGIN; LOCK TABLE cadence_claims; SELECT pg_sleep(600)');
	my $locks = q{SELECT count(*) FROM pg_locks WHERE relation = 'cadence_claims'::regclass AND };
	ok(poll_until(sub { sql($node, "$locks granted") == 1 }), 'a lock');
	my $early = start_sql($node, run_as('CRON'));
	ok(poll_until(sub { sql($node, "$locks NOT granted") == 1 }), 'is in the way of the first');

	# it lets others begin after a while: whoever comes then gets the place
	my $holder = hold_place();
	sql($node, q{INSERT INTO lead_contacts (lead_id, empresa, nome, telefone)
			VALUES ('late', 'ok', 'Lead', '+5511000000000');
		SELECT cadence_enroll('late', 'ok')});
	my ($late) = wait_in_line(run_as('MANUAL'));
	end_session($locker);
	is(total($early), 0, 'the first finds nothing');
	ok($late->running, 'the second waits still');
	end_session($holder);
	is(total($late), 1, 'and sends what was due when it came');
	nothing_is_left();
};

# What refuses one row refuses them all: then each is on its own, and hears of its own error.
subtest 'whoever is not answered has an execution of its own' => sub {
	begin_again();
	sql($node, q{
		CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
			BEGIN RAISE EXCEPTION 'not by hand'; END $$;
		CREATE TRIGGER refuse BEFORE INSERT ON cadence_runner_logs FOR EACH ROW
			WHEN (NEW.trigger_source = 'MANUAL') EXECUTE FUNCTION refuse()});
	my $holder = hold_place();
	my @callers = wait_in_line((run_as('TEST')) x 3);
	my ($manual) = wait_in_line(run_as('MANUAL'));

	end_session($holder);
	is_deeply([ map { total($_) } @callers ], [ 0, 0, 0 ], 'the others end well');
	unlike($_->error, qr/not by hand/, 'and hear nothing of it') for @callers;
	is(total($manual), 0, 'so does the one whose row is refused');
	like($manual->error, qr/WARNING: .*not by hand/, 'and hears why it has none');
	is(log_rows(), 'TEST 3', 'each other one has a row');
	sql($node, 'DROP TRIGGER refuse ON cadence_runner_logs; DROP FUNCTION refuse()');
	nothing_is_left();
};

# The row of an execution by hand waits for a lock.
my $STUCK = q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'cadence_runner' AND wait_event = 'advisory'};

sub lock_rows_by_hand
{
	sql($node, q{
		CREATE FUNCTION wait_for_lock() RETURNS trigger LANGUAGE plpgsql AS $$
			BEGIN PERFORM pg_advisory_xact_lock(77); RETURN NEW; END $$;
		CREATE TRIGGER wait_for_lock BEFORE INSERT ON cadence_runner_logs FOR EACH ROW
			WHEN (NEW.trigger_source = 'MANUAL') EXECUTE FUNCTION wait_for_lock()});
	return;
}

sub unlock_rows
{
	sql($node, 'DROP TRIGGER wait_for_lock ON cadence_runner_logs; DROP FUNCTION wait_for_lock()');
	return;
}

subtest 'a caller that is in the way of its own answer' => sub {
	begin_again();
	lock_rows_by_hand();
	my $holder = hold_place();
	my $offset = -s $node->logfile;
	my ($blocker) = wait_in_line("BEGIN; SELECT pg_advisory_xact_lock(77) \\g /dev/null\n" . run_as('MANUAL'));
	my @callers = wait_in_line((run_as('TEST')) x 5);

	# asleep, so that another begins before it
	kill 'STOP', $blocker->pid;
	end_session($holder);
	ok(poll_until(sub { sql($node, $STUCK) }), 'an execution is about to answer it');
	kill 'CONT', $blocker->pid;
	like(total($blocker), qr/ERROR:  40P01: deadlock detected/, 'fails as one that waits for its own worker does');
	is_deeply([ map { total($_) } @callers ], [ (0) x 5 ], 'the others end well');
	is(sql($node, "SELECT count(*) FROM cadence_runner_logs WHERE trigger_source = 'TEST'"), 5, 'with a row each');
	cmp_ok(processes_since($offset), '<=', 3, 'and answered');
	unlock_rows();
	nothing_is_left();
};

subtest 'an answerer that is ended' => sub {
	begin_again();
	lock_rows_by_hand();
	my $locker = start_sql($node, 'SELECT pg_advisory_lock(77); SELECT pg_sleep(600)');
	my $holder = hold_place();
	my @callers = wait_in_line((run_as('TEST')) x 3, run_as('MANUAL'));
	my $pid;

	end_session($holder);
	ok(poll_until(sub { $pid = sql($node, $STUCK) }), 'one waits for a lock');
	sql($node, "SELECT pg_terminate_backend($_)") for split /\n/, $pid;
	end_session($locker);
	is(scalar(grep { $_ eq '0' } map { total($_) } @callers[ 0 .. 2 ]), 3, 'those who waited end well all the same');
	$callers[3]->finish;
	is(sql($node, "SELECT count(*) FROM cadence_runner_logs WHERE trigger_source = 'TEST'"), 3, 'with a row each');
	unlock_rows();
	nothing_is_left();
};

subtest 'a caller that gives up' => sub {
	begin_again();
	my $holder = hold_place();
	my ($hasty) = wait_in_line("\\set ON_ERROR_STOP 0\nSET statement_timeout = '1s';\n" . run_as('MANUAL')
		. ";\nSET statement_timeout = 0; SELECT pg_sleep(600)");

	ok(poll_until(sub { $hasty->error =~ /ERROR:  57014/ }), 'hears of it at once');
	is(sql($node, "SELECT count(*) $TICKETS"), 0, 'its ticket is gone, though its session lives');
	end_session($holder);
	is(execute($node)->{summary}{total}, 0, 'the next one is not troubled by it');
	is(log_rows(), 'TEST 1', 'and has the only row');
	end_session($hasty);
	nothing_is_left();
};

# A copy has the same object ids: it is another line all the same.
subtest 'callers of another database' => sub {
	begin_again();
	sql($node, 'CREATE DATABASE other TEMPLATE postgres', 'template1');
	sql($node, 'SELECT cadence_arm()', 'other');
	my $holder = hold_place();
	my @here = wait_in_line((run_as('MANUAL')) x 2);
	my $other_holder = hold_place('other');
	my @there = wait_in_line(map { [ run_as('TEST'), 'other' ] } 1 .. 3);

	end_session($other_holder);
	is_deeply([ map { total($_) } @there ], [ 0, 0, 0 ], 'are answered there');
	is(sql($node, "SELECT count(*) $TICKETS"), 2, 'while those here wait');
	is(sql($node, 'SELECT count(*) FROM cadence_runner_logs', 'other'), 3, 'their rows are there');
	end_session($holder);
	is_deeply([ map { total($_) } @here ], [ 0, 0 ], 'and those here are answered here');
	is(log_rows(), 'MANUAL 2', 'with their own rows');
	nothing_is_left();
};

done_testing();
