# What is counted while several workers send, one of them dies, and the server with it, is what the
# tables say in the end; and no counter ever falls, whatever is folded, restarted or removed.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# More than the first batches of both workers take, so that the kill meets some under way.
my $RUNS = 600;
my $STEPS = 3;

my $node = new_cluster(
	'main',
	conf => [
		"shared_preload_libraries = 'cadence_runner'",
		'cadence_runner.batch_size = 20',
		'cadence_runner.workers = 2',
		'cadence_runner.max_attempts = 4',
		'restart_after_crash = on'
	]);
my $provider = start_provider('--seed', 'counts');

# ---- counters ------------------------------------------------------------------------------------

my %highest;

# The samples of all metrics that only grow: name and labels => value.
sub counters
{
	my %found;
	for my $line (split /\n/, sql($node, 'SELECT cadence_metrics()'))
	{
		$found{$1} = $2 if $line =~ /^(cadence_\w+(?:_total|_bucket|_sum|_count)(?:\{.*\})?) (\S+)$/;
	}
	return \%found;
}

# None has fallen, nor is any gone, since the last look; how many there are.
sub none_has_fallen
{
	my ($when) = @_;
	my $now = counters();
	my @fallen = grep { !defined $now->{$_} || $now->{$_} < $highest{$_} } sort keys %highest;

	is_deeply(\@fallen, [], "no counter has fallen $when");
	%highest = %$now;
	return scalar keys %$now;
}

# ---- the books -----------------------------------------------------------------------------------

# What differs between what was counted and a plain count of the tables.
sub differences
{
	return sql($node, q{
		WITH counted AS (
			SELECT step_id, sum(entered) AS entered, sum(sent) AS sent, sum(failed) AS failed
			FROM cadence_rollup_cohorts() GROUP BY 1
		), plain AS (
			SELECT s.id AS step_id,
				count(*) FILTER (WHERE s.id = ANY (r.passos_enviados) OR s.ordem = r.next_step_ordem) AS entered,
				count(*) FILTER (WHERE e.sent) AS sent, count(*) FILTER (WHERE e.failed) AS failed
			FROM lead_cadence_runs r JOIN cadence_steps s ON s.cadence_id = r.cadence_id
			CROSS JOIN LATERAL (
				SELECT bool_or(tipo_evento = 'DISPARADO') AS sent,
					bool_or(detalhes ->> 'permanente' = 'true' AND detalhes ->> 'codigo' <> 'INCERTO') AS failed
				FROM lead_cadence_events x WHERE x.lead_cadence_run_id = r.id AND x.step_ordem = s.ordem) AS e
			GROUP BY 1)
		SELECT 'counted', x::text FROM (TABLE counted EXCEPT TABLE plain) AS x
		UNION ALL
		SELECT 'plain', x::text FROM (TABLE plain EXCEPT TABLE counted) AS x
		UNION ALL
		SELECT 'sent', x::text FROM (
			SELECT server, template, sum(n) FROM cadence_rollup_counts('HOUR', '{attempt}') WHERE outcome = 'sent' GROUP BY 1, 2
			EXCEPT
			SELECT e.detalhes ->> 'provedor', e.template_codigo, count(*) FROM lead_cadence_events e WHERE tipo_evento = 'DISPARADO' GROUP BY 1, 2) AS x
		UNION ALL
		SELECT 'messages', x::text FROM (
			SELECT at, sum(n) FROM cadence_rollup_counts('MINUTE', '{attempt}') WHERE outcome = 'sent' GROUP BY 1
			EXCEPT
			SELECT date_trunc('minute', enviado_em), count(*) FROM lead_messages WHERE estado = 'ENVIADO' GROUP BY 1) AS x
		UNION ALL
		SELECT 'errors', x::text FROM (
			SELECT code, sum(n) FROM cadence_rollup_counts('TOTAL', '{error}') GROUP BY 1
			EXCEPT
			SELECT detalhes ->> 'codigo', count(*) FROM lead_cadence_events WHERE tipo_evento = 'ERRO' GROUP BY 1) AS x
		UNION ALL
		SELECT 'executions', x::text FROM (
			SELECT sum(n) FROM cadence_rollup_counts('TOTAL', '{execution}')
			EXCEPT SELECT count(*) FROM cadence_runner_logs) AS x});
}

