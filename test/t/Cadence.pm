# What the TAP tests share: a cluster with the extension, the real provider process, data in bulk,
# and sessions that run beside the test.
#
# A server of the wrapper serves a channel and a company, so a test that needs a behaviour of the
# provider makes a company for it: server, template, cadence and leads go by that company's name.
#
# Nothing here sleeps for a fixed time and hopes: poll_until() and the cluster's poll_query_until()
# wait for a state.

package Cadence;

use strict;
use warnings;
use utf8;

use Digest::SHA qw(sha1);
use Encode qw(encode_utf8 decode_utf8);
use Exporter qw(import);
use FindBin;
use IO::Socket::INET;
use IPC::Run;
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep time);

our @EXPORT = qw(
  new_cluster install start_provider make_server make_cadence make_company enrol
  sql sql_rows sql_error execute literal make_all_due
  start_sql set_server poll_until idempotency_key closed_port worker_pid log_since
  silent_resolver
);

my $TIMEOUT = $PostgreSQL::Test::Utils::timeout_default;

# ---- clusters ----------------------------------------------------------------------------------

# A started cluster with the extension in database postgres and its tables. conf: more lines for
# its configuration. Options of the module's own: extension => 0 leaves the database empty.
sub new_cluster
{
	my ($name, %options) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init(
		allows_streaming => $options{streaming} // 0,
		extra => [ '--encoding=UTF8', '--locale=C' ]);
	# The framework's own logging of every statement would hide what the extension itself logs.
	$node->append_conf(
		'postgresql.conf', join "\n",
		"log_statement = none",
		"max_worker_processes = 32",
		"deadlock_timeout = 200ms",
		@{ $options{conf} // [] }, '');
	$node->start;
	install($node, 'postgres') if $options{extension} // 1;
	return $node;
}

sub install
{
	my ($node, $database, $schema) = @_;
	my $where = defined $schema ? "SCHEMA $schema" : '';

	$node->safe_psql($database,
		"SET client_min_messages = warning; CREATE EXTENSION cadence_runner $where;"
		  . 'SELECT ' . (defined $schema ? "$schema." : '') . 'cadence_create_tables();');
	return;
}

# What the server has logged from an offset on; without one, all of it.
sub log_since
{
	my ($node, $offset) = @_;
	return substr(slurp_file($node->logfile), $offset // 0);
}

# ---- SQL ---------------------------------------------------------------------------------------

# Runs statements that must succeed; texts may hold any character. Returns psql's output.
sub sql
{
	my ($node, $text, $database) = @_;
	return decode_utf8($node->safe_psql($database // 'postgres', encode_utf8($text)));
}

# The rows of a query, as hashes with JSON's types.
sub sql_rows
{
	my ($node, $query, $database) = @_;
	my $json = $node->safe_psql($database // 'postgres',
		encode_utf8("SELECT coalesce(json_agg(q), '[]') FROM ($query) AS q"));
	return @{ JSON::PP::decode_json($json) };
}

# What psql says of statements that must fail, with SQLSTATE, detail and hint.
sub sql_error
{
	my ($node, $text, %options) = @_;
	my ($status, $stdout, $stderr) = $node->psql(
		$options{database} // 'postgres', encode_utf8($text),
		extra_params => [ '-v', 'VERBOSITY=verbose', @{ $options{extra_params} // [] } ]);

	return $status == 0 ? "no error; output: $stdout" : decode_utf8($stderr);
}

sub literal
{
	my ($text) = @_;
	return 'NULL' unless defined $text;
	$text =~ s/'/''/g;
	return "'$text'" unless $text =~ s/\\/\\\\/g;
	return " E'$text'";
}

# One execution that must succeed; its decoded result.
sub execute
{
	my ($node, $trigger, $database) = @_;
	return JSON::PP::decode_json(
		encode_utf8(sql($node, 'SELECT cadence_run(' . literal($trigger // 'TEST') . ')', $database)));
}

# A setting for the whole server, in force when this returns. Only a session that has the library
# knows the names of ours; what the file says can be read by any.
sub set_server
{
	my ($node, $name, $value) = @_;

	sql($node, "LOAD 'cadence_runner'; ALTER SYSTEM SET $name = " . literal($value));
	$node->reload;
	$node->poll_query_until('postgres',
		"SELECT current_setting('$name', true) = " . literal($value))
	  or die "$name is not in force";
	return;
}

# A session beside the test, with a script of statements. Its methods: pid, output and error (what
# it printed so far), running, finish (waits for its end and returns its exit status).
sub start_sql
{
	my ($node, $text, %options) = @_;
	return Cadence::Session->new($node, $text, %options);
}

# Waits until a piece of Perl is true; fails the test's assertion otherwise.
sub poll_until
{
	my ($condition, $what, $seconds) = @_;
	my $until = time() + ($seconds // $TIMEOUT);
	my $met;

	usleep(20_000) until ($met = $condition->()) || time() > $until;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok($met, $what) if defined $what;
	return $met;
}

# The process of an execution that is under way, once there is one.
sub worker_pid
{
	my ($node) = @_;
	my $pid;

	poll_until(
		sub {
			$pid = sql($node,
				"SELECT pid FROM pg_stat_activity WHERE backend_type = 'cadence_runner' LIMIT 1");
			return $pid ne '';
		}) or die 'no execution is under way';
	return $pid;
}

# A library that is loaded before libc stands in for a name server that never answers: the name
# silent.example takes so many seconds, and has no address. Its path; undef without a C compiler.
sub silent_resolver
{
	my ($seconds) = @_;
	my $directory = PostgreSQL::Test::Utils::tempdir();

	append_to_file("$directory/names.c", <<"EOC");
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>
#include <unistd.h>

typedef int (*Function)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

int
getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
            struct addrinfo **result)
{
	if (name != NULL && strcmp(name, "silent.example") == 0)
	{
		sleep($seconds);
		return EAI_AGAIN;
	}
	return ((Function) dlsym(RTLD_NEXT, "getaddrinfo"))(name, service, hints, result);
}
EOC
	return "$directory/names.so"
	  if system("cc -shared -fPIC -o $directory/names.so $directory/names.c -ldl 2>/dev/null") == 0;
	return;
}

# ---- data --------------------------------------------------------------------------------------

# A server of the wrapper; its options as name => value.
sub make_server
{
	my ($node, $name, $url, %options) = @_;
	my $database = delete $options{database};
	my %all = (canal => 'WHATSAPP', url => $url, %options);
	my $list = join ', ', map { "$_ " . literal($all{$_}) } sort keys %all;

	sql($node, "CREATE SERVER $name FOREIGN DATA WRAPPER cadence_provider OPTIONS ($list)",
		$database);
	return;
}

# A cadence of a company, and its templates. steps: [channel, offset in minutes, text], in order.
sub make_cadence
{
	my ($node, $codigo, $empresa, @steps) = @_;
	my $ordem = 0;

	sql($node, "INSERT INTO cadences (empresa, codigo, nome) VALUES ("
		  . join(', ', map { literal($_) } $empresa, $codigo, $codigo) . ')');
	for my $step (@steps)
	{
		my ($canal, $offset, $text) = @$step;
		my $template = $codigo . '_' . ++$ordem;

		sql($node,
			"INSERT INTO message_templates (empresa, canal, codigo, nome, conteudo) VALUES ("
			  . join(', ', map { literal($_) } $empresa, $canal, $template, $template, $text)
			  . ");
			INSERT INTO cadence_steps (cadence_id, ordem, offset_minutos, canal, template_codigo)
			SELECT id, $ordem, $offset, "
			  . literal($canal) . ', '
			  . literal($template)
			  . " FROM cadences WHERE codigo = "
			  . literal($codigo));
	}
	return;
}

# A company of its own for one behaviour: a server by that name, and a cadence of one step.
sub make_company
{
	my ($node, $name, $url, %options) = @_;
	make_server($node, $name, $url, empresa => $name, %options);
	make_cadence($node, $name, $name, [ $options{canal} // 'WHATSAPP', 0, 'Olá {{nome}}' ]);
	return;
}

# Enrols so many new leads in a cadence, due since a minute, the first of them first.
sub enrol
{
	my ($node, $codigo, $n) = @_;
	my $first = sql($node, "SELECT count(*) + 1 FROM lead_contacts");
	my $last = $first + $n - 1;
	my $cadence = literal($codigo);

	sql($node, qq{
		INSERT INTO lead_contacts (lead_id, empresa, nome, primeiro_nome, email, telefone)
		SELECT 'lead-' || i, c.empresa, 'Lead ' || i, 'Lead', 'lead' || i || '\@example.com',
			'+5511' || lpad(i::text, 9, '0')
		FROM cadences c, generate_series($first, $last) AS i WHERE c.codigo = $cadence;
		INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem, next_run_at)
		SELECT 'lead-' || i, c.empresa, c.id, 1,
			now() - interval '1 minute' + (i - $first) * interval '1 microsecond'
		FROM cadences c, generate_series($first, $last) AS i WHERE c.codigo = $cadence;
	});
	return;
}

# As if the time of every active run had come.
sub make_all_due
{
	my ($node) = @_;
	sql($node, "UPDATE lead_cadence_runs SET next_run_at = now() - interval '1 second'
		WHERE status = 'ATIVA'");
	return;
}

# The key that every attempt of a step carries: a version 5 UUID of the step's number, with the
# run as name space.
sub idempotency_key
{
	my ($run, $ordem) = @_;
	my @bytes = unpack 'C16', sha1(pack('H32', $run =~ tr/-//dr) . $ordem);

	$bytes[6] = $bytes[6] & 0x0F | 0x50;
	$bytes[8] = $bytes[8] & 0x3F | 0x80;
	return join '-', unpack 'A8 A4 A4 A4 A12', unpack 'H32', pack 'C16', @bytes;
}

# A port of the loopback interface that nobody listens on.
sub closed_port
{
	my $socket = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1', LocalPort => 0)
	  or die "could not listen: $!";
	return $socket->sockport;
}

sub start_provider
{
	return Cadence::Provider->new(@_);
}

# ---- a session beside the test -----------------------------------------------------------------

package Cadence::Session;

use Encode qw(encode_utf8);
use POSIX qw(WNOHANG);

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

	Cadence::poll_until(sub { ($pid) = $self->slurp('out') =~ /^pid=(\d+)$/m; return $pid })
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

	Cadence::poll_until(sub { !$self->running }) or die 'the session does not end';
	return $self->{status};
}

# ---- the provider ------------------------------------------------------------------------------

package Cadence::Provider;

use Test::More;

my @running;

sub new
{
	my ($class, @options) = @_;
	my $script = $ENV{CADENCE_PROVIDER} // "$FindBin::RealBin/../provider.py";
	my $output = PostgreSQL::Test::Utils::tempdir('provider') . '/output';
	my $self = bless { output => $output }, $class;

	# into a file: nobody reads a pipe while the test does something else
	$self->{run} = IPC::Run::start([ 'python3', $script, @options ], '<', \undef, '>&', $output);
	push @running, $self;
	Cadence::poll_until(
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

1;
