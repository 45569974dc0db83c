# The door and cadence_http() together, as the jobs, providers, mailboxes and monitors call them that
# called the edge function and its neighbours. The owner of the tables is no superuser: he has what
# docs/rights.md hands out.

use strict;
use warnings;
use utf8;

use Digest::SHA qw(hmac_sha256_hex);
use Encode qw(encode_utf8);
use FindBin;
use JSON::PP ();
use lib $FindBin::RealBin;

use Cadence;
use PostgreSQL::Test::Utils;
use Test::More;

my $RUNNER = '/functions/v1/cadence-runner';
my %SECRETS = map { $_ => "$_-secret-1234567890" } qw(service_role cron health metrics viewer people);
my $ANON = 'eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoiYW5vbiJ9.c2lnbmF0dXJl';

my $provider = start_provider();
my $has_pg_net = -e `pg_config --sharedir` =~ s/\s+$//r . '/extension/pg_net.control';
my $node = new_cluster('main', extension => 0, conf => [
	"cadence_runner.unsubscribe_url = 'https://crm.example/u/'",
	# as bad as can be, for whoever must keep secrets out of the log
	"log_statement = 'all'", 'log_min_duration_statement = 0', 'log_parameter_max_length_on_error = -1',
	"session_preload_libraries = 'auto_explain'", 'auto_explain.log_min_duration = 0', 'auto_explain.log_verbose = on',
	$has_pg_net ? ("shared_preload_libraries = 'pg_net'", "pg_net.database_name = 'postgres'") : () ]);

# The block that is to be pasted, and the file that makes the door's role.
my ($owner) = grep { /CREATE ROLE crm/ } slurp_file("$FindBin::RealBin/../../docs/rights.md") =~ /```sql\n(.*?)```/sg;

sql($node, "SET client_min_messages = warning; $owner");
$node->command_ok([ 'psql', '-X', '-q', '-d', $node->connstr('postgres'), '-f', "$FindBin::RealBin/../../door/role.sql" ], 'the role is made');
sql($node, join ' ',
	map { "SELECT cadence_secret_set('$_', '$SECRETS{$_}');" } sort keys %SECRETS);
is(sql($node, q{SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 'lead_cadence_runs'}), 'crm', 'the tables are an owner\'s who is no superuser');

# beside what the door does for him, what other pages of docs/ let the owner call
is(sql($node, q{SELECT string_agg(f, ' ' ORDER BY f) FROM unnest(ARRAY['cadence_metrics(boolean)',
	'cadence_inbound(text, text, text, timestamptz, text, text, text, text, text, boolean)',
	'cadence_delivery(text, text, text, timestamptz, text, text, text)']) AS f
	WHERE NOT has_function_privilege('crm', f, 'EXECUTE')}), '', 'the owner may tell what comes back, and read metrics');

my $door = start_door($node);

sub bearer
{
	return (headers => { Authorization => "Bearer $_[0]" });
}

sub json
{
	return JSON::PP::decode_json($_[0]{body});
}

# ---- the job ------------------------------------------------------------------------------------

# What pg_net 0.20.4 sends, byte for byte.
sub pg_net_bytes
{
	my ($token, $body) = @_;
	return "POST $RUNNER HTTP/1.1\r\nHost: 127.0.0.1:" . $door->port . "\r\nAccept: */*\r\nContent-Type: application/json\r\n"
	  . "Authorization: Bearer $token\r\nUser-Agent: pg_net/0.20.4\r\nContent-Length: " . length($body) . "\r\n\r\n$body";
}

