# What an answer says about an address, a person or a template is remembered: later runs are not
# sent, and nobody is asked again.

use strict;
use warnings;
use utf8;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_cluster('main');
my $provider = start_provider();
my $dead = '{"status": 400, "error": "Bad Request", "response": {"message": [{"exists": false}]}}';
my $sent = '{"messages": [{"id": "wamid.1"}], "sid": "SM1", "key": {"id": "1"}}';

# The address of a provider that always answers so.
sub answering
{
	my ($status, $body, $behaviour) = @_;
	$body =~ s/([^A-Za-z0-9_.-])/sprintf('%%%02X', ord $1)/ge;
	return $provider->url(($behaviour // 'answers') . "/$status/$body");
}

sub meta
{
	my ($code) = @_;
	return answering(400, qq({"error": {"code": $code, "message": "(#$code) no"}}));
}

sub answer_from_now_on
{
	my ($server, $url) = @_;
	sql($node, "ALTER SERVER $server OPTIONS (SET url " . literal($url) . ')');
	return;
}

# A sender of a company, without the pauses that its protocol takes.
sub make_sender
{
	my ($name, $protocol, $url, $secrets, %options) = @_;
	make_server($node, $name, $url, empresa => $name, protocol => $protocol, %options);
	sql($node, "CREATE USER MAPPING FOR PUBLIC SERVER $name OPTIONS ($secrets)");
	return;
}

sub make_contact
{
	my ($lead, $empresa, $telefone) = @_;
	sql($node, 'INSERT INTO lead_contacts (lead_id, empresa, nome, telefone, email) VALUES ('
		  . join(', ', map { literal($_) } $lead, $empresa, 'Ana', $telefone, "$lead\@example.com") . ')');
	return;
}

# A due run of a lead, made and executed: what became of it, and how many requests it took.
sub run_of
{
	my ($lead, $codigo) = @_;
	my $before = $provider->count;
	my $run = sql($node, 'SELECT cadence_enroll(' . literal($lead) . ', ' . literal($codigo) . ')');

	execute($node);
	return (outcome_of($run), $provider->count - $before, $run);
}

# Status, the last event's code or type, and attempts.
sub outcome_of
{
	my ($run) = @_;
	return sql($node, "SELECT concat_ws(' ', r.status, (SELECT coalesce(e.detalhes ->> 'codigo', e.tipo_evento)
		FROM lead_cadence_events e WHERE e.lead_cadence_run_id = r.id
		ORDER BY e.created_at DESC, e.tipo_evento DESC LIMIT 1), r.attempts)
		FROM lead_cadence_runs r WHERE r.id = '$run'");
}

sub again
{
	my ($run) = @_;
	my $before = $provider->count;
	sql($node, "UPDATE lead_cadence_runs SET next_run_at = now() WHERE id = '$run'");
	execute($node);
	return (outcome_of($run), $provider->count - $before);
}

# So many new leads, with numbers that can be one, due since a minute.
sub enrol_people
{
	my ($codigo, $n) = @_;
	enrol($node, $codigo, $n);
	sql($node, q{UPDATE lead_contacts SET telefone = '+55119' || lpad(substring(lead_id FROM 6), 8, '0')
		WHERE lead_id LIKE 'lead-%'});
	return;
}

# ---- an address that does not exist
make_sender('zap', 'evolution', answering(400, $dead), q(apikey 'x'), instance => 'i', gap => '0s',
	warm_up => '1000..1000/1d', max_new_per_day => 1000);
make_cadence($node, 'zap', 'zap', [ 'WHATSAPP', 0, 'Oi' ]);
make_cadence($node, 'zap_outra', 'zap', [ 'WHATSAPP', 0, 'Oi' ]);
make_contact('ana', 'zap', '(11) 98765-4321');
my ($outcome, $requests, $run) = run_of('ana', 'zap');
is("$outcome, $requests", 'PAUSADA ENDERECO_INEXISTENTE 1, 1', 'the provider knows no such number');
is_deeply([ sql_rows($node, 'SELECT endereco, canal, empresa, servidor FROM cadence_dead_addresses') ],
	[ { endereco => '+5511987654321', canal => 'WHATSAPP', empresa => 'zap', servidor => 'zap' } ],
	'which is remembered');
answer_from_now_on('zap', answering(201, $sent));
($outcome, $requests, $run) = run_of('ana', 'zap_outra');
is("$outcome, $requests", 'PAUSADA ENDERECO_MORTO 0, 0', 'another cadence does not ask: no request, no attempt');
like(sql($node, "SELECT cadence_preview('$run')"), qr/ENDERECO_MORTO/, 'and the preview says so');
make_contact('bia', 'zap', '+55 11 98765 4321');
($outcome, $requests) = run_of('bia', 'zap');
is("$outcome, $requests", 'PAUSADA ENDERECO_MORTO 0, 0', 'however it is typed');
sql($node, "UPDATE lead_contacts SET telefone = '11 98765-4322' WHERE lead_id = 'ana'; SELECT cadence_resume('$run')");
execute($node);
is(outcome_of($run), 'CONCLUIDA DISPARADO 0', 'a corrected number is alive at once');

make_sender('outra', 'evolution', answering(201, $sent), q(apikey 'x'), instance => 'i', gap => '0s');
make_cadence($node, 'outra', 'outra', [ 'WHATSAPP', 0, 'Oi' ]);
make_contact('ana', 'outra', '11987654321');
($outcome, $requests) = run_of('ana', 'outra');
is("$outcome, $requests", 'CONCLUIDA DISPARADO 0, 1', 'what one company has heard is not known of another');
make_server($node, 'torpedo', $provider->url('ok'), empresa => 'zap', canal => 'SMS');
make_cadence($node, 'zap_sms', 'zap', [ 'SMS', 0, 'Oi' ]);
($outcome, $requests) = run_of('bia', 'zap_sms');
is("$outcome, $requests", 'CONCLUIDA DISPARADO 0, 1', 'nor is a channel that of another');
sql($node, q{DELETE FROM cadence_dead_addresses});
($outcome, $requests) = run_of('bia', 'zap_outra');
is("$outcome, $requests", 'CONCLUIDA DISPARADO 0, 1', 'whoever knows better removes the row');

# ---- Meta: an address is dead when that was said twice
my %meta = (phone_number_id => '1', canal => 'WHATSAPP');
make_sender('cloud', 'whatsapp_cloud', meta(131026), q(token 'x'), %meta);
make_cadence($node, 'cloud', 'cloud', [ 'WHATSAPP', 0, 'Oi' ]);
make_contact('ana', 'cloud', '11987654321');
($outcome, $requests, $run) = run_of('ana', 'cloud');
is("$outcome, $requests", 'ATIVA FALHA_ENVIO 1, 1', 'once may be an old app');
is(sql($node, 'SELECT count(*) FROM cadence_dead_addresses'), 0, 'and is not remembered');
($outcome, $requests) = again($run);
is("$outcome, $requests", 'PAUSADA ENDERECO_INEXISTENTE 2, 1', 'twice is not');
is(sql($node, 'SELECT motivo FROM cadence_dead_addresses'), '(#131026) no', "in the provider's words");
sql($node, 'DELETE FROM cadence_dead_addresses');

# ---- Twilio: who has sent STOP gets no SMS any more
make_sender('voz', 'twilio', answering(400, '{"code": 21610, "message": "Attempt to send to unsubscribed recipient"}'),
	q(auth_token 'x'), canal => 'SMS', account_sid => 'AC1', from => '+15005550006');
make_server($node, 'correio', $provider->url('ok'), empresa => 'voz', canal => 'EMAIL');
make_cadence($node, 'voz', 'voz', [ 'SMS', 0, 'Oi' ]);
make_cadence($node, 'voz_outra', 'voz', [ 'EMAIL', 0, 'Oi' ], [ 'SMS', 0, 'Oi' ]);
make_contact('ana', 'voz', '11987654321');
($outcome, $requests) = run_of('ana', 'voz');
is("$outcome, $requests", 'CANCELADA OPT_OUT 1, 1', 'the provider says that she has opted out');
is_deeply([ sql_rows($node, 'SELECT lead_id, empresa, canal, categoria, motivo, origem FROM contact_opt_outs') ],
	[ { lead_id => 'ana', empresa => 'voz', canal => 'SMS', categoria => undef,
		motivo => 'Attempt to send to unsubscribed recipient', origem => 'voz' } ], 'which is remembered');
answer_from_now_on('voz', answering(201, $sent));
($outcome, $requests, $run) = run_of('ana', 'voz_outra');
is("$outcome, $requests", 'ATIVA DISPARADO 0, 1', 'a mail goes');
($outcome, $requests) = again($run);
is("$outcome, $requests", 'CANCELADA OPT_OUT 1, 0', 'and the run ends where it would use the channel');
is(sql($node, "SELECT detalhes ->> 'motivo' FROM lead_cadence_events WHERE lead_cadence_run_id = '$run'
	AND detalhes ->> 'codigo' = 'OPT_OUT'"), 'Attempt to send to unsubscribed recipient', 'for that reason');
is(sql($node, "SELECT cadence_opt_in('ana', 'voz', 'sms')"), 't', 'she opts in again');
($outcome, $requests) = run_of('ana', 'voz');
is("$outcome, $requests", 'CONCLUIDA DISPARADO 0, 1', 'and gets it');

# ---- Meta: no marketing any more, but what she has asked for
sub approve
{
	my ($codigo, $category) = @_;
	make_cadence($node, $codigo, 'cloud', [ 'WHATSAPP', 0, '' ]);
	sql($node, "UPDATE message_templates SET whatsapp = " . literal(encode_json({ nome => $codigo,
		idioma => 'pt_BR', categoria => $category })) . " WHERE codigo = '${codigo}_1'");
	return;
}
approve('oferta', 'MARKETING');
approve('entrega', 'UTILITY');
answer_from_now_on('cloud', meta(131050));
($outcome, $requests) = run_of('ana', 'oferta');
is("$outcome, $requests", 'CANCELADA OPT_OUT 1, 1', 'she wants no marketing');
is(sql($node, "SELECT concat_ws(' ', canal, categoria) FROM contact_opt_outs"), 'WHATSAPP MARKETING', 'which is remembered as such');
answer_from_now_on('cloud', answering(200, $sent));
($outcome, $requests) = run_of('ana', 'oferta');
is("$outcome, $requests", 'CANCELADA OPT_OUT 1, 0', 'the next is not sent');
($outcome, $requests) = run_of('ana', 'entrega');
is("$outcome, $requests", 'CONCLUIDA DISPARADO 0, 1', 'a template of another category is');
sql($node, "SELECT cadence_opt_in('ana', 'cloud')");
($outcome, $requests) = run_of('ana', 'oferta');
is("$outcome, $requests", 'CONCLUIDA DISPARADO 0, 1', 'and marketing, too, when she wants it again');

# ---- Meta: a template that is stopped is tried by one message for all
sub template_state
{
	return sql($node, "SELECT concat_ws(' ', codigo, empresa, canal, servidor, tentativas,
		round(extract(epoch FROM tentar_em - now()) / 3600)) FROM cadence_stopped_templates");
}

# All that is due to the template; how many requests that took.
sub all_again
{
	my $before = $provider->count;
	make_all_due($node);
	execute($node);
	return $provider->count - $before;
}

sub time_is_up
{
	sql($node, 'UPDATE cadence_stopped_templates SET tentar_em = now()');
	return;
}

# The leads of a cadence by what they are: status, code, attempts => how many.
sub states_of
{
	my ($codigo) = @_;
	return { map { $_->{what} => $_->{n} } sql_rows($node, "SELECT concat_ws(' ', r.status, e.codigo, r.attempts) AS what,
		count(*) AS n FROM lead_cadence_runs r JOIN cadences c ON c.id = r.cadence_id
		LEFT JOIN LATERAL (SELECT x.detalhes ->> 'codigo' AS codigo FROM lead_cadence_events x
			WHERE x.lead_cadence_run_id = r.id ORDER BY x.created_at DESC, x.id DESC LIMIT 1) AS e ON true
		WHERE c.codigo = '$codigo' GROUP BY 1") };
}

approve('promo', 'MARKETING');
answer_from_now_on('cloud', meta(132015));
enrol_people('promo', 1);
is(all_again(), 1, 'a template is stopped');
is(template_state(), 'promo_1 cloud WHATSAPP cloud 1 1', 'it is marked, and tried again in an hour');
is_deeply(states_of('promo'), { 'ATIVA TEMPLATE_PARADO 0' => 1 }, 'the run waits, without an attempt');
enrol_people('promo', 9);
is(all_again(), 0, 'nobody asks meanwhile');
is_deeply(states_of('promo'), { 'ATIVA TEMPLATE_PARADO 0' => 10 }, 'and all wait');
like(sql($node, 'SELECT reasons::text FROM cadence_health()'),
	qr/template \\"promo_1\\" of company \\"cloud\\" has been stopped at server \\"cloud\\" since .* again at .*: \(#132015\) no/,
	'the health says so');
time_is_up();
is(all_again(), 1, 'one of them tries');
is(template_state(), 'promo_1 cloud WHATSAPP cloud 2 2', 'in vain: it waits twice as long');
for my $hours (4, 6, 6)
{
	time_is_up();
	is(all_again(), 1, 'one of them tries');
	like(template_state(), qr/ $hours$/, "and waits for $hours hours");
}
my $others = sql($node, "SELECT cadence_enroll('ana', 'entrega')");
is(all_again(), 1, 'another template of that server is tried for itself');
like(sql($node, 'SELECT string_agg(codigo, $$ $$ ORDER BY codigo) FROM cadence_stopped_templates'), qr/^entrega_1 promo_1$/, 'and marked for itself');
sql($node, "SELECT cadence_cancel('$others', ''); DELETE FROM cadence_stopped_templates WHERE codigo = 'entrega_1'");

# while the try is under way the others wait for it
answer_from_now_on('cloud', answering(200, $sent, 'gate'));
time_is_up();
make_all_due($node);
my $caller = start_sql($node, "SELECT cadence_run('TEST')");
poll_until(sub { $provider->count('gate') == 1 }) or die 'nothing was tried';
my $free = "FROM lead_cadence_runs WHERE status = 'ATIVA' AND claim_id IS NULL";
poll_until(sub { sql($node, "SELECT count(*) $free AND next_run_at > now()") == 9 }) or die 'the others do not wait';
sql($node, "UPDATE lead_cadence_runs SET next_run_at = now() WHERE id IN (SELECT id $free)");
is(execute($node)->{summary}{skipped}, 9, 'the others are looked at again');
is($provider->count('gate'), 1, 'a second execution does not try beside it');
is(sql($node, "SELECT count(*) FROM lead_cadence_runs WHERE status = 'ATIVA' AND next_run_at > now() + interval '121 seconds'
	AND claim_id IS NULL"), 0, 'and looks again when that is over');
answer_from_now_on('cloud', answering(200, $sent));
$provider->ask('POST', '__open');
is($caller->finish, 0, 'the try ends');
is(template_state(), '', 'it has gone through: the template is free');
is(all_again(), 9, 'and all others go');
is_deeply(states_of('promo'), { 'CONCLUIDA 0' => 10 }, 'each once');

# an edited template is another
answer_from_now_on('cloud', meta(132001));
enrol_people('promo', 2);
cmp_ok(all_again(), '<=', 2, 'stopped again');
is(all_again(), 0, 'nobody asks');
answer_from_now_on('cloud', answering(200, $sent));
sql($node, "UPDATE message_templates SET nome = 'promo, mended' WHERE codigo = 'promo_1'");
is(all_again(), 2, 'whoever edits it is heard at once');
is(template_state(), '', 'and what was sent frees it');
# one that was edited, and is stopped still, begins anew
answer_from_now_on('cloud', meta(132001));
enrol_people('promo', 1);
all_again();
time_is_up();
all_again();
like(template_state(), qr/ 2 2$/, 'stopped for longer');
sql($node, "UPDATE message_templates SET nome = 'promo, not mended' WHERE codigo = 'promo_1'");
is(all_again(), 1, 'edited, and tried');
like(template_state(), qr/ 1 1$/, 'it waits as at first');
is(all_again(), 0, 'and waits');
sql($node, 'DELETE FROM cadence_stopped_templates');
is(all_again(), 1, 'whoever removes the row has it tried');
cancel_rest($node);
sql($node, 'DELETE FROM cadence_stopped_templates');

# what waits in an execution when its template is stopped does not go after it
enrol_people('promo', 300);
sql($node, "ALTER SERVER cloud OPTIONS (ADD max_rate '20')");
cmp_ok(all_again(), '<', 100, 'of three hundred under way most are given back');
is(sql($node, "SELECT count(*) FROM lead_cadence_runs WHERE status = 'ATIVA' AND (claim_id IS NOT NULL OR attempts > 0)"),
	0, 'and none has used an attempt');
is(sql($node, 'SELECT tentativas FROM cadence_stopped_templates'), 1, 'many answers of one time count as one');
cancel_rest($node);

# ---- what the tables refuse does not lose the run
sql($node, q{
	DELETE FROM cadence_stopped_templates;
	ALTER SERVER cloud OPTIONS (DROP max_rate);
	CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not here'; END $$;
	CREATE TRIGGER refuse BEFORE INSERT ON contact_opt_outs FOR EACH ROW EXECUTE FUNCTION refuse();
	CREATE TRIGGER refuse BEFORE INSERT ON cadence_dead_addresses FOR EACH ROW WHEN (NEW.endereco LIKE '%1') EXECUTE FUNCTION refuse();
	CREATE TRIGGER refuse BEFORE INSERT ON cadence_stopped_templates FOR EACH ROW EXECUTE FUNCTION refuse();
});
answer_from_now_on('voz', answering(400, '{"code": 21610, "message": "STOP"}'));
($outcome, $requests, $run) = run_of('ana', 'voz');
is("$outcome, $requests", 'CANCELADA OPT_OUT 1, 1', 'an opt-out that is refused stops the run all the same');
is(sql($node, "SELECT detalhes ->> 'registro' FROM lead_cadence_events WHERE lead_cadence_run_id = '$run' AND tipo_evento = 'ERRO'"),
	'not here', 'and the event says what was refused');
sql($node, q{DROP TRIGGER refuse ON contact_opt_outs; CREATE TRIGGER refuse BEFORE INSERT ON lead_cadence_events
	FOR EACH ROW WHEN (NEW.detalhes ->> 'codigo' = 'OPT_OUT') EXECUTE FUNCTION refuse()});
($outcome, $requests) = run_of('ana', 'voz');
like("$outcome, $requests", qr/^CANCELADA .*, 1$/, 'an event that is refused does not keep the run');
is(sql($node, q{SELECT canal FROM contact_opt_outs}), 'SMS', 'nor what it says');
sql($node, q{DROP TRIGGER refuse ON lead_cadence_events});
answer_from_now_on('cloud', meta(132015));
enrol_people('promo', 3);
is(all_again(), 3, 'a mark of a template that is refused');
is_deeply({ %{ states_of('promo') }{'ATIVA TEMPLATE_PARADO 0'} }, { 'ATIVA TEMPLATE_PARADO 0' => 3 }, 'does not keep its runs from waiting');
cancel_rest($node);
answer_from_now_on('zap', answering(400, $dead));
sql($node, q{DELETE FROM lead_contacts WHERE empresa = 'zap'});
for my $n (0 .. 5)
{
	make_contact("n$n", 'zap', "1191234000$n");
	sql($node, "SELECT cadence_enroll('n$n', 'zap')");
}
execute($node);
is(sql($node, "SELECT count(*) FROM lead_cadence_runs WHERE empresa = 'zap' AND lead_id LIKE 'n_' AND status = 'PAUSADA' AND claim_id IS NULL"),
	6, 'nor does that of an address');
is(sql($node, 'SELECT count(*) FROM cadence_dead_addresses'), 5, 'and the others are remembered');

# ---- two runs that learn the same
sql($node, q{DROP TRIGGER refuse ON cadence_stopped_templates;
	DROP TRIGGER refuse ON cadence_dead_addresses; DELETE FROM cadence_dead_addresses});
make_cadence($node, 'zap_terceira', 'zap', [ 'WHATSAPP', 0, 'Oi' ]);
sql($node, q{INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem, next_run_at)
	SELECT k.lead_id, 'zap', c.id, 1, now() FROM cadences AS c CROSS JOIN lead_contacts AS k
	WHERE c.codigo IN ('zap_outra', 'zap_terceira') AND k.empresa = 'zap'});
my @callers = map { start_sql($node, "SELECT cadence_run('TEST')") } 1 .. 3;
is($_->finish, 0, 'an execution ends well') for @callers;
is(sql($node, "SELECT count(*) FROM lead_cadence_runs AS r JOIN cadences AS c ON c.id = r.cadence_id
	WHERE c.codigo IN ('zap_outra', 'zap_terceira') AND r.lead_id LIKE 'n_' AND r.status = 'PAUSADA'"), 12, 'all are paused');
is(sql($node, 'SELECT count(*) FROM cadence_dead_addresses'), 6, 'each address is remembered once');

$node->stop;
done_testing();
