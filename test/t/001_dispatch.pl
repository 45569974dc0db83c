# What goes over the wire for one step, and what is written when it was sent.

use strict;
use warnings;
use utf8;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use Encode qw(encode_utf8);
use IO::Select;
use IO::Socket::INET;
use JSON::PP;
use MIME::Base64;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_cluster('main');
my $provider = start_provider();

sub run_of
{
	my ($lead) = @_;
	my ($run) = sql_rows($node, 'SELECT * FROM lead_cadence_runs WHERE lead_id = ' . literal($lead));
	return $run;
}

sub events_of
{
	my ($run) = @_;
	return sql_rows($node, "SELECT * FROM lead_cadence_events
		WHERE lead_cadence_run_id = '$run->{id}' ORDER BY created_at, id");
}

sub messages_of
{
	my ($run) = @_;
	return sql_rows($node, "SELECT * FROM lead_messages WHERE run_id = '$run->{id}' ORDER BY id");
}

sub requests_of
{
	my ($run) = @_;
	return grep { $_->{body}{runId} eq $run->{id} } $provider->journal;
}

sub enrol_lead
{
	my ($codigo, %contact) = @_;
	my @columns = sort keys %contact;

	sql($node, "INSERT INTO lead_contacts (empresa, " . join(', ', @columns) . ")
		SELECT empresa, " . join(', ', map { literal($contact{$_}) } @columns) . "
		FROM cadences WHERE codigo = '$codigo';
		SELECT cadence_enroll(" . literal($contact{lead_id}) . ", '$codigo', now() - interval '1 minute')");
	return run_of($contact{lead_id});
}

sub same_time
{
	my ($one, $other, $what) = @_;
	return is(sql($node, "SELECT '$one'::timestamptz = '$other'::timestamptz"), 't', $what);
}

# Texts that break whatever is not careful with them.
my $name = qq{João "Jão" D'Ávila \\ {{nome}} {{telefone|x}}\n\tLinha 2 😀 中文};
my $template = qq{Olá {{nome}}, "aspas" \\n 'simples'\r\nAté já 👋🏽 {{empresa}} {{primeiro_nome}}};
my $message = qq{Olá $name, "aspas" \\n 'simples'\r\nAté já 👋🏽 acme João};

make_server($node, 'whatsapp', $provider->url('ok'), canal => 'WHATSAPP');
make_server($node, 'email', $provider->url('ok?email'), canal => 'EMAIL');
make_server($node, 'sms', $provider->url('ok?sms'), canal => 'SMS');
sql($node, q{
	CREATE USER MAPPING FOR CURRENT_USER SERVER whatsapp OPTIONS (bearer_token 'tok-en.123_~+/=');
	CREATE USER MAPPING FOR PUBLIC SERVER email OPTIONS (username 'us er', password 'pá:ss"wörd');
});
make_cadence($node, 'three', 'acme',
	[ 'WHATSAPP', 5, $template ], [ 'EMAIL', 90, 'E {{nome}}' ], [ 'SMS', 2880, 'S {{nome}}' ]);

subtest 'WhatsApp, the first of three steps' => sub {
	my $before = enrol_lead(
		'three',
		lead_id => "lead 'um' 😀",
		nome => $name,
		email => 'joao@example.com',
		telefone => '+55 (11) 99999-0001');

	# enrolled a minute ago, with an offset of five minutes
	is(execute($node)->{summary}{total}, 0, 'nothing is sent before it is due');
	is($provider->count, 0, 'no request either');
	sql($node, "UPDATE lead_cadence_runs SET next_run_at = now() - interval '1 minute'");

	my $result = execute($node);
	my $run = run_of("lead 'um' 😀");
	my @requests = requests_of($run);
	my $request = $requests[0];

	is(@requests, 1, 'one request');
	is($provider->count, 1, 'and no other');
	is_deeply(
		$request->{body},
		{
			leadId => "lead 'um' 😀",
			telefone => '+55 (11) 99999-0001',
			mensagem => $message,
			empresa => 'acme',
			runId => $run->{id},
			stepOrdem => 1,
			templateCodigo => 'three_1',
			canal => 'WHATSAPP'
		},
		'the body has these fields, each text unharmed and substituted once');
	is($request->{headers}{authorization}, 'Bearer tok-en.123_~+/=', 'the bearer token');
	like($request->{headers}{'content-type'}, qr{^application/json}, 'the content type');
	is($request->{headers}{'idempotency-key'}, idempotency_key($run->{id}, 1), 'the idempotency key');
	ok(!exists $request->{headers}{expect}, 'the provider is not asked to go on first');

	is_deeply(
		$result->{results},
		[
			{
				runId => $run->{id},
				leadId => "lead 'um' 😀",
				stepOrdem => 1,
				templateCodigo => 'three_1',
				status => 'DISPARADO',
				mensagem => $result->{results}[0]{mensagem}
			}
		],
		'the result names the step');
	delete $result->{summary}{duration_ms};
	is_deeply(
		$result->{summary},
		{ total => 1, success => 1, errors => 0, skipped => 0, trigger_source => 'TEST' },
		'the summary counts it');

	is($run->{status}, 'ATIVA', 'the run is still active');
	is($run->{last_step_ordem}, 1, 'its last step');
	is($run->{next_step_ordem}, 2, 'its next step');
	is($run->{attempts}, 0, 'attempts start again with the next step');
	is($run->{claim_id}, undef, 'nobody holds it');

	my @messages = messages_of($run);
	is(@messages, 1, 'one message row');
	is($messages[0]{conteudo}, $message, 'the text that was sent');
	is_deeply(
		[ @{ $messages[0] }{qw(lead_id empresa canal direcao step_ordem template_codigo)} ],
		[ "lead 'um' 😀", 'acme', 'WHATSAPP', 'OUTBOUND', 1, 'three_1' ],
		'where it belongs');
	is($messages[0]{whatsapp_message_id}, 'm-1', 'the message id of the provider');
	is($messages[0]{email_message_id}, undef, 'and no id of an e-mail');

	my @events = events_of($run);
	is_deeply(
		[ map { [ @$_{qw(tipo_evento step_ordem template_codigo)} ] } @events ],
		[
			[ 'AGENDADO', 1, 'three_1' ],
			[ 'DISPARADO', 1, 'three_1' ],
			[ 'AGENDADO', 2, 'three_2' ]
		],
		'the events, in this order');
	same_time($run->{next_run_at}, $events[2]{detalhes}{next_run_at},
		'the event says when the next step is due');
	is( sql($node, "SELECT '$run->{next_run_at}'::timestamptz - '$messages[0]{enviado_em}'::timestamptz"),
		'01:30:00',
		'send time plus the next offset');
};

subtest 'e-mail, then SMS, the last' => sub {
	make_all_due($node);
	my $first = execute($node)->{results}[0];
	is($first->{status}, 'DISPARADO', 'the e-mail is sent') or diag(explain($first));
	my $run = run_of("lead 'um' 😀");
	my $email = (requests_of($run))[1];

	is($email->{body}{email}, 'joao@example.com', 'to the address');
	ok(!exists $email->{body}{telefone}, 'and not to the telephone');
	is($email->{body}{canal}, 'EMAIL', 'its channel');
	is($email->{headers}{authorization},
		'Basic ' . encode_base64(encode_utf8('us er:pá:ss"wörd'), ''),
		'user and password');
	is($email->{headers}{'idempotency-key'}, idempotency_key($run->{id}, 2), 'a key of its own');
	is((messages_of($run))[1]{email_message_id}, 'm-2', 'its message id');
	is((messages_of($run))[1]{whatsapp_message_id}, undef, 'in the right column');

	make_all_due($node);
	is(execute($node)->{results}[0]{status}, 'CONCLUIDA', 'the SMS ends the cadence');
	$run = run_of("lead 'um' 😀");
	my $sms = (requests_of($run))[2];

	is($sms->{body}{telefone}, '+55 (11) 99999-0001', 'SMS goes to the telephone');
	is($sms->{headers}{authorization}, undef, 'no mapping, no authorization');
	is($run->{status}, 'CONCLUIDA', 'the run has ended');
	is($run->{next_run_at}, undef, 'nothing is due');
	is($run->{next_step_ordem}, undef, 'no step is next');
	is($run->{last_step_ordem}, 3, 'the last step is kept');
	is((events_of($run))[-1]{tipo_evento}, 'DISPARADO', 'no AGENDADO after the last step');
	is(execute($node)->{summary}{total}, 0, 'and nothing more to do');
};

subtest 'the same key for every attempt' => sub {
	make_company($node, 'again', $provider->url('first500'));
	my $run = enrol_lead('again', lead_id => 'again-1', nome => 'A', telefone => '1');

	is(execute($node)->{results}[0]{status}, 'ERRO', 'the first attempt fails');
	is(run_of('again-1')->{attempts}, 1, 'one attempt counted');
	make_all_due($node);
	is(execute($node)->{results}[0]{status}, 'CONCLUIDA', 'the second succeeds');

	my @keys = map { $_->{headers}{'idempotency-key'} } requests_of($run);
	is_deeply(\@keys, [ (idempotency_key($run->{id}, 1)) x 2 ], 'both carry the step\'s key');
	is_deeply(
		[ map { $_->{detalhes}{tentativa} // 0 } events_of($run) ],
		[ 0, 1, 2 ],
		'events number the attempts');
};

subtest 'an endpoint that writes the message row itself' => sub {
	make_company($node, 'unrecorded', $provider->url('ok'), record_message => 'off');
	my $run = enrol_lead('unrecorded', lead_id => 'unrecorded-1', nome => 'A', telefone => '1');

	is(execute($node)->{results}[0]{status}, 'CONCLUIDA', 'sent');
	is(messages_of($run), 0, 'no message row of ours');
	is((events_of($run))[-1]{tipo_evento}, 'DISPARADO', 'but its event');
};

subtest 'the bytes on the wire' => sub {
	my $listener = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1', LocalPort => 0);
	make_company($node, 'raw', 'http://127.0.0.1:' . $listener->sockport . '/a%20path?q=1&r=%2F');
	my $run = enrol_lead('raw', lead_id => 'raw-1', nome => 'Zé', telefone => '1');

	my $caller = start_sql($node, "SELECT cadence_run('TEST')");
	$listener->timeout($PostgreSQL::Test::Utils::timeout_default);
	my $client = $listener->accept or BAIL_OUT('nothing connects');
	my $request = '';
	my $length = 0;
	while ($request !~ /\r\n\r\n/ || length($request) < $length)
	{
		IO::Select->new($client)->can_read(30) && sysread($client, $request, 65536, length $request)
		  or last;
		$length = length((split /\r\n\r\n/, $request)[0]) + 4 + $1
		  if $request =~ /^content-length: (\d+)\r$/im;
	}
	syswrite $client, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK";
	is($caller->finish, 0, 'the execution ends well');

	like($request, qr{\APOST /a%20path\?q=1&r=%2F HTTP/1\.1\r\n}, 'method, path and version');
	like($request, qr{^Host: 127\.0\.0\.1:\d+\r$}m, 'the host');
	like($request, qr{^Content-Length: \d+\r$}m, 'the length is said beforehand');
	unlike($request, qr{^Transfer-Encoding}mi, 'no chunks');
	my ($head, $body) = split /\r\n\r\n/, $request, 2;
	is(decode_json($body)->{mensagem}, 'Olá Zé', 'the body is UTF-8');
	unlike($body, qr{\A\s|\s\z}, 'and nothing but one object');
};

subtest 'the log' => sub {
	my ($log) = sql_rows($node, "SELECT * FROM cadence_runner_logs ORDER BY executed_at LIMIT 1 OFFSET 1");
	my ($empty) = sql_rows($node, "SELECT * FROM cadence_runner_logs ORDER BY executed_at LIMIT 1");

	is_deeply([ @$log{qw(runs_touched steps_executed errors trigger_source)} ],
		[ 1, 1, 0, 'TEST' ], 'the counts of an execution');
	is($log->{details}{results}[0]{status}, 'DISPARADO', 'with its results');
	ok(defined $log->{details}{$_}, "and $_") for qw(started_at finished_at);
	is_deeply([ @$empty{qw(runs_touched steps_executed errors)} ], [ 0, 0, 0 ],
		'one that found nothing is logged too');
};

done_testing();
