# The door: what reaches the database, what comes back from it, and what never gets that far.

use strict;
use warnings;
use utf8;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use IO::Socket::INET;
use IPC::Run;
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

# More than that a door on a busy machine does not need for what it does at once.
my $SOON = 4;

my $node = new_cluster('main', extension => 0);
make_door_database($node, 'door');
my $dashboard = PostgreSQL::Test::Utils::tempdir('dashboard');
append_to_file("$dashboard/index.html", "<p>ol\xC3\xA1</p>");
append_to_file("$dashboard/app.js", 'export default 1;');
append_to_file("$dashboard/secret.conf", 'no type that a browser knows');
append_to_file("$dashboard/.hidden.js", 'hidden');
mkdir "$dashboard/directory.js";

sub door
{
	return start_door($node, database => 'door', schema => 'stub', dashboard => $dashboard, @_);
}

sub told
{
	my ($answer) = @_;
	return JSON::PP::decode_json($answer->{body});
}

# ---- its command line and configuration ----------------------------------------------------------

sub command
{
	my ($output, $errors) = ('', '');
	IPC::Run::run([ 'cadence_door', @_ ], '<', \undef, '>', \$output, '2>', \$errors);
	return (${^CHILD_ERROR_NATIVE} >> 8, $output, $errors);
}

sub check_of
{
	my ($text) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir('conf') . '/conf';
	append_to_file($file, $text);
	return join ' ', command('--check', '--config', $file);
}

is_deeply([ command('--version') ], [ 0, "cadence_door 1.0\n", '' ], '--version');
like(join(' ', command('--help')), qr/^0 cadence_door serves HTTP.*--config=FILE/s, '--help');
like(join(' ', command('--nonsense')), qr/^2 .*Usage: /s, 'an option that is none');
is(check_of("# a comment\n\n dashboard = $dashboard \nport=1\n"), "0 ok\n ", '--check');
like(check_of("port = 1\nprot = 2\n"), qr/^1 .*line 2: neither/s, 'a name that is not known');
for my $bad ('port = 70000', 'port = http', 'listen = localhost', 'trusted_proxy = 10.0.0.0/8',
	'database = nonsense', 'schema =', 'log = all')
{
	like(check_of("$bad\n"), qr/^1 .*\b(?:is not|is neither|is empty)/s, "not $bad");
}
like(join(' ', command('--check', '--config', '/nonexistent')), qr/^1 .*No such file/s, 'no file');

# ---- what reaches the database -------------------------------------------------------------------

my $door = door();
my $answer;
my %token = (headers => { Authorization => 'Bearer x' });
my $all_bytes = join '', map { chr } 0 .. 255;
my $told = told($door->ask('POST', '/webhooks/wa/Se%20gredo?a=%C3%A9&b', body => $all_bytes,
	headers => { 'X-One' => '1', 'x-Latin' => "\xE9", 'X-UTF8' => "\xC3\xA9", Cookie => 'a=b' }));
is("$told->{method} $told->{path} $told->{query}", 'POST /webhooks/wa/Se%20gredo a=%C3%A9&b',
	'method, path and query as they came');
is("$told->{length} $told->{md5}", '256 e2c865db4162bed963bfaa9ef6ac18f0', 'a body of any bytes');
is_deeply($told->{headers},
	{ host => 'localhost', 'content-length' => '256', 'x-one' => '1', 'x-latin' => 'é', 'x-utf8' => 'é',
		cookie => 'a=b' }, 'headers in lower case, without those of the connection');
is("$told->{user} $told->{peer} $told->{search_path}", 'cadence_door 127.0.0.1 pg_catalog, pg_temp',
	'as whom, from where');
$told = told($door->ask('GET', '/webhooks/x'));
ok(!defined $told->{query} && $told->{length} == 0, 'no query and no body');
is(told($door->ask('GET', '/webhooks/x?'))->{query}, '', 'an empty query');
$told = told(parse_answer($door->say("GET /health HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nx-a: 2\r\nCookie: a\r\ncookie: b\r\n\r\n")));
is("$told->{headers}{'x-a'}; $told->{headers}{cookie}", '1, 2; a; b', 'headers that are repeated');
$told = told(parse_answer($door->say("POST /webhooks/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
	  . "5\r\nhello\r\n6\r\n world\r\n0\r\nTrailer: x\r\n\r\n")));
