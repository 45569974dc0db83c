# A copy of the tables writes to nobody, whichever way it was made, and says why, until somebody arms
# it; the original goes on. Nor does a subscriber's copy, a cluster that is being upgraded, or a
# library that is not of the extension's version.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use PostgreSQL::Test::Utils;
use Test::More;

# The postmaster's debug lines tell how often a worker was started.
my @conf = ("shared_preload_libraries = 'cadence_runner'", 'log_min_messages = debug1',
	'cadence_runner.retry_dispatch = 1s', 'max_connections = 50', 'max_worker_processes = 40');
my $provider = start_provider();
my $due = 5;

my $main = new_cluster('main', streaming => 'logical',
	conf => [ @conf, q{cadence_runner.databases = 'postgres, same, clone'} ]);
my $other = new_cluster('other', streaming => 'logical', extension => 0,
	conf => [ @conf, q{cadence_runner.databases = 'restored, custom, every, listed'} ]);

# How often the log of a cluster says something.
sub times_said
{
	my ($node, $what, $offset) = @_;
	my @said = log_since($node, $offset) =~ /$what/g;
	return scalar @said;
}

sub does_not_run
{
	my ($database, $why) = @_;
	return qr/LOG:  cadence_runner does not run in database "$database": .*$why/;
}

# A commit that wakes the worker, or has it tried again.
sub wake
{
	my ($node, $database) = @_;
	sql($node, 'UPDATE lead_cadence_runs SET id = id WHERE false', $database);
	return;
}

# Waits until the supervisor has tried so many times more to start the worker of a database.
sub wait_for_tries
{
	my ($node, $database, $n) = @_;
	my $tried = qr/starting background worker process "cadence_runner probe $database"/;
	my $offset = -s $node->logfile;

	return poll_until(
		sub {
			wake($node, $database);
			return times_said($node, $tried, $offset) >= $n;
		});
}

sub left
{
	my ($node, $database) = @_;
	return sql($node, q{SELECT count(*) FROM lead_cadence_runs WHERE status = 'ATIVA' AND next_run_at <= now()},
		$database);
}

# What a copy that is not armed does, and that cadence_arm() makes it send.
sub check_copy
{
	my ($node, $database, $what, $why, $offset) = @_;
	my $before = $provider->count;

	ok(poll_until(sub { log_since($node, $offset) =~ does_not_run($database, 'not armed') }),
		"$what: the worker does not run, and the log says so");
	ok(wait_for_tries($node, $database, 2), "$what: it is tried again");
	is(times_said($node, does_not_run($database, 'not armed'), $offset), 1, "$what: it is said once");
	like(sql_error($node, q{SELECT cadence_run('TEST')}, database => $database),
		qr/ERROR:  55000: .*not armed.*DETAIL:  $why.*HINT:  .*cadence_arm\(\)/s, "$what: an execution refuses");
	like(sql($node, 'SELECT ok, reasons FROM cadence_health()', $database),
		qr/^f\|.*: $why/, "$what: its health says so");
	like(sql($node, 'SELECT problem FROM cadence_runner_status() WHERE database = current_database()', $database),
		qr/\w/, "$what: so does its status");
	is(left($node, $database), $due, "$what: what is due stays so");
	is($provider->count, $before, "$what: nothing is sent");

	sql($node, 'SELECT cadence_arm()', $database);
	ok(poll_until(sub { left($node, $database) == 0 }), "$what: once armed, it serves");
	ok(poll_until(sub { sql($node, q{SELECT count(*) FROM lead_cadence_runs WHERE claim_id IS NOT NULL}, $database) == 0 }),
		"$what: to the end");
	is($provider->count, $before + $due, "$what: each message once");
	return;
}

# ---- the original ------------------------------------------------------------------------------

make_company($main, 'ok', $provider->url('ok'));
enrol($main, 'ok', 3);
ok(poll_until(sub { $provider->count == 3 }), 'the original serves');
ok(poll_until(sub { sql($main, q{SELECT count(*) FROM lead_cadence_runs WHERE status = 'CONCLUIDA'}) == 3 }),
	'to the end');
