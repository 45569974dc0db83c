# A streaming standby sends nothing; once promoted it goes on where the primary ended.

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
$standby->start;

enrol($primary, 'ok', 30);
$primary->wait_for_catchup($standby);
like(sql_error($standby, "SELECT cadence_run('TEST')"),
	qr/ERROR:  25006: cannot execute cadence_run\(\) during recovery/, 'a standby refuses');
is(sql($standby, "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'cadence_runner'"), 0,
	'and starts no worker');
is($provider->count, 20, 'nothing was sent');
like(sql_error($primary, "BEGIN READ ONLY; SELECT cadence_run('TEST')"),
	qr/ERROR:  25006: cannot execute cadence_run\(\) in a read-only transaction/,
	'nor in a read-only transaction');

$primary->stop('immediate');
$standby->promote;
is(execute($standby)->{summary}{success}, 30, 'after its promotion it sends the rest');
is($provider->count, 50, 'each step was sent once');
is(sql($standby, "SELECT count(*) FROM lead_cadence_runs WHERE status <> 'CONCLUIDA'"), 0,
	'nothing is left');

done_testing();
