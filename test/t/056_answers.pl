# What an answer means for the step that got it: that it goes in another form, is held for review,
# waits longer each time, or is refused for good.

use strict;
use warnings;
use utf8;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use JSON::PP;
use MailServer;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_cluster('main', conf => ['cadence_runner.retry_factor = 1']);
my $provider = start_provider();

# The address of a provider that always answers so.
sub answering
{
	my ($status, $body) = @_;
	$body =~ s/([^A-Za-z0-9_.-])/sprintf('%%%02X', ord $1)/ge;
	return $provider->url("answers/$status/$body");
}

sub answer_from_now_on
{
	my ($server, @answer) = @_;
	sql($node, "ALTER SERVER $server OPTIONS (SET url " . literal(answering(@answer)) . ')');
	return;
}

sub meta_error
{
	my ($code) = @_;
	return (400, qq({"error": {"code": $code, "message": "(#$code) no"}}));
}

# A company with a sender at Meta, a cadence of so many steps, and a lead.
sub make_meta
{
	my ($name, $steps, @answer) = @_;
	make_server($node, $name, answering(@answer), empresa => $name, protocol => 'whatsapp_cloud', phone_number_id => '1');
	sql($node, "CREATE USER MAPPING FOR PUBLIC SERVER $name OPTIONS (token 'x')");
	make_cadence($node, $name, $name, map { [ 'WHATSAPP', 60 * ($_ - 1), 'Olá {{nome}}' ] } 1 .. $steps);
	enrol($node, $name, 1);
	sql($node, "UPDATE lead_contacts SET telefone = '+5511987654321' WHERE empresa = '$name'");
	return;
}

# Its templates have an approved one each.
sub approve
{
	my ($name) = @_;
	sql($node, "UPDATE message_templates SET whatsapp = '{\"nome\": \"ola\", \"idioma\": \"pt_BR\"}' WHERE empresa = '$name'");
	return;
}