# what is due in all copies
set_server($main, 'cadence_runner.enabled', 'off');
enrol($main, 'ok', $due);

# ---- dumps -------------------------------------------------------------------------------------

my $dir = PostgreSQL::Test::Utils::tempdir;
command_ok([ 'pg_dump', '-d', $main->connstr('postgres'), '-f', "$dir/plain" ], 'pg_dump');
command_ok([ 'pg_dump', '-Fc', '-d', $main->connstr('postgres'), '-f', "$dir/custom" ], 'pg_dump -Fc');
like(slurp_file("$dir/plain"), qr/^COPY public\.cadence_arming .*\n[^\n]+\n\\\.$/m, 'the dump has the arming row');

my $other_log = -s $other->logfile;
sql($other, "CREATE DATABASE $_ TEMPLATE template0") for qw(restored custom);
command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-d', $other->connstr('restored'), '-f', "$dir/plain" ],
	'psql into another cluster');
command_ok([ 'pg_restore', '-d', $other->connstr('custom'), "$dir/custom" ], 'pg_restore into another cluster');
is(sql($other, q{SELECT count(*) FROM pg_trigger WHERE tgname ~ '^cadence_runner_'}, 'restored'), 14,
	'the restored dump has the triggers that wake, those of the barrier, of the steps, and the one that counts');
check_copy($other, 'restored', 'a restored dump', 'They were armed for the cluster', $other_log);
check_copy($other, 'custom', 'pg_restore', 'They were armed for the cluster', $other_log);
my $before = $provider->count;
enrol_there($other, 'restored');
ok(poll_until(sub { $provider->count == $before + 1 }, undef, 30), 'its triggers wake the worker');

# One more due run of the first lead.
sub enrol_there
{
	my ($node, $database) = @_;
	sql($node, q{INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem, next_run_at)
		SELECT 'lead-1', 'ok', id, 1, now() FROM cadences WHERE codigo = 'ok'}, $database);
	return;
}

# into another database of the same cluster, and a database made with this one as its template
sql($main, 'CREATE DATABASE same TEMPLATE template0', 'template1');
command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-o', '/dev/null', '-d', $main->connstr('same'), '-f', "$dir/plain" ],
	'psql into another database');
sql($main, 'SELECT cadence_pause_worker()');
sql($main, 'CREATE DATABASE clone TEMPLATE postgres', 'template1');
sql($main, 'SELECT cadence_resume_worker()');
for my $database (qw(same clone))
{
	like(sql_error($main, q{SET cadence_runner.enabled = on; SELECT cadence_run('TEST')}, database => $database),
		qr/ERROR:  55000: .*not armed.*DETAIL:  They were armed for the database with OID.*cadence_arm\(\)/s,
		"$database: an execution refuses even while all is switched off");
}

# ---- a copy of the files -----------------------------------------------------------------------

# taken while the server runs, and then started as a server of its own
$main->backup('warm', backup_options => [ '--checkpoint', 'fast' ]);
my $warm = PostgreSQL::Test::Cluster->new('warm');
$warm->init_from_backup($main, 'warm');
$warm->append_conf('postgresql.conf', 'cadence_runner.databases = postgres');
$warm->append_conf('postgresql.auto.conf', 'cadence_runner.enabled = on');
$warm->start;
check_copy($warm, 'postgres', 'a base backup', 'This data directory is a copy', 0);
$warm->stop('immediate');

# and while it does not
$main->stop;
$main->backup_fs_cold('cold');
my $cold = PostgreSQL::Test::Cluster->new('cold');
$cold->init_from_backup($main, 'cold');
$cold->append_conf('postgresql.conf', 'cadence_runner.databases = postgres');
$cold->append_conf('postgresql.auto.conf', 'cadence_runner.enabled = on');
$cold->start;
check_copy($cold, 'postgres', 'a copy of the data directory', 'This data directory is a copy', 0);
# once it is armed, it is an original
$cold->restart;
$before = $provider->count;
enrol_there($cold, 'postgres');
ok(poll_until(sub { $provider->count == $before + 1 }, undef, 30), 'it serves after a restart, too');

