# What happens between the claim and the first byte: a step that waits for a slow provider is not
# sent if it is no longer wanted, nor so late that its lease could end; and what was interrupted is
# not forgotten.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = new_cluster('main');
my $provider = start_provider();
my $claimed = 'SELECT count(*) FROM lead_cadence_runs WHERE claim_id IS NOT NULL';
my $worker = q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'cadence_runner'};

# Starts over with so many due runs; the provider takes its time, two at once.
sub begin_again
{
	my ($n, %options) = @_;
	my $milliseconds = delete $options{milliseconds} // 400;

	sql($node, 'TRUNCATE lead_cadence_runs, lead_contacts, contact_opt_outs, cadence_blocklist, cadence_runner_logs CASCADE;
		DELETE FROM cadences; DELETE FROM message_templates; DROP SERVER IF EXISTS slow CASCADE');
	make_company($node, 'slow', $provider->url("slow/$milliseconds"), max_in_flight => 2, %options);
	enrol($node, 'slow', $n);
	sql($node, q{UPDATE lead_contacts SET telefone = '+5511' || (960000000 + substr(lead_id, 6)::int)});
	$provider->forget;
	return;
}

# Runs one execution, and a statement over its waiting runs once the first messages are under way.
sub while_waiting
{
	my ($statement) = @_;
	my $caller = start_sql($node, "SELECT cadence_run('TEST')");

	poll_until(sub { $provider->count > 0 }) or die 'nothing was sent';
	sql($node, $statement);
	is($caller->finish, 0, 'the execution ends well') or diag($caller->error);
	return;
}

# Everybody writes to us at once.
sub answer
{
	my ($text) = @_;
	return q{SELECT cadence_inbound(telefone, } . literal($text) . q{, lead_id, server => 'slow') FROM lead_contacts};
}

for my $case (
	[ 'opted out', 'UPDATE lead_contacts SET opt_out = true, updated_at = now()', 'CANCELADA' ],
	[ 'opted out of the channel', q{SELECT cadence_opt_out(lead_id, empresa, 'whatsapp') FROM lead_contacts}, 'CANCELADA' ],
	[ 'blocked', q{SELECT cadence_block_many('phone', array_agg(telefone), empresa => 'slow') FROM lead_contacts}, 'CANCELADA' ],
	[ 'erased', q{SELECT cadence_erase(lead_id, empresa) FROM lead_cadence_runs}, 'CANCELADA' ],
	[ 'cancelled', q{SELECT cadence_cancel(id, 'x') FROM lead_cadence_runs}, 'CANCELADA' ],
	[ 'answered', answer('Sim'), 'CANCELADA' ],
	[ 'answered with a word', answer('SAIR'), 'CANCELADA' ],
	[ 'paused', 'SELECT cadence_pause(id) FROM lead_cadence_runs', 'PAUSADA' ],
	[ 'of an inactive cadence', 'UPDATE cadences SET ativo = false', 'ATIVA' ],
	[ 'without its server', 'REVOKE USAGE ON FOREIGN SERVER slow FROM PUBLIC; DROP SERVER slow CASCADE', 'ATIVA' ])
{
	my ($what, $statement, $status) = @$case;
	begin_again(60, milliseconds => 2000);
	while_waiting($statement);
	cmp_ok($provider->count, '<', 20, "$what: what waits is not sent");
	is(sql($node, $claimed), 0, 'no claim is left');
	execute($node);
	cmp_ok($provider->count, '<', 20, 'nor by the next execution');
	cmp_ok(sql($node, "SELECT count(*) FROM lead_cadence_runs WHERE status = '$status'"), '>=', 40,
		'but the runs say why');
}

# an adopted column may keep less of the lease's end than it was given
{
	begin_again(10);
	sql($node, 'ALTER SERVER slow OPTIONS (SET url ' . literal($provider->url('gate')) . ')');
	sql($node, q{ALTER TABLE lead_cadence_runs ALTER next_run_at TYPE timestamptz(0);
		UPDATE lead_cadence_runs SET next_run_at = now() - interval '1 min'});
	my $caller = start_sql($node, "SELECT cadence_run('TEST')");
	my $known = 'SELECT claimed FROM cadence_runner_status WHERE database = current_database()';

	ok(poll_until(sub { sql($node, $known) == 10 }), 'whole seconds: the claims are known while they last');
	$provider->ask('POST', '__open');
	is($caller->finish, 0, 'and their runs are sent') or diag($caller->error);
	is(sql($node, 'SELECT (SELECT count(*) FROM cadence_claims) + count(*) FROM lead_cadence_runs WHERE claim_id IS NOT NULL'),
		0, 'no claim is left');
	sql($node, 'ALTER TABLE lead_cadence_runs ALTER next_run_at TYPE timestamptz');
}

# a pace that the lease does not allow: given back in time, and never taken for interrupted
begin_again(60, max_rate => 2, on_uncertain => 'hold', timeout => '2s');
set_server($node, 'cadence_runner.request_timeout', '2s');
set_server($node, 'cadence_runner.lease', '10s');
is(execute($node)->{summary}{errors}, 0, 'a slow pace makes no errors');
is(sql($node, $claimed), 0, 'no claim outlives its execution');
my $sent = $provider->count;
cmp_ok($sent, '>', 2, 'some were sent');
cmp_ok($sent, '<', 60, 'the others were given back');
is(sql($node, 'SELECT count(*) FROM lead_cadence_runs WHERE status = $$ATIVA$$ AND claim_id IS NULL AND attempts = 0'),
	60 - $sent, 'or put off to when they can go, without an attempt');

# an attempt that was never recorded stays uncertain, whatever is in the way meanwhile
begin_again(1, on_uncertain => 'hold');
sql($node, q{UPDATE lead_cadence_runs SET claim_id = gen_random_uuid(), attempts = 1;
	UPDATE message_templates SET ativo = false});
execute($node);
is(sql($node, q{SELECT string_agg(detalhes ->> 'codigo', ' ') FROM lead_cadence_events}), 'SEM_TEMPLATE',
	'not resolved');
sql($node, q{UPDATE message_templates SET ativo = true; UPDATE lead_cadence_runs SET next_run_at = now()});
execute($node);
is($provider->count, 0, 'a provider that must not get it twice does not get it');
is(sql($node, q{SELECT status FROM lead_cadence_runs}), 'PAUSADA', 'an operator decides');

# the table is rewritten while messages are under way: each run is then where another one was
begin_again(100, max_in_flight => 100, timeout => '60s');
sql($node, "ALTER SERVER slow OPTIONS (SET url '" . $provider->url('gate') . "')");
my $caller = start_sql($node, "SELECT cadence_run('TEST') -> 'summary' -> 'success'");
poll_until(sub { $provider->count == 100 }, 'all are under way');
my $places = 'SELECT id, ctid AS place FROM lead_cadence_runs';
sql($node, "CREATE TABLE places AS $places");
sql($node, 'VACUUM FULL lead_cadence_runs');
cmp_ok(sql($node, "SELECT count(*) FROM places AS p JOIN ($places) AS r ON r.place = p.place AND r.id <> p.id"),
	'>', 0, 'where one run was is another');
$provider->ask('POST', '__open');
is($caller->finish, 0, 'the execution ends well') or diag($caller->error);
is(sql($node, q{SELECT count(*) FROM lead_cadence_runs WHERE status = 'CONCLUIDA' AND claim_id IS NULL}), 100,
	'every run has moved on')
	or diag(sql($node, q{SELECT r.status, r.claim_id, r.attempts, r.next_run_at - now(), e.detalhes, count(*)
		FROM lead_cadence_runs AS r LEFT JOIN lead_cadence_events AS e ON e.lead_cadence_run_id = r.id
		GROUP BY 1, 2, 3, 4, 5 LIMIT 20}));
is(sql($node, q{SELECT count(DISTINCT lead_cadence_run_id), count(*) FROM lead_cadence_events}), '100|100',
	'with an event each');
sql($node, 'DROP TABLE places');

# a locked table holds up no stop, and what was sent is not sent again
begin_again(100, max_in_flight => 50);
sql($node, "ALTER SERVER slow OPTIONS (SET url '" . $provider->url('ok') . "')");
my $locker = start_sql($node, 'BEGIN; LOCK TABLE lead_messages; SELECT pg_advisory_lock(1); SELECT pg_sleep(600)');
poll_until(sub { sql($node, q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'}) });
$caller = start_sql($node, "SELECT cadence_run('TEST')");
poll_until(sub { $provider->count == 100 }, 'all are sent');
my $since = time();
sql($node, q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'cadence_runner'});
ok(poll_until(sub { !sql($node, $worker) }), 'the worker ends');
cmp_ok(time() - $since, '<', 10, 'at once');
$caller->finish;
sql($node, 'SELECT pg_terminate_backend(' . $locker->pid . ')');
is(sql($node, q{SELECT count(*) FROM lead_cadence_runs WHERE status = 'CONCLUIDA'}), 100, 'the runs have moved on');
is(sql($node, q{SELECT count(*) FROM lead_cadence_events WHERE tipo_evento = 'DISPARADO' AND detalhes ? 'registro'}),
	100, 'and the events say what is missing');

# of two servers that hang one is well again: what is due to it goes, past the other's, once more
{
	my $other = start_provider();

	begin_again(0);
	sql($node, 'DROP SERVER slow CASCADE');
	set_server($node, 'cadence_runner.workers', 1);
	set_server($node, 'cadence_runner.batch_size', 10);
	set_server($node, 'cadence_runner.lease', '10min');
	make_company($node, 'ill', $provider->url('gate'), max_in_flight => 1, timeout => '120s');
	make_company($node, 'well', $other->url('gate'), max_in_flight => 1, timeout => '120s');
	make_company($node, 'idle', $other->url('ok'));
	enrol($node, $_->[0], $_->[1]) for [ well => 5 ], [ ill => 200 ], [ well => 5 ];
	sql($node, q{UPDATE lead_cadence_runs SET next_run_at = now() - interval '1 h' + replace(lead_id, 'lead-', '')::int * interval '1 s'});
	$caller = start_sql($node, "SELECT cadence_run('TEST')");
	ok(poll_until(sub { $provider->count == 1 && $other->count == 1 }), 'both hang');
	ok(poll_until(sub { sql($node, q{SELECT count(*) FROM lead_cadence_runs WHERE empresa = 'ill' AND claim_id IS NOT NULL}) >= 85 }),
		'as many wait as may');
	# for the look past both of them
	sql($node, 'SELECT pg_sleep(1.5)');
	$other->ask('POST', '__open');
	poll_until(sub { $other->count == 10 }, 'all that is due to the one that is well again goes', 30);
	is($provider->count, 1, 'while the other hangs');
	$provider->ask('POST', '__open');
	is($caller->finish, 0, 'the execution ends well') or diag($caller->error);
}

done_testing();
