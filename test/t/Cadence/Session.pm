# A session of psql that runs a script of statements beside the test.

package Cadence::Session;

use strict;
use warnings;
use utf8;

use Cadence::Wait;
use Encode qw(encode_utf8);
use Exporter qw(import);
use POSIX qw(WNOHANG);
use PostgreSQL::Test::Utils ();

our @EXPORT = qw(start_sql);

# A session beside the test. Its methods: pid, output and error (what it printed so far), running,
# finish (waits for its end and returns its exit status), freeze, thaw, kill.
sub start_sql
{
	my ($node, $text, %options) = @_;
	return __PACKAGE__->new($node, $text, %options);
}

# Through files, since nobody moves the data of pipes while the test does something else.
sub new
{
	my ($class, $node, $text, %options) = @_;
	my $self = bless { dir => PostgreSQL::Test::Utils::tempdir('session') }, $class;
	my @command = (
		$node->installed_command('psql'), '-XAtq', '-v', 'ON_ERROR_STOP=1', '-v',
		'VERBOSITY=verbose', '-d', $node->connstr($options{database} // 'postgres'));

	push @command, '-U', $options{user} if defined $options{user};
	PostgreSQL::Test::Utils::append_to_file("$self->{dir}/in",
		encode_utf8("SELECT 'pid=' || pg_backend_pid();\n$text\n;\n"));
	$self->{child} = fork // die "could not fork: $!";
	if ($self->{child} == 0)
	{
		open(STDIN, '<', '/dev/null');
		open(STDOUT, '>', "$self->{dir}/out");
		open(STDERR, '>', "$self->{dir}/err");
		exec(@command, '-f', "$self->{dir}/in") or POSIX::_exit(127);
	}
	return $self;
}

sub slurp
{
	my ($self, $name) = @_;
	my $file = "$self->{dir}/$name";
	return -e $file ? PostgreSQL::Test::Utils::slurp_file($file) : '';
}

# The backend's process id.
sub pid
{
	my ($self) = @_;
	my $pid;

	poll_until(sub { ($pid) = $self->slurp('out') =~ /^pid=(\d+)$/m; return $pid })
	  or die 'the session did not start: ' . $self->error;
	return $pid;
}

sub running
{
	my ($self) = @_;

	if (!defined $self->{status} && waitpid($self->{child}, WNOHANG) != 0)
	{
		$self->{status} = $? >> 8;
	}
	return !defined $self->{status};
}

sub output
{
	my ($self) = @_;
	return $self->slurp('out') =~ s/^pid=\d+\n//r;
}

sub error
{
	my ($self) = @_;
	return $self->slurp('err');
}

# A client that reads nothing for a while.
sub freeze
{
	my ($self) = @_;
	return CORE::kill('STOP', $self->{child});
}

sub thaw
{
	my ($self) = @_;
	return CORE::kill('CONT', $self->{child});
}

# As if the client's machine were gone.
sub kill
{
	my ($self) = @_;
	return CORE::kill('KILL', $self->{child});
}

# Waits for its end; psql's exit status.
sub finish
{
	my ($self) = @_;

	poll_until(sub { !$self->running }) or die 'the session does not end';
	return $self->{status};
}

1;
