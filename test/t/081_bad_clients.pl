# Clients who are slow, greedy, confused or hostile: nobody gets more than his share, nobody gets a
# request past a proxy, and the program survives all of them.
#
# The first half is against a program that checks its own memory; the second, where memory and time
# are measured, against the one that is installed.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use IO::Select;
use Socket qw(SOL_SOCKET SO_LINGER);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

# A look of the clock's, and what a busy machine adds.
my $LATE = 8;

my $node = new_cluster('main', extension => 0);
make_door_database($node, 'door');
my $dashboard = PostgreSQL::Test::Utils::tempdir('dashboard');
append_to_file("$dashboard/index.html", '<p>page</p>');

# ---- the program, with sanitizers ----------------------------------------------------------------

sub door
{
	return start_door($node, database => 'door', schema => 'stub', dashboard => $dashboard, @_);
}

my $door = door(program => sanitized_door(), environment => { ASAN_OPTIONS => 'detect_leaks=1' });
is($door->status('GET', '/health'), 200, 'a door that checks its own memory');

# ---- clients who take their time -----------------------------------------------------------------

# Each says something at first, and then this bit by bit; when and with what it is to end.
my $head = "POST /webhooks/x HTTP/1.1\r\nHost: a\r\n";
my %slow = (
	'nothing' => { says => '', ends => 10, with => qr/^$/ },
	'half a first line' => { says => 'GET /hea', ends => 10, with => qr/^$/ },
	'half of the headers' => { says => "GET /health HTTP/1.1\r\nHost: a\r\nX-", ends => 10, with => qr/^HTTP\/1.1 408 / },
	'half a body' => { says => "${head}Content-Length: 10\r\n\r\nhello", ends => 10, with => qr/^HTTP\/1.1 408 / },
	'half a chunk' => { says => "${head}Transfer-Encoding: chunked\r\n\r\nff\r\nhello", ends => 10, with => qr/^HTTP\/1.1 408 / },
	'no second request' => { says => "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", ends => 10, with => qr/^HTTP\/1.1 200 .*page<\/p>$/s },
	'a first line for ever' => { says => 'GET /', then => 'x', ends => 30, with => qr/^$/ },
	'headers for ever' => { says => "GET /health HTTP/1.1\r\nHost: a\r\n", then => "X: y\r\n", ends => 30, with => qr/^HTTP\/1.1 408 / },
	'a body for ever' => { says => "${head}Content-Length: 1000\r\n\r\n", then => 'x', ends => 30, with => qr/^HTTP\/1.1 408 / },
	'chunks for ever' => { says => "${head}Transfer-Encoding: chunked\r\n\r\n", then => "1\r\nx\r\n", ends => 30, with => qr/^HTTP\/1.1 408 / });

sub say_more
{
	my ($socket, $bytes) = @_;
	local $SIG{PIPE} = 'IGNORE';
	return syswrite($socket, $bytes);
}

# What has come from a client's connection; false while it is open.
sub has_ended
{
	my ($client) = @_;
	my $n = sysread($client->{socket}, my $bytes, 65536);

	$client->{got} .= $bytes if $n;
	$client->{ended} = time - $client->{since} unless $n;
	return !$n;
}

# All of them at once, a bit each second.
sub watch_slow_clients
{
	my %by_socket;
	my $select = IO::Select->new;

	for my $client (values %slow)
	{
		$client->{socket} = $door->connect;
		$client->{since} = time;
		$client->{got} = '';
		say_more($client->{socket}, $client->{says});
		$select->add($client->{socket});
		$by_socket{ $client->{socket} } = $client;
	}
	my $next = time + 1;
	while ($select->count > 0 && time < $next + 60)
	{
		for my $socket ($select->can_read($next > time ? $next - time : 0))
		{
			$select->remove($socket) if has_ended($by_socket{$socket});
		}
		next if time < $next;
		$next += 1;
		say_more($_->{socket}, $_->{then}) for grep { defined $_->{then} && !defined $_->{ended} } values %slow;
		last if grep { time - $_->{since} > 60 } values %slow;
	}
	return;
}

