# Commands on databases, beside resident workers: whoever owns a database can have it for himself,
# however many transfers hang, and nobody else can make a worker leave.

use strict;
use warnings;
use utf8;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use PostgreSQL::Test::Utils;
use Resident;
use Test::More;
use Time::HiRes qw(time);

my $HANGING = 200;

my $provider = start_provider();
my $node = resident_cluster(
	'main',
	'crm, postgres',
	conf => [
		'cadence_runner.max_in_flight = 300',
		'cadence_runner.request_timeout = 100s',
		# what a command has broken off hangs again soon
		'cadence_runner.retry_dispatch = 1s'
	]);
my $in_crm = "SELECT count(*) FROM lead_cadence_events WHERE detalhes ->> 'codigo' = 'INCERTO'";

# whoever has the functions of one database can pause the workers of another
sql($node, 'GRANT EXECUTE ON FUNCTION cadence_pause_worker(name), cadence_resume_worker(name) TO PUBLIC');
sql($node, 'CREATE ROLE landlord LOGIN CREATEDB; CREATE ROLE lodger LOGIN CREATEDB;
	GRANT CREATE ON TABLESPACE pg_default TO landlord; CREATE DATABASE crm OWNER landlord');
serve($node, 'crm', hang => $provider->url('hang'), ok => $provider->url('ok'));
wait_for_resident($node, 'crm', $SOON) or die 'no worker in crm';
sql($node, enrol_at('hang', $HANGING), 'crm');

# So many transfers are under way in a database, and have reached the provider.
sub wait_until_hanging
{
	my ($database) = @_;
	poll_until(sub { (status($node, $database, 'postgres')->{in_flight} // 0) == $HANGING
			  && $provider->ask('GET', '__count')->{concurrent} == $HANGING })
	  or die "they do not hang in $database";
	return resident_pid($node, $database);
}

# A command that does not wait for the transfers.
sub takes_no_time
{
	my ($command, $what) = @_;
	my $since = time();

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($status, $stdout, $stderr) = $node->psql('postgres', $command);
	is($stderr, '', "$what succeeds") or return;
	cmp_ok(time() - $since, '<', $SOON, "$what: soon");
	return;
}

# A command that leaves a worker and its transfers alone.
sub leaves_alone
{
	my ($command, $what, $error) = @_;
	my $pid = wait_until_hanging('crm');
	my $requests = $provider->count('hang');

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	if (defined $error)
	{
		like(sql_error($node, $command), $error, "$what is refused");
	}
	else
	{
		takes_no_time($command, $what);
	}
	is(resident_pid($node, 'crm'), $pid, "$what: the worker stays");
	is(status($node, 'crm', 'postgres')->{in_flight}, $HANGING, "$what: with what it does");
	is($provider->count('hang'), $requests, "$what: nothing is sent again");
	return;
}

sub pause
{
	my ($what, $role) = @_;
	my $set = defined $role ? "SET ROLE $role;" : '';

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	takes_no_time("$set SELECT cadence_pause_worker('crm')", "$what: pausing");
	is(resident_pid($node, 'crm'), '', "$what: the worker has gone");
	return;
}

# A command that needs the database for itself; the worker is back afterwards.
sub makes_leave
{
	my ($command, $what, $role) = @_;
	my $pid = wait_until_hanging('crm');

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	pause($what, $role);
	takes_no_time("SET ROLE $role; $command", $what);
	takes_no_time("SET ROLE $role; SELECT cadence_resume_worker('crm')", "$what: resuming");
	ok(wait_for_resident($node, 'crm', $SOON, $pid), "$what: the worker is back");
	return;
}

subtest 'another database' => sub {
	wait_until_hanging('crm');
	leaves_alone('CREATE DATABASE another', 'creating another database');
	leaves_alone('ALTER DATABASE another RENAME TO yet_another', 'renaming another database');
	leaves_alone('DROP DATABASE yet_another', 'dropping another database');
};

subtest 'a command that finds the worker there' => sub {
	leaves_alone('ALTER DATABASE crm RENAME TO mine', 'renaming it', qr/55006: .*is being accessed by other users/);
	leaves_alone('SET client_min_messages = warning; DROP DATABASE IF EXISTS no_such_database',
		'dropping one that does not exist');
};

subtest 'somebody who may not' => sub {
	leaves_alone("SET ROLE lodger; SELECT cadence_pause_worker('crm')", 'pausing it',
		qr/42501: must be owner of database crm/);
	leaves_alone("SET ROLE lodger; SELECT cadence_resume_worker('crm')", 'resuming it',
		qr/42501: must be owner of database crm/);
	leaves_alone("SELECT cadence_pause_worker('no_such_database')", 'pausing what is not there', qr/3D000: /);
	leaves_alone("SELECT cadence_pause_worker('template1')", 'pausing where there is none',
		qr/55000: database "template1" has no resident worker.*HINT:  cadence_runner\.databases/s);
	leaves_alone("SELECT cadence_resume_worker('crm')", 'resuming what is not paused', qr/55000: .*is not paused/);
};

subtest 'the owner' => sub {
	my $before = sql($node, $in_crm, 'crm');

	makes_leave('CREATE DATABASE copy TEMPLATE crm', 'copying it', 'landlord');
	is(sql($node, $in_crm, 'crm'), $before + $HANGING, 'what was under way is uncertain, and says so');
	is(sql($node, "SELECT count(*) FROM pg_database WHERE datname = 'copy'"), 1, 'the copy is there');
	makes_leave('ALTER DATABASE crm SET TABLESPACE pg_default', 'moving it', 'landlord');
};

subtest 'a pause' => sub {
	my $offset = -s $node->logfile;

	wait_until_hanging('crm');
	# from the database itself, where it is the default; and in a transaction that is rolled back
	sql($node, 'BEGIN; SELECT cadence_pause_worker(); ROLLBACK', 'crm');
	my $row = status($node, 'crm', 'postgres');
	is($row->{worker_state}, 'paused', 'is in the status');
	is($row->{workers}, 0, 'which counts no worker');
	is($row->{problem}, undef, 'and is no problem');
	like(sql($node, "SELECT ok, reasons FROM cadence_health()", 'crm'), qr/f\|.*paused.*cadence_resume_worker/,
		'the health tells of it');
	takes_no_time("SELECT cadence_pause_worker('crm')", 'once more');

	# neither a commit, nor the supervisor's end, nor a reload ends it
	sql($node, enrol_at('ok', 1), 'crm');
	my $supervisor = supervisor_pid($node);
	sql($node, "SELECT pg_terminate_backend($supervisor)");
	within($SOON, 'the supervisor is back', sub { my $now = supervisor_pid($node); return $now ne '' && $now != $supervisor });
	$node->reload;
	my $since = time();
	poll_until(sub { time() > $since + 1.5 });
	is(resident_pid($node, 'crm'), '', 'holds');
	is(status($node, 'crm', 'postgres')->{worker_state}, 'paused', 'and is still in the status');
	is_deeply([ problem_lines($node, 'crm', $offset) ], [], 'and nothing in the log');

	sql($node, 'SELECT cadence_resume_worker()', 'crm');
	ok(wait_for_resident($node, 'crm', $SOON), 'resumed: the worker is back');

	sql($node, "SELECT cadence_pause_worker('crm')");
	$node->restart;
	ok(wait_for_resident($node, 'crm', $SOON), 'so it is after a restart');
};

subtest 'a pause that meets other things' => sub {
	# a lock in the way of what the worker has to record
	my $pid = wait_until_hanging('crm');
	my $session = start_sql($node, 'BEGIN; LOCK TABLE lead_cadence_events; SELECT pg_sleep(60)', database => 'crm');
	$session->pid;
	sql($node, "SELECT cadence_pause_worker('crm')");
	is(resident_pid($node, 'crm'), '', 'a lock in the way of recording: the worker goes all the same');
	sql($node, 'SELECT pg_terminate_backend(' . $session->pid . ')');
	$session->finish;
	sql($node, "SELECT cadence_resume_worker('crm')");
	ok(wait_for_resident($node, 'crm', $SOON, $pid), 'and is back');

	# while the worker is being started
	for my $time (1 .. 5)
	{
		sql($node, "SELECT cadence_pause_worker('crm'), cadence_resume_worker('crm'), pg_sleep(0.05 * $time),
			cadence_pause_worker('crm')");
		is(resident_pid($node, 'crm'), '', "paused while it starts: there is none, $time");
		sql($node, "SELECT cadence_resume_worker('crm')");
	}
	ok(wait_for_resident($node, 'crm', $SOON), 'and in the end it runs');
};

subtest 'renamed' => sub {
	my $offset = -s $node->logfile;

	wait_until_hanging('crm');
	pause('renaming it');
	takes_no_time('ALTER DATABASE crm RENAME TO client', 'renaming it');
	set_server($node, 'cadence_runner.databases', 'client, postgres');
	ok(wait_for_resident($node, 'client', $SOON), 'by its new name it has a worker, which nobody has paused');
	is(status($node, 'crm', 'postgres')->{database}, undef, 'the old name is forgotten');

	# the setting comes first: the name leads nowhere for a while
	sql($node, 'DELETE FROM lead_cadence_events; DELETE FROM lead_cadence_runs', 'client');
	set_server($node, 'cadence_runner.databases', 'crm, postgres');
	within($SOON, 'a name that is not there',
		sub { (status($node, 'crm', 'postgres')->{problem} // '') eq 'the database does not exist' });
	within($SOON, 'the worker leaves a database that is not in the list', sub { resident_pid($node, 'client') eq '' });
	takes_no_time('ALTER DATABASE client RENAME TO crm', 'renaming it back, without a worker');
	sql($node, enrol_at('ok', 1), 'crm');
	ok(wait_for_resident($node, 'crm', $SOON), 'it has a worker once something is enrolled');
	my @lines = problem_lines($node, 'crm', $offset);
	is(@lines, 1, 'one line in the log') or diag(@lines);
	sql($node, enrol_at('hang', $HANGING), 'crm');
};

subtest 'dropped' => sub {
	my $offset = -s $node->logfile;

	wait_until_hanging('crm');
	pause('dropping it');
	takes_no_time('DROP DATABASE crm', 'dropping it');
	like(sql_error($node, "SELECT cadence_resume_worker('crm')"), qr/3D000: /, 'what is dropped is not resumed');
	sql($node, 'CREATE DATABASE crm');
	serve($node, 'crm', hang => $provider->url('hang'));
	is(status($node, 'crm', 'postgres')->{worker_state}, 'paused', 'a new one by that name is paused, too');
	sql($node, "SELECT cadence_resume_worker('crm')");
	ok(wait_for_resident($node, 'crm', $SOON), 'resumed, it has a worker');
	sql($node, enrol_at('hang', $HANGING), 'crm');
	wait_until_hanging('crm');
	takes_no_time('DROP DATABASE crm WITH (FORCE)', 'dropping it by force');
	within($SOON, 'the status says so',
		sub { (status($node, 'crm', 'postgres')->{problem} // '') eq 'the database does not exist' });
	# a process may have been on its way there
	my @refused = log_since($node, $offset) =~ /FATAL:  (?!terminating)/g;
	cmp_ok(scalar(@refused), '<=', 1, 'nobody tries to connect to it any more');
};

subtest 'closed' => sub {
	my $offset = -s $node->logfile;

	sql($node, 'CREATE DATABASE crm');
	serve($node, 'crm', hang => $provider->url('hang'));
	ok(wait_for_resident($node, 'crm', $SOON), 'a new one has a worker');
	sql($node, 'ALTER DATABASE crm ALLOW_CONNECTIONS false; SELECT pg_terminate_backend('
		  . resident_pid($node, 'crm') . ')');
	within($SOON, 'one that allows no connections has none',
		sub { (status($node, 'crm', 'postgres')->{problem} // '') eq 'the database does not allow connections' });
	sql($node, 'ALTER DATABASE crm ALLOW_CONNECTIONS true');
	ok(wait_for_resident($node, 'crm', $SOON), 'open again, it has one');
	unlike(log_since($node, $offset), qr/FATAL:  (?!terminating)/, 'nobody has tried to connect meanwhile');
};

subtest 'a copy sends nothing' => sub {
	my $requests = $provider->count;

	set_server($node, 'cadence_runner.databases', 'copy, postgres');
	within($SOON, 'it is not armed',
		sub { (status($node, 'copy', 'postgres')->{problem} // '') =~ /not armed/ });
	sql($node, q{UPDATE lead_cadence_runs SET next_run_at = now(), status = 'ATIVA'}, 'copy');
	poll_until(
		sub {
			return join(' ', problem_lines($node, 'copy')) =~
			  /not armed to send from this server.*cadence_arm\(\)/;
		},
		'the log says what to do');
	sql($node, 'UPDATE cadences SET ativo = false', 'copy');
	is($provider->count, $requests, 'nothing was sent');
	sql($node, 'SELECT cadence_arm()', 'copy');
	ok(wait_for_resident($node, 'copy', $SOON), 'once it is armed, it has a worker');
	# another server's row comes by replication, which fires no trigger: a claim finds it
	sql($node, q{SET session_replication_role = replica;
		INSERT INTO cadence_arming (cluster, database_oid) VALUES ('1', '1')}, 'copy');
	sql($node, q{UPDATE cadences SET ativo = true;
		UPDATE lead_cadence_runs SET next_run_at = now(), status = 'ATIVA'}, 'copy');
	within($SOON, 'armed for two servers, it has none',
		sub { (status($node, 'copy', 'postgres')->{problem} // '') =~ /not armed/ });
	is($provider->count, $requests, 'and nothing was sent');
	takes_no_time("SELECT cadence_pause_worker('copy')", 'pausing it');
	takes_no_time('DROP DATABASE copy', 'dropping it');
};

subtest 'several workers' => sub {
	my $count = sub { return sql($node, "SELECT count(*) FROM pg_stat_activity
		WHERE backend_type = 'cadence_runner resident' AND datname = 'postgres'") };

	make_company($node, 'many', $provider->url('slow/300'));
	set_server($node, 'cadence_runner.databases', 'postgres');
	set_server($node, 'cadence_runner.batch_size', 10);
	set_server($node, 'cadence_runner.workers', 3);
	within($SOON, 'as many as the setting says', sub { $count->() == 3 });
	within($SOON, 'the status counts them', sub { (status($node)->{workers} // 0) == 3 });
	is(sql($node, q{SELECT count(*) FROM cadence_runner_status() AS s, pg_stat_activity AS a
		WHERE s.database = 'postgres' AND a.pid = s.worker_pid AND backend_type = 'cadence_runner resident'}),
		1, 'it shows the first of them');

	my $pid = status($node)->{worker_pid};
	my $before = $provider->count;
	sql($node, 'CREATE TABLE claims (pid int);
		CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
		$$ BEGIN INSERT INTO claims VALUES (pg_backend_pid()); RETURN NULL; END $$;
		CREATE TRIGGER note AFTER UPDATE ON lead_cadence_runs FOR EACH ROW EXECUTE FUNCTION note()');
	# a worker that was woken late may find that the others have taken all, but not each time
	my $enrolled = 0;
	do
	{
		sql($node, enrol_at('many', 300));
		$enrolled += 300;
		ok($node->poll_query_until('postgres',
				"SELECT count(*) = $enrolled FROM lead_cadence_runs WHERE status = 'CONCLUIDA'"),
			'a large enrolment is sent');
		is($provider->count - $before, $enrolled, 'once');
	} until (sql($node, 'SELECT count(DISTINCT pid) FROM claims') == 3 || $enrolled == 3000);
	is(sql($node, 'SELECT count(DISTINCT pid) FROM claims'), 3, 'by all of them');

	# fewer messages under way than there are workers are no reason for fewer workers
	sql($node, q{ALTER SERVER many OPTIONS (ADD max_in_flight '2'); TRUNCATE claims});
	sql($node, enrol_at('many', 300));
	$enrolled += 300;
	ok($node->poll_query_until('postgres',
			"SELECT count(*) = $enrolled FROM lead_cadence_runs WHERE status = 'CONCLUIDA'"),
		'a server with a limit of its own is served, too');
	cmp_ok(sql($node, 'SELECT count(DISTINCT pid) FROM claims'), '>', 1, 'by several');
	sql($node, 'ALTER SERVER many OPTIONS (DROP max_in_flight)');
	sql($node, 'DROP TRIGGER note ON lead_cadence_runs; DROP TABLE claims; DROP FUNCTION note()');

	sql($node, "SELECT pg_terminate_backend(max(pid)) FROM pg_stat_activity
		WHERE backend_type = 'cadence_runner resident' AND datname = 'postgres' AND pid <> $pid");
	within($SOON, 'one that ends is back', sub { (status($node)->{workers} // 0) == 3 && $count->() == 3 });
	is(status($node)->{worker_pid}, $pid, 'while the first goes on');
	set_server($node, 'cadence_runner.workers', 1);
	within($SOON, 'fewer by the setting', sub { $count->() == 1 });
	is(status($node)->{worker_pid}, $pid, 'the first is the one that stays');
	sql($node, enrol_at('many', 3));
	sent_within($provider, $before + $enrolled + 3, time(), $SOON, 'and sends');
};

subtest 'no room for all' => sub {
	# the supervisor and the server's own take two; a probe and a worker the others
	my $small = resident_cluster('small', 'postgres', extension => 0,
		conf => [ 'max_worker_processes = 4', 'cadence_runner.workers = 4' ]);

	serve($small, 'postgres', few => $provider->url('ok'));
	ok(wait_for_resident($small, 'postgres', $SOON), 'there is a worker');
	within($SOON, 'the status says why there are not more',
		sub { (status($small)->{problem} // '') =~ /no background worker slot is free; raise max_worker_processes/ });
	is(status($small)->{workers}, 1, 'and counts one');
	my $before = $provider->count;
	sql($small, enrol_at('few', 3));
	sent_within($provider, $before + 3, time(), $SOON, 'which sends');
	my @lines = grep { /slot/ } problem_lines($small, 'postgres');
	is(@lines, 1, 'one line in the log') or diag(@lines);
	$small->stop;
};

unlike(log_since($node), qr/PANIC|terminated by signal|TRAP/, 'nothing crashed');

done_testing();