is($told->{length}, 11, 'a body in chunks');
$answer = parse_answer($door->say("POST /webhooks/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
	  . "5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n"));
is($answer->{status} == 200 ? told($answer)->{length} : $answer->{status}, reads_chunk_extensions ? 11 : 400,
	'chunks with extensions, where libmicrohttpd can read them');
is(told(parse_answer($door->say("GET /health HTTP/1.0\r\n\r\n")))->{path}, '/health', 'HTTP/1.0');

my %timeouts = ('GET /api/agora' => '2s', 'GET /metrics' => '2s', 'GET /health' => '2s', 'POST /login' => '25s',
	'POST /u/x' => '25s', 'POST /functions/v1/cadence-runner' => '0', 'GET /functions/v1/cadence-runner' => '25s');
is_deeply({ map { $_ => told($door->ask(split(/ /), %token))->{statement_timeout} } keys %timeouts }, \%timeouts,
	'how long a statement may take');
is(told($door->ask('GET', '/health', headers => { 'X-Forwarded-For' => '10.1.1.1', 'X-Forwarded-Proto' => 'https' }))->{peer},
	'127.0.0.1', 'nobody says where he comes from');
{
	my $behind = door(trusted_proxy => '127.0.0.1');
	my $forwarded = sub {
		return told($behind->ask('GET', '/health', headers => { 'X-Forwarded-For' => $_[0], 'X-Forwarded-Proto' => 'https' }));
	};
	is($forwarded->('1.1.1.1, 10.1.1.1')->{peer}, '10.1.1.1', 'but the proxy that is trusted');
	is($forwarded->('2001:DB8:0::1')->{peer}, '2001:db8::1', 'of either kind');
	is($forwarded->('nonsense')->{peer}, '127.0.0.1', 'if it is an address');
	is($forwarded->('1.1.1.1')->{headers}{'x-forwarded-proto'}, 'https', 'whose other words are passed on');
	ok(!exists $forwarded->('1.1.1.1')->{headers}{'x-forwarded-for'}, 'that one is not');
	is($behind->stop, 0, 'it ends as it should');
}
ok(!exists told($door->ask('GET', '/health', headers => { 'X-Forwarded-Proto' => 'https' }))->{headers}{'x-forwarded-proto'},
	"a stranger's are not");

# ---- what comes back -----------------------------------------------------------------------------

$answer = $door->ask('POST', '/headers', body => JSON::PP::encode_json({
	'Content-Type' => 'text/html; charset=utf-8', 'Set-Cookie' => '__Host-cadence=x; Path=/', 'X-Lines' => "a\r\nX-Evil: b",
	'Content-Length' => '1', 'transfer-encoding' => 'chunked', Connection => 'keep-alive', 'X Planted' => '1', "X-Evil\nX-Other" => 'c' }));
is($answer->{headers}{'content-type'}, 'text/html; charset=utf-8', 'headers come through');
is($answer->{headers}{'set-cookie'}, '__Host-cadence=x; Path=/', 'cookies as well');
is($answer->{headers}{'x-lines'}, 'a  X-Evil: b', 'but no line more than one');
ok(!exists $answer->{headers}{$_}, "so that none is planted: $_") for 'x-evil', 'x planted', 'x-other';
is("$answer->{headers}{connection} " . (length($answer->{body}) == $answer->{headers}{'content-length'}), 'close 1',
	'what is about the connection is the door\'s');
is($door->status('GET', "/status?$_"), $_, "status $_") for 201, 204, 304, 303, 404, 418, 503;
is($door->status('GET', '/status?0'), 500, 'a status that is none');
is($door->status('GET', '/status?101'), 500, 'and one that is no answer');
is(length $door->ask('GET', '/bytes?3000000')->{body}, 3_000_000, 'a large answer');
$answer = $door->ask('HEAD', '/health');
ok($answer->{status} == 200 && $answer->{body} eq '' && $answer->{headers}{'content-length'} > 10, 'HEAD');
$answer = $door->ask('GET', '/fail?42501');
is("$answer->{status} $answer->{body}", qq(500 {"error": {"code": "XX000", "message": "the call failed"}}\n),
	'an error is no affair of the client');