# one who reads nothing of an answer that no buffer holds
my $deaf = $door->begin('GET', '/bytes?20000000');
watch_slow_clients();
for my $name (sort keys %slow)
{
	my ($ended, $ends) = ($slow{$name}{ended} // 0, $slow{$name}{ends});
	ok($ended > $ends - 1 && $ended < $ends + $LATE, "$name: ended after $ends seconds") or diag("after $ended");
	like($slow{$name}{got}, $slow{$name}{with}, 'as it should');
}
poll_until(sub { $door->log =~ m{GET /bytes 499 } }, 'and one who does not read his answer');
close $deaf;
is($door->status('GET', '/health'), 200, 'others are served');

# ---- requests that two may read in two ways ------------------------------------------------------

my $inner = "GET /api/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";
my $length = length $inner;
my $start = "POST /webhooks/x HTTP/1.1\r\nHost: localhost\r\n";
my %smuggled = (
	'both lengths' => "${start}Content-Length: $length\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n$inner",
	'both the other way' => "${start}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n$inner",
	'a length twice' => "${start}Content-Length: 0\r\nContent-Length: 0\r\n\r\n$inner",
	'two lengths' => "${start}Content-Length: 0\r\nContent-Length: $length\r\n\r\n$inner",
	'two in one' => "${start}Content-Length: 0, $length\r\n\r\n$inner",
	'a coding of none' => "${start}Transfer-Encoding: identity\r\n\r\n$inner",
	'a coding twice' => "${start}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n$inner",
	'chunked and chunked' => "${start}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n$inner",
	'packed chunks' => "${start}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n$inner",
	'nearly chunked' => "${start}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n$inner",
	'a tab before chunked' => "${start}Transfer-Encoding: \x0Bchunked\r\n\r\n0\r\n\r\n$inner",
	'a blank before the colon' => "${start}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n$inner",
	'a blank in the name' => "${start}Content Length: 0\r\n\r\n$inner",
	'a length and a blank before the colon' => "${start}Content-Length : $length\r\n\r\n$inner",
	'chunks in HTTP/1.0' => "POST /webhooks/x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n$inner",
	'a chunk of no size' => "${start}Transfer-Encoding: chunked\r\n\r\nx\r\n\r\n$inner",
	'a chunk too long for any number' => "${start}Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n\r\n$inner",
	'what follows the extension of a last chunk' => "${start}Transfer-Encoding: chunked\r\n\r\n0;x\r\n$inner",
	'a body of a file' => "GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: $length\r\n\r\n$inner");
for my $name (sort keys %smuggled)
{
	my $got = $door->say($smuggled{$name}, 20);
	like($got, qr/^(?:HTTP\/1\.1 (?:4\d\d|501) .*|)$/s, "$name is refused");
	# libmicrohttpd says twice that a length is no number, and then it is over
	cmp_ok(scalar(() = $got =~ m{^HTTP/1}gm), '<=', $name eq 'two in one' ? 2 : 1, 'once');
}
# libmicrohttpd takes such a line for the last one
is(scalar(() = $door->say("${start}\x00Content-Length: $length\r\n\r\n$inner") =~ m{^HTTP/1}gm), 1,
	'a zero ends the headers, but nothing comes after them');
unlike($door->log, qr/smuggled/, 'nothing was got past');

# ---- requests that are too large or make no sense ------------------------------------------------

my $million = 'x' x 1_000_000;
my %nonsense = (
	'a header of 1 MB' => [ "GET /health HTTP/1.1\r\nHost: a\r\nX: $million\r\n\r\n", qr/^HTTP\/1.1 431 / ],
	'1 MB of headers' => [ "GET /health HTTP/1.1\r\nHost: a\r\n" . "X: y\r\n" x 170_000 . "\r\n", qr/^HTTP\/1.1 431 / ],
	'a path of 1 MB' => [ "GET /$million HTTP/1.1\r\nHost: a\r\n\r\n", qr/^HTTP\/1.1 414 / ],
	'a method of 1 MB' => [ "$million / HTTP/1.1\r\nHost: a\r\n\r\n", qr/^(?:HTTP\/1.1 4\d\d |$)/ ],
	'chunks without end' => [ "${head}Transfer-Encoding: chunked\r\n\r\n" . "8000\r\n" . 'x' x 0x8000 . "\r\n" . ("8000\r\n" . 'x' x 0x8000 . "\r\n") x 200, qr/413 Content Too Large/ ],
	'many questions' => [ 'GET /health?' . '&' x 15_000 . " HTTP/1.1\r\nHost: a\r\n\r\n", qr/^(?:HTTP\/1.1 (?:200|431) |$)/ ],
	'many cookies' => [ "GET /health HTTP/1.1\r\nHost: a\r\nCookie: " . 'a=b;' x 3_500 . "\r\n\r\n", qr/^(?:HTTP\/1.1 (?:200|431) |$)/ ],
	'no version' => [ "GET /health\r\n\r\n", qr/^(?:HTTP\/1.1 4\d\d |$)/ ],
	'another version' => [ "GET /health HTTP/2.0\r\nHost: a\r\n\r\n", qr/^(?:HTTP\/1.1 [45]\d\d |$)/ ],
	'the preface of HTTP/2' => [ "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", qr/^(?:HTTP\/1.1 [45]\d\d |$)/ ],
	'a handshake of TLS' => [ "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" . "\x00" x 500 . "\n\n", qr/^(?:HTTP\/1.1 4\d\d |$)/ ],
	'no Host' => [ "GET /health HTTP/1.1\r\n\r\n", qr/^HTTP\/1.1 400 / ],
	'a blank in the path' => [ "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", qr/^(?:HTTP\/1.1 400 |$)/ ],
	'a folded header' => [ "GET /health HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", qr/^HTTP\/1.1 (?:200|400) / ],
	'no colon' => [ "GET /health HTTP/1.1\r\nHost: a\r\nnonsense\r\n\r\n", qr/^(?:HTTP\/1.1 400 |$)/ ],
	'an expectation' => [ "${head}Expect: 100-continue\r\nContent-Length: 5000000\r\n\r\n", qr/^HTTP\/1.1 413 / ]);
for my $name (sort keys %nonsense)
{
	like($door->say($nonsense{$name}[0], 20), $nonsense{$name}[1], $name);
}

is($door->status('GET', '/health'), 200, 'it still serves');
is($door->stop, 0, 'and ends as it should, with nothing lost');
unlike($door->log, qr/Sanitizer|runtime error/, 'no sanitizer has anything to say');

# ---- crowds --------------------------------------------------------------------------------------

$door = door();
is($door->status('GET', '/health'), 200, 'the door as it is installed');
# most of it is its libraries' code, which differs from one system to the next
my $at_first = $door->peak_kb;
cmp_ok($at_first, '<', 12 * 1024, 'which holds little at first');
my @idle = map { $door->connect } 1 .. 270;
my $answer;
poll_until(sub { $answer = $door->ask('GET', '/health'); return $answer->{status} == 503 }, 'with 270 connections there is no place');
is($answer->{headers}{'retry-after'}, 5, 'for the moment');
is($door->status('GET', '/'), 503, 'not for a page either');
close $_ for @idle;
poll_until(sub { $door->status('GET', '/health') == 200 }, 'but once they are closed');
my $connected = 0;
for (1 .. 10_000)
{
	my $socket = $door->connect or last;
	syswrite($socket, "GET /hea") if $_ % 3 == 0;
	setsockopt($socket, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0)) if $_ % 2 == 0;
	close $socket;
	$connected++;
}
is($connected, 10_000, '10,000 come and go');
poll_until(sub { $door->status('GET', '/health') == 200 }, 'and others are served');
# until then they count as clients, beside whom there may be no place
poll_until(sub { $door->descriptors < 50 }, 'none of them is left');

