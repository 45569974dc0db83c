# A resident worker that ends by an error while messages are under way: it breaks them off, and the
# server lives on.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_cluster(
	'main', conf => ["shared_preload_libraries = 'cadence_runner'", "cadence_runner.databases = 'postgres'"]);
my $provider = start_provider();
my $postmaster = sql($node, 'SELECT pg_postmaster_start_time()');

make_company($node, 'slow', $provider->url('slow/2500'));
enrol($node, 'slow', 5);
poll_until(sub { $provider->count == 5 }, 'messages are under way');
# whoever looks for due runs now meets an error that is the same for every run
sql($node, 'ALTER TABLE lead_cadence_runs RENAME COLUMN attempts TO x');
enrol($node, 'slow', 1);

poll_until(sub { log_since($node) =~ m{exited with exit code|attempts} }, 'the worker meets an error');
ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity
	WHERE backend_type LIKE 'cadence_runner%' AND query LIKE '%in flight%' AND query NOT LIKE '% 0 in flight%'"),
	'nothing is under way any more');
sql($node, 'ALTER TABLE lead_cadence_runs RENAME COLUMN x TO attempts');
ok($node->poll_query_until('postgres', "SELECT count(*) > 0 FROM pg_stat_activity
	WHERE backend_type = 'cadence_runner resident'"), 'a worker comes back');
ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM lead_cadence_runs
	WHERE status = 'ATIVA' AND next_run_at < now() AND claim_id IS NULL"), 'and goes on');
unlike(log_since($node), qr/was terminated by signal/, 'no process has ended by a signal');
is(sql($node, 'SELECT pg_postmaster_start_time()'), $postmaster, 'and the server is the same');

done_testing();