for my $moment ('57014', '53300', '57P01', '08006')
{
	$answer = $door->ask('GET', "/fail?$moment");
	is("$answer->{status} $answer->{headers}{'retry-after'}", '503 5', "but $moment is for the moment");
}
like($door->ask('GET', '/u/x', host => 'x')->{body}, qr/"path": "\/u\/x"/, 'a link goes through');

# ---- what does not get that far ------------------------------------------------------------------

my %refused = (
	"GET /%00" => 400, "GET /a%0ab" => 400, "GET /a%7f" => 400, "GET /a/../b" => 400, "GET /a/%2e%2E/b" => 400, "GET /." => 400,
	"GET /a%" => 400, "GET /a%g0" => 400, "GET /%ff" => 400, "GET /%c0%80" => 400, "GET /%ed%a0%80" => 400, "GET /a\xFFb" => 400,
	"GET /a\x01b" => 400, "GET /a?x=%00" => 400, "GET /a?x=%ff" => 400, "GET /a?x=%0a" => 200,
	"GET /a..b" => 200, "GET /caf\xC3\xA9" => 200, "GET /caf\xC3%a9" => 400, "GET /caf%C3\xA9" => 400, "GET /a?x=\xC3%a9" => 400, "GET a" => 400, "GET http://localhost/" => 400, "GET *" => 400, "GET /#a" => 400,
	"POST /a" => 200, "OPTIONS /a" => 200, map { ("$_ /a" => 405) } qw(PUT PATCH DELETE TRACE CONNECT PROPFIND get X));
for my $request (sort keys %refused)
{
	my $name = $request =~ s/([^ -~])/sprintf '\\x%02x', ord $1/ger;
	is($door->status(split / /, $request), $refused{$request}, "$name: $refused{$request}");
}
is($door->status('GET', "/a\x00b"), libmicrohttpd >= 1.0 ? 0 : 400, 'a zero: 400, or nothing at all from 1.0 on');
like($door->ask('PUT', '/a')->{headers}{allow}, qr/^GET, HEAD, POST/, 'which methods there are');

my %hosts = (
	'localhost' => 200, 'LocalHost:8080' => 200, '127.0.0.1:1' => 200, '[::1]:1' => 200, 'localhost.' => 200, 'evil.example' => 421,
	'localhost.evil.example' => 421, '127.0.0.1.evil.example' => 421, '' => 400, 'localhost:x' => 400, 'a b' => 400, 'localhost/' => 400);
for my $path ('/', '/api/agora', '/login')
{
	is_deeply({ map { $_ => $door->status('GET', $path, host => $_) } keys %hosts }, \%hosts, "names for $path");
}
is($door->status('GET', $_, host => 'evil.example'), 200, "any name for $_")
  for '/webhooks/x', '/u/x', '/health', '/metrics', '/functions/v1/cadence-runner';
is(parse_answer($door->say("GET /api/x HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n"))->{status}, 400, 'two names');
{
	my $named = door(hosts => 'crm.example  painel.example');
	is(join(' ', map { $named->status('GET', '/', host => $_) } 'crm.example', 'PAINEL.example:443', 'localhost', 'crm'),
		'200 200 421 421', 'names that are configured take the place of those');
	$named->stop;
}

