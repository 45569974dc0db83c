# A mail server for tests: the process test/mail_server.py, its ports, and its journal.

package MailServer;

use strict;
use warnings;

use Cadence;
use Exporter qw(import);
use FindBin;
use IPC::Run;
use JSON::PP ();
use PostgreSQL::Test::Utils;

our @EXPORT = qw(start_mail_server);

my @running;

sub start_mail_server
{
	return MailServer->new(@_);
}

# Debian's Python is the one that has the library, whatever else is on the path.
sub new
{
	my ($class, @options) = @_;
	my $directory = PostgreSQL::Test::Utils::tempdir('mail');
	my $self = bless { journal => "$directory/journal", output => "$directory/output" }, $class;
	my $python = -x '/usr/bin/python3' ? '/usr/bin/python3' : 'python3';

	$self->{run} = IPC::Run::start(
		[ $python, "$FindBin::RealBin/../mail_server.py", '--journal', $self->{journal}, @options ],
		'<', \undef, '>&', $self->{output});
	push @running, $self;
	poll_until(sub { -e $self->{output} && slurp_file($self->{output}) =~ /^READY/m })
	  or die 'the mail server did not start: ' . slurp_file($self->{output});
	return $self;
}

# The address of one of its kinds.
sub url
{
	my ($self, $kind, $scheme, $host) = @_;
	my ($port) = slurp_file($self->{output}) =~ /^$kind (\d+)$/m or die "no $kind";

	return ($scheme // 'smtp') . '://' . ($host // '127.0.0.1') . ":$port";
}

sub events
{
	my ($self, $event) = @_;

	return grep { $_->{event} eq $event }
	  map { JSON::PP::decode_json($_) } split /\n/, slurp_file($self->{journal});
}

# The mails that came whole, of all senders or to one address.
sub mails
{
	my ($self, $to) = @_;
	return grep { !defined $to || $_->{to}[0] eq $to } $self->events('mail');
}

sub connections
{
	my ($self, $kind) = @_;
	return scalar grep { $_->{kind} eq $kind } $self->events('connect');
}

sub stop
{
	my ($self) = @_;
	$self->{run}->kill_kill(grace => 5) if delete $self->{journal};
	return;
}

END
{
	my $status = $?;
	$_->stop for @running;
	$? = $status;
}

1;
