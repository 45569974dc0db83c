# News for other tools: written with what they tell of, delivered once, and later where nobody listens.

use strict;
use warnings;
use utf8;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_cluster('main');
my $provider = start_provider();
my $hub = start_provider();

# The news that the hub has got, by event.
sub told
{
	my %told;
	push @{ $told{ $_->{body}{event} } }, $_ for $hub->journal;
	return \%told;
}

sub counts
{
	my $told = told();
	return join ' ', map { "$_ " . @{ $told->{$_} } } sort keys %$told;
}

sub outbox
{
	return sql($node, q{SELECT string_agg(concat_ws(' ', evento, status, attempts), ', ' ORDER BY id) FROM cadence_outbox});
}

sub begin_again
{
	start_over($node, $provider);
	sql($node, 'TRUNCATE cadence_outbox, contact_opt_outs');
	$hub->forget;
	return;
}

make_server($node, 'zap', $provider->url('ok'), empresa => 'zap');
make_cadence($node, 'zap', 'zap', [ 'WHATSAPP', 0, 'Oi' ]);
make_server($node, 'ill', $provider->url('refuse'), empresa => 'ill');
make_cadence($node, 'ill', 'ill', [ 'WHATSAPP', 0, 'Oi' ]);

# Nobody hears anything: nothing is written.
enrol($node, 'zap', 1);
enrol($node, 'ill', 1);
sql($node, q{UPDATE lead_contacts SET telefone = '+551198765432' || right(lead_id, 1)});
execute($node);
sql($node, q{SELECT cadence_inbound('+5511987654321', 'SAIR', 'in.0', server => 'zap')});
is(outbox(), '', 'nothing is written where there is no server for it');

make_server($node, 'hub', $hub->url('ok'), canal => 'EVENTOS', empresa => 'zap');
begin_again();
enrol($node, 'ill', 1);
execute($node);
is(outbox(), '', 'nor for another company');
sql($node, q{ALTER SERVER hub OPTIONS (DROP empresa)});

# One of each, by an execution and the next one.
begin_again();
enrol($node, 'zap', 1);
enrol($node, 'ill', 1);
sql($node, q{UPDATE lead_contacts SET telefone = '+551198765432' || right(lead_id, 1)});
my $summary = execute($node)->{summary};
is(outbox(), 'finished PENDENTE 0, failed PENDENTE 0', 'what an execution has done is news');
sql($node, q{SELECT cadence_inbound('+5511987654321', 'Quero saber mais', 'in.1', server => 'zap')});
sql($node, q{SELECT cadence_inbound('+5511987654321', 'Quero saber mais', 'in.1', server => 'zap')});
sql($node, q{SELECT cadence_inbound('+5511987654321', 'SAIR', 'in.2', server => 'zap')});
sql($node, q{SELECT cadence_opt_out('lead-2', 'ill', 'EMAIL', 'asked on the phone')});
sql($node, q{SELECT cadence_opt_in('lead-2', 'ill', 'EMAIL')});
sql($node, q{BEGIN; SELECT cadence_inbound('+5511987654321', 'Nunca', 'in.3', server => 'zap'); ROLLBACK});
is(sql($node, q{SELECT string_agg(evento, ' ' ORDER BY evento) FROM cadence_outbox}),
	'failed finished opt_in opt_out opt_out reply reply', 'so is what comes back, once; nothing of what was undone');
my $log = execute($node);
is($log->{summary}{total}, 0, 'news are no steps');
is(counts(), 'failed 1 finished 1 opt_in 1 opt_out 2 reply 2', 'each is delivered once');
is(sql($node, q{SELECT string_agg(DISTINCT concat_ws(' ', status, attempts, claim_id, entregue_em IS NOT NULL, erro), ',') FROM cadence_outbox}),
	'ENTREGUE 1 t', 'and noted as delivered');
execute($node);
is($hub->count, 7, 'and not again');

