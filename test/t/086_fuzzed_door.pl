# The door, built so that it checks its own memory, under requests that are made at random, the same
# ones each time: honest ones in pieces, which must arrive as they were sent, and hostile ones, which
# may leave nothing behind them.

use strict;
use warnings;

use Digest::MD5 qw(md5_hex);
use Encode ();
use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use IO::Select;
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Socket qw(IPPROTO_TCP SOL_SOCKET SO_LINGER TCP_NODELAY);
use Test::More;

# As many at once as have a place; more batches take longer, since the clock notices once in a second
# that a client has said all.
my $BATCH = 120;
my $HONEST = 3 * $BATCH;
my $HOSTILE = 15 * $BATCH;

my $node = new_cluster('main', extension => 0);
make_door_database($node, 'door');
my $dashboard = PostgreSQL::Test::Utils::tempdir('dashboard');
append_to_file("$dashboard/index.html", '<p>page</p>');
my $door = start_door($node, database => 'door', schema => 'stub', dashboard => $dashboard,
	program => sanitized_door(), environment => { ASAN_OPTIONS => 'detect_leaks=1' });

local $SIG{PIPE} = 'IGNORE';
srand(20);

sub one_of
{
	return $_[ rand @_ ];
}

sub text_of
{
	my ($longest, @characters) = @_;
	return join '', map { one_of(@characters) } 1 .. rand $longest + 1;
}

# ---- honest requests -----------------------------------------------------------------------------

my @letters = ('a' .. 'z', 0 .. 9, '-');
my @any = map { chr } 0 .. 255;

my @extensions = ('', '', reads_chunk_extensions ? (';x', ';x=y', ';x="' . 'y' x 60 . '"') : ());

# A body in chunks of odd sizes, with what may stand around them.
sub chunks_of
{
	my ($body) = @_;
	my $chunks = '';

	while (length $body)
	{
		my $piece = substr $body, 0, 1 + int rand one_of(3, 40, 5000), '';
		$chunks .= sprintf one_of('%x', '%X', '000%x'), length $piece;
		$chunks .= one_of(@extensions) . "\r\n$piece\r\n";
	}
	return $chunks . one_of('0', '000') . "\r\n" . one_of('', '', "X-Trailer: z\r\n") . "\r\n";
}

sub honest
{
	my $body = text_of(one_of(0, 50, 3000, 70_000), @any);
	my %r = (path => '/webhooks/' . text_of(30, @letters, '%2F', '%20', "\xC3\xA9", '.x'), body => $body, headers => {});
	my @lines = ('Host: localhost');

	$r{query} = text_of(60, @letters, '=', '&', '%C3%A9', '%0A', '?', '+') if rand() < 0.5;
	for my $n (1 .. rand 8)
	{
		my $value = 'v' . text_of(one_of(5, 400), @letters, ' ', '"', '\\', "\t", ',', ';', ':') . 'v';
		$r{headers}{"x-$n"} = $value;
		push @lines, one_of("X-$n", "x-$n") . one_of(': ', ':', ":  ") . $value;
	}
	push @lines, 'Expect: 100-continue' if rand() < 0.1;
	push @lines, one_of('Upgrade: h2c', 'TE: trailers', 'Connection: keep-alive') if rand() < 0.3;
	my $in_chunks = rand() < 0.5;
	splice @lines, rand @lines, 0, $in_chunks ? 'Transfer-Encoding: chunked' : 'Content-Length: ' . length $body;
	$r{bytes} = "POST $r{path}" . (defined $r{query} ? "?$r{query}" : '') . " HTTP/1.1\r\n" . join('', map { "$_\r\n" } @lines)
	  . "\r\n" . ($in_chunks ? chunks_of($body) : $body);
	return \%r;
}

# ---- hostile ones --------------------------------------------------------------------------------