my $pad = 'x' x 60_000;
my %sizes = ('/webhooks/x' => 4 * 1024 * 1024, '/u/x' => 65536, '/functions/v1/cadence-runner' => 65536, '/login' => 65536);
for my $path (sort keys %sizes)
{
	is($door->status('POST', $path, %token, body => 'x' x $sizes{$path}), 200, "$path takes $sizes{$path} bytes");
	is($door->status('POST', $path, body => 'x' x ($sizes{$path} + 1)), 413, 'and not one more');
	is(parse_answer($door->say("POST $path HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer x\r\nTransfer-Encoding: chunked\r\n\r\n"
		  . sprintf("%x\r\n", $sizes{$path} + 1) . 'x' x ($sizes{$path} + 1) . "\r\n0\r\n\r\n"))->{status}, 413, 'nor in chunks');
}
for my $length ('99999999999999999999999', '-1', '+5', '5 5', '0x5', '5,5', '')
{
	like(parse_answer($door->say("POST /webhooks/x HTTP/1.1\r\nHost: a\r\nContent-Length: $length\r\n\r\nhello"))->{status}, qr/^4(?:00|13)$/,
		"no length: '$length'");
}
sub with_headers_of
{
	my ($bytes) = @_;
	my $head = "GET /health HTTP/1.1\r\nHost: a\r\nX: ";
	return $head . 'x' x ($bytes - length($head) - 4) . "\r\n\r\n";
}
is(parse_answer($door->say(with_headers_of(16 * 1024)))->{status}, 200, '16 kB of headers');
is(parse_answer($door->say(with_headers_of(16 * 1024 + 1)))->{status}, 431, 'and not one byte more');
is(parse_answer($door->say(with_headers_of(100 * 1024)))->{status}, 431, 'nor many more');
is(parse_answer($door->say("POST /webhooks/chunk HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n\r\n"))->{status}, 400, 'a chunk of no size');
is(parse_answer($door->say("GET /health HTTP/1.1\r\nHost: a\r\n" . "a: b\r\n" x 200 . "\r\n"))->{status}, 431, 'nor hundreds of them');

# ---- the dashboard's files -----------------------------------------------------------------------

$answer = $door->ask('GET', '/');
is("$answer->{status} $answer->{headers}{'content-type'} $answer->{body}", "200 text/html; charset=utf-8 <p>ol\xC3\xA1</p>", 'the page');
like($answer->{headers}{'content-security-policy'}, qr/^default-src 'none'; script-src 'self'; style-src 'self';/, 'which runs only what is ours');
is($door->ask('GET', '/static/app.js')->{headers}{'content-type'}, 'text/javascript; charset=utf-8', 'a script');
my $etag = $answer->{headers}{etag};
$answer = $door->ask('GET', '/', headers => { 'If-None-Match' => "W/\"x\", $etag" });
is("$answer->{status} $answer->{body}", '304 ', 'not sent again');
like($answer->{headers}{'content-security-policy'}, qr/script-src 'self'/, 'with the same policy');
$answer = $door->ask('HEAD', '/');
is("$answer->{status} $answer->{headers}{'content-length'} '$answer->{body}'", "200 11 ''", 'HEAD of a file');
is($door->status('GET', $_), 404, "not $_")
  for '/static/secret.conf', '/static/.hidden.js', '/static/directory.js', '/static/', '/static/x/app.js', '/static//app.js', '/static/index.html.';
is($door->status('GET', '/static/app.js', body => 'x'), 400, 'a file takes no body');
is(scalar(() = $door->say(("GET /static/app.js HTTP/1.1\r\nHost: localhost\r\n\r\n" x 3), 2) =~ /export default 1/g), 3,
	'several on one connection');
is(scalar(() = $door->say("GET /health HTTP/1.1\r\nHost: a\r\n\r\nGET /health HTTP/1.1\r\nHost: a\r\n\r\n") =~ /^HTTP/gm), 1,
	'but only one of anything else');
{
	my $bare = door(dashboard => '/nonexistent');
	is($bare->status('GET', '/') . ' ' . $bare->status('GET', '/health'), '404 200', 'without files the rest goes on');
	like($bare->log, qr/no dashboard: \/nonexistent: No such file/, 'and the log says so');
	$bare->stop;
}

# ---- the log -------------------------------------------------------------------------------------