my $told = told();
my ($reply) = grep { $_->{body}{details}{texto} eq 'Quero saber mais' } @{ $told->{reply} };
my $message = sql($node, q{SELECT id FROM lead_messages WHERE whatsapp_message_id = 'in.1'});
is($reply->{headers}{'idempotency-key'}, $reply->{body}{id}, 'the key is its id');
like($reply->{body}{time}, qr/^\d{4}-\d\d-\d\dT/, 'with its time');
is_deeply($reply->{body}, { id => $reply->{body}{id}, event => 'reply', time => $reply->{body}{time}, empresa => 'zap', leadId => 'lead-1',
	runId => undef, cadence => undef, details => { canal => 'WHATSAPP', texto => 'Quero saber mais', mensagem => $message, provedor => 'zap' } }, 'a reply');
my $run = sql($node, q{SELECT id FROM lead_cadence_runs WHERE empresa = 'ill'});
my $failed = $told->{failed}[0]{body};
is_deeply([ @{$failed}{qw(empresa leadId runId cadence)} ], [ 'ill', 'lead-2', $run, 'ill' ], 'a run that has failed');
is_deeply([ @{ $failed->{details} }{qw(step canal templateCodigo codigo)} ], [ 1, 'WHATSAPP', 'ill_1', 'RECUSADO' ], 'and why');
my ($opt_out) = grep { $_->{body}{leadId} eq 'lead-1' } @{ $told->{opt_out} };
is_deeply($opt_out->{body}{details}, { canal => 'WHATSAPP', motivo => 'SAIR', origem => 'zap' }, 'an opt-out');

# A run that somebody settles, who may write runs, but no news.
begin_again();
sql($node, q{ALTER SERVER zap OPTIONS (SET url } . literal($provider->url('reset')) . q{, ADD on_uncertain 'hold')});
enrol($node, 'zap', 1);
execute($node);
is(outbox(), 'failed PENDENTE 0', 'an uncertain run that is held waits for somebody');
sql($node, q{CREATE ROLE clerk; GRANT USAGE ON SCHEMA public TO clerk;
	GRANT SELECT, INSERT, UPDATE, DELETE ON lead_cadence_runs, lead_cadence_events, lead_messages, cadence_steps, cadences TO clerk;
	CREATE POLICY clerk ON lead_cadence_runs TO clerk USING (true); CREATE POLICY clerk ON lead_cadence_events TO clerk USING (true);
	CREATE POLICY clerk ON lead_messages TO clerk USING (true); CREATE POLICY clerk ON cadence_steps TO clerk USING (true);
	CREATE POLICY clerk ON cadences TO clerk USING (true); GRANT EXECUTE ON FUNCTION cadence_settle(uuid, boolean) TO clerk});
sql($node, q{SET ROLE clerk; SELECT cadence_settle(id, true) FROM lead_cadence_runs});
is(outbox(), 'failed PENDENTE 0, finished PENDENTE 0', 'and is finished when that has settled it');
execute($node);
is(counts(), 'failed 1 finished 1', 'both are told');
sql($node, q{ALTER SERVER zap OPTIONS (SET url } . literal($provider->url('ok')) . q{, DROP on_uncertain)});

