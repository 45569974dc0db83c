# The resident worker at its work: what wakes it, what it logs, which settings it follows, and that
# it shares with executions. Nobody calls cadence_run() here unless that is said.

use strict;
use warnings;
use utf8;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use JSON::PP ();
use PostgreSQL::Test::Utils;
use Resident;
use Test::More;
use Time::HiRes qw(time);

my $provider = start_provider();
my $node = resident_cluster(
	'main',
	'postgres, other',
	extension => 0,
	# what else writes to the WAL is switched off
	conf => [ 'max_prepared_transactions = 5', 'autovacuum = off', 'checkpoint_timeout = 1h' ]);
my $STATUS = 'SELECT * FROM cadence_runner_status() WHERE database = current_database()';

# Nothing is left of what was; the cadences stay.
# A wake-up, so that whatever is due is found.
sub wake
{
	sql($node, 'UPDATE lead_cadence_runs SET next_run_at = next_run_at WHERE false');
	return;
}

subtest 'it starts by itself' => sub {
	ok($node->poll_query_until('postgres',
			"SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'cadence_runner supervisor'"),
		'the supervisor starts with the server');
	poll_until(
		sub { log_since($node) =~ /does not run in database "postgres": extension "cadence_runner" does not exist/ },
		'it says what is missing');

	sql($node, 'CREATE EXTENSION cadence_runner');
	my $row = status($node);
	isnt($row->{worker_state}, 'not configured', 'the status knows that there shall be one');
	is(health($node)->{ok}, JSON::PP::false(), 'without tables, the health is not good');
	my $since = time();
	sql($node, 'SET client_min_messages = warning; SELECT cadence_create_tables()');
	ok(wait_for_resident($node, 'postgres', $SOON), 'it runs once the tables are there');
	cmp_ok(time() - $since, '<', $SOON, 'soon');
	is(sql($node, "SELECT usename FROM pg_stat_activity WHERE backend_type = 'cadence_runner resident'"),
		sql($node, 'SELECT tableowner FROM pg_tables WHERE tablename = \'lead_cadence_runs\''),
		'as the owner of the tables');

	serve($node, 'postgres',
		ok => $provider->url('ok'), hang => $provider->url('hang'),
		slow => $provider->url('slow/300'), fail => $provider->url('fail500'));

	my $offset = -s $node->logfile;
	$node->restart;
	$since = time();
	ok(wait_for_resident($node, 'postgres', $SOON), 'it runs after a restart of the server');
	cmp_ok(time() - $since, '<', $SOON, 'soon');
	is_deeply([ problem_lines($node, 'postgres', $offset) ], [], 'and complains of nothing');
	is_deeply(health($node), { ok => JSON::PP::true(), reasons => [] }, 'the health is good');
};

# ---- waking ------------------------------------------------------------------------------------

subtest 'a commit wakes it' => sub {
	start_over($node, $provider);
	sql($node, enrol_at('ok', 3));
	sent_within($provider, 3, time(), $SOON, 'an insert');

	my $run = one_run($node, 'ok', 'ATIVA', "now() + interval '1 day'");
	sql($node, "UPDATE lead_cadence_runs SET next_run_at = now() WHERE id = '$run'");
	sent_within($provider, 4, time(), $SOON, 'an update of next_run_at');

	$run = one_run($node, 'ok', 'PAUSADA', 'now()');
	wait_for_round($node);
	is($provider->count, 4, 'a paused run stays');
	sql($node, "SELECT cadence_resume('$run')");
	sent_within($provider, 5, time(), $SOON, 'cadence_resume()');

	sql($node, q{INSERT INTO lead_contacts (lead_id, empresa, nome, telefone)
		VALUES ('soon', 'ok', 'Lead', '+5511900000001')});
	# by the time of another statement it may be claimed, and due when its lease ends
	my $due = sql($node, q{SELECT extract(epoch FROM now() + interval '1 second')
		FROM cadence_enroll('soon', 'ok', now() + interval '1 second')});
	sent_within($provider, 6, $due, $SOON, 'a start in a second');
	my ($last) = sort { $b <=> $a } map { $_->{t} } $provider->journal;
	# the provider's clock reads microseconds, as the server's does
	cmp_ok($last, '>=', $due, 'a start in a second: not before');
	ok( $node->poll_query_until('postgres',
			"SELECT count(*) = 6 FROM lead_cadence_runs WHERE status = 'CONCLUIDA' AND claim_id IS NULL"),
		'and all are recorded');
};

