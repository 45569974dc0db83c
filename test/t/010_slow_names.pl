# A name server that does not answer holds up nobody: not the messages to other providers, not the
# stop of an execution, and not the server's shutdown. The resolver's thread can not be interrupted;
# nobody may wait for it. A library that is loaded before libc stands in for the name server.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

# How long the name server is silent, and an upper bound for what takes a second or two: seconds.
my $SILENCE = 60;
my $SOON = 20;
my $resolver = silent_resolver($SILENCE);

my $node = do
{
	local $ENV{LD_PRELOAD} = $resolver;
	new_cluster('main');
};
my $provider = start_provider();

make_company($node, 'silent', 'http://silent.example/', timeout => '500ms');
make_company($node, 'ok', $provider->url('slow/100'), max_in_flight => 1);
enrol($node, 'silent', 1);
enrol($node, 'ok', 10);

my $start = time();
my $summary = execute($node)->{summary};
my $last = ($provider->journal)[-1]{t} - $start;
is($summary->{success}, 10, 'the others are sent');
cmp_ok($last, '<', $SOON, 'without waiting for the name');
is(sql($node, "SELECT detalhes ->> 'codigo' FROM lead_cadence_events WHERE tipo_evento = 'ERRO'"),
	'FALHA_ENVIO', 'without an address nothing left: that is certain');

# each with a request that waits for its name
for my $stop ('cancel', 'shutdown')
{
	sql($node, "ALTER SERVER silent OPTIONS (SET timeout '30s')") if $stop eq 'cancel';
	make_all_due($node);
	my $caller = start_sql($node, "SELECT cadence_run('TEST')");
	ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity
		WHERE backend_type = 'cadence_runner' AND query LIKE '%1 in flight%'"), "$stop: under way");

	my $since = time();
	$stop eq 'cancel' ? sql($node, 'SELECT pg_cancel_backend(' . $caller->pid . ')') : $node->stop('fast');
	if ($stop eq 'cancel')
	{
		$node->poll_query_until('postgres',
			"SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'cadence_runner'");
	}
	cmp_ok(time() - $since, '<', $SOON, "$stop: soon");
	$caller->finish;
	$node->start if $stop eq 'shutdown';
	is(sql($node, 'SELECT status, attempts, claim_id IS NULL, next_run_at < now() FROM lead_cadence_runs
		WHERE empresa = \'silent\''), 'ATIVA|1|t|t', "$stop: it is due as before, since nothing was sent");
}

done_testing();