make_company($node, 'ok', $provider->url('ok'));
sql($node, 'ALTER SERVER ok OWNER TO crm');
enrol($node, 'ok', 3);
is($door->status('POST', $RUNNER), 401, 'no Authorization');
is($door->status('POST', $RUNNER, bearer($ANON)), 401, 'the key of anon');
is(parse_answer($door->say(pg_net_bytes($ANON, '{"trigger": "CRON"}')))->{status}, 401, 'also if the body says that it is pg_cron');
is(sql($node, 'SELECT count(*) FROM cadence_runner_logs'), 0, 'nothing was executed');
my $answer = parse_answer($door->say(pg_net_bytes($SECRETS{cron}, '{"trigger": "CRON"}')));
is($answer->{status}, 200, 'the job of pg_net');
is(json($answer)->{success}, JSON::PP::true, 'its answer');
is(json($answer)->{summary}{success}, 3, 'has the summary');
like($answer->{headers}{'content-type'}, qr{^application/json}, 'as JSON');
is($answer->{headers}{'access-control-allow-origin'}, '*', 'for pages, too');
$answer = $door->ask('POST', $RUNNER, bearer($SECRETS{service_role}), body => '{"trigger": "MANUAL"}');
is(json($answer)->{summary}{trigger_source}, 'MANUAL', 'by hand, by service_role');
$answer = $door->ask('GET', $RUNNER, bearer($SECRETS{cron}));
is("$answer->{status} $answer->{headers}{allow}", '405 POST, OPTIONS', 'GET');
is($door->status('POST', $RUNNER, bearer($SECRETS{cron}), body => '{"trigger": "X"}'), 400, 'a trigger that there is not');
is(sql($node, q{SELECT string_agg(trigger_source || ' ' || runs_touched, ', ' ORDER BY executed_at) FROM cadence_runner_logs}), 'CRON 3, MANUAL 0', 'the log');
sql($node, "ALTER TABLE lead_contacts RENAME COLUMN lead_id TO lead; UPDATE lead_cadence_runs SET status = 'ATIVA', next_step_ordem = 1, next_run_at = now()");
is($door->status('POST', $RUNNER, bearer($SECRETS{cron})), 500, 'an execution that fails');
is(sql($node, 'SELECT count(*) FROM cadence_runner_logs WHERE errors = 1'), 1, 'is logged');
sql($node, "ALTER TABLE lead_contacts RENAME COLUMN lead TO lead_id; UPDATE lead_cadence_runs SET status = 'CONCLUIDA'");

# Who asks and goes does not end it.
make_company($node, 'slow', $provider->url('slow/500'));
sql($node, 'ALTER SERVER slow OWNER TO crm');
enrol($node, 'slow', 4);
my $socket = $door->begin('POST', $RUNNER, bearer($SECRETS{cron}));
poll_until(sub { $provider->count('slow') > 0 }) or die 'nothing was sent';
close $socket;
ok(poll_until(sub { sql($node, q{SELECT count(*) FROM cadence_runner_logs WHERE steps_executed = 4}) }), 'whoever hangs up ends no execution');

SKIP:
{
	skip 'pg_net is not installed', 2 unless $has_pg_net;
	sql($node, 'CREATE EXTENSION pg_net');
	for my $token ($SECRETS{cron}, $ANON)
	{
		my $id = sql($node, q{SELECT net.http_post(url := } . literal($door->url($RUNNER)) . q{,
			headers := jsonb_build_object('Content-Type', 'application/json', 'Authorization', 'Bearer ' || } . literal($token) . q{), body := '{"trigger": "CRON"}'::jsonb)});
		my $expected = $token eq $ANON ? 401 : 200;

		ok(poll_until(sub { sql($node, "SELECT status_code FROM net._http_response WHERE id = $id") eq $expected }), "pg_net hears $expected");
	}
}

# ---- webhooks -----------------------------------------------------------------------------------

sql($node, q{SET ROLE crm; CREATE SERVER wa FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', protocol 'whatsapp_cloud', empresa 'ok', phone_number_id '1');
	CREATE USER MAPPING FOR crm SERVER wa OPTIONS (token 't', app_secret 'segredo', verify_token 'palavra');
	CREATE SERVER hook FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', empresa 'ok', url 'http://127.0.0.1:9');
	CREATE USER MAPPING FOR crm SERVER hook OPTIONS (path_secret '0123456789abcdef0123456789abcdef')});
$answer = $door->ask('GET', '/webhooks/wa?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=palavra');
is("$answer->{status} $answer->{body}", '200 1158201444', 'Meta verifies the address');
is($door->status('GET', '/webhooks/wa?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=outra'), 401, 'with the word that was given');
# what is signed are the bytes: blanks, a line's end, what is no ASCII
my $body = encode_utf8(qq({"object": "whatsapp_business_account",\r\n "entry":  [{"changes": [{"field": "messages", "value": {"messaging_product": "whatsapp", )
	  . qq("metadata": {"phone_number_id": "1"}, "messages": [{"id": "wamid.1", "from": "5511999990001", "timestamp": "1764450000", "type": "text", "text": {"body": "Olá 🎉"}}]}}]}]}\n));
my %signed = ('X-Hub-Signature-256' => 'sha256=' . hmac_sha256_hex($body, 'segredo'), 'Content-Type' => 'application/json');
is($door->status('POST', '/webhooks/wa', headers => \%signed, body => $body), 200, 'a call that is signed');
is($door->status('POST', '/webhooks/wa', headers => \%signed, body => "$body "), 401, 'of these bytes');
is($door->status('POST', '/webhooks/nobody', headers => \%signed, body => $body), 404, 'a server that there is not');
is($door->status('POST', '/webhooks/hook/0123456789abcdef0123456789abcdef/events', body => '[]'), 200, 'a secret in the address');
is($door->status('POST', '/webhooks/hook/0123456789abcdef0123456789abcdee/events', body => '[]'), 401, 'that is another');
unlike($door->log, qr/0123456789abcdef|palavra|segredo/, 'is in no log');

