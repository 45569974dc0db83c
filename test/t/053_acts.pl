# What comes back for messages that were really sent, and the same told many times at once.

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

sub message
{
	return sql($node, q{SELECT concat_ws(' ', estado, entregue_em IS NOT NULL, lido_em IS NOT NULL, erro_detalhe)
		FROM lead_messages WHERE direcao = 'OUTBOUND'});
}

sub run
{
	return sql($node, q{SELECT concat_ws(' ', status, next_step_ordem) FROM lead_cadence_runs});
}

sub delivery
{
	my ($server, $state, %more) = @_;
	my $id = exists $more{id} ? literal($more{id}) : '(SELECT whatsapp_message_id FROM lead_messages WHERE direcao = $$OUTBOUND$$)';
	my $rest = join '', map { ", $_ => " . literal($more{$_}) } grep { $_ ne 'id' } sort keys %more;
	return sql($node, "SELECT cadence_delivery('$server', $id, '$state'$rest)");
}

# Sent, and its receipts.
make_server($node, 'zap', $provider->url('ok'), empresa => 'zap');
make_server($node, 'other', $provider->url('ok'), empresa => 'zap', canal => 'WHATSAPP');
sql($node, q{ALTER SERVER other OPTIONS (SET empresa 'zap2'); ALTER SERVER other OPTIONS (DROP empresa)});
make_cadence($node, 'zap', 'zap', [ 'WHATSAPP', 0, 'Oi' ], [ 'WHATSAPP', 60, 'Oi de novo' ]);
enrol($node, 'zap', 1);
sql($node, q{UPDATE lead_contacts SET telefone = '+5511987654321'});
execute($node);
is(message(), 'ENVIADO f f', 'sent');
is(delivery('other', 'read'), 'unmatched', 'another server has nothing to say about it');
is(delivery('zap', 'read'), 'done', 'read');
is(delivery('zap', 'delivered'), 'repeated', 'and therefore delivered');
is(message(), 'LIDO t t', 'both have their time');
is(delivery('zap', 'failed', code => '1'), 'repeated', 'what was read has not failed');
is(run(), 'ATIVA 2', 'the run has gone on');
is(sql($node, q{SELECT cadence_inbound('11987654321', 'Sim', 'in.1', server => 'zap')}), 'done', 'an answer');
is(run(), 'CANCELADA 2', 'ends it');
make_all_due($node);
$provider->forget;
execute($node);
is($provider->count, 0, 'nothing more is sent');

# An attempt of which nobody knows what became: the key settles it.
start_over($node, $provider);
sql($node, q{ALTER SERVER zap OPTIONS (SET url } . literal($provider->url('reset')) . q{, ADD on_uncertain 'hold')});
enrol($node, 'zap', 1);
execute($node);
is(message(), 'INCERTO f f', 'nobody knows');
is(run(), 'PAUSADA 1', 'and it is held');
my $key = sql($node, 'SELECT id FROM lead_messages');
is(delivery('other', 'delivered', id => 'late.1', key => $key), 'unmatched', 'not by another server');
is(delivery('zap', 'delivered', id => 'late.1', key => $key), 'done', 'its provider knows');
is(message(), 'ENTREGUE t f', 'delivered');
is(run(), 'ATIVA 2', 'the run goes on');
is(delivery('zap', 'read', id => 'late.1'), 'done', 'from here on it is known by its id');
is(sql($node, q{SELECT string_agg(tipo_evento, ' ' ORDER BY created_at, id) FROM lead_cadence_events}), 'ERRO DISPARADO AGENDADO', 'as by an operator');

start_over($node, $provider);
enrol($node, 'zap', 1);
execute($node);
$key = sql($node, 'SELECT id FROM lead_messages');
is(delivery('zap', 'failed', id => 'late.2', key => $key, code => '1'), 'done', 'it was not sent');
is(run(), 'ATIVA 1', 'so its step is due again');
is(sql($node, 'SELECT count(*) FROM lead_messages'), 0, 'and nothing says that it might have been');

# A thousand same answers at once.
start_over($node, $provider);
enrol($node, 'zap', 1);
sql($node, q{UPDATE lead_contacts SET telefone = '+5511987654321'});
my @sessions = map { start_sql($node, q{SELECT cadence_inbound('+551187654321', 'SAIR', 'in.2', server => 'zap') FROM generate_series(1, 50)}) } 1 .. 20;
my %answers;
for my $session (@sessions)
{
	is($session->finish, 0, 'a session ends well') or diag($session->error);
	$answers{$_}++ for split /\n/, $session->output;
}
is_deeply(\%answers, { done => 1, repeated => 999 }, 'one of a thousand is new');
is(sql($node, 'SELECT count(*) FROM lead_messages'), 1, 'one row');
is(sql($node, 'SELECT count(*) FROM contact_opt_outs'), 1, 'one opt-out');
is(sql($node, 'SELECT count(*) FROM lead_cadence_events'), 1, 'one event');

done_testing();