my $before = length $door->log;
$door->ask('POST', '/webhooks/wa-1/SEGREDO?SEGREDO', body => 'SEGREDO', headers => { Authorization => 'Bearer SEGREDO' });
$door->ask('POST', $_) for '/u/SEGREDO.', '/U/SEGREDO', '/u%2fSEGREDO', '/webhooks%2fx%2fSEGREDO', '//u/SEGREDO', '/' . 'SEGREDO' x 7;
$door->ask('GET', '/api/pessoas?q=SEGREDO');
$door->ask('GET', '/fail?22023');
my $lines = substr $door->log, $before;
unlike($lines, qr/SEGREDO|palavra/, 'no secret is written down');
like($lines, qr{^\S+Z POST /webhooks/wa-1\.\.\. 200 \d+ ms$}m, 'the server is');
like($lines, qr{^\S+Z GET /api/pessoas 200 \d+ ms$}m, 'a page is');
like($lines, qr{^\S+Z cadence_http failed: 22023$}m, 'an error by its code');
# the database counts none of these
for my $refused ('/... 400', '/webhooks/chunk 400', '/static/... 404', '/a 405', '/login 413', '/api/agora 421')
{
	like($door->log, qr{^\S+Z (?:GET|POST|-) \Q$refused\E \d+ ms$}m, "what is refused here is: $refused");
}
is(scalar(() = $door->log =~ m{Z (?:GET|-) /health 431 }g), 3, 'with what was answered, also where that was not ours');
{
	my $quiet = door(log => 'errors');
	$quiet->ask('GET', '/health');
	$quiet->ask('GET', '/fail?XX000');
	$quiet->stop;
	unlike($quiet->log, qr{/health}, 'only what goes wrong');
	like($quiet->log, qr{GET /fail 500}, 'is logged');
}

# ---- how many at once ----------------------------------------------------------------------------

sub active
{
	my ($n, $what) = @_;
	poll_until(sub { sql($node, "SELECT count(*) FROM pg_stat_activity WHERE usename = 'cadence_door' AND state = 'active'") eq $n }, $what);
	return;
}

sub open_gate
{
	my ($name) = @_;
	sql($node, "INSERT INTO opened VALUES ('$name')", 'door');
	return;
}

poll_until(sub { sql($node, "SELECT count(*) FROM pg_stat_activity WHERE usename = 'cadence_door'") eq 10 }, 'ten connections');
my @waiting = map { $door->begin('GET', '/wait?a') } 1 .. 8;
active(8, 'eight calls at once');
my $ninth = $door->begin('GET', '/health');
my $execution = '/functions/v1/cadence-runner';
is($door->status('POST', $execution, %token), 200, 'an execution has its own connection');
ok(!IO::Select->new($ninth)->can_read(0), 'where a ninth stranger waits');
open_gate('a');
is(answer_of($ninth)->{status}, 200, 'until one of them is done');
is(join(' ', map { answer_of($_)->{status} } @waiting), join(' ', (200) x 8), 'as all are');

@waiting = map { $door->begin('GET', '/wait?b') } 1 .. 8;
my @executions = map { $door->begin('POST', "$execution?b", %token) } 1, 2;
active(10, 'eight and two executions');
is($door->status('GET', '/static/app.js'), 200, 'files need no connection');
my $since = time;
my $third = $door->begin('POST', "$execution?b", %token);
$answer = $door->ask('GET', '/health');
is("$answer->{status} $answer->{headers}{'retry-after'}", '503 5', 'nobody waits for ever');
is(answer_of($third)->{status}, 503, 'nor does an execution');
cmp_ok(time - $since, '<', 5 + 1 + $SOON, 'but for five seconds');
my @crowd = map { $door->begin('GET', '/health') } 1 .. 220;
ok(IO::Select->new(@crowd)->can_read($SOON), 'and not too many');
open_gate('b');
my %crowd;
$crowd{ answer_of($_)->{status} }++ for @crowd;
ok(keys %crowd == 2 && $crowd{503} >= 12 && $crowd{200} + $crowd{503} == 220, 'the first of them are served');
is(join(' ', map { answer_of($_)->{status} } @waiting, @executions), join(' ', (200) x 10), 'and so are those that were there before');

# Strangers who wait keep no execution from its turn; nor does one who brings no token.
@waiting = map { $door->begin('GET', '/wait?w') } 1 .. 8;
active(8, 'eight calls again');
@crowd = map { $door->begin('GET', '/health') } 1 .. 220;
ok(IO::Select->new(@crowd)->can_read($SOON), 'and as many as may wait');
is($door->status('POST', $execution, %token), 200, 'an execution has its own place');
open_gate('w');
answer_of($_) for @waiting, @crowd;
$answer = $door->ask('POST', $execution, body => '{}');
is("$answer->{status} $answer->{body} $answer->{headers}{'access-control-allow-origin'} $answer->{headers}{'www-authenticate'}",
	'401 {"error": "Unauthorized"} * Bearer', 'one without a token is refused as it always was');

