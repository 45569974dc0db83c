# SMTP: what a mail looks like when it arrives, over which connections, and what is certain about it
# after every way in which a mail server can answer, or not. The server is aiosmtpd; mails are read
# by Python's own parser.

use strict;
use warnings;
use utf8;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use Encode qw(encode_utf8);
use MailServer;
use MIME::Base64;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $USER = 'vendas';
my $PASSWORD = 's3nha-do-relé';
my $RETRY = 15 * 60;

my $library = other_authority(authority('ours'));
my $mail = start_mail_server(
	'--tls' => certificate('good', 'ours', 30),
	'--foreign' => certificate('foreign', 'theirs', 30));
my $provider = start_provider();
my $node = do
{
	local $ENV{LD_PRELOAD} = $library;
	new_cluster('main', conf => ['cadence_runner.workers = 1']);
};

# Companies with a mail server of their own, and a lead each, made in one go: name => [address,
# options of the server]. Options of ours: leads (1), text, email (of all leads), login.
sub make_senders
{
	my (%senders) = @_;
	my $n = sql($node, 'SELECT count(*) FROM lead_contacts');
	my $script = '';

	for my $name (sort keys %senders)
	{
		my ($url, %options) = @{ $senders{$name} };
		my $leads = delete $options{leads} // 1;
		my $text = delete $options{text} // 'Olá {{nome}}';
		my $email = delete $options{email};
		my $login = delete $options{login};
		my %all = (
			canal => 'EMAIL', empresa => $name, protocol => 'smtp', url => $url, starttls => 'optional',
			'"from"' => 'ACME <vendas@acme.example>', timeout => '20s', %options);

		$script .= "CREATE SERVER $name FOREIGN DATA WRAPPER cadence_provider OPTIONS ("
		  . join(', ', map { "$_ " . literal($all{$_}) } sort keys %all) . ");\n";
		$script .= "CREATE USER MAPPING FOR CURRENT_USER SERVER $name OPTIONS ($login);\n" if $login;
		$script .= "
			INSERT INTO cadences (empresa, codigo, nome) VALUES ('$name', '$name', '$name');
			INSERT INTO message_templates (empresa, canal, codigo, nome, conteudo)
			VALUES ('$name', 'EMAIL', '$name', '$name', " . literal($text) . ");
			INSERT INTO cadence_steps (cadence_id, ordem, offset_minutos, canal, template_codigo)
			SELECT id, 1, 0, 'EMAIL', '$name' FROM cadences WHERE codigo = '$name';\n";
		for (1 .. $leads)
		{
			my $address = literal($email // 'lead' . ++$n . '@example.com');
			$script .= "
				INSERT INTO lead_contacts (lead_id, empresa, nome, email)
				VALUES ('$name-$n', '$name', 'Ana', $address);
				INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem, next_run_at)
				SELECT '$name-$n', '$name', id, 1, now() - interval '1 minute' FROM cadences
				WHERE codigo = '$name';\n";
		}
	}
	sql($node, $script);
	return;
}

# What became of each company's messages, read when asked to look: its outcomes, as event or code =>
# how many; the details of its last event; its last run; the mails that its leads got.
my (%outcomes, %details, %runs, %mails);

