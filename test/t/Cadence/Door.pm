# The program that serves HTTP, as a process of its own, and a client that says what it likes.

package Cadence::Door;

use strict;
use warnings;
use utf8;

use Cadence::SQL;
use Cadence::Wait;
use Exporter qw(import);
use FindBin;
use IO::Select;
use IO::Socket::INET;
use IPC::Run;
use POSIX qw(WNOHANG);
use PostgreSQL::Test::Utils ();
use version;

our @EXPORT = qw(start_door sanitized_door libmicrohttpd reads_chunk_extensions parse_answer answer_of make_door_database);

my @running;

# A door to a node's database. Settings of its own by their names, such as hosts; options:
# database, program, environment (a hash), and wait => 0: it may not start.
sub start_door
{
	my ($node, %options) = @_;
	return __PACKAGE__->new($node, %options);
}

# The program, built so that it checks its own memory: for start_door()'s option program.
sub sanitized_door
{
	my $program = PostgreSQL::Test::Utils::tempdir('sanitized') . '/cadence_door';
	my $source = "$FindBin::RealBin/../../door";
	my $output;

	IPC::Run::run(
		[ 'sh', '-c', q{cc -g -O1 -D_GNU_SOURCE -fsanitize=address,undefined -fno-sanitize-recover=all \
			-DCADENCE_VERSION='"test"' -DDOOR_DASHBOARD='"/nonexistent"' \
			$(pkg-config --cflags libmicrohttpd libpq) -o "$0" "$1"/*.c $(pkg-config --libs libmicrohttpd libpq)},
			$program, $source ], '>&', \$output) or die "no sanitized door: $output";
	return $program;
}

# The version of the library that reads what clients say, as one that compares.
sub libmicrohttpd
{
	my $version = `pkg-config --modversion libmicrohttpd`;
	chomp $version;
	return version->parse($version);
}

# 1.0.0 and 1.0.1 take the end of a line with an extension for the first byte of its chunk.
sub reads_chunk_extensions
{
	return libmicrohttpd() !~ /^1\.0\.[01]$/;
}

sub new
{
	my ($class, $node, %options) = @_;
	my $directory = PostgreSQL::Test::Utils::tempdir('door');
	my $self = bless { directory => $directory }, $class;
	my $database = delete $options{database} // 'postgres';
	my $program = delete $options{program} // 'cadence_door';
	my $environment = delete $options{environment} // {};
	my $wait = delete $options{wait} // 1;
	my %settings = (
		port => 0,
		database => 'host=' . $node->host . ' port=' . $node->port . " dbname=$database",
		dashboard => sharedir() . '/cadence_runner/dashboard',
		%options);

	PostgreSQL::Test::Utils::append_to_file("$directory/conf",
		join '', map { "$_ = $settings{$_}\n" } sort keys %settings);
	$self->{pid} = fork // die "could not fork: $!";
	if ($self->{pid} == 0)
	{
		@ENV{ keys %$environment } = values %$environment;
		# into files: nobody reads a pipe while the test does something else
		open(STDIN, '<', '/dev/null');
		open(STDOUT, '>', "$directory/output");
		open(STDERR, '>', "$directory/log");
		exec($program, '--config', "$directory/conf") or POSIX::_exit(127);
	}
	push @running, $self;
	$self->wait_for_port if $wait;
	return $self;
}

# Of the PostgreSQL that is tested.
sub sharedir
{
	my $directory = `pg_config --sharedir`;
	chomp $directory;
	return $directory;
}

sub wait_for_port
{
	my ($self) = @_;

	poll_until(
		sub {
			($self->{port}) = $self->slurp('output') =~ m{^listening on http://.*:(\d+)$}m;
			return $self->{port} || !$self->is_running;
		});
	die 'the door did not start: ' . $self->log unless $self->{port};
	return;
}

sub slurp
{
	my ($self, $name) = @_;
	my $file = "$self->{directory}/$name";
	return -e $file ? PostgreSQL::Test::Utils::slurp_file($file) : '';
}

sub port
{
	return $_[0]{port};
}

sub url
{
	my ($self, $path) = @_;
	return "http://127.0.0.1:$self->{port}" . ($path // '/');
}

# What it has logged so far.
sub log
{
	return $_[0]->slurp('log');
}

sub pid
{
	return $_[0]{pid};
}

sub is_running
{
	my ($self) = @_;

	$self->{status} = $? if !defined $self->{status} && waitpid($self->{pid}, WNOHANG) != 0;
	return !defined $self->{status};
}

# From its entry in /proc: the kilobytes that it holds, and the ticks that it has run for.
sub resident_kb
{
	my ($self) = @_;
	return $self->kb_of('VmRSS');
}

# The most that it has ever held.
sub peak_kb
{
	my ($self) = @_;
	return $self->kb_of('VmHWM');
}

sub kb_of
{
	my ($self, $what) = @_;
	my ($kb) = PostgreSQL::Test::Utils::slurp_file('/proc/' . $self->pid . '/status') =~ /^$what:\s+(\d+)/m;
	return $kb;
}

# How many files and sockets it has open.
sub descriptors
{
	my ($self) = @_;
	return scalar(() = glob '/proc/' . $self->pid . '/fd/*');
}

sub ticks
{
	my ($self) = @_;
	my $stat = PostgreSQL::Test::Utils::slurp_file('/proc/' . $self->pid . '/stat') =~ s/^.*\) //sr;
	my @fields = split / /, $stat;
	return $fields[11] + $fields[12];
}

# ---- a database that answers ---------------------------------------------------------------------

# A database whose cadence_http() says what it has been called with, or does what the path asks for:
# the door's half of the contract, whatever the extension's routes are.
sub make_door_database
{
	my ($node, $database) = @_;

	sql($node, "DO \$\$ BEGIN IF to_regrole('cadence_door') IS NULL THEN CREATE ROLE cadence_door LOGIN; END IF; END \$\$;
		CREATE DATABASE $database");
	sql($node, q{
		CREATE TABLE public.opened (name text);
		CREATE TABLE public.executed (name text);
		GRANT SELECT ON public.opened TO cadence_door;
		GRANT INSERT ON public.executed TO cadence_door;
		CREATE SCHEMA stub;
		GRANT USAGE ON SCHEMA stub TO cadence_door;
		CREATE FUNCTION stub.cadence_http(method text, path text, query text, request_headers jsonb,
			request_body bytea, peer inet, OUT status int, OUT headers jsonb, OUT body bytea)
		LANGUAGE plpgsql AS $$
		BEGIN
			status := 200;
			headers := '{"Content-Type": "application/json"}';
			IF path = '/fail' THEN
				RAISE EXCEPTION 'palavra secreta' USING ERRCODE = query;
			END IF;
			IF path = '/status' THEN
				status := query;
			END IF;
			IF path = '/headers' THEN
				headers := convert_from(request_body, 'UTF8');
			END IF;
			-- until somebody opens it
			IF path IN ('/wait', '/webhooks/wait') OR path LIKE '/functions/%' AND query IS NOT NULL THEN
				WHILE NOT EXISTS (SELECT FROM public.opened WHERE name = query) LOOP
					PERFORM pg_sleep(0.02);
				END LOOP;
				INSERT INTO public.executed VALUES (query);
			END IF;
			IF path = '/bytes' THEN
				body := decode(repeat('00', query::int), 'hex');
			ELSE
				body := convert_to(jsonb_build_object('method', method, 'path', path, 'query', query,
					'headers', request_headers, 'length', length(request_body), 'md5', md5(request_body),
					'peer', host(peer), 'statement_timeout', current_setting('statement_timeout'),
					'search_path', current_setting('search_path'),
					'user', session_user)::text, 'UTF8');
			END IF;
		END $$;
		GRANT EXECUTE ON FUNCTION stub.cadence_http TO cadence_door}, $database);
	return;
}

# ---- a client --------------------------------------------------------------------------------------

# A connection; undef where there is none to be had.
sub connect
{
	my ($self) = @_;
	return IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{port}, Timeout => 30);
}

# All that comes until the other end closes, or for so many seconds.
sub read_all
{
	my ($socket, $seconds) = @_;
	my $select = IO::Select->new($socket);
	my $all = '';

	while ($select->can_read($seconds // 60))
	{
		my $n = sysread($socket, my $piece, 65536);
		last unless $n;
		$all .= $piece;
	}
	return $all;
}

# Says bytes, whatever they are, and returns what comes. A server that has heard enough may close
# before all of them are said.
sub say
{
	my ($self, $bytes, $seconds) = @_;
	my $socket = $self->connect or return '';
	local $SIG{PIPE} = 'IGNORE';

	while (length $bytes)
	{
		my $n = syswrite($socket, $bytes);
		last unless $n;
		substr($bytes, 0, $n, '');
	}
	return read_all($socket, $seconds);
}

# An answer's status, headers (in lower case) and body; a status of 0 where it is none.
sub parse_answer
{
	my ($bytes) = @_;
	$bytes =~ s/^HTTP\/1\.1 100 Continue\r\n\r\n//;
	my ($head, $body) = split /\r\n\r\n/, $bytes, 2;
	my ($first, @lines) = split /\r\n/, $head // '';
	my ($status) = ($first // '') =~ m{^HTTP/1\.[01] (\d+) };
	my %headers;

	for my $line (@lines)
	{
		my ($name, $value) = split /: /, $line, 2;
		$name = lc $name;
		$headers{$name} = exists $headers{$name} ? "$headers{$name}, $value" : $value;
	}
	return { status => $status // 0, headers => \%headers, body => $body // '' };
}

# The bytes of a request in good form. Options: headers (a hash), body, host.
sub request_bytes
{
	my ($method, $target, %options) = @_;
	my %headers = (Host => $options{host} // 'localhost', Connection => 'close', %{ $options{headers} // {} });

	$headers{'Content-Length'} = length $options{body} if defined $options{body};
	return "$method $target HTTP/1.1\r\n"
	  . join('', map { "$_: $headers{$_}\r\n" } sort keys %headers)
	  . "\r\n"
	  . ($options{body} // '');
}

# One request and its answer.
sub ask
{
	my ($self, @request) = @_;
	return parse_answer($self->say(request_bytes(@request)));
}

# One that is only sent, as a connection; answer_of() it is the answer, which has a status of 0 if
# it does not begin in so many seconds.
sub begin
{
	my ($self, @request) = @_;
	my $socket = $self->connect or die "no connection: $!";

	syswrite($socket, request_bytes(@request));
	return $socket;
}

sub answer_of
{
	my ($socket, $seconds) = @_;
	return parse_answer(read_all($socket, $seconds));
}

# Only its status.
sub status
{
	my ($self, @request) = @_;
	return $self->ask(@request)->{status};
}

# ---- its end ---------------------------------------------------------------------------------------

sub signal
{
	my ($self, $name) = @_;
	return $self->is_running && CORE::kill($name, $self->{pid});
}

# Asks it to end, and returns what it ended with, as $? has it.
sub stop
{
	my ($self) = @_;

	$self->signal('TERM');
	return $self->finish;
}

# As if its machine were gone.
sub kill
{
	my ($self) = @_;

	$self->signal('KILL');
	return $self->finish;
}

sub finish
{
	my ($self) = @_;

	poll_until(sub { !$self->is_running }) or die 'the door does not end';
	return $self->{status};
}

END
{
	my $status = $?;
	$_->signal('KILL') && $_->finish for @running;
	$? = $status;
}

1;