# Nobody listens: later, and by the same key.
begin_again();
sql($node, q{ALTER SERVER hub OPTIONS (SET url } . literal($hub->url('fail500')) . ')');
enrol($node, 'zap', 2);
execute($node);
is(execute($node)->{summary}{total}, 0, 'an execution goes on');
is(outbox(), 'finished PENDENTE 1, finished PENDENTE 1', 'what is refused waits');
is(sql($node, q{SELECT count(*) FROM cadence_outbox WHERE next_run_at BETWEEN now() + interval '13 min' AND now() + interval '17 min' AND erro LIKE 'FALHA_ENVIO: %'}), 2,
	'for its time, and says why');
my %keys = map { $_->{headers}{'idempotency-key'} => 1 } $hub->journal;
sql($node, q{ALTER SERVER hub OPTIONS (SET url } . literal($hub->url('ok')) . ');' . q{UPDATE cadence_outbox SET next_run_at = now()});
$hub->forget;
execute($node);
is(outbox(), 'finished ENTREGUE 2, finished ENTREGUE 2', 'then it is delivered');
is_deeply({ map { $_->{headers}{'idempotency-key'} => 1 } $hub->journal }, \%keys, 'by the same keys');

# Refused for good: given up, and the health says so.
begin_again();
sql($node, q{ALTER SERVER hub OPTIONS (SET url } . literal($hub->url('refuse')) . ')');
enrol($node, 'zap', 1);
execute($node);
execute($node);
is(outbox(), 'finished PARADA 1', 'what is refused for good is given up');
like(sql($node, q{SELECT array_to_string(reasons, ';') FROM cadence_health()}), qr/1 news for other tools could not be delivered.*RECUSADO: number does not exist/, 'as the health says');
sql($node, q{ALTER SERVER hub OPTIONS (SET url } . literal($hub->url('ok')) . '); ' . q{UPDATE cadence_outbox SET status = 'PENDENTE', next_run_at = now()});
execute($node);
is(outbox(), 'finished ENTREGUE 2', 'until somebody has it tried again');
unlike(sql($node, q{SELECT array_to_string(reasons, ';') FROM cadence_health()}), qr/news/, 'and then does not');

# A table of news that refuses stops no run.
begin_again();
sql($node, q{ALTER TABLE cadence_outbox ADD CONSTRAINT never CHECK (evento <> 'finished')});
enrol($node, 'zap', 3);
execute($node);
is(sql($node, q{SELECT string_agg(DISTINCT status, ',') FROM lead_cadence_runs}), 'CONCLUIDA', 'runs go on where their news are refused');
is($provider->count, 3, 'and nothing is sent twice');
sql($node, q{ALTER TABLE cadence_outbox DROP CONSTRAINT never});

# Rows that nobody of ours has written stop nothing but themselves; many are all told.
begin_again();
sql($node, q{INSERT INTO cadence_outbox (empresa, evento, corpo) SELECT repeat('x', 2000), 'odd', '{"event": "odd"}';
	INSERT INTO cadence_outbox (empresa, evento, corpo) SELECT 'zap', 'huge', jsonb_build_object('event', repeat('x', 600000));
	INSERT INTO cadence_outbox (empresa, evento, corpo) SELECT 'zap', 'many', '{"event": "many"}' FROM generate_series(1, 250)});
execute($node);
is(sql($node, q{SELECT string_agg(DISTINCT evento || ' ' || status || coalesce(' ' || split_part(erro, ':', 1), ''), ', ') FROM cadence_outbox}),
	'huge PARADA CORPO_INVALIDO, many ENTREGUE, odd ENTREGUE', 'what can be told is told');
is(counts(), 'many 250 odd 1', 'once');

# Old ones go, with the log.
begin_again();
sql($node, q{INSERT INTO cadence_outbox (empresa, evento, corpo, status, updated_at) SELECT 'zap', 'old', '{}', s, now() - interval '91 days' FROM unnest('{ENTREGUE,PENDENTE,PARADA}'::text[]) AS s;
	INSERT INTO cadence_outbox (empresa, evento, corpo, status) VALUES ('zap', 'new', '{}', 'ENTREGUE')});
execute($node);
is(sql($node, q{SELECT string_agg(evento || ' ' || status, ', ' ORDER BY evento) FROM cadence_outbox}), 'new ENTREGUE, old ENTREGUE', 'only what was done with is old');

# Nobody serves them any more, though somebody hears others': they are tried more and more rarely, the
# health says so, and they go when they are old.
begin_again();
sql($node, q{ALTER SERVER hub OPTIONS (ADD empresa 'other');
	INSERT INTO cadence_outbox (empresa, evento, corpo, created_at) VALUES ('zap', 'left', '{}', now() - interval '3 hours')});
execute($node);
is(sql($node, q{SELECT status || ' ' || (next_run_at > now() + interval '2 hours') || ' ' || split_part(erro, ':', 1) FROM cadence_outbox}), 'PENDENTE true SEM_PROVEDOR', 'what nobody serves waits as long again');
like(sql($node, q{SELECT array_to_string(reasons, ';') FROM cadence_health()}), qr/1 news for other tools have waited for more than an hour.*SEM_PROVEDOR/, 'as the health says');
sql($node, q{UPDATE cadence_outbox SET created_at = now() - interval '91 days'});
execute($node);
is(outbox(), '', 'and goes when it is old');

done_testing();
