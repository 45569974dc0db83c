# After an attempt of which nobody knows whether it arrived, the same bytes are sent again, whatever
# template, contact and step have become: over HTTP with a key that the provider honours, as mail over
# HTTP and over SMTP, with media and with approved templates, and over a restart. And what becomes of
# the message's one row in the meantime.

use strict;
use warnings;
use utf8;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use MailServer;
use PostgreSQL::Test::Utils;
use Test::More;

my $provider = start_provider();
my $mail = start_mail_server();
my $node = new_cluster('main', conf => ['cadence_runner.workers = 1']);

# One with everything that a message can have, whose provider honours keys for an hour.
sql($node, q{SELECT cadence_protocol_define('gateway', '{
	"channels": ["WHATSAPP", "EMAIL"],
	"address": "{{e164}}",
	"operations": {
		"text": {"url": "{{option.url}}", "json": {"to": "{{recipient}}", "text": "{{message}}"}},
		"media": {"url": "{{option.url}}", "json": {"to": "{{recipient}}", "kind": "{{media.type}}", "name": "{{media.name}}",
			"link": "{{media.url}}", "caption": "{{media.caption}}"}},
		"template": {"url": "{{option.url}}", "json": {"to": "{{recipient}}", "name": "{{template.name}}",
			"components": "{{template.components}}"}}},
	"response": {"success": {"status": [200]}, "id": ["/id"]},
	"idempotency": {"key": "header:Idempotency-Key", "valid_for": "1h"}}')});

# A company with a server and a lead of its own. Its provider never answers the first request of a key,
# unless fates say otherwise (see test/provider). Options of ours: fates, text.
sub make_one
{
	my ($name, %options) = @_;
	my $fates = delete $options{fates} // 'reset';
	my $text = delete $options{text} // 'Olá {{nome}}, "{{primeiro_nome}}"';
	my %more = %options;
	my $canal = $more{canal} // 'WHATSAPP';

	make_server($node, $name, $provider->url("keyed/$fates"), empresa => $name, timeout => '2s', %more);
	sql($node, "CREATE USER MAPPING FOR CURRENT_USER SERVER $name OPTIONS (api_key 're_key')")
	  if ($more{protocol} // '') eq 'resend';
	make_cadence($node, $name, $name, [ $canal, 0, $text ]);
	enrol($node, $name, 1);
	sql($node, "UPDATE lead_contacts SET telefone = '+5511912345678' WHERE empresa = '$name'");
	return;
}

# All that a message is made of becomes another.
sub change_everything
{
	sql($node, "UPDATE message_templates SET conteudo = 'Outro {{nome}}', assunto = 'Outro', html = '<i>outro</i>';
		UPDATE message_templates SET midia = '{\"url\": \"https://example.com/outro.pdf\", \"tipo\": \"documento\"}'
			WHERE midia IS NOT NULL;
		UPDATE lead_contacts SET nome = 'Outra', primeiro_nome = 'Outra', email = 'outra' || id || '\@example.com',
			telefone = '+351912345678';
		UPDATE cadence_empresas SET pais = 'PT'");
	return;
}

# What the tables say of each company, and what its provider got, read when asked to look.
my (%runs, %rows, %events, @journal);

sub look
{
	%runs = map { $_->{empresa} => $_ } sql_rows($node, 'SELECT * FROM lead_cadence_runs');
	%rows = %events = ();
	push @{ $rows{ $_->{empresa} } }, $_ for sql_rows($node, 'SELECT * FROM lead_messages');
	push @{ $events{ $_->{empresa} } }, $_ for sql_rows($node, "
		SELECT r.empresa, e.tipo_evento AS tipo, e.detalhes FROM lead_cadence_events e
		JOIN lead_cadence_runs r ON r.id = e.lead_cadence_run_id
		WHERE e.tipo_evento <> 'AGENDADO' ORDER BY e.created_at, e.id");
	@journal = $provider->journal;
	return;
}

sub run_of
{
	my ($name) = @_;
	return $runs{$name};
}

sub rows_of
{
	my ($name) = @_;
	return @{ $rows{$name} // [] };
}

# The ERRO and DISPARADO events of a company's run, in order.
sub events_of
{
	my ($name) = @_;
	return @{ $events{$name} // [] };
}

sub codes_of
{
	my ($name) = @_;
	return join ' ', map { $_->{detalhes}{codigo} // $_->{tipo} } events_of($name);
}

sub requests_of
{
	my ($name) = @_;
	my $key = idempotency_key(run_of($name)->{id}, 1);
	return grep { ($_->{headers}{'idempotency-key'} // '') eq $key } @journal;
}

sub attempt
{
	execute($node);
	look();
	return;
}

sub attempt_again
{
	make_all_due($node);
	attempt();
	return;
}

# Statements, and what has come of them.
sub change
{
	my ($text) = @_;
	sql($node, $text);
	look();
	return;
}

# The first attempt was lost; the second has sent the very same, and was accepted.
sub is_same_again
{
	my ($name, $conteudo) = @_;
	my @requests = requests_of($name);
	my @rows = rows_of($name);

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(@requests, 2, "$name: two requests");
	is_deeply($requests[1]{body}, $requests[0]{body}, "$name: of one body");
	is(codes_of($name), 'INCERTO DISPARADO', "$name: accepted, so it was the same to the byte")
	  or diag(explain([ events_of($name) ]));
	is(run_of($name)->{status}, 'CONCLUIDA', "$name: the run moves on");
	is(@rows, 1, "$name: one row");
	is($rows[0]{id}, idempotency_key(run_of($name)->{id}, 1), "$name: by the step's key");
	is($rows[0]{estado}, 'ENVIADO', "$name: sent");
	is($rows[0]{conteudo}, $conteudo, "$name: with the text of the first attempt");
	isnt($rows[0]{enviado_em}, undef, "$name: and its time");
	return $requests[1]{body};
}

subtest 'the same bytes, whatever has changed' => sub {
	make_one('webhook');
	make_one('hangs', fates => 'hang', timeout => '500ms');
	make_one('resend', canal => 'EMAIL', protocol => 'resend', '"from"' => 'ACME <vendas@acme.example>');
	make_one('media', protocol => 'gateway');
	make_one('template', protocol => 'gateway');
	make_one('endpoint', record_message => 'off');
	make_one('headed', canal => 'EMAIL', protocol => 'resend', '"from"' => 'vendas@acme.example',
		text => "Assunto: Oi {{nome}}\n\nTexto");
	sql($node, q{
		UPDATE message_templates SET assunto = 'Oi {{nome}}', html = '<b>{{nome}}</b>' WHERE empresa = 'resend';
		UPDATE message_templates SET midia = '{"url": "https://example.com/{{nome}}.jpg", "tipo": "imagem"}'
		WHERE empresa = 'media';
		UPDATE message_templates SET whatsapp = '{"nome": "ola", "idioma": "pt_BR",
			"componentes": [{"type": "body", "parameters": [{"type": "text", "text": "{{nome}}"}]}]}'
		WHERE empresa = 'template';
		UPDATE lead_contacts SET nome = 'Ana "Zoë" 🎉' , primeiro_nome = 'Ana' WHERE empresa <> 'headed'});
	make_server($node, 'smtp', $mail->url('PLAIN'), empresa => 'smtp', canal => 'EMAIL', protocol => 'smtp',
		starttls => 'optional', '"from"' => 'vendas@acme.example', helo => 'dot:close', timeout => '5s',
		on_uncertain => 'retry');
	make_cadence($node, 'smtp', 'smtp', [ 'EMAIL', 0, 'Olá {{nome}}' ]);
	enrol($node, 'smtp', 1);
	my %name = map { $_ => sql($node, "SELECT nome FROM lead_contacts WHERE empresa = '$_'") } qw(headed smtp);
	my @all = qw(webhook hangs resend media template endpoint headed smtp);

	attempt();
	for my $company (@all)
	{
		my ($event) = events_of($company);
		my ($row) = rows_of($company);

		is(codes_of($company), 'INCERTO', "$company: nobody knows") or diag(explain($event));
		ok($event->{detalhes}{pedido}{campos}{message}, "$company: what was sent is kept");
		if ($company eq 'endpoint')
		{
			is($row, undef, 'endpoint: its endpoint writes the row');
			next;
		}
		is($row->{estado}, 'INCERTO', "$company: and has a row that says so");
		is($row->{enviado_em}, undef, "$company: without a time");
		is($row->{id}, $event->{detalhes}{chave}, "$company: under the key");
	}
	change_everything();
	sql($node, "INSERT INTO lead_messages (lead_id, empresa, canal, direcao, recebido_em)
			SELECT lead_id, empresa, 'WHATSAPP', 'INBOUND', now() FROM lead_contacts WHERE empresa = 'template';
		UPDATE cadence_steps SET template_codigo = 'media_1' FROM cadences c
			WHERE c.id = cadence_id AND c.codigo = 'webhook';
		INSERT INTO message_templates (empresa, codigo, conteudo) VALUES ('webhook', 'media_1', 'mais um');
		ALTER SERVER smtp OPTIONS (SET helo 'mail.acme.example')");
	like(sql($node, "SELECT cadence_preview(id) ->> 'mensagem' FROM lead_cadence_runs WHERE empresa = 'webhook'"),
		qr/^Olá Ana "Zoë"/, 'a preview shows what was kept');
	$node->restart;
	attempt_again();
	change("DELETE FROM lead_messages WHERE direcao = 'INBOUND'");

	my $text = 'Olá Ana "Zoë" 🎉, "Ana"';
	is(is_same_again('webhook', $text)->{templateCodigo}, 'webhook_1', 'as the step was');
	is_same_again('hangs', $text);
	is_deeply([ map { $_ // '' } @{ is_same_again('resend', $text) }{qw(subject html)} ],
		[ 'Oi Ana "Zoë" 🎉', '<b>Ana "Zoë" 🎉</b>' ], 'subject and HTML');
	is(is_same_again('media', $text)->{kind}, 'image', 'media');
	is(is_same_again('template', $text)->{name}, 'ola', 'an approved template, though the window is open now');
	is(is_same_again('headed', "Assunto: Oi $name{headed}\n\nTexto")->{subject}, "Oi $name{headed}",
		'a subject in the text');
	is(codes_of('endpoint'), 'INCERTO DISPARADO', 'endpoint: the same body, without a row');
	is(rows_of('endpoint'), 0, 'endpoint: of ours');

	my ($first, @again) = grep { $_->{headers}{'Message-ID'} =~ idempotency_key(run_of('smtp')->{id}, 1) } $mail->mails;
	is(@again, 1, 'smtp: two mails');
	is_deeply([ @{ $again[0] }{qw(to text)} ], [ @{$first}{qw(to text)} ], 'smtp: to one address, of one text');
	is($again[0]{headers}{'Message-ID'}, $first->{headers}{'Message-ID'}, 'smtp: under one id');
	is($again[0]{headers}{Subject}, $first->{headers}{Subject}, 'smtp: of one subject');
	like($again[0]{text}, qr/^Olá \Q$name{smtp}\E/, 'smtp: which is the first one');
	is(codes_of('smtp'), 'INCERTO DISPARADO', 'smtp: accepted');
	is((rows_of('smtp'))[0]{email_message_id}, $first->{headers}{'Message-ID'}, 'smtp: and its row has the id');
	is(rows_of('smtp'), 1, 'smtp: one row');
};

subtest 'through other failures, and only until it is settled' => sub {
	make_one('bumpy', fates => 'reset/503/reset/503');
	make_one('refused', fates => 'reset/422');
	attempt();
	change_everything();
	attempt_again();
	is(codes_of('refused'), 'INCERTO RECUSADO', 'a refusal is final');
	sql($node, "SELECT cadence_resume(id) FROM lead_cadence_runs WHERE empresa = 'refused'");
	attempt_again() for 1 .. 3;
	is(codes_of('bumpy'), 'INCERTO FALHA_ENVIO INCERTO FALHA_ENVIO DISPARADO', 'four attempts more');
	is_deeply([ map { $_->{detalhes}{pedido} ? 1 : 0 } events_of('bumpy') ], [ 1, 0, 0, 0, 0 ], 'it is kept once');
	is(rows_of('bumpy'), 1, 'and is one row');
	my @requests = requests_of('refused');
	like($requests[2]{body}{mensagem}, qr/^Outro/, 'what was refused is mended, and made anew');
	cancel_rest($node);
};

subtest 'settled' => sub {
	make_one($_, on_uncertain => 'hold') for qw(sent unsent resumed);
	attempt();
	change_everything();
	is(run_of($_)->{status}, 'PAUSADA', "$_: held") for qw(sent unsent resumed);
	change("SELECT cadence_settle(id, empresa = 'sent') FROM lead_cadence_runs WHERE empresa IN ('sent', 'unsent');
		SELECT cadence_resume(id) FROM lead_cadence_runs WHERE empresa = 'resumed'");
	my ($row) = rows_of('sent');
	is($row->{estado}, 'ENVIADO', 'sent: so says its row');
	isnt($row->{enviado_em}, undef, 'sent: with a time');
	is((events_of('sent'))[-1]{detalhes}{pedido}, undef, 'sent: its event does not repeat the text');
	is(rows_of('unsent'), 0, 'not sent: it has no row');
	$provider->forget;
	attempt();
	is(codes_of('sent'), 'INCERTO DISPARADO', 'sent: nothing more is sent');
	is((requests_of('unsent'))[0]{body}{mensagem}, 'Outro Outra', 'not sent: made anew');
	is(codes_of('unsent'), 'INCERTO INCERTO', 'not sent: and lost again');
	is_deeply([ map { $_->{conteudo} } rows_of('unsent') ], ['Outro Outra'], 'not sent: a new row');
	like((requests_of('resumed'))[0]{body}{mensagem}, qr/^Olá Lead/, 'resumed: the same again');
	is(run_of('resumed')->{attempts}, 2, 'resumed: the attempt before counts');
	cancel_rest($node);
};

subtest 'what still keeps it from being sent' => sub {
	make_one($_) for qw(optout inactive off);
	attempt();
	$provider->forget;
	sql($node, "UPDATE lead_contacts SET opt_out = true WHERE empresa = 'optout';
		UPDATE cadences SET ativo = false WHERE codigo = 'inactive';
		UPDATE message_templates SET ativo = false WHERE empresa = 'off'");
	attempt_again();
	is(codes_of('optout'), 'INCERTO OPT_OUT', 'an opt-out');
	is(codes_of('inactive'), 'INCERTO CADENCIA_INATIVA', 'an inactive cadence');
	is(codes_of('off'), 'INCERTO SEM_TEMPLATE', 'an inactive template');
	is($provider->count, 0, 'nothing was sent');
	sql($node, "UPDATE message_templates SET ativo = true, conteudo = 'Outro' WHERE empresa = 'off'");
	attempt_again();
	like((requests_of('off'))[0]{body}{mensagem}, qr/^Olá/, 'and when it is active again, the same');
	cancel_rest($node);
};

# As if the events of a company had been written so many minutes earlier.
sub age
{
	my ($name, $minutes) = @_;
	sql($node, "UPDATE lead_cadence_events AS e SET created_at = e.created_at - $minutes * interval '1 minute'
		FROM lead_cadence_runs r WHERE r.id = lead_cadence_run_id AND r.empresa = '$name'");
	return;
}

subtest 'as long as the provider remembers the key' => sub {
	make_one('young', protocol => 'gateway', fates => 'reset/reset/reset');
	make_one('old', protocol => 'gateway');
	make_one('always', protocol => 'gateway', on_uncertain => 'retry', fates => 'reset/reset');
	attempt();
	age('young', 30);
	age($_, 61) for qw(old always);
	$provider->forget;
	attempt_again();
	is(run_of('young')->{status}, 'ATIVA', 'after half an hour it is tried again');
	is(codes_of('old'), 'INCERTO INCERTO', 'after an hour the provider may have forgotten it');
	is(run_of('old')->{status}, 'PAUSADA', 'and the run is held');
	like((events_of('old'))[-1]{detalhes}{erro}, qr/does not know its key/, 'which is why');
	is((events_of('old'))[-1]{detalhes}{permanente}, JSON::PP::true, 'for good');
	is(requests_of('old'), 0, 'without a request');
	is(requests_of('always'), 1, 'but where on_uncertain says so, it is sent');
	age('young', 20);
	attempt_again();
	is(run_of('young')->{status}, 'PAUSADA', 'held too where the next try would be too late');
	is(requests_of('young'), 2, 'after this one');
	sql($node, "SELECT cadence_resume(id) FROM lead_cadence_runs WHERE empresa = 'old'");
	attempt();
	is(run_of('old')->{status}, 'PAUSADA', 'who resumes it has not settled it');
	sql($node, "SELECT cadence_settle(id, false) FROM lead_cadence_runs WHERE empresa = 'old'");
	$provider->forget;
	attempt();
	is(requests_of('old'), 1, 'who has settled it, has it sent');
	cancel_rest($node);
};

subtest 'a server that is gone' => sub {
	make_one('leaves');
	attempt();
	sql($node, 'DROP SERVER leaves');
	make_server($node, 'comes', $provider->url('ok'), empresa => 'leaves');
	$provider->forget;
	attempt_again();
	is($provider->count, 0, 'no other gets what it may have sent');
	is(run_of('leaves')->{status}, 'PAUSADA', 'the run is held');
	is((events_of('leaves'))[-1]{detalhes}{chave}, idempotency_key(run_of('leaves')->{id}, 1), 'with the key to ask by');
	change("SELECT cadence_settle(id, false) FROM lead_cadence_runs WHERE empresa = 'leaves'");
	attempt();
	is($provider->count('ok'), 1, 'when it is settled as not sent, another sends it');
	is(run_of('leaves')->{status}, 'CONCLUIDA', 'and the run moves on');
};

# What its table does to a row must not stop the run, nor change what is sent.
subtest 'a table that refuses the row' => sub {
	make_one($_) for qw(checked altered kept_as_is taken);
	look();
	sql($node, q{
		CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			IF new.empresa = 'checked' AND new.estado = 'INCERTO' THEN RAISE 'no such word'; END IF;
			IF new.empresa = 'kept_as_is' AND TG_OP = 'UPDATE' THEN RAISE 'it is written'; END IF;
			IF new.empresa = 'altered' THEN new.conteudo := 'other words'; END IF;
			RETURN new;
		END $$;
		CREATE TRIGGER meddle BEFORE INSERT OR UPDATE ON lead_messages FOR EACH ROW EXECUTE FUNCTION meddle()});
	sql($node, "INSERT INTO lead_messages (id, lead_id, empresa, canal, direcao, conteudo) VALUES ('"
		  . idempotency_key(run_of('taken')->{id}, 1) . "', 'someone', 'another', 'SMS', 'INBOUND', 'theirs')");
	attempt();
	is(codes_of($_), 'INCERTO', "$_: the run is recorded") for qw(checked altered kept_as_is taken);
	is(rows_of('checked'), 0, 'checked: without a row');
	like((events_of('checked'))[0]{detalhes}{registro}, qr/no such word/, 'checked: and says why');
	change_everything();
	attempt_again();
	for my $name (qw(checked altered kept_as_is taken))
	{
		is(codes_of($name), 'INCERTO DISPARADO', "$name: the same was sent");
		is(run_of($name)->{status}, 'CONCLUIDA', "$name: and the run moves on");
	}
	is_deeply([ map { "$_->{estado} $_->{conteudo}" =~ s/Lead \d+/Lead/r } rows_of('checked') ],
		['ENVIADO Olá Lead, "Lead"'], 'checked: now it has a row');
	is_deeply([ map { $_->{estado} } rows_of('kept_as_is') ], ['INCERTO'], 'kept_as_is: its row is as it was');
	like((events_of($_))[-1]{detalhes}{registro}, qr/./, "$_: which its event says") for qw(kept_as_is taken);
	is(sql($node, "SELECT conteudo FROM lead_messages WHERE empresa = 'another'"), 'theirs', "nobody else's is touched");
	sql($node, 'DROP TRIGGER meddle ON lead_messages');
};

subtest 'an adopted enum without the word' => sub {
	sql($node, 'CREATE DATABASE adopted');
	sql($node, q{
		CREATE TYPE message_state AS ENUM ('PENDENTE', 'ENVIADO');
		CREATE TABLE lead_messages (id uuid, lead_id text, empresa text, canal text, direcao text, conteudo text,
			estado message_state)}, 'adopted');
	install($node, 'adopted');
	sql($node, "CREATE SERVER adopted FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', url '"
		  . $provider->url('keyed/reset') . "');
		INSERT INTO cadences (empresa, codigo) VALUES ('adopted', 'adopted');
		INSERT INTO message_templates (empresa, codigo, conteudo) VALUES ('adopted', 'adopted', 'Olá {{nome}}');
		INSERT INTO cadence_steps (cadence_id, ordem, canal, template_codigo) SELECT id, 1, 'WHATSAPP', 'adopted' FROM cadences;
		INSERT INTO lead_contacts (lead_id, empresa, nome, telefone) SELECT 'lead ' || i, 'adopted', 'Ana', '+55 11 912345678'
		FROM generate_series(1, 2) AS i;
		SELECT cadence_enroll(lead_id, 'adopted') FROM lead_contacts", 'adopted');
	is(sql($node, "SELECT count(*) FROM pg_indexes WHERE tablename = 'lead_messages' AND indexdef LIKE '%(id)'", 'adopted'), 1,
		'a row is found by its id');
	execute($node, 'TEST', 'adopted');
	is(sql($node, "SELECT string_agg(detalhes ->> 'codigo' || coalesce(detalhes ->> 'registro', ''), ',')
		FROM lead_cadence_events WHERE tipo_evento = 'ERRO'", 'adopted'), 'INCERTO,INCERTO', 'recorded as a whole');
	is(sql($node, 'SELECT count(*) FROM lead_messages', 'adopted'), 0, 'without rows');
	sql($node, "SELECT cadence_settle(id, false) FROM lead_cadence_runs WHERE lead_id = 'lead 2';
		SELECT cadence_cancel(id, 'test') FROM lead_cadence_runs WHERE lead_id = 'lead 2';
		UPDATE lead_contacts SET nome = 'Outra';
		UPDATE lead_cadence_runs SET next_run_at = now() WHERE status = 'ATIVA'", 'adopted');
	execute($node, 'TEST', 'adopted');
	is(sql($node, "SELECT string_agg(estado || ' ' || conteudo, ',') FROM lead_messages", 'adopted'), 'ENVIADO Olá Ana',
		'the same again, with a row when it was sent');
};

done_testing();
