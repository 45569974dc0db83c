# A server with the extension, its settings, its log and its processes.

package Cadence::Cluster;

use strict;
use warnings;
use utf8;

use Cadence::SQL;
use Cadence::Wait;
use Exporter qw(import);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

our @EXPORT = qw(new_cluster install set_server log_since worker_pid halt_wal_writer);

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
		# the framework allows ten where there is a standby: as many as one door has
		"max_connections = 60",
		"deadlock_timeout = 200ms",
		# the waits after a failure are asserted, so they must not grow nor be spread
		"cadence_runner.retry_factor = 1",
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

# What the server has logged from an offset on; without one, all of it.
sub log_since
{
	my ($node, $offset) = @_;
	return substr(slurp_file($node->logfile), $offset // 0);
}

# From here until the server is stopped at once, which ends that process as well, only who asks for it
# flushes the WAL. However long its delay is, a slow machine takes longer.
sub halt_wal_writer
{
	my ($node) = @_;
	my $pid = sql($node, "SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'");

	kill('STOP', $pid) == 1 or die 'no WAL writer';
	return;
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

1;