subtest 'a second step without an offset' => sub {
	start_over($node, $provider);
	make_cadence($node, 'twice', 'ok', [ 'WHATSAPP', 0, 'Um' ], [ 'WHATSAPP', 0, 'Dois' ]);
	sql($node, enrol_at('twice', 1) =~ s/'twice', 'Lead'/'ok', 'Lead'/r);
	sent_within($provider, 2, time(), $SOON, 'follows at once');
	my %keys = map { $_->{headers}{'idempotency-key'} => 1 } $provider->journal;
	is(keys %keys, 2, 'as a step of its own');
};

subtest 'what is rolled back is not sent' => sub {
	start_over($node, $provider);
	sql($node, 'BEGIN;' . enrol_at('ok', 5) . 'ROLLBACK;');
	sql($node, 'BEGIN;' . enrol_at('ok', 1)
		  . 'SAVEPOINT s;' . enrol_at('ok', 5) . 'ROLLBACK TO s; COMMIT;');
	sent_within($provider, 1, time(), $SOON, 'what is committed is sent');
	wait_for_round($node);
	is($provider->count, 1, 'and nothing else');
};

# The next look is brought about by another commit; that there is one each minute is another test's.
subtest 'a wake-up that is lost' => sub {
	start_over($node, $provider);
	sql($node, 'SET session_replication_role = replica;' . enrol_at('ok', 2));
	wake();
	sent_within($provider, 2, time(), $SOON, 'costs time only: session_replication_role = replica');

	sql($node, 'BEGIN;' . enrol_at('ok', 3) . "PREPARE TRANSACTION 'p'");
	wait_for_round($node);
	is($provider->count, 2, 'a prepared transaction is not committed yet');
	sql($node, "COMMIT PREPARED 'p'");
	wake();
	sent_within($provider, 5, time(), $SOON, 'costs time only: COMMIT PREPARED');
};

# ---- what it does while it waits -----------------------------------------------------------------

subtest 'an idle worker leaves no trace' => sub {
	start_over($node, $provider);
	sql($node, enrol_at('ok', 5));
	$node->poll_query_until('postgres', "SELECT count(*) = 5 FROM lead_cadence_runs WHERE status = 'CONCLUIDA'")
	  or die 'nothing was sent';
	sql($node, 'VACUUM');    # or a reader prunes pages, which is in the WAL
	sql($node, 'CHECKPOINT');
	wait_for_round($node);
	my ($rows, $from, $rounds, $wal, $rows_after);

	# a minute after those five were sent a row of the log tells of them: that is not what this is about
	for my $try (1 .. 3)
	{
		$rows = sql($node, 'SELECT count(*) FROM cadence_runner_logs');
		$from = sql($node, 'SELECT pg_current_wal_insert_lsn()');
		my $since = time();

		# looks for claims of the dead, every five seconds at most, are among these
		$rounds = 0;
		wait_for_round($node) && $rounds++ while time() < $since + 6;
		$wal = sql($node, "SELECT pg_current_wal_insert_lsn() - '$from'");
		$rows_after = sql($node, 'SELECT count(*) FROM cadence_runner_logs');
		last if $rows_after == $rows;
	}
	cmp_ok($rounds, '>', 1, 'after some looks in six seconds');
	is($wal, 0, 'nothing is in the WAL');
	is($rows_after, $rows, 'and no row in the log');
	is(sql($node, "SELECT state FROM pg_stat_activity WHERE backend_type = 'cadence_runner resident'"),
		'idle', 'its session is idle');
};

