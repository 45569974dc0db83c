# Where all that may be under way is, steps wait for each other and not for their own providers: no
# look goes past any of them, which would read all that is due without finding what could start.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use PostgreSQL::Test::Utils;
use Test::More;

my $SERVERS = 12;

my $node = new_cluster('main', conf => [
	"shared_preload_libraries = 'auto_explain'", 'auto_explain.log_min_duration = 0',
	'cadence_runner.max_in_flight = 4', 'cadence_runner.batch_size = 30' ]);
my $provider = start_provider();

sub looks_past
{
	my ($offset) = @_;
	return scalar(() = log_since($node, $offset) =~ /plan:\n\tQuery Text: [^\n]*looking for due runs[^\n]*cadence_blocked/g);
}

# several batches of some of all, each slower than what counts as waiting
for my $n (1 .. $SERVERS)
{
	make_company($node, "c$n", $provider->url('slow/150'));
	enrol($node, "c$n", 9);
}
sql($node, q{UPDATE lead_cadence_runs SET next_run_at = now() - interval '1 hour'});
my $offset = -s $node->logfile;
is(execute($node)->{summary}{success}, 9 * $SERVERS, 'many servers with room for a few messages');
is(looks_past($offset), 0, 'are not looked past');

# the control: one that has no room of its own, while there is some for another
sql($node, q{ALTER SERVER c1 OPTIONS (ADD max_in_flight '1')});
sql($node, q{UPDATE lead_cadence_runs SET status = 'ATIVA', next_step_ordem = 1,
	next_run_at = now() - CASE empresa WHEN 'c1' THEN interval '2 hours' ELSE interval '1 hour' END
	WHERE empresa IN ('c1', 'c2')});
sql($node, q{INSERT INTO lead_contacts (lead_id, empresa, nome, telefone) SELECT 'more-' || i, 'c1', 'Lead', '+551198888' || 1000 + i
	FROM generate_series(1, 300) AS i});
sql($node, q{INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem, next_run_at)
	SELECT 'more-' || i, 'c1', id, 1, now() - interval '90 minutes' FROM cadences, generate_series(1, 300) AS i
	WHERE codigo = 'c1'});
sql($node, q{ALTER SERVER c1 OPTIONS (SET url '} . $provider->url('slow/10') . q{')});
$offset = -s $node->logfile;
is(execute($node)->{summary}{success}, 318, 'one that takes one message at a time');
cmp_ok(looks_past($offset), '>', 0, 'is looked past');

done_testing();
