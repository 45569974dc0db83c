# However a resident worker ends, it is back, and what it had under way is accounted for. Where it
# can not work, it says why once, and works again when that is repaired.

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

my $HANGING = 200;

my $provider = start_provider();
my $node = resident_cluster(
	'main',
	'postgres',
	extension => 0,
	conf => [
		'restart_after_crash = on',
		'cadence_runner.max_in_flight = 300',
		'cadence_runner.request_timeout = 100s',
		'cadence_runner.retry_dispatch = 1h'
	]);
my $UNCERTAIN = "SELECT count(*) FROM lead_cadence_events
	WHERE tipo_evento = 'ERRO' AND detalhes ->> 'codigo' = 'INCERTO'";

serve($node, 'postgres',
	ok => $provider->url('ok'), hang => $provider->url('hang'), hold => $provider->url('hang'));
sql($node, "ALTER SERVER hold OPTIONS (ADD on_uncertain 'hold')");
wait_for_resident($node, 'postgres', $SOON) or die 'no worker';

sub hang
{
	my (%runs) = @_;
	my $n = 0;

	for my $name (sort keys %runs)
	{
		sql($node, enrol_at($name, $runs{$name}));
		$n += $runs{$name};
	}
	poll_until(sub { $provider->count('hang') == $n }) or die 'they do not hang';
	return;
}

