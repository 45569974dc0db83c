# What the tests of the resident worker share: a cluster that keeps one, its processes and its state.

package Resident;

use strict;
use warnings;
use utf8;

use Cadence;
use Exporter qw(import);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

our @EXPORT = qw(
  $SOON
  resident_cluster serve enrol_at one_run
  resident_pid supervisor_pid status health wait_for_resident wait_for_round
  within sent_within problem_lines
);

# An upper bound, in seconds, for what takes a second or two, on a busy machine too: what has gone
# wrong takes a look of the minute, a back-off of half of that, or a provider's hundred seconds.
our $SOON = 20;

# A cluster with the library preloaded. databases: as in the setting of that name. Unless extension
# is false, database postgres has the extension and its tables.
sub resident_cluster
{
	my ($name, $databases, %options) = @_;
	return new_cluster(
		$name,
		extension => $options{extension},
		conf => [
			"shared_preload_libraries = 'cadence_runner'",
			"cadence_runner.databases = '$databases'",
			@{ $options{conf} // [] }
		]);
}

# ---- processes and states ----------------------------------------------------------------------

# The worker of a database; empty when there is none.
sub resident_pid
{
	my ($node, $database) = @_;
	return sql($node,
		"SELECT pid FROM pg_stat_activity WHERE backend_type = 'cadence_runner resident' AND datname = "
		  . literal($database // 'postgres'));
}

sub supervisor_pid
{
	my ($node) = @_;
	return sql($node,
		"SELECT pid FROM pg_stat_activity WHERE backend_type = 'cadence_runner supervisor'");
}

# The row of a database in the status that is seen there; of another one in that seen from postgres.
sub status
{
	my ($node, $database, $from) = @_;
	my ($row) = grep { $_->{database} eq ($database // 'postgres') }
	  sql_rows($node, 'SELECT * FROM cadence_runner_status()', $from // $database);
	return $row // {};
}

sub health
{
	my ($node) = @_;
	my ($row) = sql_rows($node, 'SELECT ok, reasons FROM cadence_health()');
	return $row;
}

# Waits until a worker runs that is not the given one; its process id, or nothing.
sub wait_for_resident
{
	my ($node, $database, $seconds, $other) = @_;
	my $pid;

	# its process is there before it has connected and looked around
	poll_until(
		sub {
			my $row = eval { status($node, $database) } // {};
			my $runs = ($row->{worker_state} // '') =~ /^(?:working|sleeping|disabled)$/;
			$pid = $runs ? $row->{worker_pid} : undef;
			return defined $pid && $pid != ($other // 0);
		},
		undef, $seconds)
	  or return;
	return $pid;
}

# Waits until the worker has gone round its loop, with whatever has woken it before.
sub wait_for_round
{
	my ($node, $database) = @_;
	my $now = sql($node, 'SELECT clock_timestamp()');

	# an update that concerns no row still wakes it
	sql($node, 'UPDATE lead_cadence_runs SET next_run_at = next_run_at WHERE false', $database);
	return $node->poll_query_until($database // 'postgres',
		"SELECT worker_seen_at > '$now' FROM cadence_runner_status() WHERE database = current_database()");
}

# Something that must become true in so many seconds.
sub within
{
	my ($seconds, $what, $condition) = @_;
	my $since = time();
	my $met = poll_until($condition, undef, $seconds + 5);

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok($met, $what) && cmp_ok(time() - $since, '<', $seconds, "$what: within $seconds s");
}

# So many requests in all, the last of them so soon after a time.
sub sent_within
{
	my ($provider, $n, $since, $seconds, $what) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	poll_until(sub { $provider->count >= $n }, undef, 20);
	is($provider->count, $n, $what) or return;
	my ($last) = sort { $b <=> $a } map { $_->{t} } $provider->journal;
	cmp_ok($last - $since, '<', $seconds, "$what: within $seconds s");
	return;
}

# What the supervisor has said of a database since an offset of the server's log.
sub problem_lines
{
	my ($node, $database, $offset) = @_;
	return log_since($node, $offset) =~ /(cadence_runner does not run in database "$database": .*)/g;
}

# ---- data --------------------------------------------------------------------------------------

# Everything that a database needs to send: extension, tables, and for each behaviour of the
# provider a server, a cadence of one step and a template, which all go by the company's name.
sub serve
{
	my ($node, $database, %urls) = @_;

	sql($node, 'SET client_min_messages = warning; CREATE EXTENSION IF NOT EXISTS cadence_runner;
		SELECT cadence_create_tables()', $database);
	for my $name (sort keys %urls)
	{
		my $url = literal($urls{$name});
		sql($node, qq{
			CREATE SERVER $name FOREIGN DATA WRAPPER cadence_provider
				OPTIONS (canal 'WHATSAPP', empresa '$name', url $url, breaker_after '0');
			INSERT INTO cadences (empresa, codigo, nome) VALUES ('$name', '$name', '$name');
			INSERT INTO message_templates (empresa, canal, codigo, nome, conteudo)
			VALUES ('$name', 'WHATSAPP', '$name', '$name', 'Olá {{nome}}');
			INSERT INTO cadence_steps (cadence_id, ordem, offset_minutos, canal, template_codigo)
			SELECT id, 1, 0, 'WHATSAPP', codigo FROM cadences WHERE codigo = '$name';
		}, $database);
	}
	return;
}

# The statement that enrols so many new leads of a company in its cadence, due at an SQL expression.
sub enrol_at
{
	my ($name, $n, $due) = @_;
	$due //= "now()";
	return qq{
		WITH lead AS (INSERT INTO lead_contacts (lead_id, empresa, nome, telefone)
			SELECT gen_random_uuid()::text, '$name', 'Lead', '+5511900000001' FROM generate_series(1, $n)
			RETURNING lead_id)
		INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem, next_run_at)
		SELECT lead_id, c.empresa, c.id, 1, $due FROM lead, cadences c WHERE c.codigo = '$name';};
}

# One new run of a company with a status and a time; its id.
sub one_run
{
	my ($node, $name, $status, $due) = @_;
	return sql($node, qq{
		WITH lead AS (INSERT INTO lead_contacts (lead_id, empresa, nome, telefone)
			VALUES (gen_random_uuid()::text, '$name', 'Lead', '+5511900000001') RETURNING lead_id)
		INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, status, next_step_ordem, next_run_at)
		SELECT lead_id, c.empresa, c.id, '$status', 1, $due FROM lead, cadences c WHERE c.codigo = '$name'
		RETURNING id});
}

1;
