# Commands on databases, beside resident workers: whoever may have a database for himself gets it,
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

sql($node, 'CREATE ROLE landlord LOGIN CREATEDB; CREATE ROLE lodger LOGIN CREATEDB;
	GRANT CREATE ON TABLESPACE pg_default TO landlord; CREATE DATABASE crm OWNER landlord');
serve($node, 'crm', hang => $provider->url('hang'), ok => $provider->url('ok'));
wait_for_resident($node, 'crm', 10) or die 'no worker in crm';
sql($node, enrol_at('hang', $HANGING), 'crm');

# So many transfers are under way in a database.
sub wait_until_hanging
{
	my ($database) = @_;
	Cadence::poll_until(sub { (status($node, $database, 'postgres')->{in_flight} // 0) == $HANGING })
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
	cmp_ok(time() - $since, '<', 3, "$what: within three seconds");
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

# A command that needs the database for itself, and the worker is back afterwards.
sub makes_leave
{
	my ($command, $what, $comes_back) = @_;
	my $pid = wait_until_hanging('crm');

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	takes_no_time($command, $what);
	ok(wait_for_resident($node, 'crm', 2, $pid), "$what: the worker is back") if $comes_back;
	return;
}

subtest 'another database' => sub {
	wait_until_hanging('crm');
	leaves_alone('CREATE DATABASE another', 'creating another database');
	leaves_alone('ALTER DATABASE another RENAME TO yet_another', 'renaming another database');
	leaves_alone('DROP DATABASE yet_another', 'dropping another database');
};

subtest 'somebody who may not' => sub {
	leaves_alone('SET ROLE lodger; DROP DATABASE crm', 'dropping it', qr/42501: must be owner of database crm/);
	leaves_alone('SET ROLE lodger; ALTER DATABASE crm RENAME TO mine', 'renaming it',
		qr/42501: must be owner of database crm/);
	leaves_alone('SET ROLE lodger; CREATE DATABASE mine TEMPLATE crm', 'copying it',
		qr/42501: permission denied to copy database "crm"/);
	leaves_alone('SET ROLE lodger; ALTER DATABASE crm SET TABLESPACE pg_default', 'moving it',
		qr/42501: must be owner of database crm/);
	leaves_alone('SET client_min_messages = warning; DROP DATABASE IF EXISTS no_such_database',
		'dropping one that does not exist');
};

subtest 'the owner' => sub {
	my $before = sql($node, $in_crm, 'crm');

	makes_leave('SET ROLE landlord; CREATE DATABASE copy TEMPLATE crm', 'copying it', 1);
	is(sql($node, $in_crm, 'crm'), $before + $HANGING, 'what was under way is uncertain, and says so');
	is(sql($node, "SELECT count(*) FROM pg_database WHERE datname = 'copy'"), 1, 'the copy is there');
	makes_leave('SET ROLE landlord; ALTER DATABASE crm SET TABLESPACE pg_default', 'moving it', 1);
};

subtest 'a command that fails' => sub {
	wait_until_hanging('crm');
	like(sql_error($node, 'CREATE DATABASE copy TEMPLATE crm'), qr/42P04: /, 'a copy by a name that is taken');
	ok(wait_for_resident($node, 'crm', 2), 'the worker is there, or back');
	my $pid = wait_until_hanging('crm');
	my $session = start_sql($node, 'SELECT pg_sleep(60)', database => 'crm');
	$session->pid;
	my $drop = start_sql($node, 'DROP DATABASE crm');
	$drop->finish;
	like($drop->error, qr/55006: .*is being accessed by other users/,
		'somebody else is connected: it is not dropped');
	ok(wait_for_resident($node, 'crm', 2, $pid), 'the worker is back');
	sql($node, 'SELECT pg_terminate_backend(' . $session->pid . ')');
	$session->finish;

	# cancelled while it waits for the worker, or for the other session: the hold is released
	$pid = wait_until_hanging('crm');
	$session = start_sql($node, 'SELECT pg_sleep(60)', database => 'crm');
	$session->pid;
	$drop = start_sql($node, 'DROP DATABASE crm');
	my $dropper = $drop->pid;
	Cadence::poll_until(sub { resident_pid($node, 'crm') eq '' }) or die 'the worker does not leave';
	sql($node, "SELECT pg_terminate_backend($dropper)");
	$drop->finish;
	ok(wait_for_resident($node, 'crm', 2.5, $pid), 'whoever wanted it is gone: the worker is back');
	sql($node, 'SELECT pg_terminate_backend(' . $session->pid . ')');
	$session->finish;
};

subtest 'renamed' => sub {
	my $offset = -s $node->logfile;

	makes_leave('ALTER DATABASE crm RENAME TO client', 'renaming it');
	within(2, 'the name is not there any more',
		sub { (status($node, 'crm', 'postgres')->{problem} // '') eq 'the database does not exist' });
	is(resident_pid($node, 'client'), '', 'by another name it has no worker');
	my @lines = problem_lines($node, 'crm', $offset);
	is(@lines, 1, 'one line in the log') or diag(@lines);

	# with nothing under way, a worker leaves at once and is as soon back: by its old name?
	sql($node, 'DELETE FROM lead_cadence_events; DELETE FROM lead_cadence_runs', 'client');
	for my $time (1 .. 6)
	{
		my $elsewhere = '';

		sql($node, 'ALTER DATABASE client RENAME TO crm');
		sql($node, enrol_at('ok', 1), 'crm');
		ok(wait_for_resident($node, 'crm', 2), "by its name it has a worker once something is enrolled, $time");
		sql($node, 'ALTER DATABASE crm RENAME TO client');
		poll_until(
			sub {
				$elsewhere = resident_pid($node, 'client');
				return $elsewhere ne ''
				  || (status($node, 'crm', 'postgres')->{problem} // '') eq 'the database does not exist';
			}, undef, 10);
		is($elsewhere, '', "by another name it has none, $time");
	}
	sql($node, 'ALTER DATABASE client RENAME TO crm');
	sql($node, enrol_at('hang', $HANGING), 'crm');
	ok(wait_for_resident($node, 'crm', 2), 'by its name it has one again');
};

subtest 'dropped' => sub {
	my $offset = -s $node->logfile;

	makes_leave('DROP DATABASE crm', 'dropping it');
	within(2, 'the status says so',
		sub { (status($node, 'crm', 'postgres')->{problem} // '') eq 'the database does not exist' });
	unlike(log_since($node, $offset), qr/FATAL/, 'nobody tries to connect to it any more');
	sql($node, 'CREATE DATABASE crm');
	serve($node, 'crm', hang => $provider->url('hang'));
	ok(wait_for_resident($node, 'crm', 2), 'a new one by that name has a worker');
	sql($node, enrol_at('hang', $HANGING), 'crm');
	wait_until_hanging('crm');
	takes_no_time('DROP DATABASE crm WITH (FORCE)', 'dropping it by force');
};

subtest 'a copy sends nothing' => sub {
	my $requests = $provider->count;

	set_server($node, 'cadence_runner.databases', 'copy, postgres');
	within(2, 'it is not armed',
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
	ok(wait_for_resident($node, 'copy', 2), 'once it is armed, it has a worker');
	# another server's row comes by replication, which fires no trigger: a claim finds it
	sql($node, q{SET session_replication_role = replica;
		INSERT INTO cadence_arming (cluster, database_oid) VALUES ('1', '1')}, 'copy');
	sql($node, q{UPDATE cadences SET ativo = true;
		UPDATE lead_cadence_runs SET next_run_at = now(), status = 'ATIVA'}, 'copy');
	within(2, 'armed for two servers, it has none',
		sub { (status($node, 'copy', 'postgres')->{problem} // '') =~ /not armed/ });
	is($provider->count, $requests, 'and nothing was sent');
	takes_no_time('DROP DATABASE copy', 'dropping it');
};

unlike(log_since($node), qr/PANIC|terminated by signal|TRAP/, 'nothing crashed');

done_testing();
