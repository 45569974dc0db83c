# One step that waits keeps the memory of all that were claimed with it. What a slow provider keeps
# waiting is spread over many claims: a worker's memory stays within its cap, and the others' messages
# are sent meanwhile.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use PostgreSQL::Test::Utils;
use Test::More;

my $RUNS = 30_000;
my $SLOW = 600;

# sixty claims, of which each has a slow one, took ninety MB, and a hundred would take more
my $MOST_KB = 60 * 1024;

my $node = new_cluster('main', conf => [ 'cadence_runner.request_timeout = 150s' ]);
my $provider = start_provider('--no-journal');

# of each fifty due runs one is the slow provider's
make_company($node, 'slow', $provider->url('gate'), max_in_flight => 1);
make_company($node, 'fast', $provider->url('ok'));
enrol($node, 'slow', $SLOW);
enrol($node, 'fast', $RUNS - $SLOW);
sql($node, q{UPDATE lead_cadence_runs AS r SET next_run_at = now() - interval '1 hour' + n.at * interval '10 ms'
	FROM (SELECT id, row_number() OVER (PARTITION BY empresa ORDER BY id) * CASE empresa WHEN 'slow' THEN 49 ELSE 1 END AS at
		FROM lead_cadence_runs) AS n WHERE n.id = r.id});

my $caller = start_sql($node, "SELECT cadence_run('TEST') -> 'summary' ->> 'success'");
my $most = 0;
ok( poll_until(
		sub {
			my $pid = sql($node, q{SELECT max(pid) FROM pg_stat_activity WHERE backend_type = 'cadence_runner'});
			my ($kb) = $pid ne '' ? slurp_file("/proc/$pid/status") =~ /^RssAnon:\s+(\d+)/m : ();
			$most = $kb if defined $kb && $kb > $most;
			return sql($node, q{SELECT count(*) FROM lead_cadence_runs WHERE empresa = 'fast' AND status = 'ATIVA'}) == 0;
		}),
	'beside a provider that says nothing, all of the other are sent');
note("the worker had $most kB at most");
cmp_ok($most, '>', 0, 'the worker was looked at');
# what is freed is kept for a while where a sanitizer looks on
cmp_ok($most, '<', $ENV{SANITIZER_REPORTS} ? $MOST_KB * 20 : $MOST_KB, 'whose memory does not grow with each claim');
$provider->ask('POST', '__open');
is($caller->finish, 0, 'the execution ends well') or diag($caller->error);
like($caller->output, qr{^$RUNS$}, 'and has sent all');

done_testing();
