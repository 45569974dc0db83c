# Webhooks: who may call, and how. Signatures are made by Perl and openssl, as each provider says.

use strict;
use warnings;
use utf8;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use Cadence::Webhook;
use MIME::Base64 qw(encode_base64);
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_cluster('main');
my $BODY = '{"sonda": "olá"}';

sql($node, 'CREATE ROLE hook LOGIN;
	GRANT EXECUTE ON FUNCTION cadence_receive(text, text, jsonb, text, bytea, text) TO hook');
utf8::encode($BODY);

# A good call is taken, and what nobody understands of it kept; a bad one leaves nothing.
sub is_taken
{
	my ($server, $what, %call) = @_;
	return is(receive_and_count($node, $server, %call), '200 1', "$server: $what is taken");
}

sub is_refused
{
	my ($server, $what, %call) = @_;
	return is(receive_and_count($node, $server, %call), '401 0', "$server: $what is refused");
}

# ---- each provider ---------------------------------------------------------------------

my ($ecdsa_old, $public_old) = ecdsa_key();
my ($ecdsa_new, $public_new) = ecdsa_key();

# The key to sign with, and the secret that the mapping has: the same but for ECDSA.
my %keys = (
	sendgrid => [ [ $ecdsa_old, $public_old ], [ $ecdsa_new, $public_new ] ],
	resend => [ [ ('whsec_' . encode_base64('o' x 24, '')) x 2 ], [ ('whsec_' . encode_base64('n' x 24, '')) x 2 ] ]);
$keys{webhook} = $keys{resend};

# What is signed is nothing but the caller's word where a secret is sent.
my %is_sent = map { $_ => 1 } qw(d360 evolution evolution_v1 zapi gupshup zenvia brevo postmark);

for my $protocol (qw(whatsapp_cloud d360 evolution evolution_v1 zapi waha gupshup zenvia twilio resend brevo sendgrid postmark mailgun webhook))
{
	my $body = $protocol eq 'twilio' ? 'sonda=1&Outra=2&=&Sonda=3' : $BODY;
	my ($old, $new) = @{ $keys{$protocol} // [ [ ('velho-segredo-velho-segredo-velho-segredo') x 2 ],
			[ ('novo-segredo-novo-segredo-novo-segredo-novo') x 2 ] ] };
	my $secret;

	make_sender($node, $protocol, $old->[1]);
	is_taken($protocol, 'what is signed', signed($protocol, $body, $old->[0]));
	is_refused($protocol, 'another key', signed($protocol, $body, $new->[0]));
	is_refused($protocol, 'no signature', body => $body);
	is_refused($protocol, 'an empty one', body => $body,
		headers => { map { $_ => '' } keys %{ { signed($protocol, $body, $old->[0]) }->{headers} // {} } }, secret => '');
	if (!$is_sent{$protocol} && $protocol ne 'mailgun')
	{
		my %call = signed($protocol, $body, $old->[0]);

		$call{body} =~ s/sonda/sonde/;
		is_refused($protocol, 'a body that was changed', %call);
	}

	# while it is rotated, both count
	$secret = rotate_secret($node, $protocol, $new->[1], $old->[1]);
	is_taken($protocol, 'the old key', signed($protocol, $body, $old->[0]));
	is_taken($protocol, 'the new key', signed($protocol, $body, $new->[0]));
	sql($node, "ALTER USER MAPPING FOR CURRENT_USER SERVER $protocol OPTIONS (DROP ${secret}_previous)");
	is_refused($protocol, 'the old key, once it is gone,', signed($protocol, $body, $old->[0]));
	is_taken($protocol, 'the new one', signed($protocol, $body, $new->[0]));
}

# ---- times, and several signatures ------------------------------------------------------

for my $protocol (qw(webhook resend mailgun))
{
	my $key = ($keys{$protocol} // [ undef, ['novo-segredo-novo-segredo-novo-segredo-novo'] ])->[1][0];
	my $window = $protocol eq 'mailgun' ? 9 * 3600 : 300;

	is_refused($protocol, 'an old call', signed($protocol, $BODY, $key, time => time() - $window - 60));
	is_refused($protocol, 'one of the future', signed($protocol, $BODY, $key, time => time() + $window + 60));
	is_refused($protocol, "a time \"$_\"", signed($protocol, $BODY, $key, time => $_)) for ('', 'x', '-1', '99999999999999999999');
	is_taken($protocol, 'one that is not too old', signed($protocol, $BODY, $key, time => time() - $window + 60));
}

{
	my $key = $keys{webhook}[1][0];
	my %call = signed('webhook', $BODY, $key);
	my $good = $call{headers}{'webhook-signature'};
	my $bad = 'v1,' . encode_base64('x' x 32, '');

	for my $several ("$bad $good", "$good $bad", "v1a,AAAA  $good", join(' ', ($bad) x 15, $good))
	{
		$call{headers}{'webhook-signature'} = $several;
		is_taken('webhook', 'one good signature of several', %call);
	}
	for my $none ("$bad $bad", "v1a$good", substr($good, 0, -2), "$good$good", join(' ', ($bad) x 16, $good), 'v1,', 'x' x 5000, "v1,\x{e9}")
	{
		$call{headers}{'webhook-signature'} = $none;
		is_refused('webhook', 'none that is good', %call);
	}
	# several lines of one header are an array
	$call{headers}{'webhook-signature'} = [$good];
	is_taken('webhook', 'a header in an array', %call);
	$call{headers}{'webhook-id'} = 'msg_2';
	is_refused('webhook', 'an id that was changed', %call);
}

# ---- which of them counts ---------------------------------------------------------------

sql($node, "ALTER USER MAPPING FOR CURRENT_USER SERVER whatsapp_cloud OPTIONS (ADD path_secret '" . 'p' x 32 . "')");
is_refused('whatsapp_cloud', 'the second of two kinds of proof', body => $BODY, secret => 'p' x 32);
sql($node, 'ALTER USER MAPPING FOR CURRENT_USER SERVER whatsapp_cloud OPTIONS (DROP app_secret)');
is_taken('whatsapp_cloud', 'it, where the first is not there,', body => $BODY, secret => 'p' x 32);
is_taken('whatsapp_cloud', 'it, where something follows it in the address,', body => $BODY, secret => 'p' x 32 . '/messages-upsert');
is_refused('whatsapp_cloud', 'one that is too short', body => $BODY, secret => 'p' x 31);
is_refused('whatsapp_cloud', 'one that is too long', body => $BODY, secret => 'p' x 33);
is_refused('whatsapp_cloud', "an address \"$_\"", body => $BODY, secret => $_) for ('p' x 31 . '/p', 'x/' . 'p' x 32, '/' x 32);
sql($node, "ALTER USER MAPPING FOR CURRENT_USER SERVER whatsapp_cloud OPTIONS (SET path_secret '" . 'p/' x 16 . "')");
is_taken('whatsapp_cloud', 'one with slashes of its own', body => $BODY, secret => 'p/' x 16);
sql($node, 'ALTER USER MAPPING FOR CURRENT_USER SERVER whatsapp_cloud OPTIONS (DROP path_secret)');
is_refused('whatsapp_cloud', 'any call, where no secret is there,', body => $BODY);
like(
	sql_error($node, "ALTER USER MAPPING FOR CURRENT_USER SERVER whatsapp_cloud OPTIONS (ADD path_secret 'curto-demais-para-isso')"),
	qr/HV024: option "path_secret" must have 32 characters or more/, 'a short secret of an address is refused');
unlike(
	sql_error($node, "ALTER USER MAPPING FOR CURRENT_USER SERVER whatsapp_cloud OPTIONS (ADD path_secret_previous 'curto')"),
	qr/curto\b.*\n.*HINT/, 'and is not repeated');

# a form whose last value goes on after a byte 0 is another form
{
	my $key = 'novo-segredo-novo-segredo-novo-segredo-novo';
	my %call = signed('twilio', 'a=1&b=2', $key);

	$call{body} = 'a=1&b=2%00mais';
	is_refused('twilio', 'a value that goes on after a byte 0', %call);
	$call{body} = 'b=2&a=1&b=2';
	sql($node, "DELETE FROM cadence_rejected WHERE server = 'twilio'");
	is_taken('twilio', 'a field that came twice, in any order,', %call);
	is(sql($node, "SELECT elemento FROM cadence_rejected WHERE server = 'twilio'"), '{"a": "1", "b": "2"}', '... as an object of its fields');
}
is_deeply(
	received_row($node, 'twilio', signed('twilio', 'a=1', 'novo-segredo-novo-segredo-novo-segredo-novo')),
	{ status => 200, headers => { 'Content-Type' => 'text/xml' }, body => '<Response/>' },
	'success is answered as the provider wants it');

# ---- the challenge ----------------------------------------------------------------------

sub challenge
{
	my ($query) = @_;
	my $row = received_row($node, 'whatsapp_cloud', method => 'GET', query => $query);
	return "$row->{status} $row->{body}";
}

is(challenge('hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=palavra'), '200 1158201444', 'a challenge');
is(challenge('?hub.mode=subscribe&hub.challenge=a-B_9&hub.verify_token=palavra'), '200 a-B_9', 'with its question mark');
like(challenge('hub.mode=subscribe&hub.challenge=1&hub.verify_token=outra'), qr/^401 /, 'another word');
like(challenge('hub.mode=subscribe&hub.challenge=1&hub.verify_token='), qr/^401 /, 'no word');
like(challenge('hub.mode=unsubscribe&hub.challenge=1&hub.verify_token=palavra'), qr/^400 /, 'another mode');
like(challenge("hub.mode=subscribe&hub.challenge=$_&hub.verify_token=palavra"), qr/^400 (?!.*script)/, 'nothing else is echoed')
  for ('%3Cscript%3E', 'x' x 65, '', 'a%00b', 'a+b');
like(challenge($_), qr/^400 /, "a query \"$_\"") for ('', '&&&', '%', 'hub.mode');
sql($node, "ALTER USER MAPPING FOR CURRENT_USER SERVER whatsapp_cloud OPTIONS (SET verify_token 'nova', ADD verify_token_previous 'palavra')");
is(challenge("hub.mode=subscribe&hub.challenge=7&hub.verify_token=$_"), '200 7', "while it is rotated: $_") for qw(nova palavra);

# ---- methods, servers, sizes -------------------------------------------------------------

is_deeply(
	received_row($node, 'webhook', method => 'PUT'),
	{ status => 405, headers => { 'Content-Type' => 'text/plain', Allow => 'POST' }, body => 'the method is not allowed' },
	'another method');
is(received_row($node, 'whatsapp_cloud', method => 'DELETE')->{headers}{Allow}, 'GET, POST', 'where GET asks');
is(receive($node, 'webhook', method => $_), 405, 'a method ' . ($_ // 'null')) for ('GET', 'HEAD', '', undef, 'POSTX');

sql($node, "CREATE SERVER sem_volta FOREIGN DATA WRAPPER cadence_provider
	OPTIONS (canal 'EMAIL', protocol 'smtp', url 'smtp://127.0.0.1', \"from\" 'a\@example.com');
	CREATE ROLE outra; GRANT USAGE ON FOREIGN DATA WRAPPER cadence_provider TO outra;
	SET ROLE outra;
	CREATE SERVER alheio FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'SMS', url 'http://127.0.0.1:9');
	CREATE USER MAPPING FOR PUBLIC SERVER alheio OPTIONS (webhook_token 'x');
	RESET ROLE;
	CREATE FOREIGN DATA WRAPPER outro; CREATE SERVER doutro FOREIGN DATA WRAPPER outro;
	CREATE SERVER \"domain x\" FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'SMS', url 'http://127.0.0.1:9')");
my $unknown = received_row($node, 'nenhum');
is($unknown->{status}, 404, 'no such server');
is_deeply(received_row($node, $_, headers => { Authorization => 'Bearer x' }), $unknown, 'the same of ' . ($_ // 'null'))
  for ('sem_volta', 'alheio', 'doutro', 'domain x', '', undef, 'x' x 100_000);

{
	my %call = (secret => 'novo-segredo-novo-segredo-novo-segredo-novo');
	my $million = 1024 * 1024;

	is(receive($node, 'zapi', %call, body_sql => "convert_to(repeat('x', 4 * $million + 1), 'UTF8')"), 413, 'a body over 4 MB');
	is(receive($node, 'zapi', %call, body_sql => "convert_to(repeat('x', 4 * $million), 'UTF8')"), 200, 'one of 4 MB');
	is(receive($node, 'zapi', %call, headers => { x => 'x' x 70_000 }), 413, 'headers that are too long');
	is(receive($node, 'zapi', %call, query => 'x' x 70_000), 413, 'a query');
	is(receive($node, 'zapi', secret => 'x' x 70_000), 413, 'a secret');
	is(receive($node, 'zapi', %call, body => ''), 200, 'an empty body is taken');
	is(receive($node, 'zapi', %call, body_sql => 'NULL'), 200, 'and none');
}

# ---- when nothing can be stored or checked -------------------------------------------------

is(receive($node, 'zapi', secret => 'novo-segredo-novo-segredo-novo-segredo-novo', body => $BODY, before => 'BEGIN READ ONLY;'),
	503, 'in a transaction that only reads');
is(receive($node, 'zapi', secret => 'outro', body => $BODY, before => 'BEGIN READ ONLY;'), 401, '... that is told to nobody else');
{
	my $file = PostgreSQL::Test::Utils::tempdir('secret') . '/token';

	sql($node, "ALTER USER MAPPING FOR CURRENT_USER SERVER zenvia OPTIONS (DROP webhook_secret,
		ADD webhook_secret_file '$file', ADD host '127.0.0.1', ADD path_secret '" . 'p' x 32 . "')");
	is(receive($node, 'zenvia', body => $BODY, secret => 'p' x 32), 503, 'a secret that can not be read is no secret that is not there');
	PostgreSQL::Test::Utils::append_to_file($file, "do-arquivo\n");
	is_taken('zenvia', 'a secret from a file', body => $BODY, headers => { authorization => 'bearer do-arquivo' });
	is_refused('zenvia', 'the other', body => $BODY, secret => 'p' x 32);
	PostgreSQL::Test::Utils::append_to_file("$file.new", "outro-do-arquivo\n");
	rename "$file.new", $file or die "$file: $!";
	is_taken('zenvia', 'another, from the same file,', body => $BODY, headers => { authorization => 'Bearer outro-do-arquivo' });
}

# ---- what the right to execute it is -------------------------------------------------------

for my $statement (
	'SELECT * FROM cadence_rejected', 'SELECT cadence_rejected_retry()', 'INSERT INTO lead_messages DEFAULT VALUES',
	'SELECT * FROM lead_contacts', 'DELETE FROM cadence_rejected')
{
	like(sql_error($node, "SET SESSION AUTHORIZATION hook; $statement"), qr/42501/, "nothing else: $statement");
}
like(sql_error($node, "SET SESSION AUTHORIZATION outra; SELECT cadence_receive('zapi', 'POST', '{}', '', '', '')"),
	qr/42501: permission denied for function cadence_receive/, 'and nobody without it');
is(sql($node, "SET SESSION AUTHORIZATION hook; SELECT status FROM cadence_receive('zapi', 'POST', '{}', '', '', repeat('x', 40));
	SELECT current_user || current_setting('search_path') || current_setting('lock_timeout')"),
	"401\nhook\"\$user\", public0", 'the caller is as before');

done_testing();