# The worker can do its work.
sub sends
{
	my ($what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $before = $provider->count;
	sql($node, enrol_at('ok', 1));
	sent_within($provider, $before + 1, time(), $SOON, $what);
	return;
}

# ---- a process that ends -------------------------------------------------------------------------

subtest 'terminated again and again' => sub {
	start_over($node, $provider);
	my $offset = -s $node->logfile;

	for my $time (1 .. 5)
	{
		my $pid = resident_pid($node);
		sql($node, "SELECT pg_terminate_backend($pid)");
		ok(wait_for_resident($node, 'postgres', $SOON, $pid), "the worker is back, $time");
	}
	for my $time (1 .. 3)
	{
		my $pid = supervisor_pid($node);
		my $worker = resident_pid($node);
		sql($node, "SELECT pg_terminate_backend($pid)");
		within($SOON, "the supervisor is back, $time",
			sub { my $now = supervisor_pid($node); return $now ne '' && $now != $pid });
		is(resident_pid($node), $worker, "and has found the worker that runs, $time");
	}
	my ($worker, $supervisor) = (resident_pid($node), supervisor_pid($node));
	sql($node, "SELECT pg_terminate_backend($supervisor), pg_terminate_backend($worker)");
	ok(wait_for_resident($node, 'postgres', $SOON, $worker), 'both at once: both are back');
	is(sql($node, "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'cadence_runner resident'"), 1,
		'there is one worker');
	sends('and it sends');
	is_deeply([ problem_lines($node, 'postgres', $offset) ], [], 'none of that is a problem to tell of');
};

subtest 'terminated with transfers that hang' => sub {
	start_over($node, $provider);
	hang(hang => 30, hold => 20);
	my $pid = resident_pid($node);
	my $since = time();

	sql($node, "SELECT pg_terminate_backend($pid)");
	# a second of grace for what is under way is part of it
	ok(wait_for_resident($node, 'postgres', $SOON, $pid), 'the worker is back');
	cmp_ok(time() - $since, '<', $SOON, 'soon');
	is(sql($node, $UNCERTAIN), 50, 'all are uncertain, and say so');
	is(sql($node, "SELECT count(*) FROM lead_cadence_runs WHERE status = 'PAUSADA' AND claim_id IS NULL"), 20,
		'hold: paused');
	is(sql($node, "SELECT count(*) FROM lead_cadence_runs WHERE status = 'ATIVA' AND claim_id IS NULL
		AND next_run_at BETWEEN now() + interval '59 minutes' AND now() + interval '1 hour'"), 30, 'retry: later');
	is(sql($node, "SELECT count(*) FROM cadence_runner_logs WHERE trigger_source = 'WORKER'
		AND errors = 50 AND NOT details ? 'erro'"), 1, 'the log counts them');
	is($provider->count('hang'), 50, 'and none was sent again');
};

subtest 'fast shutdown with transfers that hang' => sub {
	start_over($node, $provider);
	hang(hang => $HANGING);
	my $since = time();

	$node->stop('fast');
	cmp_ok(time() - $since, '<', $SOON, 'takes no time');
	$node->start;
	is(sql($node, $UNCERTAIN), $HANGING, 'all are uncertain, and say so');
	is(sql($node, 'SELECT count(*) FROM lead_cadence_runs WHERE claim_id IS NOT NULL'), 0, 'no claim is left');
	ok(wait_for_resident($node, 'postgres', $SOON), 'the worker is back');
	sends('and sends');
};

subtest 'kill -9' => sub {
	start_over($node, $provider);
	hang(hang => 30, hold => 20);
	sql($node, enrol_at('ok', 5, "now() + interval '1 day'"));
	my $pid = resident_pid($node);
	my %keys = map { $_->{headers}{'idempotency-key'} => 1 } $provider->journal;

	kill 'KILL', $pid;
	$node->poll_query_until('postgres', 'SELECT true') or die 'the server is not back';
	my $since = time();
	ok(wait_for_resident($node, 'postgres', $SOON, $pid), 'the worker is back');
	ok($node->poll_query_until('postgres', "SELECT ($UNCERTAIN) = 50"),
		'what was under way is uncertain, and says so');
	cmp_ok(time() - $since, '<', 10, 'within ten seconds');
	is(sql($node, "SELECT count(*) FROM lead_cadence_runs r JOIN cadences c ON c.id = r.cadence_id
		WHERE c.codigo = 'hold' AND r.status = 'PAUSADA' AND r.claim_id IS NULL AND r.attempts = 1"), 20,
		'hold: paused');
	is(sql($node, "SELECT count(*) FROM lead_cadence_runs r JOIN cadences c ON c.id = r.cadence_id
		WHERE c.codigo = 'hang' AND r.status = 'ATIVA' AND r.claim_id IS NULL AND r.attempts = 1
		AND r.next_run_at BETWEEN now() + interval '59 minutes' AND now() + interval '1 hour'"), 30, 'retry: later');
	is(sql($node, "SELECT count(*) FROM lead_cadence_runs r JOIN cadences c ON c.id = r.cadence_id
		WHERE c.codigo = 'ok' AND r.status = 'ATIVA' AND r.attempts = 0"), 5, 'others are as they were');
	is($provider->count('hang'), 50, 'nothing was sent again by that');
	is(status($node)->{uncertain}, 20, 'the status counts what is held');

	sql($node, "ALTER SERVER hang OPTIONS (SET url '" . $provider->url('ok') . "')");
	$provider->forget;
	sql($node, "UPDATE lead_cadence_runs SET next_run_at = now() FROM cadences c
		WHERE c.id = cadence_id AND c.codigo = 'hang'");
	sent_within($provider, 30, time(), $SOON, 'retry: sent once its time comes');
	is(scalar(grep { $keys{ $_->{headers}{'idempotency-key'} } } $provider->journal), 30, 'with the same keys');
	is_deeply([ grep { $_ != 1 } values %{ { $provider->per_run } } ], [], 'once');
	sql($node, "ALTER SERVER hang OPTIONS (SET url '" . $provider->url('hang') . "')");
};

# ---- where it can not work -------------------------------------------------------------------------

subtest 'another owner' => sub {
	start_over($node, $provider);
	my $pid = resident_pid($node);
	my $tables = q{SELECT string_agg(format('ALTER TABLE %I OWNER TO crm', relname), ';') FROM pg_class
		WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace};

	sql($node, 'CREATE ROLE crm LOGIN; GRANT USAGE ON FOREIGN SERVER ok, hang TO crm;
		GRANT ALL ON SCHEMA public TO crm');
	# the worker, whose own order of the tables is another, may be the one that a deadlock spares
	my $change = 'BEGIN;' . sql($node, $tables) . '; COMMIT';
	within($SOON, 'the tables change hands', sub { $node->psql('postgres', $change, on_error_stop => 1) == 0 });
	sql($node, enrol_at('ok', 1));
	ok(wait_for_resident($node, 'postgres', $SOON, $pid), 'the worker leaves, and is back');
	is(sql($node, "SELECT usename FROM pg_stat_activity WHERE backend_type = 'cadence_runner resident'"), 'crm',
		'as the new owner');
	sent_within($provider, 1, time(), $SOON, 'it sends');

	$pid = resident_pid($node);
	sql($node, 'ALTER ROLE crm NOLOGIN');
	sql($node, "SELECT pg_terminate_backend($pid)");
	if ($node->pg_version >= 17)
	{
		ok(wait_for_resident($node, 'postgres', $SOON, $pid),
			'one that may not log in: the server lets a worker connect as it all the same');
	}
	else
	{
		within($SOON, 'one that may not log in: the status says what to do', sub {
			return (status($node)->{problem} // '') =~ /may not log in.*ALTER ROLE crm LOGIN/;
		});
	}
	sql($node, 'ALTER ROLE crm LOGIN');
	sql($node, enrol_at('ok', 1));
	ok(wait_for_resident($node, 'postgres', $SOON, $pid), 'and when it may, the worker is back');
};

# The counters of that provider say that it fails, and it does.
sql($node, 'DROP SERVER hold CASCADE');

# What a problem does to the worker, and that it is gone with its cause: what breaks, what repairs
# it, what is said of it.
sub problem
{
	my ($what, $break, $repair, $says) = @_;

	subtest $what => sub {
		start_over($node, $provider);
		my $offset = -s $node->logfile;

		sql($node, $break);
		# the worker finds out when there is something to do
		sql($node, q{INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem, next_run_at)
			SELECT 'nobody', 'ok', id, 1, now() FROM cadences WHERE codigo = 'ok'});
		within($SOON, 'the worker ends', sub { resident_pid($node) eq '' });
		poll_until(sub { scalar(my @l = problem_lines($node, 'postgres', $offset)) }, 'the supervisor says so', $SOON);
		# between two tries: one of them may be under way
		my ($row, $health) = ({}, {});
		within($SOON, 'status and health say why', sub {
			$row = eval { status($node) } // {};
			$health = eval { health($node) } // {};
			return !defined $row->{worker_pid} && ($row->{problem} // '') =~ $says
			  && !$health->{ok} && "@{ $health->{reasons} // [] }" =~ $says;
		}) or diag(explain([$row, $health]));

		# so many tries have gone by that a loop without pauses would be seen
		my $since = time();
		poll_until(sub { time() > $since + 2 });
		my @lines = problem_lines($node, 'postgres', $offset);
		is(@lines, 1, 'one line in the log') or diag(join "\n", @lines);
		like($lines[0] // '', $says, 'that says why');
		my @all = log_since($node, $offset) =~ /^.*\b(?:ERROR|WARNING|FATAL|LOG): .*$/mg;
		cmp_ok(scalar(@all), '<', 20, 'not many other lines') or diag(join "\n", @all);
		cmp_ok(sql($node, 'SELECT count(*) FROM cadence_runner_logs'), '<', 10, 'nor rows');

		sql($node, $repair);
		# a commit that concerns it is a reason to try again at once
		sql($node, enrol_at('ok', 1));
		ok(wait_for_resident($node, 'postgres', $SOON), 'repaired: the worker is back');
		sends('repaired: it sends');
		is(status($node)->{problem}, undef, 'repaired: the status has no problem');
		within($SOON, 'repaired: the health is good', sub { health($node)->{ok} }) or diag(explain(health($node)));
	};
	return;
}

problem('a table is renamed away', 'ALTER TABLE lead_contacts RENAME TO elsewhere',
	'ALTER TABLE elsewhere RENAME TO lead_contacts', qr/lead_contacts/);
problem('a table in other hands', 'CREATE ROLE thief; ALTER TABLE lead_messages OWNER TO thief',
	'ALTER TABLE lead_messages OWNER TO crm', qr/lead_messages/);
problem('tables that are not armed', 'DELETE FROM cadence_arming;
	SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = \'cadence_runner resident\'',
	'SELECT cadence_arm()', qr/not armed|never armed/);

# Whatever provider the worker finds must be there when it is back: all in one transaction.
my $CREATE_AGAIN = "BEGIN; SET LOCAL client_min_messages = warning; CREATE EXTENSION cadence_runner;
	CREATE SERVER ok FOREIGN DATA WRAPPER cadence_provider
		OPTIONS (canal 'WHATSAPP', empresa 'ok', url '" . $provider->url('ok') . "');
	CREATE SERVER hang FOREIGN DATA WRAPPER cadence_provider
		OPTIONS (canal 'WHATSAPP', empresa 'hang', url '" . $provider->url('hang') . "', breaker_after '0');
	GRANT USAGE ON FOREIGN SERVER ok, hang TO crm; SELECT cadence_create_tables(owner => 'crm'); COMMIT";

subtest 'the extension is dropped' => sub {
	start_over($node, $provider);
	my $offset = -s $node->logfile;

	# what is under way may end by its own time-out
	sql($node, q{ALTER SERVER hang OPTIONS (ADD timeout '3s')});
	hang(hang => 20);
	my $since = time();
	sql($node, 'SET client_min_messages = warning; DROP EXTENSION cadence_runner CASCADE');
	cmp_ok(time() - $since, '<', $SOON, 'dropping it does not wait for the transfers');
	ok($node->poll_query_until('postgres', "SELECT ($UNCERTAIN) = 20"), 'what was under way is uncertain, and says so');
	sql($node, enrol_at('ok', 1));
	is($provider->count('ok'), 0, 'the tables take rows without it');
	# nothing tells a worker that it is gone: its next look does, or whoever ends it
	my $pid = resident_pid($node);
	sql($node, "SELECT pg_terminate_backend($pid)") if $pid ne '';
	within($SOON, 'the log says why it does not run',
		sub { return scalar(my @l = problem_lines($node, 'postgres', $offset)) });
	like((problem_lines($node, 'postgres', $offset))[0], qr/extension "cadence_runner" does not exist/, 'and how');

	sql($node, $CREATE_AGAIN);
	$since = time();
	ok(wait_for_resident($node, 'postgres', $SOON, $pid), 'created again, it has a worker');
	cmp_ok(time() - $since, '<', $SOON, 'soon');
	sent_within($provider, 21, time(), $SOON, 'it sends what was enrolled meanwhile');
	sends('and goes on');
	is(sql($node, "SELECT count(*) FROM lead_cadence_runs r JOIN cadences c ON c.id = r.cadence_id
		WHERE c.codigo = 'hang' AND claim_id IS NOT NULL"), 0, 'no claim is left of the time before');
};

# Without a pause between, or with one in which the worker finds out.
for my $pause (0, 1, 6)
{
	subtest "dropped with messages under way, and created $pause seconds later" => sub {
		start_over($node, $provider);
		hang(hang => 20);
		sql($node, 'SET client_min_messages = warning; DROP EXTENSION cadence_runner CASCADE');
		my $since = time();
		poll_until(sub { time() >= $since + $pause });
		sql($node, $CREATE_AGAIN);
		$since = time();
		sql($node, enrol_at('ok', 3));
		# a second of it is the grace for what is under way
		sent_within($provider, 23, $since, 8, 'it sends');
		is_deeply(health($node)->{reasons}, [], 'the health is good') if $pause == 0;
	};
}

# An execution that fails is not forgiven because a worker has begun before it.
subtest 'an execution fails beside the worker' => sub {
	start_over($node, $provider);
	sends('the worker works');
	within($SOON, 'the health is good', sub { health($node)->{ok} });
	sql($node, q{INSERT INTO cadence_runner_logs (errors, details) VALUES (1, '{"erro": "no luck", "sqlstate": "XX000"}')});
	is_deeply(health($node), { ok => JSON::PP::false(), reasons => ['the last execution failed: no luck'] },
		'the health is not');
	sends('the worker goes on');
	is(health($node)->{ok}, JSON::PP::false(), 'which does not make the execution any better');
	my $pid = resident_pid($node);
	sql($node, "SELECT pg_terminate_backend($pid)");
	# its row is the last one now
	wait_for_resident($node, 'postgres', $SOON, $pid) or die 'the worker does not come back';
	within($SOON, 'a later one that does not fail does', sub { health($node)->{ok} });
};

problem('a right that is revoked', 'REVOKE SELECT ON lead_contacts FROM crm', 'GRANT SELECT ON lead_contacts TO crm',
	qr/permission denied for table lead_contacts/);

# What fails at its work again and again is tried later and later, and told of once.
subtest 'an error that comes again' => sub {
	start_over($node, $provider);
	my $offset = -s $node->logfile;
	my %pids;

	sql($node, 'REVOKE SELECT ON message_templates FROM crm');
	sql($node, enrol_at('ok', 1));
	my $since = time();
	while (time() < $since + 8)
	{
		my $pid = resident_pid($node);
		$pids{$pid} = 1 if $pid ne '';
		sql($node, enrol_at('ok', 1));
	}
	my @lines = problem_lines($node, 'postgres', $offset);
	is(@lines, 1, 'one line in the log') or diag(join "\n", @lines);
	cmp_ok(scalar(keys %pids), '<=', 6, 'few tries, however many commits there are');
	is(health($node)->{ok}, JSON::PP::false(), 'the health is not good');
};

unlike(log_since($node), qr/PANIC|TRAP/, 'nothing crashed but what was killed');
is(scalar(() = log_since($node) =~ /terminated by signal/g), 1, 'once');

done_testing();
