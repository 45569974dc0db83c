# A streaming standby sends nothing; once promoted it goes on where the primary ended. A copy that
# was not promoted after it does not send by itself.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use Test::More;

my $primary = new_cluster('primary', streaming => 1);
my $provider = start_provider();

make_company($primary, 'ok', $provider->url('ok'));
enrol($primary, 'ok', 20);
is(execute($primary)->{summary}{success}, 20, 'the primary sends');

$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
# so that it knows, once it is promoted, that it was started as a standby
$standby->append_conf('postgresql.conf', "shared_preload_libraries = 'cadence_runner'\n");
$standby->start;

enrol($primary, 'ok', 30);
$primary->wait_for_catchup($standby);
like(sql_error($standby, "SELECT cadence_run('TEST')"),
	qr/ERROR:  25006: cannot execute cadence_run\(\) during recovery/, 'a standby refuses');
is(sql($standby, "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'cadence_runner'"), 0,
	'and starts no worker');
is($provider->count, 20, 'nothing was sent');
is(sql($standby, 'SELECT worker_state, problem, due_now FROM cadence_runner_status()'), 'standby||30',
	'its status says what it is, and what is due');
like(sql_error($primary, "BEGIN READ ONLY; SELECT cadence_run('TEST')"),
	qr/ERROR:  25006: cannot execute cadence_run\(\) in a read-only transaction/,
	'nor in a read-only transaction');

$primary->stop('immediate');
$standby->promote;
is(execute($standby)->{summary}{success}, 30, 'after its promotion it sends the rest');
is($provider->count, 50, 'each step was sent once');
is(sql($standby, "SELECT count(*) FROM lead_cadence_runs WHERE status <> 'CONCLUIDA'"), 0,
	'nothing is left');

# the files that the standby was made from, as a server of their own: on the timeline of before
my $copy = PostgreSQL::Test::Cluster->new('copy');
$copy->init_from_backup($primary, 'base');
$copy->start;
enrol($copy, 'ok', 10);
like(sql_error($copy, "SELECT cadence_run('TEST')"),
	qr/ERROR:  55000: .*not armed.*DETAIL:  This data directory is a copy.*HINT: .*cadence_arm\(\)/s,
	'a copy of the files refuses');
is(sql($copy, "SELECT reasons[1] FROM cadence_health()"),
	'nothing may be sent from here: This data directory is a copy of the one that they were armed in.',
	'and says so when asked for its health');
is($provider->count, 50, 'nothing was sent from there');
sql($copy, 'SELECT cadence_arm()');
is(execute($copy)->{summary}{success}, 10, 'until it is armed');
enrol($standby, 'ok', 5);
is(execute($standby)->{summary}{success}, 5, 'which changes nothing for the server that it was copied from');

# a backup that is recovered to a new timeline is no standby
my $recovered = PostgreSQL::Test::Cluster->new('recovered');
$recovered->init_from_backup($primary, 'base', has_restoring => 1, standby => 0);
$recovered->append_conf('postgresql.conf', "shared_preload_libraries = 'cadence_runner'\nrestore_command = 'false'\n");
$recovered->start;
ok($recovered->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()'), 'a backup is recovered');
enrol($recovered, 'ok', 10);
my $before = $provider->count;
like(sql_error($recovered, "SELECT cadence_run('TEST')"),
	qr/ERROR:  55000: .*not armed.*DETAIL:  They were armed on timeline 1, and this server is on timeline 2/s,
	'and refuses on its new timeline');
is($provider->count, $before, 'nothing was sent from there');
sql($recovered, 'SELECT cadence_arm()');
is(execute($recovered)->{summary}{success}, 10, 'until it is armed');

done_testing();
