# What is told of a message while it is sent again, and an answer that comes too late for its claim.

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
	return sql($node, q{SELECT concat_ws(' ', estado, entregue_em IS NOT NULL, whatsapp_message_id, erro_detalhe) FROM lead_messages});
}

sub run
{
	return sql($node, q{SELECT concat_ws(' ', status, next_step_ordem, claim_id IS NOT NULL) FROM lead_cadence_runs});
}

sub answering
{
	my ($path) = @_;
	sql($node, 'ALTER SERVER zap OPTIONS (SET url ' . literal($provider->url($path)) . ')');
	return;
}

sql($node, q{SELECT cadence_protocol_define('gateway', '{
	"channels": ["WHATSAPP"], "address": "{{as_stored}}",
	"operations": {"text": {"url": "{{option.url}}", "json": {"telefone": "{{recipient}}"}}},
	"response": {"id": ["/id"]},
	"classes": [{"text": "review", "class": "held", "wait": "1h"}, {"status": "2xx", "class": "sent"}],
	"idempotency": {"key": "header:Idempotency-Key"},
	"receive": {"signature": {"kind": "path", "secret": "path_secret"}, "events": [{"ignore": "nothing is told"}]},
	"secrets": {"path_secret": {"use": "receive"}}}')});
make_server($node, 'zap', $provider->url('reset'), empresa => 'zap', protocol => 'gateway', on_uncertain => 'retry');
make_cadence($node, 'zap', 'zap', [ 'WHATSAPP', 0, 'Oi' ], [ 'WHATSAPP', 60, 'Oi de novo' ]);

# A receipt comes while the second attempt is under way, and its answer after that.
enrol($node, 'zap', 1);
execute($node);
is(message(), 'INCERTO f', 'nobody knows');
answering('gate/200/' . '%7B%22id%22%3A%22out.1%22%7D');
make_all_due($node);
my $caller = start_sql($node, q{SELECT cadence_run('TEST')});
ok(poll_until(sub { $provider->count('gate') == 1 }), 'it is sent again');
is(sql($node, q{SELECT cadence_delivery('zap', 'out.1', 'delivered', key => id::text) FROM lead_messages}), 'done', 'and delivered');
is(message(), 'ENTREGUE t out.1', 'as its row says');
$provider->ask('POST', '__open');
is($caller->finish, 0, 'then the answer comes');
is(run(), 'ATIVA 2 f', 'the run goes on');
is(message(), 'ENTREGUE t out.1', 'and the message is still delivered');

# That it has failed is known before the answer is recorded: it stays so.
start_over($node, $provider);
answering('reset');
enrol($node, 'zap', 1);
execute($node);
is(message(), 'INCERTO f', 'nobody knows');
answering('gate/200/' . '%7B%22id%22%3A%22out.3%22%7D');
make_all_due($node);
$caller = start_sql($node, q{SELECT cadence_run('TEST')});
ok(poll_until(sub { $provider->count('gate') == 1 }), 'it is sent again');
is(sql($node, q{SELECT cadence_delivery('zap', 'out.3', 'failed', error => 'broken', key => id::text) FROM lead_messages}), 'done', 'and has failed');
is(message(), 'ERRO f out.3 broken', 'as its row says');
$provider->ask('POST', '__open');
is($caller->finish, 0, 'then the answer comes');
is(run(), 'ATIVA 2 f', 'the run goes on');
is(message(), 'ERRO f out.3 broken', 'and the message has failed still');

# What has failed was an earlier attempt's: the one that is accepted counts.
start_over($node, $provider);
answering('reset');
enrol($node, 'zap', 1);
execute($node);
answering('gate/200/' . '%7B%22id%22%3A%22out.5%22%7D');
make_all_due($node);
$caller = start_sql($node, q{SELECT cadence_run('TEST')});
ok(poll_until(sub { $provider->count('gate') == 1 }), 'another is sent again');
is(sql($node, q{SELECT cadence_delivery('zap', 'out.4', 'failed', error => 'broken', key => id::text) FROM lead_messages}), 'done', 'the first has failed');
$provider->ask('POST', '__open');
is($caller->finish, 0, 'then the answer comes');
is(message(), 'ENVIADO f out.5', 'of the second');

# An answer that the message is held for review comes after the run was given up as uncertain.
start_over($node, $provider);
sql($node, q{ALTER SERVER zap OPTIONS (SET on_uncertain 'hold')});
answering('gate/200/' . '%7B%22id%22%3A%22out.2%22%2C%22state%22%3A%22review%22%7D');
enrol($node, 'zap', 1);
$caller = start_sql($node, q{SELECT cadence_run('TEST')});
ok(poll_until(sub { $provider->count('gate') == 1 }), 'it is sent');
sql($node, q{UPDATE lead_cadence_runs SET claim_id = NULL, status = 'PAUSADA', next_run_at = NULL;
	INSERT INTO lead_cadence_events (lead_cadence_run_id, step_ordem, tipo_evento, detalhes)
	SELECT id, 1, 'ERRO', '{"codigo": "INCERTO", "permanente": true, "provedor": "zap"}' FROM lead_cadence_runs});
$provider->ask('POST', '__open');
is($caller->finish, 0, 'the answer comes');
is(run(), 'ATIVA 1 f', 'it settles the run, which waits for the review');
is(message(), 'ENVIADO f out.2 RETIDO', 'as its row says');
is(sql($node, q{SELECT string_agg(concat_ws(' ', detalhes ->> 'codigo', detalhes ->> 'tardio'), ', ' ORDER BY created_at, id) FROM lead_cadence_events}),
	'INCERTO, RETIDO', 'and its events');
is(sql($node, q{SELECT next_run_at BETWEEN now() + interval '59 min' AND now() + interval '61 min' FROM lead_cadence_runs}), 't', 'for its time');
make_all_due($node);
execute($node);
is($provider->count, 1, 'nothing is sent again');
is(run(), 'ATIVA 2 f', 'when that is over it counts as sent');

done_testing();