# ---- sending, and dying --------------------------------------------------------------------------

make_server($node, 'certo', $provider->url('ok'), empresa => 'certo');
make_server($node, 'talvez', $provider->url('chaos'), empresa => 'talvez', timeout => '2s');
for my $company ('certo', 'talvez')
{
	make_cadence($node, $company, $company, map { [ 'WHATSAPP', 0, 'Olá {{nome}}' ] } 1 .. $STEPS);
	enrol($node, $company, $RUNS / 2);
}
none_has_fallen('before anything was sent');

my $session = start_sql($node, q{SELECT cadence_run('TEST')});
poll_until(sub { sql($node, "SELECT count(*) > 40 FROM lead_cadence_events WHERE tipo_evento = 'DISPARADO'") eq 't' },
	'some were sent');
none_has_fallen('while messages leave');
is(kill('KILL', worker_pid($node)), 1, 'a worker dies, and the server with it');
poll_until(sub { ($node->psql('postgres', 'SELECT 1'))[0] == 0 }, 'the server is there again');
$session->finish;
none_has_fallen('after a crash');

# the interrupted are uncertain, the others fail by chance: until nobody tries any more
for my $round (1 .. 40)
{
	$provider->ask('POST', '__calm') if $round == 5;
	make_all_due($node);
	execute($node);
	last if sql($node, "SELECT count(*) FROM lead_cadence_runs WHERE status = 'ATIVA'") == 0;
}
is(sql($node, "SELECT count(*) FROM lead_cadence_runs WHERE status = 'ATIVA'"), 0, 'all runs have ended');
cmp_ok(sql($node, "SELECT count(*) FROM lead_cadence_events WHERE tipo_evento = 'ERRO'"), '>', 0, 'some have failed');
is(differences(), '', 'what was counted is what the tables say');
none_has_fallen('at the end of all runs');

# ---- folding, restarting, removing ---------------------------------------------------------------

sql($node, 'SELECT cadence_rollup_refresh(true)');
is(sql($node, 'SELECT count(*) FROM cadence_deltas'), 0, 'all is folded');
is(differences(), '', 'and says the same');
none_has_fallen('by folding');
$node->restart;
cmp_ok(none_has_fallen('by a restart'), '>', 30, 'and there are some');
is(differences(), '', 'what was counted is there after a restart');

sql($node, 'TRUNCATE lead_messages, lead_cadence_events, lead_cadence_runs, cadence_runner_logs');
set_server($node, 'cadence_runner.log_retention', '1min');
execute($node);
none_has_fallen('when what was counted is removed');
like(sql($node, 'SELECT cadence_rollup_refresh(true); SELECT cadence_metrics()'),
	qr/^cadence_runs_counted_timestamp_seconds \d/m, 'runs are counted');
unlike(sql($node, 'SELECT cadence_metrics()'), qr/^cadence_runs\{/m, 'and there are none');

# who waits for an execution does not wait for the fold of a little
sql($node, 'TRUNCATE cadence_deltas');
enrol($node, 'certo', 1);
execute($node);
cmp_ok(sql($node, 'SELECT count(*) FROM cadence_deltas'), '>', 0, 'a little is left to others');
execute($node, 'CRON');
poll_until(sub { sql($node, 'SELECT count(*) FROM cadence_deltas') == 0 }, 'which pg_cron folds');

# where nothing was done nobody counts the runs again and again, though that was long ago
cancel_rest($node);
sql($node, "UPDATE cadence_stock SET counted_at = now() - interval '1 hour'");
my $counted = q{SELECT now() - max(counted_at) < interval '59 minutes' FROM cadence_stock};
execute($node, 'CRON');
# whatever was started before this one has had its time
execute($node);
is(sql($node, $counted), 'f', 'an execution that has done nothing has them not counted');
enrol($node, 'certo', 1);
execute($node, 'CRON');
poll_until(sub { sql($node, $counted) eq 't' }, 'one that has sent something does');

done_testing();
