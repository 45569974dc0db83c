# The provider, test/provider, as a process of its own, and what it has seen.

package Cadence::Provider;

use strict;
use warnings;
use utf8;

use Cadence::Wait;
use Exporter qw(import);
use FindBin;
use IO::Socket::INET;
use IPC::Run;
use JSON::PP ();
use PostgreSQL::Test::Utils ();

our @EXPORT = qw(start_provider closed_port);

my @running;

sub start_provider
{
	return __PACKAGE__->new(@_);
}

sub new
{
	my ($class, @options) = @_;
	my $script = $ENV{CADENCE_PROVIDER} // "$FindBin::RealBin/../provider";
	my $output = PostgreSQL::Test::Utils::tempdir('provider') . '/output';
	my $self = bless { output => $output }, $class;

	# into a file: nobody reads a pipe while the test does something else
	$self->{run} = IPC::Run::start([ 'python3', $script, @options ], '<', \undef, '>&', $output);
	push @running, $self;
	poll_until(
		sub {
			($self->{port}) = -e $output ? slurp($output) =~ /^PORT (\d+)$/m : ();
			return $self->{port};
		}) or die 'the provider did not start: ' . slurp($output);
	return $self;
}

sub slurp
{
	return PostgreSQL::Test::Utils::slurp_file($_[0]);
}

sub port
{
	return $_[0]{port};
}

# Of a provider that was started with --tls.
sub tls_url
{
	my ($self, $path, $host) = @_;
	my ($port) = slurp($self->{output}) =~ /^TLS (\d+)$/m;
	return 'https://' . ($host // 'localhost') . ":$port/$path";
}

# The address of a behaviour.
sub url
{
	my ($self, $path) = @_;
	return "http://127.0.0.1:$self->{port}/$path";
}

# Every request so far, as hashes: t, path, headers, body, behaviour.
sub journal
{
	my ($self) = @_;
	return @{ $self->ask('GET', '__journal') };
}

# How many requests came, for one behaviour or for all.
sub count
{
	my ($self, $behaviour) = @_;
	my $count = $self->ask('GET', '__count');
	return defined $behaviour ? $count->{by_behaviour}{$behaviour} // 0 : $count->{total};
}

# The requests of each run: id => how many.
sub per_run
{
	my ($self, $behaviour) = @_;
	my %times;

	for my $request ($self->journal)
	{
		$times{ $request->{body}{runId} }++
		  if !defined $behaviour || $request->{behaviour} eq $behaviour;
	}
	return %times;
}

sub forget
{
	my ($self) = @_;
	$self->ask('POST', '__reset');
	return;
}

sub ask
{
	my ($self, $method, $path) = @_;
	my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{port})
	  or die "could not reach the provider: $!";

	print $socket "$method /$path HTTP/1.1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
	my $answer = do { local $/; <$socket> };
	return JSON::PP::decode_json($answer =~ s/^.*?\r\n\r\n//sr);
}

sub stop
{
	my ($self) = @_;
	$self->{run}->kill_kill(grace => 5) if delete $self->{port};
	return;
}

END
{
	my $status = $?;
	$_->stop for @running;
	$? = $status;
}

# A port of the loopback interface that nobody listens on.
sub closed_port
{
	my $socket = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1', LocalPort => 0)
	  or die "could not listen: $!";
	return $socket->sockport;
}

1;