{
	my $strong = door(environment => { PGUSER => scalar getpwuid($>) });
	poll_until(sub { $strong->log =~ /away: this role is a superuser/ }, 'a superuser');
	is($strong->status('GET', '/health'), 503, 'serves nobody');
	is($strong->stop, 0, 'it ends as it should');
}

# ---- clients who leave ---------------------------------------------------------------------------

$execution .= '?c';
my $left = $door->begin('POST', $execution, %token);
active(1, 'an execution');
close $left;
$left = $door->begin('GET', '/wait?c');
active(2, 'and another call');
setsockopt($left, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0));
close $left;
is($door->status('GET', '/health'), 200, 'whose clients are gone');
open_gate('c');
poll_until(sub { sql($node, "SELECT count(*) FROM executed WHERE name = 'c'", 'door') eq 2 }, 'are done all the same');
poll_until(sub { $door->log =~ m{POST /functions/v1/cadence-runner 200 \d+ ms\n} && $door->log =~ m{GET /wait 499 } }, 'as the log says');

# ---- its end -------------------------------------------------------------------------------------

my $last = $door->begin('GET', '/wait?d');
active(1, 'a call that takes its time');
$door->signal('TERM');
poll_until(sub { !defined IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $door->port) || $door->log =~ /ending/ }, 'it is to end');
open_gate('d');
is(answer_of($last)->{status}, 200, 'what runs is let end');
is($door->stop, 0, 'then it ends');
ok(!defined $door->connect, 'and nobody listens');
unlike($door->log, qr/ASAN|runtime error/, 'nothing else was said');

my $hurried = door();
$last = $hurried->begin('GET', '/wait?never');
active(1, 'a call that does not end');
$since = time;
is($hurried->stop, 0, 'is not waited for');
cmp_ok(time - $since, '<', 5 + $SOON, 'for long');
is(answer_of($last)->{status}, 503, 'and its client is told');
sql($node, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'cadence_door'");

# ---- a socket that was handed over -----------------------------------------------------------------

# Started by somebody who has the socket, at a descriptor of that number if it is ours.
sub is_served_by
{
	my ($name, $port, $listener, @command) = @_;
	my $handed = PostgreSQL::Test::Utils::tempdir('handed');
	my ($socket, $answer);

	append_to_file("$handed/conf", 'database = host=' . $node->host . ' port=' . $node->port . " dbname=door\nschema = stub\ndashboard = $dashboard\n");
	my $pid = fork // die "could not fork: $!";
	if ($pid == 0)
	{
		POSIX::dup2(fileno($listener), 3) if defined $listener;
		open(STDOUT, '>', "$handed/output");
		open(STDERR, '>', "$handed/log");
		exec(@command, 'cadence_door', '--config', "$handed/conf") or POSIX::_exit(127);
	}
	poll_until(sub { $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) });
	syswrite($socket, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
	like(answer_of($socket)->{body}, qr/ol\xC3\xA1/, "a client who came before the program, $name");
	like(slurp_file("$handed/output"), qr{^listening on http://127\.0\.0\.1:$port$}m, 'where it says that it listens');
	kill 'TERM', $pid;
	waitpid $pid, 0;
	is($?, 0, 'it ends as any');
	return;
}

my $listener = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1', LocalPort => 0) or die "could not listen: $!";
is_served_by('handed over by this test', $listener->sockport, $listener, 'sh', '-c', 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"', 'sh');

SKIP:
{
	skip 'no systemd', 3 unless grep { -x "$_/systemd-socket-activate" } split /:/, $ENV{PATH};
	my $port = PostgreSQL::Test::Cluster::get_free_port();

	is_served_by('handed over by systemd', $port, undef, 'systemd-socket-activate', '--listen', "127.0.0.1:$port");
}

done_testing();
