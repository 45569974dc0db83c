# Calls of webhooks: signed as each provider signs them, by nothing of ours.

package Cadence::Webhook;

use strict;
use warnings;
use utf8;

use Cadence::SQL;
use Encode ();
use Digest::SHA qw(hmac_sha1 hmac_sha256 hmac_sha256_hex hmac_sha512_hex);
use Exporter qw(import);
use JSON::PP ();
use MIME::Base64 qw(encode_base64);
use PostgreSQL::Test::Utils;

our @EXPORT = qw(receive receive_and_count received_row make_sender rotate_secret signed ecdsa_key);

my $CALLBACK = 'https://crm.example/hooks/twilio?to=wa';

# What a server of each protocol has beside what all have, and which of its secrets proves a call.
my %SENDERS = (
	webhook => { secret => 'webhook_secret' },
	whatsapp_cloud => {
		secret => 'app_secret',
		options => { phone_number_id => 1 },
		mapping => { token => 't', verify_token => 'palavra' }
	},
	d360 => { secret => 'webhook_secret', mapping => { api_key => 'k' } },
	evolution => { secret => 'webhook_secret', options => { instance => 'i' }, mapping => { apikey => 'canario-da-instancia' } },
	evolution_v1 => { secret => 'path_secret', options => { instance => 'i' }, mapping => { apikey => 'canario-da-instancia' } },
	zapi => { secret => 'path_secret', options => { instance => 'i' }, mapping => { token => 't' } },
	waha => { secret => 'hmac_key' },
	gupshup => { secret => 'path_secret', options => { source => '5511', app => 'a' }, mapping => { apikey => 'k' } },
	zenvia => { secret => 'webhook_secret', options => { from => 'acme' }, mapping => { token => 't' } },
	twilio => {
		secret => 'auth_token',
		options => { account_sid => 'AC1', from => '+15005550006', status_callback => $CALLBACK }
	},
	resend => { secret => 'webhook_secret', options => { from => 'a@example.com' }, mapping => { api_key => 'k' } },
	brevo => { secret => 'webhook_secret', options => { from => 'a@example.com' }, mapping => { api_key => 'k' } },
	sendgrid => { secret => 'webhook_secret', options => { from => 'a@example.com' }, mapping => { api_key => 'k' } },
	postmark => { secret => 'webhook_secret', options => { from => 'a@example.com' }, mapping => { server_token => 'k' } },
	mailgun => {
		secret => 'webhook_secret',
		options => { from => 'a@example.com', domain => 'example.com' },
		mapping => { api_key => 'k' }
	});

my %MAIL = map { $_ => 1 } qw(resend brevo sendgrid postmark mailgun);