# Nothing behind the first of these is anybody's request, since it is the last of its connection.
my $behind = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";
my @seeds = (
	"GET /health?a=b HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\nCookie: a=b; c=d\r\n\r\n$behind",
	"POST /webhooks/wa/x HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{\"a\": \"b\" }$behind",
	"POST /webhooks/wa HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nContent-Length: 45\r\n\r\n$behind",
	"POST /u/token HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n$behind",
	"POST /webhooks/wa HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3;a=\"b\"\r\nabc\r\n00\r\nX: y\r\n\r\n$behind",
	"POST /webhooks/wa HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 300000\r\n\r\n" . 'x' x 2000,
	"POST /functions/v1/cadence-runner HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer x\r\nContent-Length: 2\r\n\r\n{}$behind",
	"GET /static/index.html HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: \"x\"\r\n\r\nGET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
	"HEAD /api/pessoas?q=%C3%A9 HTTP/1.0\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n$behind",
	"GET http://localhost/api/x HTTP/1.1\r\nHost: localhost\r\n\r\n$behind",
	"CONNECT localhost:443 HTTP/1.1\r\nHost: localhost\r\n\r\n$behind",
	"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n$behind",
	"GET /api/x HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n$behind",
	"GET /api/../x/%2e%2e/%00 HTTP/1.1\r\nHost: localhost\r\n\r\n$behind",
	"GET /health HTTP/1.1\r\nHost: localhost\r\n" . join('', map { "X$_: y\r\n" } 1 .. 126) . "\r\n$behind");
my @pieces = ("\r\n", "\n", "\r", "\0", ' ', ':', '%', '%00', '%ff', "\xFF", "\xC3", '/../', '/%2e%2e/', "Content-Length: 5\r\n",
	"Content-Length: 18446744073709551617\r\n", "Content-Length: -1\r\n", "Transfer-Encoding: chunked\r\n", "Transfer-Encoding : chunked\r\n",
	"Transfer-Encoding: identity\r\n", "Expect: 100-continue\r\n", "Connection: close, Host\r\n", "Upgrade: websocket\r\n", "\t", '?', '#',
	"HTTP/1.1", '0', '-', 'ffffffffffffffff', 'x' x 5000, "Host: a\r\n", "X: y\r\n" x 130, "0\r\n\r\n", "\r\n\r\n");

# The first byte stays, so that what was behind cannot become the first.
sub mutate
{
	my ($text) = @_;

	for (1 .. rand 5)
	{
		my $at = 1 + int rand(length($text) - 1);
		my $kind = int rand 5;

		substr($text, $at, 1) = chr int rand 256 if $kind == 0;
		substr($text, $at, 0) = one_of(@pieces) if $kind == 1;
		substr($text, $at, int rand 10) = '' if $kind == 2;
		substr($text, $at, 0) = substr($text, int rand length $text, int rand 40) if $kind == 3;
		$text = substr($text, 0, $at) . $text if $kind == 4;
	}
	return $text;
}

# How a client goes: heard to the end, with or without an end of its own; or gone before it was
# answered, in one way or the other; some in the middle of what they say.
sub hostile
{
	my $bytes = mutate(one_of(@seeds));
	my $ends = one_of(qw(shuts shuts shuts stays closes resets));

	$bytes = substr $bytes, 0, int rand length $bytes if rand() < 0.1;
	return { bytes => $bytes, ends => $ends };
}

# ---- a batch of clients --------------------------------------------------------------------------

# In as many pieces as it is fast to send.
sub cut
{
	my ($bytes) = @_;
	my $longest = 1 + one_of(length($bytes) / 2, length($bytes) / 20, 20_000);
	my @cut;

	push @cut, substr $bytes, 0, 1 + int rand $longest, '' while length $bytes;
	return \@cut;
}

# A piece each in turn, so that the door has a look between them.
sub say_all
{
	my (@clients) = @_;

	for my $client (@clients)
	{
		$client->{socket} = $door->connect or die "no connection: $!";
		setsockopt($client->{socket}, IPPROTO_TCP, TCP_NODELAY, 1);
	}
	while (my @saying = grep { @{ $_->{cut} } } @clients)
	{
		for my $client (@saying)
		{
			my $piece = shift @{ $client->{cut} };
			# whoever has been answered is not heard any more
			$client->{cut} = [] unless defined syswrite($client->{socket}, $piece);
		}
	}
	return;
}