sub look
{
	my %company_of;

	%outcomes = %details = %runs = %mails = ();
	for my $row (sql_rows($node, "SELECT r.empresa, r.id, r.status, r.claim_id, e.detalhes,
			round(extract(epoch FROM r.next_run_at - e.created_at)) AS wait,
			coalesce(e.detalhes ->> 'codigo', e.tipo_evento) AS what
		FROM lead_cadence_runs r JOIN lead_cadence_events e ON r.id = e.lead_cadence_run_id
		WHERE e.tipo_evento IN ('DISPARADO', 'ERRO') ORDER BY e.created_at"))
	{
		$outcomes{ $row->{empresa} }{ $row->{what} }++;
		$details{ $row->{empresa} } = $row->{detalhes};
		$runs{ $row->{empresa} } = $row;
	}
	$company_of{ $_->{email} } = $_->{empresa}
	  for sql_rows($node, 'SELECT email, empresa FROM lead_contacts');
	push @{ $mails{ $company_of{ $_->{to}[0] } // '' } }, $_ for $mail->mails;
	return;
}

sub mails_of
{
	my ($name) = @_;
	return @{ $mails{$name} // [] };
}

# Fails with what the last event said.
sub has_outcomes
{
	my ($name, $expected, $what) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is_deeply($outcomes{$name}, $expected, $what) || diag(explain($details{$name}));
}

subtest 'a mail as it arrives' => sub {
	my $text = ".\n..\nOlá, João! 🎉 = \n.\r\n" . ('sem espaço ' x 200) . "\n" . ('x' x 3000)
	  . "\nFrom here\n \n\tfim ";

	make_senders(arrives => [
			$mail->url('PLAIN'),
			text => $text,
			'"from"' => 'Ação & Cia. 🎉 <vendas@acme.example>',
			reply_to => 'Fulano "de Tal" <fulano@acme.example>',
			helo => 'runner.acme.example' ]);
	execute($node);
	look();

	has_outcomes('arrives', { DISPARADO => 1 }, 'is sent');
	my ($got, @more) = mails_of('arrives');
	my $id = '<' . idempotency_key($runs{arrives}{id}, 1) . '@acme.example>';

	is(@more, 0, 'once');
	is($got->{sender}, 'vendas@acme.example', 'the envelope names the address alone');
	is($got->{sender_name}, 'Ação & Cia. 🎉', "the sender's name");
	like($got->{headers}{From}, qr/<vendas\@acme\.example>$/, 'and address');
	is($got->{headers}{To}, $got->{to}[0], 'the recipient');
	is($got->{headers}{'Reply-To'}, '"Fulano \"de Tal\"" <fulano@acme.example>', 'where answers go');
	is($got->{headers}{'Message-ID'}, $id, "the id is made of the step's key");
	like($got->{headers}{Date}, qr/^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]0000$/, 'the date');
	is($got->{headers}{'MIME-Version'}, '1.0', 'MIME');
	is_deeply([ sort @{ $got->{names} } ], [ sort qw(Date From To Reply-To Message-ID MIME-Version
			Content-Type Content-Transfer-Encoding) ], 'no other headers');
	is($got->{type}, 'text/plain', 'text alone');
	is($got->{text} =~ s/\r\n/\n/gr, ($text =~ s/\r\n/\n/gr) . "\n", 'the text, to the last character');
	cmp_ok($got->{longest}, '<=', 76, 'in short lines');
	ok($got->{ascii}, 'of ASCII');
	is_deeply($got->{defects}, [], 'without defects');
	is($details{arrives}{message_id}, $id, 'the event has the id');
	is(sql($node, "SELECT email_message_id FROM lead_messages WHERE run_id = '$runs{arrives}{id}'"), $id,
		'and the message');
};

subtest 'subjects, and mails with more than text' => sub {
	my $long = 'Proposta para você 🎉 ' x 90;

	make_senders(
		titled => [ $mail->url('PLAIN') ],
		headed => [ $mail->url('PLAIN'), text => "Assunto: Olá, {{nome}}\n\nTexto" ],
		lengthy => [ $mail->url('PLAIN'), text => "Assunto: ${long}fim\nTexto" ],
		html => [ $mail->url('PLAIN') ]);
	sql($node, "UPDATE message_templates SET assunto = 'Oi {{nome}}' WHERE empresa IN ('titled', 'html');
		UPDATE message_templates SET html = '<p>Olá <b>{{nome}}</b></p>' WHERE empresa = 'html';
		UPDATE lead_contacts SET nome = 'Ana & Zoë 🎉' WHERE empresa IN ('titled', 'headed', 'html')");
	execute($node);
	look();
	my %got = map { $_ => (mails_of($_))[0] } qw(titled headed lengthy html);

	has_outcomes($_, { DISPARADO => 1 }, "$_: is sent") for sort keys %got;
	is($got{titled}{headers}{Subject}, 'Oi Ana & Zoë 🎉', 'from the column');
	is($got{headed}{headers}{Subject}, 'Olá, Ana & Zoë 🎉', 'from the first line');
	like($got{headed}{text}, qr/^Texto\s*$/, 'which then is none of the text');
	is($got{lengthy}{headers}{Subject}, $long . 'fim', 'a long one');
	is($got{html}{type}, 'multipart/alternative', 'text and HTML');
	like($got{html}{html}, qr{^<p>Olá <b>Ana &amp; Zoë 🎉</b></p>\s*$}, 'the HTML');
	like($got{html}{text}, qr/^Olá Ana & Zoë 🎉\s*$/, 'the text');
	for my $name (sort keys %got)
	{
		cmp_ok($got{$name}{longest}, '<=', 76, "$name: in short lines");
		is_deeply($got{$name}{defects}, [], "$name: without defects");
	}
};

subtest 'one connection for many mails' => sub {
	make_senders(many => [ $mail->url('PLAIN'), max_in_flight => 1, leads => 20 ]);
	my $before = $mail->connections('PLAIN');
	execute($node);
	is($mail->connections('PLAIN') - $before, 1, 'one after the other, over one connection');

	make_senders(abreast => [ $mail->url('PLAIN'), max_in_flight => 5, leads => 50 ]);
	$before = $mail->connections('PLAIN');
	execute($node);
	cmp_ok($mail->connections('PLAIN') - $before, '<=', 5, 'several at once, over no more than that');
	look();
	has_outcomes('many', { DISPARADO => 20 }, 'all are sent');
	has_outcomes('abreast', { DISPARADO => 50 }, 'all are sent');
	my %to = map { $_->{to}[0] => 1 } mails_of('many');
	is(keys %to, 20, 'each to another lead');
	is(scalar(mails_of('abreast')), 50, 'none of them twice');
};

# name => [kind of server, helo, options, what is expected]. Expected:
#   outcome   code of the event, or DISPARADO       status   of the run
#   http      the reply's code                      reason   the event's text
#   arrived   mails that came whole (0)             wait     seconds until the next attempt
my %failed = (outcome => 'FALHA_ENVIO', status => 'ATIVA');
my %uncertain = (outcome => 'INCERTO', status => 'PAUSADA', arrived => 1);
my %answers = (
	mail451 => [ 'PLAIN', 'mail:451:4.3.0', {}, { %failed, http => 451, reason => qr/at "mail"/ } ],
	mail553 => [ 'PLAIN', 'mail:553', {}, { outcome => 'RECUSADO', status => 'PAUSADA', http => 553 } ],
	mail530 => [ 'PLAIN', 'mail:530:5.7.0', {}, { outcome => 'PROVEDOR_PARADO', status => 'ATIVA' } ],
	mailclose => [ 'PLAIN', 'mail:close', {}, {%failed} ],
	mailhang => [ 'PLAIN', 'mail:hang', { timeout => '1s' }, { %failed, reason => qr/in time/ } ],
	rcpt450 => [ 'PLAIN', 'rcpt:450:4.2.1', {}, { %failed, http => 450, wait => $RETRY } ],
	rcpt452 => [ 'PLAIN', 'rcpt:452:4.2.2', {}, { outcome => 'MAIS_TARDE', status => 'ATIVA' } ],
	rcpt550 => [ 'PLAIN', 'rcpt:550:5.1.1', {},
		{ outcome => 'ENDERECO_INEXISTENTE', status => 'PAUSADA', http => 550, reason => qr/so says the tést$/ } ],
	rcptclose => [ 'PLAIN', 'rcpt:close', {}, {%failed} ],
	data451 => [ 'PLAIN', 'data:451:4.3.0', {}, { %failed, http => 451 } ],
	data554 => [ 'PLAIN', 'data:554:5.6.0', {}, { outcome => 'RECUSADO', status => 'PAUSADA' } ],
	data250 => [ 'PLAIN', 'data:250:2.0.0', {}, { %failed, reason => qr/no sense/ } ],
	dataclose => [ 'PLAIN', 'data:close', {}, {%failed} ],
	bodyclose => [ 'PLAIN', 'body:close', {}, { %failed, large => 1 } ],
	smallclose => [ 'PLAIN', 'body:close', {}, { %uncertain, arrived => 0 } ],
	bodyhang => [ 'PLAIN', 'body:hang', { timeout => '1s' }, { %failed, large => 1, reason => qr/in time/ } ],
	body552 => [ 'PLAIN', 'body:552:5.3.4', {}, { outcome => 'RECUSADO', status => 'PAUSADA', large => 1 } ],
	body250 => [ 'PLAIN', 'body:250:2.0.0', {}, { %failed, large => 1, reason => qr/no sense/ } ],
	dot250 => [ 'PLAIN', 'dot:slow', {}, { outcome => 'DISPARADO', status => 'CONCLUIDA', arrived => 1 } ],
	dot452 => [ 'PLAIN', 'dot:452:4.3.1', {}, { %failed, http => 452, arrived => 1 } ],
	dot550 => [ 'PLAIN', 'dot:550:5.7.1', {}, { outcome => 'RECUSADO', status => 'PAUSADA', arrived => 1 } ],
	dotspam => [ 'PLAIN', 'dot:554:5.7.26', {}, { outcome => 'PROVEDOR_PARADO', status => 'ATIVA', arrived => 1 } ],
	dot354 => [ 'PLAIN', 'dot:354', {}, {%uncertain} ],
	dotclose => [ 'PLAIN', 'dot:close', {}, { %uncertain, reason => qr/ended before/ } ],
	dothang => [ 'PLAIN', 'dot:hang', { timeout => '5s' }, { %uncertain, reason => qr/in time/ } ],
	dotagain => [ 'PLAIN', 'dot:close', { on_uncertain => 'retry' },
		{ %uncertain, status => 'ATIVA', wait => $RETRY } ],
	banner => [ 'BANNER', 'ok', {}, { outcome => 'RECUSADO', status => 'PAUSADA', http => 554 } ],
	closing => [ 'CLOSING', 'ok', {}, {%failed} ],
	unwanted => [ 'AUTH', 'ok', {}, { outcome => 'PROVEDOR_PARADO', status => 'ATIVA', http => 530 } ],
	notls => [ 'PLAIN', 'ok', { starttls => 'required' }, { %failed, reason => qr/STARTTLS/ } ],
	tls => [ 'STARTTLS', 'ok', { starttls => 'required' },
		{ outcome => 'DISPARADO', status => 'CONCLUIDA', arrived => 1, tls => 1 } ],
	tlswhereoffered => [ 'STARTTLS', 'ok', {},
		{ outcome => 'DISPARADO', status => 'CONCLUIDA', arrived => 1, tls => 1 } ],
	smtps => [ 'SMTPS', 'ok', { starttls => 'required' },
		{ outcome => 'DISPARADO', status => 'CONCLUIDA', arrived => 1, tls => 1 } ],
	unknown_ca => [ 'FOREIGN', 'ok', {}, { %failed, reason => qr/certificate/i } ],
);

subtest 'every way to answer' => sub {
	my %senders;

	for my $name (keys %answers)
	{
		my ($kind, $helo, $options, $expected) = @{ $answers{$name} };
		my $host = $kind =~ /TLS|SMTPS|FOREIGN/ ? 'localhost' : '127.0.0.1';

		$senders{$name} = [ $mail->url($kind, $kind eq 'SMTPS' ? 'smtps' : 'smtp', $host),
			helo => $helo, ($expected->{large} ? (text => '{{nome}}' x 200) : ()), %$options ];
	}
	make_senders(%senders);
	# far more than the kernel's buffers hold
	sql($node, "UPDATE lead_contacts SET nome = repeat('x', 60000) WHERE empresa = ANY('{"
		  . join(',', grep { $answers{$_}[3]{large} } keys %answers) . "}')");
	execute($node);
	look();
	for my $name (sort keys %answers)
	{
		my $expected = $answers{$name}[3];
		my $details = $details{$name};
		# a close that comes before the dot is said makes it certain
		$expected = {%failed} if $name eq 'smallclose' && ($details->{codigo} // '') eq 'FALHA_ENVIO';
		my $run = $runs{$name};

		has_outcomes($name, { $expected->{outcome} => 1 }, "$name: outcome");
		is($run->{status}, $expected->{status}, "$name: status of the run");
		is($run->{claim_id}, undef, "$name: nobody holds it");
		is(scalar(mails_of($name)), $expected->{arrived} // 0, "$name: mails that came whole");
		is($details->{http_status}, $expected->{http}, "$name: the reply's code") if $expected->{http};
		like($details->{erro}, $expected->{reason}, "$name: reason") if $expected->{reason};
		cmp_ok(abs($run->{wait} - $expected->{wait}), '<', $expected->{wait} * 0.1 + 5,
			"$name: next attempt") if $expected->{wait};
		ok((mails_of($name))[0]{tls}, "$name: over TLS") if $expected->{tls};
	}
};

subtest 'what was uncertain and what failed goes again as the same mail' => sub {
	sql($node, "UPDATE lead_cadence_runs SET next_run_at = now() - interval '1 minute'
		WHERE empresa IN ('dotagain', 'dot452', 'dotclose')");
	execute($node);
	look();
	for my $name (qw(dotagain dot452))
	{
		my @ids = map { $_->{headers}{'Message-ID'} } mails_of($name);
		is(@ids, 2, "$name: a second one");
		is($ids[0], $ids[1], "$name: with the same id");
	}
	is(scalar(mails_of('dotclose')), 1, 'what is held does not go again');
	cancel_rest($node);
};

# One refused mail takes no other one along: the connection is asked to forget it.
subtest 'after a refusal the connection goes on' => sub {
	my @stages = qw(rcpt data);
	my $before = $mail->connections('PLAIN');

	make_senders(map { ("on$_" =>
			[ $mail->url('PLAIN'), max_in_flight => 1, helo => "$_:550:5.1.1", leads => 3 ]) } @stages);
	execute($node);
	look();
	has_outcomes("on$_", { ENDERECO_INEXISTENTE => 3 }, "$_: all are refused") for @stages;
	is($mail->connections('PLAIN') - $before, 2, 'over one connection each');
};

# Nothing of a mail was said to a connection that turns out to be over: it gets a new one. An answer
# too many may come while a mail is under way, which then is certainly not sent.
subtest 'connections that end' => sub {
	my %helo = map { s/\W/_/r => $_ } 'limit:3', 'idle:0', 'idle:30', 'late:0', 'late:30', 'dot:stray';
	my $before = $mail->connections('PLAIN');

	make_senders(map { ($_ =>
			[ $mail->url('PLAIN'), helo => $helo{$_}, max_in_flight => 2, max_rate => 30, leads => 12 ]) }
		keys %helo);
	execute($node);
	look();
	for my $name (sort keys %helo)
	{
		my %seen = %{ $outcomes{$name} };

		$seen{DISPARADO} += delete $seen{FALHA_ENVIO} // 0 if $name =~ /late/;
		is_deeply(\%seen, { DISPARADO => 12 }, "$name: all are sent, or certainly not")
		  or diag(explain($details{$name}));
		is(scalar(mails_of($name)), $outcomes{$name}{DISPARADO}, "$name: none of them twice");
	}
	cmp_ok($mail->connections('PLAIN') - $before, '>=', 24, 'over many connections');
	cancel_rest($node);
};

subtest 'a mail server that takes its time stops nobody else' => sub {
	make_senders(waits => [ $mail->url('PLAIN'), helo => 'dot:hang', timeout => '60s' ]);
	make_company($node, 'others', $provider->url('ok'));
	enrol($node, 'others', 1);
	my $caller = start_sql($node, "SELECT cadence_run('TEST')");
	ok($node->poll_query_until('postgres', "SELECT status = 'CONCLUIDA' FROM lead_cadence_runs
		WHERE empresa = 'others'"), 'another provider');
	poll_until(sub { look(); return scalar mails_of('waits') }, 'while the mail has come whole');

	my $before = time();
	$node->stop('fast');
	cmp_ok(time() - $before, '<', 15, 'nor a shutdown');
	isnt($caller->finish, 0, 'which the caller is told');
	do
	{
		local $ENV{LD_PRELOAD} = $library;
		$node->start;
	};
	look();
	is($runs{waits}{status}, 'PAUSADA', 'what became of the mail is uncertain');
	has_outcomes('waits', { INCERTO => 1 }, 'and said to be');
};

subtest 'log-in' => sub {
	my $encoded = encode_base64(encode_utf8("\0$USER\0$PASSWORD"), '');
	my $right = "username '$USER', password '$PASSWORD'";

	make_senders(
		login => [ $mail->url('AUTH'), login => $right, leads => 2, max_in_flight => 1 ],
		login_tls => [ $mail->url('STARTTLS', 'smtp', 'localhost'), starttls => 'required', login => $right ],
		wrong => [ $mail->url('AUTH'), login => "username '$USER', password 'wr0ng-pa55word'" ],
		echo => [ $mail->url('AUTH'), helo => 'auth:echo', login => $right ]);
	execute($node);
	look();
	has_outcomes('login', { DISPARADO => 2 }, 'with the right password: sent');
	is($_->{user}, $USER, 'by that user') for mails_of('login');
	has_outcomes('login_tls', { DISPARADO => 1 }, 'over TLS: sent');
	is($_->{user}, $USER, 'by that user, too') for mails_of('login_tls');
	has_outcomes('wrong', { PROVEDOR_PARADO => 1 }, 'with a wrong one the server is stopped');
	like($details{wrong}{erro}, qr/wrong user or password/, 'in its own words');
	is($details{wrong}{http_status}, 535, 'with its code');
	like($details{echo}{erro}, qr/can not read \*+$/, 'what a server repeats is hidden');
	for my $secret ($PASSWORD, $encoded, substr($encoded, 0, 20), 'wr0ng-pa55word')
	{
		is(sql($node, join(' UNION ALL ', map { "SELECT '$_' FROM $_ AS t WHERE strpos(t::text, "
						. literal($secret) . ') > 0' }
					qw(lead_cadence_events cadence_runner_logs lead_messages lead_cadence_runs))),
			'', 'no secret in a table');
		unlike(log_since($node), qr/\Q$secret\E/, 'nor in the log');
	}
	cancel_rest($node);
};

subtest 'addresses' => sub {
	my %bad = (
		bracket => 'ana>@example.com',
		command => 'ana@example.com> NOTIFY=NEVER <',
		long => ('x' x 243) . '@example.com',
		line => "ana\@example.com\r\nDATA");
	my %good = (long254 => ('x' x 242) . '@example.com', accent => 'joão@exämple.com');

	make_senders(
		(map { ($_ => [ $mail->url('PLAIN'), email => $bad{$_} // $good{$_} ]) } keys %bad, keys %good),
		ascii => [ $mail->url('PLAIN'), helo => 'ascii', email => 'zoë@example.com' ],
		nobody => [ $mail->url('PLAIN'), '"from"' => 'ACME' ]);
	make_company($node, 'overhttp', $provider->url('ok'), canal => 'EMAIL');
	enrol($node, 'overhttp', 1);
	sql($node, "UPDATE lead_contacts SET email = 'a<b\@example.com' WHERE empresa = 'overhttp'");
	$provider->forget;
	execute($node);
	look();

	has_outcomes($_, { ENDERECO_INVALIDO => 1 }, "$_: is none") for sort keys %bad;
	has_outcomes('overhttp', { ENDERECO_INVALIDO => 1 }, 'nor is one for a provider over HTTP');
	is($provider->count, 0, 'which got nothing');
	for my $name (sort keys %good)
	{
		has_outcomes($name, { DISPARADO => 1 }, "$name: is one");
		is(scalar(mails_of($name)), 1, "$name: and gets its mail");
	}
	is_deeply((mails_of('accent'))[0]{options}, ['SMTPUTF8'], 'an accent is announced');
	has_outcomes('ascii', { RECUSADO => 1 }, 'where it can not be, that address gets none');
	like($details{ascii}{erro}, qr/SMTPUTF8/, 'and the event says why');
	has_outcomes('nobody', { PROVEDOR_INVALIDO => 1 }, 'nor does anyone from nobody');
	cancel_rest($node);
};

subtest 'where nothing may go' => sub {
	make_senders(
		linklocal => [ 'smtp://169.254.169.254:25' ],
		unreachable => [ 'smtp://127.0.0.1:' . closed_port() ],
		http_only => [ $provider->url('') =~ s/^http/smtp/r, timeout => '2s' ]);
	$provider->forget;
	execute($node);
	look();
	has_outcomes($_, { FALHA_ENVIO => 1 }, "$_: nothing was sent")
	  for qw(linklocal unreachable http_only);
	like($details{linklocal}{erro}, qr/link-local/, 'the reason says it');
	is($provider->count, 0, 'a web server gets no mail');
	like(sql_error($node, "CREATE SERVER web FOREIGN DATA WRAPPER cadence_provider OPTIONS
		(canal 'EMAIL', protocol 'smtp', url 'http://127.0.0.1/', \"from\" 'a\@b.example')"),
		qr/HV024/, 'and a mail server has no web address');
};

# An execution that finds more than a batch gets a second worker, and the first one's part of what may
# be under way becomes smaller while its mails wait for connections that others keep.
subtest 'two workers' => sub {
	sql($node, "ALTER DATABASE postgres SET cadence_runner.$_") for 'workers = 2', 'batch_size = 20', 'max_in_flight = 20';
	make_senders(shared => [ $mail->url('PLAIN'), leads => 100 ]);
	my $began = time();
	execute($node);
	cmp_ok(time() - $began, '<', 60, 'no mail waits for a connection for good');
	look();
	has_outcomes('shared', { DISPARADO => 100 }, 'all are sent');
	sql($node, "ALTER DATABASE postgres RESET cadence_runner.$_") for 'workers', 'batch_size', 'max_in_flight';
};

done_testing();