# ---- people -------------------------------------------------------------------------------------

my $link = sql($node, q{SELECT replace(cadence_unsubscribe_url(id), 'https://crm.example', '') FROM lead_cadence_runs WHERE empresa = 'ok' LIMIT 1});
like($door->ask('GET', $link)->{body}, qr/Parar de receber mensagens/, 'the page asks');
is(sql($node, 'SELECT count(*) FROM contact_opt_outs'), 0, 'and changes nothing');
is($door->status('POST', $link, headers => { 'Content-Type' => 'application/x-www-form-urlencoded', Origin => 'https://mail.example' }, body => 'List-Unsubscribe=One-Click'),
	200, 'a mailbox\'s own button acts');
is(sql($node, 'SELECT count(*) FROM contact_opt_outs'), 1, 'once');

my $logged = -s $node->logfile;

# ---- those who watch ----------------------------------------------------------------------------

$answer = $door->ask('GET', '/health');
like("$answer->{status} $answer->{body}", qr/^(200 \{"ok": true\}|503 \{"ok": false\})$/, 'a stranger hears yes or no');
like($door->ask('GET', '/health', bearer($SECRETS{health}))->{body}, qr/"reasons": \[(?!"permission)/, 'who may know hears why');
is($door->status('GET', '/metrics'), 401, 'metrics are for who has their secret');
$answer = $door->ask('GET', '/metrics', headers => { Authorization => "Bearer $SECRETS{metrics}", Accept => 'application/openmetrics-text;version=1.0.0,text/plain;q=0.5' });
is($answer->{status}, 200, 'who has it gets them');
like($answer->{body}, qr/# EOF\n\z/, 'as asked for');
like($answer->{headers}{'content-type'}, qr{^application/openmetrics-text}, 'and says so');
like($door->ask('GET', '/metrics', bearer($SECRETS{metrics}))->{body}, qr/^cadence_http_requests_total\{.*route="\/functions\/v1\/cadence-runner"/m, 'requests are counted');

# ---- the dashboard ------------------------------------------------------------------------------

$answer = $door->ask('POST', '/login', body => "token=$SECRETS{viewer}", headers => { 'Content-Type' => 'application/x-www-form-urlencoded' });
is("$answer->{status} $answer->{headers}{location}", '303 /', 'coming in');
my %session = (headers => { Cookie => $answer->{headers}{'set-cookie'} =~ /^([^;]+)/ });
like($answer->{headers}{'set-cookie'}, qr/^__Host-cadence=.*; Path=\/; Secure; HttpOnly; SameSite=Strict/, 'by a cookie for this host alone');
is(json($door->ask('GET', '/api/me', %session))->{name}, 'viewer', 'who is known then');
is($door->status('POST', '/login', body => "token=$SECRETS{viewer}", headers => { 'Sec-Fetch-Site' => 'cross-site' }), 403, 'not from another site');
is($door->status('GET', '/api/agora'), 401, 'without it there is nothing to see');
# as the owner of the tables, with what docs/rights.md has given him
for my $name (map { s/^cadence_api_//r } split /\n/,
	sql($node, q{SELECT proname FROM pg_proc WHERE proname ~ '^cadence_api_' AND pronargs = 2 AND proargtypes[0] = 'jsonb'::regtype AND proargtypes[1] = 'boolean'::regtype ORDER BY 1}))
{
	my $page = $door->ask('GET', "/api/$name", bearer($SECRETS{people}));
	ok($page->{status} =~ /^(200|400|404)$/, "/api/$name") or diag("$page->{status} $page->{body}");
}
$answer = $door->ask('GET', '/api/me', %session);
is($door->status('GET', '/api/me', headers => { %{ $session{headers} }, 'If-None-Match' => $answer->{headers}{etag} }), 304, 'what is known is not sent again');

# who comes in, and what goes wrong
$door->status('POST', '/login', body => "token=$SECRETS{people}", headers => { 'Content-Type' => 'application/x-www-form-urlencoded' });
sql($node, 'REVOKE EXECUTE ON FUNCTION cadence_http FROM cadence_door');
is($door->status('GET', '/api/me', bearer($SECRETS{people})), 500, 'a call that fails');
my $log = slurp_file($node->logfile, $logged);
like($log, qr/cadence_http\(\$1, \$2/, 'the server logs statements of the door');
unlike($log, qr/secret-1234567890|token=/, 'and no secret with them');

done_testing();