# ---- the original goes on ----------------------------------------------------------------------

$before = $provider->count;
my $main_log = -s $main->logfile;
$main->start;
$main->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity
	WHERE backend_type = 'cadence_runner resident' AND datname = 'postgres'})
  or die 'the worker does not come back';
is($provider->count, $before, 'switched off, nothing is sent');
set_server($main, 'cadence_runner.enabled', 'on');
ok(poll_until(sub { left($main, 'postgres') == 0 }), 'the original goes on');
is($provider->count, $before + $due, 'with each message once');
check_copy($main, 'same', 'another database', 'They were armed for the database with OID', $main_log);
check_copy($main, 'clone', 'a template\'s copy', 'They were armed for the database with OID', $main_log);

# ---- logical replication -----------------------------------------------------------------------

# Each subscriber has a worker that serves before the subscription comes.
sub check_subscriber
{
	my ($database, $publication) = @_;
	my $what = "a subscriber ($database)";
	my $offset = -s $other->logfile;
	my $sent = $provider->count;

	sql($other, "CREATE DATABASE $database TEMPLATE template0", 'postgres');
	install($other, $database);
	# its rows are the publisher's, which come with the others
	sql($other, 'TRUNCATE cadence_opt_out_words, cadence_keys', $database);
	sql($other, q{CREATE SERVER ok FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', url '}
		  . $provider->url('ok') . q{')}, $database);
	$other->poll_query_until($database, q{SELECT worker_state = 'sleeping' FROM cadence_runner_status()
		WHERE database = current_database()}) or die 'no worker';
	sql($main, "CREATE PUBLICATION $database FOR $publication");
	sql($main, q{INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem, next_run_at)
		SELECT 'lead-2', 'ok', id, 1, now() + interval '1 day' FROM cadences WHERE codigo = 'ok'});
	sql($other, "CREATE SUBSCRIPTION $database CONNECTION '" . $main->connstr
		  . " dbname=postgres' PUBLICATION $database", $database);
	$other->wait_for_subscription_sync($main, $database, $database);
	# due here and not there: who sends it is wrong
	sql($other, q{UPDATE lead_cadence_runs SET next_run_at = now() WHERE lead_id = 'lead-2' AND status = 'ATIVA'}, $database);
	ok(poll_until(sub {
			wake($other, $database);
			return log_since($other, $offset) =~ does_not_run($database, 'subscri')
			  || $provider->count > $sent;
		}, undef, 10), "$what: its worker looks");
	is($provider->count, $sent, "$what: and does not send, although it ran before");
	is(times_said($other, does_not_run($database, "subscri"), $offset), 1, "$what: the log says why, once");
	like(sql_error($other, q{SELECT cadence_run('TEST')}, database => $database),
		qr/ERROR:  55000: .*subscriber's copy/, "$what: an execution refuses");
	like(sql($other, 'SELECT ok, reasons FROM cadence_health()', $database),
		qr/^f\|.*A subscription writes to lead_cadence_runs/, "$what: its health says so");
	is(sql($other, q{SELECT count(*) FROM lead_cadence_runs}, $database) > 0, 1, "$what: it has the runs");

	# it takes over
	$sent = $provider->count;
	sql($other, "DROP SUBSCRIPTION $database", $database);
	sql($main, "DROP PUBLICATION $database");
	# a lead is active in a cadence once
	sql($main, q{UPDATE lead_cadence_runs SET status = 'CANCELADA' WHERE lead_id = 'lead-2'});
	return $sent;
}

# all tables, that of the arming too: the publisher's row beside its own
my $sent = check_subscriber('every', 'ALL TABLES');
like(sql_error($other, q{SELECT cadence_run('TEST')}, database => 'every'),
	qr/ERROR:  55000: .*not armed.*cadence_arm\(\)/s, 'with the publisher\'s arming it asks to be armed');
sql($other, 'SELECT cadence_arm()', 'every');
enrol_there($other, 'every');
ok(poll_until(sub { $provider->count > $sent && left($other, 'every') == 0 }), 'then it serves');

$sent = check_subscriber('listed', 'TABLE ' . join ', ', qw(cadences cadence_steps lead_contacts message_templates
	lead_cadence_runs lead_cadence_events lead_messages cadence_empresas cadence_runner_logs));
enrol_there($other, 'listed');
ok(poll_until(sub { $provider->count > $sent && left($other, 'listed') == 0 }),
	'without the publisher\'s arming it serves when the subscription is gone');

# ---- another version of the extension ----------------------------------------------------------

my ($share) = $main->config_data('--sharedir');
chomp $share;
my @scripts = map { "$share/extension/cadence_runner--$_.sql" } qw(1.0--1.1 1.1--1.0);

END
{
	my $status = $?;
	unlink @scripts if @scripts;
	$? = $status;
}

SKIP:
{
	skip "$share/extension is not writable", 1 unless -w "$share/extension";
	append_to_file($_, "-- of a test\n") for @scripts;
	$main_log = -s $main->logfile;
	$sent = $provider->count;

	# right behind a look
	enrol_there($main, 'postgres');
	ok(poll_until(sub { $provider->count == $sent + 1 }), 'it serves');
	sql($main, q{ALTER EXTENSION cadence_runner UPDATE TO '1.1'});
	enrol_there($main, 'postgres');
	ok(poll_until(sub { wake($main); log_since($main, $main_log) =~ does_not_run('postgres', 'is version 1\.0') }, undef, 30),
		'an extension of another version than the library ends the worker');
	is($provider->count, $sent + 1, 'nothing more is sent');
	like(sql_error($main, q{SELECT cadence_run('TEST')}),
		qr/ERROR:  55000: .*is version 1\.0, but the extension in this database is version 1\.1.*HINT/s,
		'an execution refuses');
	my $look = -s $main->logfile;
	ok(wait_for_tries($main, 'postgres', 2), 'it is tried again');
	is(times_said($main, does_not_run('postgres', 'version'), $main_log), 1, 'and said once');
	is(times_said($main, qr/(WARNING|ERROR|FATAL|PANIC):  /, $look), 0, 'without any noise');
	sql($main, q{ALTER EXTENSION cadence_runner UPDATE TO '1.0'});
	ok(poll_until(sub { left($main, 'postgres') == 0 }, undef, 30), 'it is back when the versions fit again');
	ok(poll_until(sub { $provider->count >= $sent + 2 }, undef, 30), 'and sends');
}

# ---- pg_upgrade --------------------------------------------------------------------------------

set_server($main, 'cadence_runner.enabled', 'off');
enrol($main, 'ok', $due);
$main->stop;
# switched on again: what is due would leave during the upgrade
$main->append_conf('postgresql.auto.conf', 'cadence_runner.enabled = on');
$before = $provider->count;
my $new = PostgreSQL::Test::Cluster->new('new');
$new->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$new->append_conf('postgresql.conf', join "\n", @conf, q{cadence_runner.databases = 'postgres'}, '');
{
	my ($bin) = $main->config_data('--bindir');

	chomp $bin;
	local $ENV{PGHOST} = $new->host;
	chdir $dir or die;
	command_ok([ 'pg_upgrade', '-N', '-r', '-d', $main->data_dir, '-D', $new->data_dir, '-b', $bin, '-B', $bin,
			'-s', $new->host, '-p', $main->port, '-P', $new->port ], 'pg_upgrade');
}
is($provider->count, $before, 'nothing is sent during the upgrade');
my $spoke = join '', map { slurp_file($_) } glob($new->data_dir . '/pg_upgrade_output.d/*/log/*.log'), glob('*.log');
is(() = $spoke =~ /background worker process "cadence_runner/g, 0, 'and no worker starts');
$new->start;
check_copy($new, 'postgres', 'an upgraded cluster', 'They were armed for the cluster', 0);

done_testing();