subtest 'status, and no snapshot, while transfers hang' => sub {
	start_over($node, $provider);
	sql($node, enrol_at('hang', 10) . enrol_at('ok', 5));
	sql($node, enrol_at('ok', 1, "now() + interval '1 day'"));
	poll_until(sub { $provider->count('hang') == 10 && $provider->count('ok') == 5 }) or die 'nothing hangs';
	$node->poll_query_until('postgres',
		"SELECT count(*) = 5 FROM lead_cadence_runs WHERE status = 'CONCLUIDA'") or die;

	ok( $node->poll_query_until('postgres', q{
			SELECT backend_xmin IS NULL AND backend_xid IS NULL FROM pg_stat_activity
			WHERE backend_type = 'cadence_runner resident' AND datname = 'postgres'}),
		'its session holds no snapshot');
	is(sql($node, "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"), 0,
		'nothing is idle in transaction');

	my ($row) = sql_rows($node, qq{
		SELECT *, worker_since < now() AND worker_seen_at > worker_since AS seen,
			last_execution > worker_since AS executed, next_look - now() < interval '61 s' AS looks,
			next_due > now() + interval '23 h' AS next_day FROM ($STATUS) AS s});
	is($row->{database}, 'postgres', 'status: database');
	is($row->{worker_pid}, resident_pid($node), 'status: worker_pid');
	is($row->{worker_state}, 'working', 'status: worker_state');
	is($row->{problem}, undef, 'status: problem');
	ok($row->{$_}, "status: $_") for qw(seen executed looks);
	is($row->{in_flight}, 10, 'status: in_flight');
	is($row->{waiting}, 0, 'status: waiting');
	is($row->{due_now}, 0, 'status: due_now');
	is($row->{lag}, undef, 'status: lag');
	is($row->{claimed}, 10, 'status: claimed');
	is($row->{uncertain}, 0, 'status: uncertain');
	# the leases of what is claimed end before
	cmp_ok($row->{next_due} // '', 'ne', '', 'status: next_due');
	my %servers = map { $_->{server} => $_ } @{ $row->{providers} };
	is_deeply([ sort keys %servers ], [qw(fail hang ok slow)], 'status: providers');
	is($servers{hang}{in_flight}, 10, 'status: what is under way to each');
	is_deeply(health($node), { ok => JSON::PP::true(), reasons => [] }, 'the health is good');
	my @all = sql_rows($node, 'SELECT * FROM cadence_runner_status');
	is_deeply([ map { $_->{database} } @all ], [ 'postgres', 'other' ],
		'the view has every database of the list');

	sql($node, "SELECT pg_terminate_backend(" . resident_pid($node) . ")");
	$node->poll_query_until('postgres',
		"SELECT count(*) = 10 FROM lead_cadence_events WHERE detalhes ->> 'codigo' = 'INCERTO'") or die;
	wait_for_resident($node, 'postgres', $SOON) or die 'the worker does not come back';
};

# ---- settings ------------------------------------------------------------------------------------

subtest 'settings take effect without a restart' => sub {
	my $pid = resident_pid($node);

	start_over($node, $provider);
	# some of the six places are kept for the other providers
	set_server($node, 'cadence_runner.max_in_flight', 6);
	sql($node, enrol_at('slow', 15));
	$node->poll_query_until('postgres', "SELECT count(*) = 15 FROM lead_cadence_runs WHERE status = 'CONCLUIDA'")
	  or die;
	cmp_ok($provider->ask('GET', '__count')->{max_concurrent}, '<=', 6, 'max_in_flight: less');
	start_over($node, $provider);
	set_server($node, 'cadence_runner.max_in_flight', 100);
	sql($node, enrol_at('slow', 50));
	$node->poll_query_until('postgres', "SELECT count(*) = 50 FROM lead_cadence_runs WHERE status = 'CONCLUIDA'")
	  or die;
	is($provider->ask('GET', '__count')->{max_concurrent}, 50, 'max_in_flight: more');

	start_over($node, $provider);
	set_server($node, 'cadence_runner.batch_size', 3);
	# every claim is a transaction
	sql($node, 'CREATE TABLE claims (transaction text);
		CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
		$$ BEGIN INSERT INTO claims VALUES (pg_current_xact_id()); RETURN NEW; END $$;
		CREATE TRIGGER note AFTER UPDATE ON lead_cadence_runs FOR EACH ROW
		WHEN (NEW.claim_id IS NOT NULL) EXECUTE FUNCTION note()');
	sql($node, enrol_at('ok', 12));
	$node->poll_query_until('postgres', "SELECT count(*) = 12 FROM lead_cadence_runs WHERE status = 'CONCLUIDA'")
	  or die;
	is(sql($node, 'SELECT max(n) FROM (SELECT count(*) AS n FROM claims GROUP BY transaction) AS c'), 3,
		'batch_size');
	sql($node, 'DROP TRIGGER note ON lead_cadence_runs; DROP TABLE claims; DROP FUNCTION note()');
	set_server($node, 'cadence_runner.batch_size', 500);

	start_over($node, $provider);
	for my $hours (5, 7)
	{
		set_server($node, 'cadence_runner.retry_dispatch', $hours . 'h');
		my $run = one_run($node, 'fail', 'ATIVA', 'now()');
		ok( $node->poll_query_until('postgres', "
				SELECT extract(epoch FROM next_run_at - now()) BETWEEN ($hours - 0.1) * 3600 AND $hours * 3600
				FROM lead_cadence_runs WHERE id = '$run' AND claim_id IS NULL"),
			"retry_dispatch: $hours hours");
	}
	is(resident_pid($node), $pid, 'it is the same process');
};

# A quarter of max_in_flight is kept for providers that have nothing to do, however many there are.
subtest 'many providers, of which one is busy' => sub {
	start_over($node, $provider);
	set_server($node, 'cadence_runner.max_in_flight', 20);
	sql($node, join ';', map { "CREATE SERVER idle$_ FOREIGN DATA WRAPPER cadence_provider
		OPTIONS (canal 'WHATSAPP', empresa 'idle$_', url 'http://127.0.0.1:1/')" } 1 .. 30);
	sql($node, enrol_at('slow', 40));
	$node->poll_query_until('postgres', "SELECT count(*) = 40 FROM lead_cadence_runs WHERE status = 'CONCLUIDA'")
	  or die;
	cmp_ok($provider->ask('GET', '__count')->{max_concurrent}, '>=', 15, 'it has the rest');
	sql($node, join ';', map { "DROP SERVER idle$_" } 1 .. 30);
	set_server($node, 'cadence_runner.max_in_flight', 100);
};

subtest 'switched off and on' => sub {
	my $pid = resident_pid($node);
	my $untouched = "SELECT count(*) FROM lead_cadence_runs
		WHERE attempts = 0 AND claim_id IS NULL AND status = 'ATIVA'";

	# a worker that sleeps has gone round its loop since a time
	my $round_since = sub {
		return $node->poll_query_until('postgres', "SELECT worker_seen_at > '$_[0]' FROM ($STATUS) AS s");
	};
	my $clock = 'SELECT clock_timestamp()';

	start_over($node, $provider);
	sql($node, "ALTER SERVER slow OPTIONS (SET url '" . $provider->url('slow/1000') . "', ADD max_in_flight '2')");
	sql($node, enrol_at('slow', 10));
	poll_until(sub { $provider->count == 2 }) or die 'nothing is under way';
	set_server($node, 'cadence_runner.enabled', 'off');
	ok( $node->poll_query_until('postgres', "SELECT count(*) = 2 FROM lead_cadence_runs WHERE status = 'CONCLUIDA'"),
		'what is under way ends well');
	is(sql($node, $untouched), 8, 'the rest is due as before');
	is($provider->count, 2, 'and was not sent');
	start_over($node, $provider);
	ok($node->poll_query_until('postgres', "SELECT worker_state = 'disabled' FROM ($STATUS) AS s"),
		'the status says so');
	is(health($node)->{ok}, JSON::PP::false(), 'as does the health');
	my $now = sql($node, $clock);
	sql($node, enrol_at('ok', 4));
	ok($round_since->($now), 'the worker is still there');
	is(sql($node, $untouched), 4, 'it takes nothing');
	# another setting is no reason to take something
	$now = sql($node, $clock);
	set_server($node, 'cadence_runner.batch_size', 400);
	$round_since->($now);
	is(sql($node, $untouched), 4, 'nor after a change of batch_size');
	is($provider->count, 0, 'nothing has left');

	set_server($node, 'cadence_runner.enabled', 'on');
	sent_within($provider, 4, time(), $SOON, 'switched on, it sends');
	is(resident_pid($node), $pid, 'it is the same process');
};

# ---- the log ---------------------------------------------------------------------------------------

subtest 'at most one log row a minute' => sub {
	start_over($node, $provider);
	my $since = time();
	my $n = 0;

	while (time() < $since + 2)
	{
		sql($node, enrol_at('ok', 1));
		$n++;
		poll_until(sub { $provider->count == $n }) or die 'nothing was sent';
	}
	$node->poll_query_until('postgres', "SELECT count(*) = $n FROM lead_cadence_runs WHERE status = 'CONCLUIDA'")
	  or die;
	cmp_ok(sql($node, 'SELECT count(*) FROM cadence_runner_logs'), '<=', 1, 'many sends make no row each');

	my $pid = resident_pid($node);
	# a row of this minute may have what was sent in the tests before
	sql($node, "SELECT pg_terminate_backend($pid)");
	ok( $node->poll_query_until('postgres', "SELECT sum(steps_executed) >= $n FROM cadence_runner_logs"),
		'what was not logged yet is logged when the worker stops');
	cmp_ok(sql($node, 'SELECT count(*) FROM cadence_runner_logs'), '<=', 2, 'in one row');
	is(sql($node, 'SELECT string_agg(DISTINCT trigger_source, \',\') FROM cadence_runner_logs'), 'WORKER',
		'its trigger_source is WORKER');
	is(sql($node, "SELECT count(*) FROM cadence_runner_logs WHERE details ? 'erro'"), 0,
		'a stop is no error');

	wait_for_resident($node, 'postgres', $SOON, $pid) or die 'the worker does not come back';
	my $rows = sql($node, 'SELECT count(*) FROM cadence_runner_logs');
	my $next = resident_pid($node);
	sql($node, "SELECT pg_terminate_backend($next)");
	wait_for_resident($node, 'postgres', $SOON, $next) or die 'the worker does not come back';
	is(sql($node, 'SELECT count(*) FROM cadence_runner_logs'), $rows, 'one that has done nothing logs nothing');
};

# ---- others ----------------------------------------------------------------------------------------

subtest 'executions beside it' => sub {
	my $runs = 400;

	start_over($node, $provider);
	set_server($node, 'cadence_runner.batch_size', 10);
	sql($node, "ALTER SERVER slow OPTIONS (SET url '" . $provider->url('slow/20') . "', SET max_in_flight '5')");
	my @callers = map { start_sql($node, "SELECT cadence_run('TEST');\n" x 10) } 1 .. 3;
	$_->pid for @callers;
	sql($node, enrol_at('slow', $runs));
	ok( $node->poll_query_until('postgres',
			"SELECT count(*) = $runs FROM lead_cadence_runs WHERE status = 'CONCLUIDA'"),
		'everything is sent');
	is($_->finish, 0, 'an execution beside the worker ends well') for @callers;
	my %times = $provider->per_run;
	is(scalar(keys %times), $runs, 'each run');
	is_deeply([ grep { $_ != 1 } values %times ], [], 'once');
	cmp_ok(sql($node, "SELECT sum(steps_executed) FROM cadence_runner_logs WHERE trigger_source = 'TEST'"),
		'>', 0, 'the executions had their part');
	cmp_ok(sql($node, "SELECT sum(steps_executed) FROM cadence_runner_logs WHERE trigger_source = 'TEST'"),
		'<', $runs, 'and so had the worker');
	is(sql($node, "SELECT count(*) FROM lead_messages"), $runs, 'and recorded once');
	set_server($node, 'cadence_runner.batch_size', 500);
};

subtest 'two databases at once' => sub {
	start_over($node, $provider);
	is(status($node, 'other', 'postgres')->{problem}, 'the database does not exist', 'one is not there yet');
	my @lines = problem_lines($node, 'other');
	is(@lines, 2, 'which is said once, for each start of the server');
	sql($node, 'CREATE DATABASE other');
	serve($node, 'other', ok => $provider->url('ok'));
	ok(wait_for_resident($node, 'other', $SOON), 'it has a worker soon after it has tables');
	sql($node, enrol_at('ok', 3));
	sql($node, enrol_at('ok', 3), 'other');
	sent_within($provider, 6, time(), $SOON, 'both send');
	isnt(resident_pid($node, 'other'), resident_pid($node), 'each has a worker of its own');
	ok($node->poll_query_until('other', "SELECT count(*) = 3 FROM lead_messages"),
		'that records where it belongs');

	my $pid = resident_pid($node);
	set_server($node, 'cadence_runner.databases', 'postgres');
	within($SOON, 'a database that leaves the list loses its worker', sub { resident_pid($node, 'other') eq '' });
	sql($node, enrol_at('ok', 1), 'other');
	is(status($node, 'other')->{worker_state}, 'not configured', 'the status says so');
	sql($node, enrol_at('ok', 1));
	sent_within($provider, 7, time(), $SOON, 'the other database goes on');
	is(resident_pid($node), $pid, 'with the same process');
	set_server($node, 'cadence_runner.databases', 'postgres, other');
	ok(wait_for_resident($node, 'other', $SOON), 'back in the list, it has one again');
	sent_within($provider, 8, time(), $SOON, 'which sends what is due');
};

# More workers by the setting, soon after the first has begun: each of them takes its part.
subtest 'a burst is shared by all workers' => sub {
	start_over($node, $provider);
	my $first = resident_pid($node);
	sql($node, "SELECT pg_terminate_backend($first)");
	wait_for_resident($node, 'postgres', $SOON, $first) or die 'the worker does not come back';

	my $offset = -s $node->logfile;
	set_server($node, 'cadence_runner.batch_size', 10);
	set_server($node, 'cadence_runner.workers', 2);
	ok($node->poll_query_until('postgres', "SELECT workers = 2 FROM ($STATUS) AS s"), 'there are two');
	is_deeply([ problem_lines($node, 'postgres', $offset) ], [], 'and nothing to complain of');
	is(status($node)->{problem}, undef, 'in the status neither');

	sql($node, 'CREATE TABLE claims (pid int);
		CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
		$$ BEGIN INSERT INTO claims VALUES (pg_backend_pid()); RETURN NULL; END $$;
		CREATE TRIGGER note AFTER UPDATE ON lead_cadence_runs FOR EACH ROW
		WHEN (NEW.claim_id IS NOT NULL) EXECUTE FUNCTION note()');
	sql($node, "ALTER SERVER slow OPTIONS (SET url '" . $provider->url('slow/100') . "', DROP max_in_flight)");
	sql($node, enrol_at('slow', 400));
	ok($node->poll_query_until('postgres', "SELECT count(*) = 400 FROM lead_cadence_runs WHERE status = 'CONCLUIDA'"),
		'all is sent');
	is($provider->count, 400, 'once');
	is(sql($node, 'SELECT count(DISTINCT pid) FROM claims'), 2, 'by both of them');
	sql($node, 'DROP TRIGGER note ON lead_cadence_runs; DROP TABLE claims; DROP FUNCTION note()');
};

unlike(log_since($node), qr/PANIC|terminated by signal|TRAP|FATAL:  (?!terminating|the database system)/,
	'nothing crashed');

done_testing();