# The person has just written, says our own table.
sub hear
{
	my ($name) = @_;
	sql($node, "INSERT INTO lead_messages (lead_id, empresa, canal, direcao, recebido_em)
		SELECT lead_id, empresa, 'WHATSAPP', 'INBOUND', now() FROM lead_contacts WHERE empresa = '$name'");
	return;
}

sub run_of
{
	my ($name) = @_;
	my ($run) = sql_rows($node, "SELECT *, round(extract(epoch FROM next_run_at - now())) AS due_in
		FROM lead_cadence_runs WHERE empresa = '$name'");
	return $run;
}

# Where it stands, in a few words: status, step, attempts.
sub state_of
{
	my ($name) = @_;
	return join ' ', map { $_ // '-' } @{ run_of($name) }{qw(status next_step_ordem attempts)};
}

# The ERRO and DISPARADO events of a company's run, in order.
sub events_of
{
	my ($name) = @_;
	return sql_rows($node, "SELECT e.tipo_evento AS tipo, e.detalhes FROM lead_cadence_events e
		JOIN lead_cadence_runs r ON r.id = e.lead_cadence_run_id
		WHERE r.empresa = '$name' AND e.tipo_evento <> 'AGENDADO' ORDER BY e.created_at, e.id");
}

sub codes_of
{
	my ($name) = @_;
	return join ' ', map { $_->{detalhes}{codigo} // $_->{tipo} } events_of($name);
}

# Executes what is due; the bodies of the requests that this took.
sub attempt
{
	my $before = $provider->count;
	execute($node);
	my @journal = $provider->journal;
	return map { $_->{body} } @journal[ $before .. $#journal ];
}

# The same, as if its time had come.
sub attempt_again
{
	my ($name) = @_;
	sql($node, "UPDATE lead_cadence_runs SET next_run_at = now() WHERE empresa = '$name'");
	return attempt();
}

my @accepted = (200, '{"messages": [{"id": "wamid.1"}]}');

subtest 'no free text now, says the provider: the approved template' => sub {
	make_meta('ours', 1, meta_error(131047));
	approve('ours');
	hear('ours');
	my @requests = attempt();
	is(join(' ', map { $_->{type} } @requests), 'text', 'somebody who has just written gets free text');
	is(state_of('ours'), 'ATIVA 1 1', 'which is refused: the step is due again');
	cmp_ok(run_of('ours')->{due_in}, '<=', 5, 'soon');
	my ($event) = events_of('ours');
	is($event->{detalhes}{codigo}, 'JANELA_FECHADA', 'the event says why');
	ok(!$event->{detalhes}{permanente}, 'and is not the last word');

	sql($node, "SELECT cadence_pause(id) FROM lead_cadence_runs WHERE empresa = 'ours';
		SELECT cadence_resume(id) FROM lead_cadence_runs WHERE empresa = 'ours'");
	answer_from_now_on('ours', meta_error(131000));
	@requests = attempt();
	is($requests[0]{template}{name}, 'ola', 'then it goes as its approved template, whoever has written');
	@requests = attempt_again('ours');
	is($requests[0]{type}, 'template', 'also where that has to be tried twice');
	hear('ours');
	@requests = attempt_again('ours');
	is($requests[0]{type}, 'text', 'until the person writes again');
	answer_from_now_on('ours', meta_error(131047));
	is((attempt_again('ours'))[0]{type}, 'text', 'and the window');
	answer_from_now_on('ours', @accepted);
	is((attempt())[0]{type}, 'template', 'is closed again');
	is(state_of('ours'), 'CONCLUIDA - 0', 'sent');
};

subtest 'it takes no attempt from the template' => sub {
	make_meta('last', 1, meta_error(131047));
	approve('last');
	hear('last');
	$node->append_conf('postgresql.conf', 'cadence_runner.max_attempts = 1');
	$node->reload;
	attempt();
	is(state_of('last'), 'ATIVA 1 1', 'the last attempt is not the last one then');
	answer_from_now_on('last', @accepted);
	attempt();
	is(codes_of('last'), 'JANELA_FECHADA DISPARADO', 'the template is sent');
	$node->append_conf('postgresql.conf', 'cadence_runner.max_attempts = 20');
	$node->reload;
};

subtest 'where there is none it is refused' => sub {
	make_meta('closed', 1, meta_error(131047));
	attempt();
	is(state_of('closed'), 'PAUSADA 1 1', 'without an approved template');
	make_meta('odd', 1, meta_error(131047));
	approve('odd');
	attempt();
	is(state_of('odd'), 'PAUSADA 1 1', 'and where the template itself gets that answer');
	is(codes_of($_), 'JANELA_FECHADA', "$_: which is why") for qw(closed odd);
	ok((events_of($_))[0]{detalhes}{permanente}, "$_: for good") for qw(closed odd);
};

my @held = (200, '{"messages": [{"id": "wamid.held", "message_status": "held_for_quality_assessment"}]}');

sub row_of
{
	my ($name) = @_;
	my ($row) = sql_rows($node, "SELECT * FROM lead_messages WHERE empresa = '$name' AND direcao = 'OUTBOUND'");
	return $row;
}

# A run that is held at its first step.
sub make_held
{
	my ($name, $steps) = @_;
	make_meta($name, $steps, @held);
	approve($name);
	attempt();
	answer_from_now_on($name, @accepted);
	return;
}

subtest 'accepted, and held for review' => sub {
	make_held('held', 2);
	is(state_of('held'), 'ATIVA 1 1', 'the run stays before its step');
	cmp_ok(abs(run_of('held')->{due_in} - 86400), '<=', 60, 'for a day');
	my ($event) = events_of('held');
	is($event->{tipo}, 'ERRO', 'its event is not that of a message that was sent');
	is_deeply([ @{ $event->{detalhes} }{qw(codigo message_id provedor permanente)} ], [ 'RETIDO', 'wamid.held', 'held', undef ],
		'and says what it is');
	is_deeply([ @{ row_of('held') }{qw(id estado erro_detalhe whatsapp_message_id)} ],
		[ idempotency_key(run_of('held')->{id}, 1), 'ENVIADO', 'RETIDO', 'wamid.held' ], 'so does its row');
	is(attempt(), 0, 'nothing more is sent');
	is(sql($node, "SELECT cadence_preview(id) ->> 'codigo' FROM lead_cadence_runs WHERE empresa = 'held'"), 'RETIDO',
		'as the preview says');

	# whatever happens to the run, to its contact and to its server meanwhile
	sql($node, "SELECT cadence_pause(id) FROM lead_cadence_runs WHERE empresa = 'held'");
	sql($node, "SELECT cadence_resume(id) FROM lead_cadence_runs WHERE empresa = 'held'");
	cmp_ok(run_of('held')->{due_in}, '>', 86000, 'who pauses and resumes it does not make it due');
	sql($node, "UPDATE cadences SET ativo = false WHERE codigo = 'held'; SELECT cadence_provider_pause('held')");
	is(attempt_again('held'), 0, 'when its time has come, it is not sent either');
	is(codes_of('held'), 'RETIDO DISPARADO', 'but counts as sent');
	is(state_of('held'), 'ATIVA 2 0', 'and the run moves on');
	cmp_ok(abs(run_of('held')->{due_in} - 3600), '<=', 60, 'counted from the attempt');
	my $details = (events_of('held'))[-1]{detalhes};
	is_deeply([ @{$details}{qw(message_id provedor codigo erro decidido)} ], [ 'wamid.held', 'held', undef, undef, undef ],
		'its event has the id');
	is_deeply([ @{ row_of('held') }{qw(estado erro_detalhe whatsapp_message_id)} ], [ 'ENVIADO', undef, 'wamid.held' ],
		'so has its row');
	cancel_rest($node);
};

subtest 'a report says what became of it' => sub {
	make_held($_, 2) for qw(delivered dropped);
	sql($node, "UPDATE lead_messages SET estado = 'ENTREGUE' WHERE empresa = 'delivered';
		SELECT cadence_settle(id, empresa = 'delivered') FROM lead_cadence_runs WHERE empresa IN ('delivered', 'dropped')");
	is(state_of('delivered'), 'ATIVA 2 0', 'it was sent: the run moves on');
	is((events_of('delivered'))[-1]{detalhes}{decidido}, 'ENVIADO', 'somebody has said so');
	is((events_of('delivered'))[-1]{detalhes}{message_id}, 'wamid.held', 'its event has the id');
	is_deeply([ @{ row_of('delivered') }{qw(estado erro_detalhe)} ], [ 'ENTREGUE', undef ], 'its row keeps what a report has made of it');
	is(row_of('dropped'), undef, 'it was not: it has no row');
	is(state_of('dropped'), 'ATIVA 1 1', 'and is due');
	my @requests = attempt();
	is(@requests, 1, 'it is sent again');
	is(state_of('dropped'), 'ATIVA 2 0', 'and accepted');
	like(sql_error($node, "SELECT cadence_settle(id, true) FROM lead_cadence_runs WHERE empresa = 'dropped'"), qr/55000/,
		'what is settled is settled');
	cancel_rest($node);
};

subtest 'over a crash' => sub {
	make_held('crash', 1);
	# claimed when its time had come, by somebody who did not come back
	sql($node, "UPDATE lead_cadence_runs SET claim_id = gen_random_uuid(), attempts = attempts + 1, next_run_at = now()
		WHERE empresa = 'crash'");
	$node->stop('immediate');
	$node->start;
	is(attempt(), 0, 'nothing is sent');
	is(codes_of('crash'), 'RETIDO DISPARADO', 'it counts as sent, and not as uncertain');
	is(state_of('crash'), 'CONCLUIDA - 0', 'the last step, too');
};

subtest 'held after it was uncertain' => sub {
	make_meta('twice', 1, @accepted);
	approve('twice');
	sql($node, 'ALTER SERVER twice OPTIONS (SET url ' . literal($provider->url('gate'))
		  . ", ADD on_uncertain 'retry', ADD timeout '500ms')");
	attempt();
	answer_from_now_on('twice', @held);
	attempt_again('twice');
	is(codes_of('twice'), 'INCERTO RETIDO', 'then held');
	is(sql($node, "SELECT count(*) FROM lead_messages WHERE empresa = 'twice' AND erro_detalhe = 'RETIDO'"), 1, 'in the same row');
	is(attempt_again('twice'), 0, 'it is not sent a third time');
	is(codes_of('twice'), 'INCERTO RETIDO DISPARADO', 'and counts as sent');
	is(sql($node, "SELECT count(*) FROM lead_messages WHERE empresa = 'twice'"), 1, 'one row');
};

# As if the events of a company had been written so long ago.
sub age_events
{
	my ($name, $interval) = @_;
	sql($node, "UPDATE lead_cadence_events AS e SET created_at = e.created_at - interval '$interval'
		FROM lead_cadence_runs r WHERE r.id = lead_cadence_run_id AND r.empresa = '$name'");
	return;
}

subtest 'not this person now: later and later' => sub {
	sql($node, q{SELECT cadence_protocol_define('patient', '{"channels": ["WHATSAPP"],
		"operations": {"text": {"url": "{{option.url}}", "json": {"to": "{{recipient}}", "text": "{{message}}"}}},
		"response": {"error": ["/error"], "wait": ["header:Retry-After"]},
		"classes": [{"status": 409, "class": "later"}]}')});
	make_company($node, 'later', $provider->url('status/409'), protocol => 'patient');
	enrol($node, 'later', 1);
	attempt();
	for my $hours (24, 48, 96, 168, 168)
	{
		cmp_ok(abs(run_of('later')->{due_in} / 3600 - $hours), '<=', 0.1, "$hours hours");
		age_events('later', "$hours hours");
		attempt_again('later');
	}
	is(state_of('later'), 'ATIVA 1 0', 'without an attempt');
	is(codes_of('later'), join(' ', ('MAIS_TARDE') x 6), 'and each time there is an event');
	cancel_rest($node);
};

sub slowness_of
{
	my ($server) = @_;
	# for how long, when the first of its steps was recorded that is still there
	my ($state) = sql_rows($node, "SELECT slow_downs, extract(epoch FROM slow_until - (SELECT min(updated_at)
			FROM lead_cadence_runs WHERE empresa = server AND status = 'ATIVA')) AS slow_for
		FROM cadence_provider_state WHERE server = '$server'");
	return $state // {};
}

sub slow_time_is_up
{
	my ($server) = @_;
	sql($node, "UPDATE cadence_provider_state SET slow_until = now(), next_at = now() WHERE server = '$server';
		UPDATE lead_cadence_runs SET next_run_at = now() WHERE empresa = '$server' AND status = 'ATIVA'");
	return;
}

subtest 'less, says the provider, and not until when' => sub {
	make_company($node, 'less', $provider->url('status/429'), protocol => 'patient');
	enrol($node, 'less', 20);
	attempt();
	is(slowness_of('less')->{slow_downs}, 1, 'what was under way together is heard once');
	my $wait = 6;
	for (1 .. 8)
	{
		cmp_ok(abs(slowness_of('less')->{slow_for} - $wait), '<=', $wait / 3, "$wait seconds");
		is(sql($node, "SELECT count(*) FROM lead_cadence_runs JOIN cadence_provider_state ON server = empresa
			WHERE empresa = 'less' AND attempts = 0 AND next_run_at > slow_until - interval '1 s'"), 20, 'for all of its steps');
		$wait = $wait * 2 > 600 ? 600 : $wait * 2;
		slow_time_is_up('less');
		attempt();
	}
	sql($node, 'ALTER SERVER less OPTIONS (SET url ' . literal($provider->url('retryafter/60')) . ')');
	slow_time_is_up('less');
	attempt();
	cmp_ok(abs(slowness_of('less')->{slow_for} - 60), '<=', 20, 'what it says itself counts');
	sql($node, 'ALTER SERVER less OPTIONS (SET url ' . literal($provider->url('ok')) . ')');
	slow_time_is_up('less');
	is(attempt(), 20, 'then all go');
	is(slowness_of('less')->{slow_downs}, 0, 'and it begins anew');
	sql($node, 'ALTER SERVER less OPTIONS (SET url ' . literal($provider->url('status/429')) . ')');
	enrol($node, 'less', 1);
	attempt();
	cmp_ok(slowness_of('less')->{slow_for}, '<=', 8, 'with six seconds');
	cancel_rest($node);
};

subtest 'one mailbox that is greylisted stops nobody else' => sub {
	my $mail = start_mail_server();
	make_server($node, 'grey', $mail->url('PLAIN'), empresa => 'grey', canal => 'EMAIL', protocol => 'smtp',
		starttls => 'optional', '"from"' => 'vendas@acme.example', helo => 'rcpt:451:4.7.1');
	make_cadence($node, 'grey', 'grey', [ 'EMAIL', 0, 'Olá' ]);
	enrol($node, 'grey', 1);
	for my $minutes (5, 10, 20)
	{
		attempt();
		cmp_ok(abs(run_of('grey')->{due_in} / 60 - $minutes), '<=', 1, "its step waits for $minutes minutes");
		is(slowness_of('grey')->{slow_for}, undef, 'and the server does not');
		age_events('grey', "$minutes minutes");
		sql($node, "UPDATE lead_cadence_runs SET next_run_at = now() WHERE empresa = 'grey'");
	}
	is(state_of('grey'), 'ATIVA 1 0', 'without an attempt');
	sql($node, "UPDATE lead_cadence_runs SET next_run_at = now() + interval '1 h' WHERE empresa = 'grey'");
	sql($node, q{ALTER SERVER grey OPTIONS (SET helo 'mail.acme.example')});
	enrol($node, 'grey', 1);
	execute($node);
	is(scalar($mail->mails), 1, 'another mail goes at once');

	sql($node, q{ALTER SERVER grey OPTIONS (SET helo 'rcpt:451:4.7.1')});
	enrol($node, 'grey', 3);
	execute($node);
	is(slowness_of('grey')->{slow_downs}, 1, 'what several leads hear is about the server, which waits');
	cancel_rest($node);
};

# One attempt after the other at a company's step, each with an answer of its own; what the run is then.
sub goes_through
{
	my ($name, @urls) = @_;
	for my $url (@urls)
	{
		sql($node, "ALTER SERVER $name OPTIONS (SET url " . literal($url) . ')');
		attempt_again($name);
	}
	return state_of($name);
}

subtest 'the same refusal three times, and not any three attempts' => sub {
	my ($tea, $coffee, $boom) = map { $provider->url($_) } qw(status/418 status/417 fail500);
	make_company($node, 'tea', $boom, protocol => 'patient', on_uncertain => 'retry');
	enrol($node, 'tea', 1);
	is(goes_through('tea', $boom, $boom, $tea), 'ATIVA 1 3', 'the third attempt is the first refusal');
	is(goes_through('tea', $tea, $coffee), 'ATIVA 1 5', 'another one is another');
	is(goes_through('tea', $tea, $tea), 'ATIVA 1 7', 'and begins the count anew');

	# an attempt that was never recorded says nothing
	sql($node, "UPDATE lead_cadence_runs SET claim_id = gen_random_uuid(), attempts = attempts + 1 WHERE empresa = 'tea'");
	$node->stop('immediate');
	$node->start;
	attempt_again('tea');
	is((split ' ', codes_of('tea'))[-1], 'INCERTO', 'after a crash');
	is(goes_through('tea', $tea), 'PAUSADA 1 9', 'the third in a row is the last');
	is((split ' ', codes_of('tea'))[-1], 'RECUSADO', 'and refuses the message');
	sql($node, "SELECT cadence_resume(id) FROM lead_cadence_runs WHERE empresa = 'tea'");
	is(goes_through('tea', $tea, $tea), 'ATIVA 1 2', 'who resumes it begins anew');
	is(goes_through('tea', $tea), 'PAUSADA 1 3', 'with three');
};

subtest 'a rule that counts counts its own answer' => sub {
	make_meta('dead', 1, meta_error(131000));
	my ($busy, $dead) = map { answering(meta_error($_)) } 131000, 131026;
	is(goes_through('dead', $busy, $dead), 'ATIVA 1 2', 'what came before was another answer');
	is(goes_through('dead', $busy, $dead), 'PAUSADA 1 4', 'the second of its kind counts');
	is((split ' ', codes_of('dead'))[-1], 'ENDERECO_INEXISTENTE', 'as the rule says');
};

done_testing();