# Bodies of 4 MB, each of which lacks its last byte.
my $big = 'x' x (4 * 1024 * 1024 - 1);

sub send_large
{
	my ($to, $n, $target) = @_;
	my @senders = map { $to->connect } 1 .. $n;
	my %left = map { $_ => $big } @senders;
	my $writable = IO::Select->new(@senders);

	for my $socket (@senders)
	{
		$socket->blocking(0);
		say_more($socket, "POST $target HTTP/1.1\r\nHost: a\r\nContent-Length: 4194304\r\n\r\n");
	}
	while ($writable->count > 0 && (my @ready = $writable->can_write(10)))
	{
		for my $socket (@ready)
		{
			my $n = say_more($socket, substr $left{$socket}, 0, 65536);
			substr($left{$socket}, 0, $n // length $left{$socket}, '');
			$writable->remove($socket) if $left{$socket} eq '';
		}
	}
	$_->blocking(1) for @senders;
	return @senders;
}

# How many were answered with what.
sub answers_to
{
	my %n = (200 => 0, 503 => 0);
	$n{ answer_of($_)->{status} }++ for @_;
	return %n;
}

# Who finds no room is told so.
my @senders = send_large($door, 12, '/webhooks/x');
is($door->status('POST', '/login', body => 'token=x'), 200, 'small ones have room all the same');
say_more($_, 'x') for @senders;
my %large = answers_to(@senders);
cmp_ok($large{200}, '>=', 2, 'large bodies at once are taken');
is($large{200} + $large{503}, 12, 'as far as there is room') or diag(explain(\%large));
is($door->status('POST', '/webhooks/x', body => "${big}x"), 200, 'and later ones again');
cmp_ok($door->peak_kb - $at_first, '<', 28 * 1024, 'all of that has taken less than 28 MB more');
note('it holds ' . $door->resident_kb . ' kB, and has held ' . $door->peak_kb);

# And where calls take their time, so that bodies come in while others are with the database.
sub calls_at_work
{
	return sql($node, "SELECT count(*) FROM pg_stat_activity WHERE usename = 'cadence_door' AND state = 'active'");
}

sub whole
{
	my ($n) = @_;
	my @senders = send_large($door, $n, '/webhooks/wait?large');
	say_more($_, 'x') for @senders;
	return @senders;
}

my @slow = whole(2);
poll_until(sub { calls_at_work() eq 2 }, 'two large ones are with the database');
push @slow, whole(2), whole(2);
is($door->status('POST', '/webhooks/x', body => 'x'), 200, 'small ones are not kept waiting by them');
sql($node, "INSERT INTO opened VALUES ('large')", 'door');
my %told = answers_to(@slow);
is("$told{200} $told{503}", '4 2', 'two more have waited, and others were told to come again');
cmp_ok($door->peak_kb - $at_first, '<', 28 * 1024, 'it stays within that');
note('it holds ' . $door->resident_kb . ' kB, and has held ' . $door->peak_kb);
# Who takes his time gives way to whoever needs the room, and no more of them than have to.
{
	my $held = door();
	my $at_rest = $held->resident_kb;
	my ($first) = send_large($held, 1, '/webhooks/x');
	poll_until(sub { $held->resident_kb - $at_rest > 4000 }, 'one who lacks a byte');
	my ($second) = send_large($held, 1, '/webhooks/x');
	poll_until(sub { $held->resident_kb - $at_rest > 8000 }, 'and another');
	poll_until(sub { $held->status('POST', '/webhooks/x', body => "${big}x") == 200 }, 'keep nobody out');
	say_more($_, 'x') for $first, $second;
	is(answer_of($first)->{status} . ' ' . answer_of($second)->{status}, '503 200', 'the first of them has given way');
	cmp_ok($held->peak_kb, '<', 32 * 1024, 'within the same memory');
	is($held->stop, 0, 'it ends as it should');
}
# As many as may wait, each with all that headers may have.
{
	my $crowded = door();
	is($crowded->status('GET', '/health'), 200, 'another door');
	my @working = map { $crowded->begin('GET', '/wait?crowd') } 1 .. 8;
	poll_until(sub { calls_at_work() eq 8 }, 'all of whose connections are taken');
	my $full = "GET /health HTTP/1.1\r\nHost: a\r\nX: " . "\xE9\t" x 7_900 . "x\r\n\r\n";
	my @crowd = map { my $socket = $crowded->connect; say_more($socket, $full); $socket } 1 .. 210;
	ok(IO::Select->new(@crowd)->can_read(10), 'more than may wait');
	cmp_ok($crowded->peak_kb, '<', 24 * 1024, 'keep it below 24 MB');
	note('it has held ' . $crowded->peak_kb . ' kB');
	sql($node, "INSERT INTO opened VALUES ('crowd')", 'door');
	my %waited = answers_to(@crowd);
	ok($waited{200} > 0 && $waited{200} + $waited{503} == 210, 'and are served, or told to come again') or diag(explain(\%waited));
	is($crowded->stop, 0, 'it ends as it should');
}

my $ticks = $door->ticks;
my $quiet = $door->connect;
is(Cadence::Door::read_all($quiet), '', 'ten seconds in which nothing happens');
cmp_ok($door->ticks - $ticks, '<', 10, 'cost it nothing');
is($door->stop, 0, 'it ends as it should');

done_testing();
