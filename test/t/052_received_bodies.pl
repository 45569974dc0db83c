# What a webhook's call may hold: nothing that it says stops more than itself, nor is too much, nor
# brings a secret to light.

use strict;
use warnings;
use utf8;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use Cadence::Webhook;
use Encode qw(encode_utf8);
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_cluster('main');
my $SECRET = 'segredo-da-carta-segredo-da-carta';
my $CANARY = 'canario-da-instancia';

sql($node, 'CREATE ROLE hook LOGIN;
	GRANT EXECUTE ON FUNCTION cadence_receive(text, text, jsonb, text, bytea, text) TO hook');
make_sender($node, 'zapi', $SECRET);
make_sender($node, 'gupshup', $SECRET);
make_sender($node, 'evolution', $SECRET);
make_sender($node, 'whatsapp_cloud', $SECRET);
make_sender($node, 'mailgun', $SECRET);

my %good = (secret => $SECRET);

sub rejected
{
	my ($where) = @_;
	return sql_rows($node, "SELECT server, empresa, motivo, codigo, evento, elemento, corpo, tentativas
		FROM cadence_rejected WHERE " . ($where // 'true') . ' ORDER BY em, id');
}

sub forget
{
	sql($node, 'DELETE FROM cadence_rejected');
	return;
}

# The status of one call, and what it has left.
sub left_by
{
	my ($server, $body, %call) = @_;
	my $status;

	forget();
	$status = receive($node, $server, $server eq 'evolution' ? () : %good, body => $body, %call);
	return ($status, rejected());
}

my %bearer = (headers => { Authorization => "Bearer $SECRET" });

# ---- what can not be read ----------------------------------------------------------------

for my $body ('', '{', 'null', '"x"', '1', '{"a": }', "\xFF\xFE", '<xml/>', "{'a': 1}", '[' x 100_000, '{"a":' x 3000, "\0\0", "\0" . 'A' x 9000)
{
	my $what = length $body > 20 ? substr($body, 0, 6) . '...' : $body =~ s/[^ -~]/?/gr;
	my ($status, @rows) = left_by('gupshup', $body);

	is($status, 200, "a body \"$what\" is answered as any");
	is(@rows, 1, '... and kept');
	like($rows[0]{motivo}, qr/^the body is not what the protocol says \(\d+ bytes, SHA-256 [0-9a-f]{64}\)$/, '... with its reason');
	is($rows[0]{elemento}, undef, '... and no element');
	is(length $rows[0]{corpo}, length($body) > 8192 ? 8192 : length $body, '... and its beginning');
}
{
	my ($status, @rows) = left_by('evolution', qq({"apikey": "$CANARY", ), %bearer);

	is($status, 200, 'one whose secrets nobody can find');
	is($rows[0]{corpo}, undef, '... is not kept, but for its length and its hash');
	like($rows[0]{motivo}, qr/\(35 bytes, SHA-256/, '... which are');
}

# ---- what a text may hold ------------------------------------------------------------------

for my $case (
	[ 'bytes that are no UTF-8', qq({"sonda": "\xFF\xC0\x80"}), '???' ],
	[ 'a surrogate in UTF-8', qq({"sonda": "\xED\xA0\x80"}), '???' ],
	[ 'beyond Unicode', qq({"sonda": "\xF4\x90\x80\x80"}), '????' ],
	[ 'an escaped zero', '{"sonda": "a\u0000b"}', "a\x{FFFD}b" ],
	[ 'half of a pair', '{"sonda": "\uD83D"}', "\x{FFFD}" ],
	[ 'a whole pair', '{"sonda": "\uD83D\uDE00"}', "\x{1F600}" ],
	[ 'a mark of the byte order', qq(\xEF\xBB\xBF{"sonda": "1"}), '1' ],
	[ 'digits that no number keeps', '{"sonda": 12345678901234567890123}', '12345678901234567890123' ])
{
	my ($what, $body, $expected) = @$case;
	my ($status, @rows) = left_by('zapi', $body);

	is($status, 200, $what);
	is($rows[0]{elemento}{sonda}, $expected, '... is kept as it can be');
}

# ---- too much ------------------------------------------------------------------------------

# What a session has used at most, in MB, after a call.
sub peak
{
	my ($server, $body_sql) = @_;
	my $headers = $server eq 'whatsapp_cloud' ? 'jsonb_build_object($$X-Hub-Signature-256$$, $$sha256=x$$)' : '$${}$$';
	my ($status, $before, $after) = split /\|/, sql($node,
		"SET max_parallel_workers_per_gather = 0;
		SELECT status FROM cadence_receive('zapi', 'POST', '{}', '', '{}', '$SECRET') \\g /dev/null
		CREATE TEMP TABLE body AS SELECT $body_sql AS b;
		SELECT substring(pg_read_file('/proc/self/status') FROM 'VmHWM:\\s+(\\d+)') AS before \\gset
		SELECT status FROM body, cadence_receive('$server', 'POST', $headers, '', b, '$SECRET') \\gset
		SELECT :status || '|' || :before || '|' || substring(pg_read_file('/proc/self/status') FROM 'VmHWM:\\s+(\\d+)')");

	return ($status, ($after - $before) / 1024);
}

forget();
for my $case (
	[ 'empty arrays', "'[' || repeat('[],', 1398000) || '[]]'" ],
	[ 'numbers', "'[' || repeat('1,', 2097000) || '1]'" ],
	[ 'empty objects', "'[' || repeat('{},', 1398000) || '{}]'" ],
	[ 'members', "'{' || (SELECT string_agg('\"' || i || '\":0', ',') FROM generate_series(1, 380000) i) || '}'" ],
	[ 'one text', "'{\"sonda\": \"' || repeat('x', 4194000) || '\"}'" ],
	[ 'one text of escapes', "'{\"sonda\": \"' || repeat('\\u0001', 699000) || '\"}'" ],
	[ 'brackets', "repeat('[', 4194304)" ])
{
	my ($what, $text) = @$case;
	my ($status, $more) = peak('zapi', "convert_to($text, 'UTF8')");

	is($status, 200, "four megabytes of $what");
	cmp_ok($more, '<', $ENV{SANITIZER_REPORTS} ? 200 : 100, "... take no more than a hundred: $more");
}
is(scalar(grep { $_->{motivo} =~ /^the body would take too much memory/ } rejected()), 4, 'what would take more was not read');

# each of twenty thousand is one, in one call that is no longer than that
sql($node, q{CREATE SERVER tranca FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', url 'http://127.0.0.1:9');
	INSERT INTO lead_contacts (lead_id, empresa, telefone) VALUES ('tranca', 'ACME', '+5511900001111')});
sql($node, "CREATE USER MAPPING FOR PUBLIC SERVER tranca OPTIONS (path_secret '$SECRET')");
forget();
{
	my $each = q(string_agg('{"event":"x","n":"' || i || '"}', ','));
	my ($status, $more) = peak('tranca', "convert_to('[' || (SELECT $each FROM generate_series(1, 20000) i) || ']', 'UTF8')");

	is($status, 200, 'twenty thousand elements');
	cmp_ok($more, '<', 150, "... take their memory and no more: $more");
	is(sql($node, q{SELECT count(*), count(*) FILTER (WHERE motivo ~ '^19000 more events are not kept') FROM cadence_rejected}),
		'1002|1', '... of which a thousand are kept, and the others counted');
}

# ---- secrets -------------------------------------------------------------------------------

forget();
is(receive($node, 'evolution', %bearer, body => $_), 200, 'a call with its secret') for (
	qq({"event": "nada", "apikey": "$CANARY", "data": {"x": 1}}),
	qq({"event": "nada", "data": {"eco": "o token é $CANARY"}}),
	qq({"event": "nada", "data": {"Authorization": "Bearer $SECRET"}}),
	qq({"event": "messages.upsert", "apikey": "$CANARY", "data": {"key": {"remoteJid": "5511987654321\@s.whatsapp.net", "fromMe": false, "id": "A1"}, "message": {"conversation": "Oi"}, "messageType": "conversation"}}),
	qq({"event": "$CANARY"), "$CANARY");
is(receive($node, 'mailgun', signed('mailgun', '{"sonda": 1}', $SECRET)), 200, 'one that is signed in its body');
cmp_ok(scalar(rejected()), '>=', 6, 'all are kept');
is(sql($node, "SELECT count(*) FROM cadence_rejected r WHERE r::text ~ '$CANARY|$SECRET|\"token\"'"), 0, 'no secret is, wherever it stood');
unlike(log_since($node), qr/$CANARY|$SECRET/, 'nor logged');
is(sql($node, "SELECT elemento ->> 'apikey' IS NULL AND elemento ? 'apikey' FROM cadence_rejected WHERE elemento -> 'data' ->> 'x' = '1'"),
	't', 'the rest of an element is kept');

# ---- what is tried again ---------------------------------------------------------------------

sub define
{
	my ($rules) = @_;
	sql($node, "SELECT cadence_protocol_define('meu', '" . qq({
		"channels": ["SMS"], "secrets": {"path_secret": {}},
		"operations": {"text": {"url": "{{option.url}}", "json": {"t": "{{message}}"}}},
		"receive": {"events": [$rules]}}) . "')");
	return;
}

my $known = '{"each": "/e/*", "when": {"/t": "a", "^/conta": "1"}, "ignore": "conhecido"}';
define($known);
sql($node, "CREATE SERVER meu FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'SMS', protocol 'meu', url 'http://127.0.0.1:9');
	CREATE USER MAPPING FOR PUBLIC SERVER meu OPTIONS (path_secret '$SECRET')");
forget();
is(receive($node, 'meu', %good, body => '{"conta": 1, "e": [{"t": "a"}, {"t": "b"}, {"t": "c"}]}'), 200, 'three elements, of which one is known');
is_deeply([ map { "$_->{motivo}: $_->{elemento}{t}" } rejected() ], [ 'no rule knows it: b', 'no rule knows it: c' ], 'the others are kept');
is_deeply((rejected())[0]{corpo}, { conta => 1, e => [ map { { t => $_ } } qw(a b c) ] }, 'with all that came with them');
is((rejected())[0]{empresa}, undef, 'of no company, where the server has none');
is(sql($node, 'SELECT cadence_rejected_retry()'), 0, 'nobody knows them yet');
is((rejected())[0]{tentativas}, 2, 'that was another try');
is(sql($node, "SELECT cadence_rejected_retry('zapi')"), 0, 'those of another server');
is((rejected())[0]{tentativas}, 2, 'are left alone');
define("$known, " . '{"each": "/e/*", "when": {"/t": ["b", "c"], "^/conta": "1"}, "ignore": "agora também"}');
is(sql($node, "SELECT cadence_rejected_retry('meu')"), 2, 'they are known, with what stands around them');
is(scalar(rejected("server = 'meu'")), 0, 'and gone');

forget();
is(receive($node, 'meu', %good, body => '{"e": [{"t": "z"}]}'), 200, 'one more');
sql($node, 'DROP SERVER meu CASCADE');
is(sql($node, 'SELECT cadence_rejected_retry()'), 0, 'whose server is gone');
like((rejected())[0]{motivo}, qr/its server is gone/, '... which is said');

# ---- what the table refuses -------------------------------------------------------------------

forget();
sql($node, q{CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not this: %', NEW.motivo; END $$;
	CREATE TRIGGER refuse BEFORE INSERT ON cadence_rejected FOR EACH ROW WHEN (NEW.elemento IS NOT NULL) EXECUTE FUNCTION refuse()});
is(receive($node, 'zapi', %good, body => '{"sonda": 1}'), 200, 'a row that a trigger refuses');
is((rejected())[0]{motivo}, 'no rule knows it', '... is written without what it refuses');
sql($node, 'DROP TRIGGER refuse ON cadence_rejected;
	CREATE TRIGGER refuse BEFORE INSERT ON cadence_rejected FOR EACH ROW EXECUTE FUNCTION refuse()');
is(receive($node, 'zapi', %good, body => '{"sonda": 1}', before => 'SET client_min_messages = error;'), 503, 'one that it refuses whole can not be stored');
like(log_since($node), qr/WARNING:  a webhook's call could not be stored: error P0001/, '... and the log says so');
unlike(log_since($node), qr/could not be stored: not this/, '... without what may repeat the call');
sql($node, 'DROP TRIGGER refuse ON cadence_rejected');
like(
	sql_error($node, "SET statement_timeout = '200ms'; BEGIN; LOCK cadence_rejected IN SHARE MODE; SELECT cadence_receive('zapi', 'POST', '{}', '', '{}', '$SECRET'), pg_sleep(10)"),
	qr/57014/, 'a cancel ends a call');
{
	my $holder = start_sql($node, 'BEGIN; LOCK cadence_rejected IN EXCLUSIVE MODE; SELECT pg_sleep(60)');

	$holder->pid;
	ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_locks WHERE relation = 'cadence_rejected'::regclass AND mode = 'ExclusiveLock' AND granted"),
		'somebody holds the table');
	is(receive($node, 'zapi', %good, body => '{"sonda": 1}', before => 'SET client_min_messages = error;'), 503, 'that is not waited for');
	$holder->kill;
	sql($node, 'SELECT pg_terminate_backend(pid) FROM pg_locks WHERE relation = $$cadence_rejected$$::regclass');
}

# ---- what a lock is in the way of --------------------------------------------------------------

forget();
{
	my $many = join ',', map { qq({"event": "message", "id": "tr-$_", "phone": "+5511900001111", "text": "Oi"}) } 1 .. 50;

	my $holder = start_sql($node, 'BEGIN; LOCK lead_messages IN SHARE MODE; SELECT pg_sleep(600)');

	$holder->pid;
	ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_locks WHERE relation = 'lead_messages'::regclass AND mode = 'ShareLock' AND granted"),
		'somebody holds the table of messages');
	my $since = time();
	is(receive($node, 'tranca', %good, body => "[$many]"), 503, 'what a lock is in the way of is to be told again');
	cmp_ok(time() - $since, '<', 60, '... and fifty events do not wait for it one after the other');
	is(scalar(rejected()), 0, '... and nothing is kept where nobody would try it');
	like(log_since($node), qr/WARNING:  a webhook's call could not be stored whole: a lock is in the way/, '... and the log says why');
	sql($node, 'SELECT pg_terminate_backend(' . $holder->pid . ')');
	$holder->finish;
	is(receive($node, 'tranca', %good, body => "[$many]"), 200, 'told again');
	is(sql($node, "SELECT count(*) FROM lead_messages WHERE lead_id = 'tranca'"), 50, '... it is taken');
}

# ---- old ones ----------------------------------------------------------------------------------

forget();
is(receive($node, 'zapi', %good, body => '{"sonda": "velha"}'), 200, 'one that grows old');
sql($node, "UPDATE cadence_rejected SET em = now() - interval '91 days'");
is(receive($node, 'zapi', %good, body => '{"sonda": "nova"}'), 200, 'one more');
is_deeply([ map { $_->{elemento}{sonda} } rejected() ], ['nova'], 'the old one is gone');

done_testing();