sub leave
{
	my ($client) = @_;

	setsockopt($client->{socket}, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0)) if $client->{ends} eq 'resets';
	close $client->{socket} if $client->{ends} =~ /^(?:closes|resets)$/;
	shutdown($client->{socket}, 1) if $client->{ends} eq 'shuts';
	return;
}

sub in_batches
{
	my ($work, @all) = @_;

	while (my @batch = splice @all, 0, $BATCH)
	{
		$work->(@batch);
		return if $door->log =~ /Sanitizer|runtime error/ || !$door->is_running;
	}
	return;
}

my @honest = map { honest() } 1 .. $HONEST;
my @hostile = map { hostile() } 1 .. $HOSTILE;
$_->{cut} = cut($_->{bytes}) for @honest, @hostile;

is($door->status('GET', '/health'), 200, 'a door that checks its own memory');
poll_until(sub { sql($node, "SELECT count(*) FROM pg_stat_activity WHERE usename = 'cadence_door'") eq 10 }, 'has all its connections');
my $descriptors = $door->descriptors;

# What the database is told has to be what was sent; headers' outer blanks are nobody's.
my @changed;
in_batches(sub {
	say_all(@_);
	for my $client (@_)
	{
		my $answer = answer_of(delete $client->{socket}, 20);
		my $told = $answer->{status} == 200 ? JSON::PP::decode_json($answer->{body}) : {};
		my %same = map { $_ => $told->{headers}{$_} // '' } keys %{ $client->{headers} };
		my $path = Encode::decode('UTF-8', $client->{path});

		push @changed, { %$client, answer => $answer }
		  unless ($told->{path} // '') eq $path && ($told->{query} // 'none') eq ($client->{query} // 'none')
		  && $told->{length} == length $client->{body} && $told->{md5} eq md5_hex($client->{body})
		  && JSON::PP->new->canonical->encode(\%same) eq JSON::PP->new->canonical->encode($client->{headers});
	}
}, @honest);
is_deeply(\@changed, [], 'honest requests arrive as they were sent, whatever pieces they come in');

my (%answers, @strange);
my $unanswered = 0;
in_batches(sub {
	say_all(@_);
	leave($_) for @_;
	for my $client (grep { $_->{ends} eq 'shuts' } @_)
	{
		my $got = Cadence::Door::read_all($client->{socket}, 20);
		$got =~ s{^HTTP/1\.1 100 Continue\r\n\r\n}{};
		my ($status) = $got =~ m{^HTTP/1\.[01] (\d\d\d) };

		$answers{ $status // 'none' }++;
		push @strange, [ $client->{bytes}, $got ] if $got ne '' && !defined $status || ($status // 0) >= 500 && $status !~ /^50[15]$/;
	}
	delete $_->{socket} for @_;
	$unanswered++ if $door->status('GET', '/health') != 200;
}, @hostile);
note(join ', ', map { "$_: $answers{$_}" } sort keys %answers);
is_deeply(\@strange, [], 'whatever is said, the answer is one, and the database understands what it gets');
is($unanswered, 0, 'others are served all the while');
cmp_ok($answers{200} // 0, '>', 50, 'some of it is right');
cmp_ok($answers{400} // 0, '>', 50, 'and some wrong');
unlike($door->log, qr{/smuggled 200}, 'nothing was got past');
poll_until(sub { $door->descriptors <= $descriptors }, 'no connection is left')
  or diag($door->descriptors . " are open, $descriptors were before");
is(sql($node, "SELECT count(*) FROM pg_stat_activity WHERE usename = 'cadence_door'"), 10, 'nor one lost');
is($door->stop, 0, 'it ends as it should, with no memory lost');
unlike($door->log, qr/Sanitizer|runtime error/, 'no sanitizer has anything to say') or diag($door->log);

done_testing();
