# Requests over HTTP as the role that serves them makes them: what a session is worth, executions
# that are stopped or meet, a standby.

use strict;
use warnings;
use utf8;

use Digest::SHA qw(hmac_sha256_hex sha256 sha256_hex);
use Encode qw(encode_utf8 decode_utf8);
use FindBin;
use JSON::PP ();
use lib $FindBin::RealBin;

use Cadence;
use PostgreSQL::Test::Utils;
use Test::More;

my $RUNNER = '/functions/v1/cadence-runner';
my %SECRETS = map { $_ => "$_-secret-1234567890" } qw(service_role cron health metrics viewer people);

sub statement
{
	my ($method, $path, %o) = @_;
	my %headers = %{ $o{headers} // {} };

	$headers{authorization} = "Bearer $o{token}" if defined $o{token};
	return 'SELECT status, headers, convert_from(body, $$UTF8$$) AS body FROM cadence_http(' . join(
		', ', literal($method), literal($path), literal($o{query}), literal(JSON::PP->new->canonical->encode(\%headers)),
		'convert_to(' . literal($o{body} // '') . q{, $$UTF8$$)}, q{'192.0.2.7'}) . ')';
}

# The answer to a request, as a hash.
sub http
{
	my ($node, $method, $path, %o) = @_;
	my $json = $node->safe_psql('postgres',
		encode_utf8(($o{before} // '') . 'SELECT to_json(h) FROM (' . statement($method, $path, %o) . ') AS h'),
		extra_params => [ '-q', '-U', 'cadence_door' ]);

	return JSON::PP::decode_json($json);
}

sub status
{
	return http(@_)->{status};
}

sub set_up
{
	my ($node) = @_;
	sql($node, 'CREATE ROLE cadence_door LOGIN;
		GRANT EXECUTE ON FUNCTION cadence_http(text, text, text, jsonb, bytea, inet) TO cadence_door;'
		  . join ' ', map { "SELECT cadence_secret_set('$_', '$SECRETS{$_}');" } sort keys %SECRETS);
	return;
}

my $provider = start_provider();
my $node = new_cluster('main', streaming => 1, conf => [ "cadence_runner.unsubscribe_url = 'https://crm.example/u/'" ]);

set_up($node);

# ---- a session -------------------------------------------------------------------------------

my ($key, $digest) = split /\|/, sql($node, q{SELECT encode(session_key, 'hex'), encode(digest, 'hex') FROM cadence_secrets WHERE name = 'viewer'});

# One that somebody signs who has read the table.
sub session
{
	my ($until, $proof) = @_;
	my $text = "$until.$proof";
	return { cookie => "__Host-cadence=$text." . hmac_sha256_hex($text, pack('H*', $key)) };
}

my $login = http($node, 'POST', '/login', body => 'token=' . $SECRETS{viewer});
my ($cookie) = $login->{headers}{'Set-Cookie'} =~ /^([^;]+)/;
my $proof = sha256_hex($SECRETS{viewer});

is($digest, sha256_hex(sha256($SECRETS{viewer})), 'a digest of a digest is kept');
is(status($node, 'GET', '/api/me', headers => { cookie => $cookie }), 200, 'a session');
is(status($node, 'GET', '/api/me', headers => session(time + 100, $proof)), 200, 'is what it is thought to be');
is(status($node, 'GET', '/api/me', headers => session(time - 1, $proof)), 401, 'and ends');
is(status($node, 'GET', '/api/me', headers => session(time + 100, $digest)), 401, 'of what the table has none is made');
is(status($node, 'GET', '/api/me', headers => session(time + 100, sha256_hex('x'))), 401, 'nor of anything else');
like(log_since($node), qr/LOG: +cadence_runner: "viewer" has come in from 192\.0\.2\.7/, 'who came in is logged');
unlike(log_since($node), qr/1234567890/, 'and no secret is');
# Going ends what a copy of the cookie opens, and the other devices' sessions, where the secret is a person's own.
sub come_in
{
	my ($secret) = @_;
	my ($cookie) = http($node, 'POST', '/login', body => "token=$secret")->{headers}{'Set-Cookie'} =~ /^([^;]+)/;
	return (headers => { cookie => $cookie });
}

my ($ana, $rui) = map { sql($node, "SELECT cadence_secret_set('people:$_')") } qw(ana rui);
my @of_ana = map { { come_in($ana) } } 1, 2;
my %of_rui = come_in($rui);
is(status($node, 'POST', '/logout', headers => { %{ $of_ana[0]{headers} }, 'sec-fetch-site' => 'cross-site' }), 403, 'another site has nobody go');
is(status($node, 'GET', '/api/me', %{ $of_ana[0] }), 200, 'so that a session lasts');
is(status($node, 'POST', '/logout', %{ $of_ana[0] }), 303, 'going');
is(status($node, 'GET', '/api/me', %{ $of_ana[$_] }), 401, "ends her session $_") for 0, 1;
is(status($node, 'GET', '/api/me', %of_rui), 200, 'not those of others');
is(status($node, 'GET', '/api/me', come_in($ana)), 200, 'and she may come again');
is(status($node, 'POST', '/logout', headers => { cookie => $cookie }), 303, 'of a secret that is shared');
is(status($node, 'GET', '/api/me', headers => { cookie => $cookie }), 200, 'the others stay');
is(status($node, 'POST', '/logout'), 303, 'nobody may go, too');
# a dump has no more than the table
unlike(slurp_dump($node), qr/1234567890|\Q$proof\E/, 'nor in a dump');

sub slurp_dump
{
	my ($from) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir('dump') . '/dump';

	$from->command_ok([ 'pg_dump', '-f', $file, $from->connstr('postgres') ], 'a dump');
	return slurp_file($file);
}

# ---- executions ------------------------------------------------------------------------------

make_company($node, 'ok', $provider->url('ok'));
enrol($node, 'ok', 5);
my $answer = http($node, 'POST', $RUNNER, token => $SECRETS{cron}, body => '{"trigger": "CRON"}');
my $summary = JSON::PP::decode_json(encode_utf8($answer->{body}));

is($answer->{status}, 200, 'an execution over HTTP');
is_deeply([ sort keys %$summary ], [qw(results success summary)], 'its answer has what the edge function\'s had');
is_deeply([ sort keys %{ $summary->{summary} } ], [qw(duration_ms errors skipped success total trigger_source)], 'and its summary');
is($summary->{summary}{success}, 5, 'all are sent');
is_deeply([ sort keys %{ $summary->{results}[0] } ], [qw(leadId mensagem runId status stepOrdem templateCodigo)], 'and each result');

# Two at once: one of them sends, and both answer.
make_company($node, 'slow', $provider->url('slow/700'));
enrol($node, 'slow', 3);
my @callers = map { start_http($node, statement('POST', $RUNNER, token => $SECRETS{cron})) } 1 .. 2;
is(join(' ', map { $_->finish; $_->output =~ /^(\d+)/ } @callers), '200 200', 'two executions at once');
is($provider->count('slow'), 3, 'each step was sent once');

# Who asks for an execution and is cancelled: what was under way is recorded.
sub start_http
{
	my ($on, $text) = @_;
	return start_sql($on, "SET ROLE cadence_door; $text");
}

enrol($node, 'slow', 2);
my $caller = start_http($node, statement('POST', $RUNNER, token => $SECRETS{cron}));
poll_until(sub { $provider->count('slow') == 5 }) or die 'nothing was sent';
sql($node, q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE '%cadence_http%' AND pid <> pg_backend_pid()});
$caller->finish;
like($caller->output, qr/503\|.*57014/s, 'one that is cancelled answers');
poll_until(sub { sql($node, q{SELECT count(*) FROM lead_messages WHERE empresa = 'slow'}) == 5 });
is(sql($node, q{SELECT count(*) FROM lead_messages WHERE empresa = 'slow'}), 5, 'what was under way is recorded');

# A shutdown is no error: it ends the session.
enrol($node, 'slow', 1);
$caller = start_http($node, statement('POST', $RUNNER, token => $SECRETS{cron}));
poll_until(sub { $provider->count('slow') == 6 }) or die 'nothing was sent';
sql($node, q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%cadence_http%' AND pid <> pg_backend_pid()});
isnt($caller->finish, 0, 'one that is terminated does not answer');
like($caller->error, qr/terminating connection due to administrator command/, 'but ends');

# One that fails. The worker of the one that was terminated has its own log row to write first.
poll_until(sub { sql($node, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'cadence_runner'}) == 0 }) or die 'a worker stays';
sql($node, "ALTER TABLE lead_contacts RENAME COLUMN lead_id TO lead; UPDATE lead_cadence_runs SET status = 'ATIVA', next_step_ordem = 1, next_run_at = now() WHERE empresa = 'ok'");
my $logs = sql($node, 'SELECT count(*) FROM cadence_runner_logs WHERE errors = 1');
$answer = http($node, 'POST', $RUNNER, token => $SECRETS{service_role});
is($answer->{status}, 500, 'an execution that fails');
is_deeply(JSON::PP::decode_json(encode_utf8($answer->{body})),
	{ error => 'Erro interno do servidor', details => 'column x.lead_id does not exist', code => '42703' }, 'says so');
is(sql($node, 'SELECT count(*) FROM cadence_runner_logs WHERE errors = 1'), $logs + 1, 'and is logged');
sql($node, "ALTER TABLE lead_contacts RENAME COLUMN lead TO lead_id; UPDATE lead_cadence_runs SET status = 'CONCLUIDA'");
set_server($node, 'cadence_runner.enabled', 'off');
is(status($node, 'POST', $RUNNER, token => $SECRETS{cron}), 503, 'switched off it is not possible now');
set_server($node, 'cadence_runner.enabled', 'on');
is(status($node, 'POST', $RUNNER, token => $SECRETS{cron}), 200, 'and switched on it is');

# ---- a standby -------------------------------------------------------------------------------

my $link = sql($node, q{SELECT replace(cadence_unsubscribe_url(id), 'https://crm.example', '') FROM lead_cadence_runs LIMIT 1});
sql($node, "CREATE SERVER wa FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', protocol 'whatsapp_cloud', empresa 'ok', phone_number_id '1');
	CREATE USER MAPPING FOR CURRENT_USER SERVER wa OPTIONS (token 't', app_secret 'segredo', verify_token 'palavra')");
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
my $health = http($standby, 'GET', '/health', token => $SECRETS{health});
is($health->{status}, 200, 'a standby tells its health') or diag($health->{body});
is(status($standby, 'GET', '/api/me', headers => { cookie => $cookie }), 200, 'knows the sessions of its primary');
is(status($standby, 'POST', '/login', body => "token=$SECRETS{people}"), 303, 'lets people in');
is(status($standby, 'POST', '/logout', %of_rui), 303, 'and go');
is(status($standby, 'GET', '/api/me', %of_rui), 200, 'where only the browser forgets them');
is(status($standby, 'GET', $link), 200, 'shows the page to unsubscribe');
is(status($standby, 'POST', $link), 503, 'which can not act there');
is(status($standby, 'POST', $RUNNER), 401, 'tells whom it does not know');
is(status($standby, 'POST', $RUNNER, token => $SECRETS{cron}), 503, 'executes nothing');
is(status($standby, 'GET', '/webhooks/wa', query => 'hub.mode=subscribe&hub.verify_token=palavra&hub.challenge=1'), 200, 'answers a challenge');
is(status($standby, 'POST', '/webhooks/wa', body => '{}', headers => { 'x-hub-signature-256' => 'sha256=' . hmac_sha256_hex('{}', 'segredo') }), 503,
	'and stores no call');
is(status($node, 'POST', '/webhooks/wa', body => '{}', headers => { 'x-hub-signature-256' => 'sha256=' . hmac_sha256_hex('{}', 'segredo') }), 200,
	'as its primary does');

# ---- a copy that may not send ------------------------------------------------------------------

sql($node, q{UPDATE cadence_arming SET cluster = '1'});
$answer = http($node, 'POST', $RUNNER, token => $SECRETS{cron});
is($answer->{status}, 503, 'what is not armed executes nothing');
like($answer->{body}, qr/not armed/, 'and says why');
is(status($node, 'POST', $link), 200, 'but hears who wants no more');
is(sql($node, 'SELECT count(*) FROM contact_opt_outs'), 1, 'which is noted');
is(status($node, 'GET', '/health'), 503, 'it is not well');
is(sql($node, q{SELECT string_agg(h.status::text, ' ') FROM cadence_http('POST', '/webhooks/wa', NULL, '{}', '{}', NULL) AS h}), '401', 'and still knows who calls');

done_testing();