# A server by its protocol's name, whose secret is that.
sub make_sender
{
	my ($node, $protocol, $secret, %more) = @_;
	my $sender = $SENDERS{$protocol};
	my $name = $more{name} // $protocol;
	my %options = (
		canal => $MAIL{$protocol} ? 'EMAIL' : 'WHATSAPP',
		url => 'http://127.0.0.1:9',
		empresa => 'BLUE',
		protocol => $protocol,
		%{ $sender->{options} // {} });
	my %mapping = (%{ $sender->{mapping} // {} }, $sender->{secret} => $secret, %{ $more{mapping} // {} });
	my $list = sub { my (%o) = @_; return join ', ', map { qq("$_" ) . literal($o{$_}) } sort keys %o };

	sql($node, "CREATE SERVER $name FOREIGN DATA WRAPPER cadence_provider OPTIONS (" . $list->(%options) . ');
		CREATE USER MAPPING FOR CURRENT_USER SERVER ' . $name . ' OPTIONS (' . $list->(%mapping) . ')');
	return;
}

sub rotate_secret
{
	my ($node, $protocol, $new, $old) = @_;
	my $secret = $SENDERS{$protocol}{secret};

	sql($node, "ALTER USER MAPPING FOR CURRENT_USER SERVER $protocol OPTIONS (SET $secret "
		  . literal($new) . ", ADD ${secret}_previous " . literal($old) . ')');
	return $secret;
}

# A key on P-256: its file, and its public half as SendGrid shows it.
sub ecdsa_key
{
	my $file = PostgreSQL::Test::Utils::tempdir('ecdsa') . '/key.pem';
	my $public;

	PostgreSQL::Test::Utils::run_log([ 'openssl', 'ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', $file ])
	  or die 'openssl makes no key';
	$public = `openssl ec -in $file -pubout -outform DER 2>/dev/null`;
	return ($file, encode_base64($public, ''));
}

sub ecdsa_signature
{
	my ($file, $text) = @_;
	open(my $out, '>:raw', "$file.text") or die "$file.text: $!";
	print $out $text;
	close $out;
	return encode_base64(scalar `openssl dgst -sha256 -sign $file $file.text`, '');
}

# A call's parts, signed with a key. Options: id, time.
sub signed
{
	my ($protocol, $body, $key, %o) = @_;
	my $time = $o{time} // time;
	my $id = $o{id} // 'msg_1';

	if ($protocol eq 'whatsapp_cloud')
	{
		return (body => $body, headers => { 'X-Hub-Signature-256' => 'sha256=' . hmac_sha256_hex($body, $key) });
	}
	if ($protocol eq 'waha')
	{
		return (body => $body, headers => { 'x-webhook-hmac' => uc hmac_sha512_hex($body, $key) });
	}
	if ($protocol eq 'resend' || $protocol eq 'webhook')
	{
		my $prefix = $protocol eq 'resend' ? 'svix' : 'webhook';
		my $bytes = MIME::Base64::decode_base64($key =~ s/^whsec_//r);
		my $signature = 'v1,' . encode_base64(hmac_sha256("$id.$time.$body", $bytes), '');

		return (
			body => $body,
			headers => { "$prefix-id" => $id, "$prefix-timestamp" => "$time", "$prefix-signature" => $signature });
	}
	if ($protocol eq 'twilio')
	{
		my %fields = map { split /=/ } split /&/, $body;
		my $text = $CALLBACK . join '', map { $_ . $fields{$_} } sort keys %fields;

		return (body => $body, headers => { 'X-Twilio-Signature' => encode_base64(hmac_sha1($text, $key), '') });
	}
	if ($protocol eq 'mailgun')
	{
		my $signature = hmac_sha256_hex("$time$id", $key);

		return (body => $body =~
			  s/^\{/{"signature": {"timestamp": "$time", "token": "$id", "signature": "$signature"}, /r);
	}
	if ($protocol eq 'sendgrid')
	{
		return (
			body => $body,
			headers => {
				'X-Twilio-Email-Event-Webhook-Timestamp' => "$time",
				'X-Twilio-Email-Event-Webhook-Signature' => ecdsa_signature($key, "$time$body") });
	}
	if ($protocol eq 'postmark')
	{
		return (body => $body, headers => { authorization => 'Basic ' . encode_base64("any:$key", '') });
	}
	return (body => $body, secret => $key) if $SENDERS{$protocol}{secret} eq 'path_secret';
	return (body => $body, headers => { Authorization => "Bearer $key" });
}

# The statement of a call by whoever has been granted nothing else.
sub statement
{
	my ($server, %call) = @_;
	my $headers = JSON::PP->new->canonical->encode($call{headers} // {});
	my $body = $call{body_sql} // "'\\x" . unpack('H*', $call{body} // '') . "'";

	return 'SELECT * FROM cadence_receive(' . join(
		', ', literal($server), literal(exists $call{method} ? $call{method} : 'POST'), literal($headers),
		literal($call{query}), $body, literal($call{secret})) . ')';
}

# The answer to a call, as a hash.
sub received_row
{
	my ($node, $server, %call) = @_;
	my $before = $call{before} // '';
	my $json = $node->safe_psql('postgres',
		Encode::encode_utf8("SET SESSION AUTHORIZATION hook; $before SELECT to_json(r) FROM ("
		  . statement($server, %call) . ') AS r'), extra_params => ['-q']);

	return JSON::PP::decode_json($json);
}

# A call's status, and how many rows of cadence_rejected it has left.
sub receive_and_count
{
	my ($node, $server, %call) = @_;
	my $count = "SELECT count(*) AS n FROM cadence_rejected WHERE server = '$server'";

	return sql($node, "$count \\gset before_\nSET SESSION AUTHORIZATION hook;
		SELECT status FROM (" . statement($server, %call) . ") AS r \\gset\nRESET SESSION AUTHORIZATION;
		SELECT concat_ws(' ', :status, n - :before_n) FROM ($count) AS c");
}

# Only its status.
sub receive
{
	my ($node, $server, %call) = @_;
	return received_row($node, $server, %call)->{status};
}

1;
