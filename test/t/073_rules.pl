# Policies while several workers send: caps hold over all of them, what was not sent is given back,
# and what the owner's views come to name does not leave any more.

use strict;
use warnings;
use utf8;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_cluster('main', conf => [ 'max_worker_processes = 12', 'cadence_runner.batch_size = 50', 'cadence_runner.workers = 4' ]);
my $provider = start_provider();
my $USED = q{SELECT coalesce(sum(used), 0) FROM cadence_usage WHERE scope =};

# So many due runs of a company whose provider answers like that.
sub begin_again
{
	my ($n, $answer) = @_;

	start_over($node, $provider);
	sql($node, 'TRUNCATE cadence_usage; SET client_min_messages = warning; DELETE FROM cadence_empresas;
		DROP SERVER IF EXISTS ok CASCADE; DELETE FROM cadences; DELETE FROM message_templates');
	make_company($node, 'ok', $provider->url($answer));
	sql($node, q{INSERT INTO cadence_empresas (empresa) VALUES ('ok')});
	enrol($node, 'ok', $n);
	return;
}

# ---- caps -------------------------------------------------------------------------------

begin_again(1000, 'slow/10');
sql($node, q{UPDATE cadence_empresas SET max_por_dia = 130});
execute($node);
is($provider->count, 130, 'a cap of a company lets so many through, whoever claims them');
is(sql($node, "$USED 'EMPRESA'"), 130, 'and counts them');
is(sql($node, q{SELECT count(*), count(DISTINCT (next_run_at AT TIME ZONE 'America/Sao_Paulo')::time) FROM lead_cadence_runs
	WHERE next_run_at > now() AND last_step_ordem IS NULL}), '870|1', 'the others wait for the next day');
is(execute($node)->{summary}{total}, 0, 'and for nothing before that');

begin_again(400, 'slow/10');
sql($node, q{UPDATE cadence_empresas SET max_por_lead_dia = 1;
	UPDATE lead_cadence_runs SET status = 'CANCELADA' WHERE substr(lead_id, 6)::int > 100;
	INSERT INTO cadences (empresa, codigo) SELECT 'ok', 'other' || n FROM generate_series(1, 4) n;
	INSERT INTO cadence_steps (cadence_id, ordem, canal, template_codigo)
	SELECT c.id, 1, s.canal, s.template_codigo FROM cadences c, cadence_steps s WHERE c.codigo LIKE 'other%' AND s.ordem = 1;
	INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem, next_run_at)
	SELECT r.lead_id, r.empresa, c.id, 1, r.next_run_at + random() * interval '1 ms' FROM lead_cadence_runs r, cadences c
	WHERE r.status = 'ATIVA' AND c.codigo LIKE 'other%'});
execute($node);
my %per_lead;
$per_lead{ $_->{body}{leadId} }++ for $provider->journal;
is(scalar(keys %per_lead), 100, 'a cap of a person: each is written to');
is_deeply([ grep { $_ != 1 } values %per_lead ], [], 'once, in whichever of five cadences');

begin_again(300, 'status/503');
sql($node, q{UPDATE cadence_empresas SET max_por_dia = 1000, max_por_lead_dia = 3, intervalo_minimo = '1 hour'});
execute($node);
is($provider->count, 300, 'what certainly failed');
is(sql($node, "$USED 'EMPRESA'") . sql($node, "$USED 'LEAD'"), '00', 'counts for no cap');
is(sql($node, q{SELECT count(*) FROM cadence_usage WHERE last_at IS NOT NULL}), 0, 'and for no gap');

# ---- the owner's views --------------------------------------------------------------------

begin_again(300, 'slow/100');
sql($node, q{CREATE TABLE pedidos (lead text PRIMARY KEY);
	CREATE VIEW cadence_exits AS SELECT r.id AS run_id, 'comprou'::text AS motivo FROM pedidos p JOIN lead_cadence_runs r ON r.lead_id = p.lead});
set_server($node, 'cadence_runner.workers', 1);
set_server($node, 'cadence_runner.batch_size', 500);
set_server($node, 'cadence_runner.max_in_flight', 5);
my $caller = start_sql($node, "SELECT cadence_run('TEST')");
ok(poll_until(sub { $provider->count >= 20 }), 'some have left, and all others are claimed');
sql($node, q{INSERT INTO pedidos SELECT lead_id FROM lead_cadence_runs});
my $committed = $provider->count;
is($caller->finish, 0, 'the execution ends') or diag($caller->error);
cmp_ok($provider->count - $committed, '<=', 10, 'after the commit nothing starts but what was starting');
my $sent = $provider->count;
execute($node);
is(sql($node, q{SELECT count(*) FROM lead_cadence_runs WHERE status = 'CANCELADA'}) + $sent, 300, 'the next one cancels the others');
is($provider->count, $sent, 'and sends none of them');
sql($node, 'DROP VIEW cadence_exits; DROP TABLE pedidos');

begin_again(200, 'ok');
sql($node, q{CREATE VIEW cadence_exits AS SELECT id AS run_id, 'x'::text AS motivo FROM lead_cadence_runs, pg_sleep(60)});
my $summary = execute($node)->{summary};
is_deeply([ $provider->count, $summary->{skipped} ], [ 0, 200 ], 'a view that takes too long holds messages back');
is(sql($node, q{SELECT count(*) FROM lead_cadence_runs WHERE next_run_at BETWEEN now() AND now() + interval '3 minutes' AND attempts = 0}), 200,
	'for some minutes');
sql($node, q{DROP VIEW cadence_exits; UPDATE lead_cadence_runs SET next_run_at = now()});
is(execute($node)->{summary}{success}, 200, 'and no longer than it is there');

done_testing();
