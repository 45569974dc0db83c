# The worker's statements find their rows by a key, whatever the planner knows of the tables: nothing
# at all, that they are empty, that they are large, or that a part of them was claimed when it looked.
# The plans are those of real executions, as auto_explain logs them.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use JSON::PP ();
use List::Util qw(max);
use PostgreSQL::Test::Utils;
use Test::More;

# Many that are not due, and several batches that are.
my $WAITING = 30_000;
my $DUE = 1_500;
my $BATCH = 100;

# Tables that grow with use.
my $large = qr/^(?:lead_cadence_runs|lead_contacts|lead_cadence_events|lead_messages)$/;

# What an execution does, by the names that its statements carry.
my @statements = (
	'looking for due runs', 'taking due runs', 'looking for contacts', 'looking for steps',
	'noting a claim', 'looking at claimed runs again', 'moving runs on', 'dating reasons', 'writing events', 'writing messages',
	'looking for earlier attempts', 'writing uncertain messages', 'completing uncertain messages',
	'looking for abandoned claims', 'releasing abandoned claims', 'forgetting claims');

my $provider = start_provider();
my $node = new_cluster(
	'main',
	conf => [
		"shared_preload_libraries = 'auto_explain'", 'auto_explain.log_min_duration = 0',
		'auto_explain.log_analyze = on', 'auto_explain.log_timing = off',
		'auto_explain.log_format = json', 'autovacuum = off', "cadence_runner.batch_size = $BATCH"
	],
	extension => 0);

# All plans that were logged since an offset, each with its text.
sub plans_since
{
	my ($offset) = @_;
	my @plans;
	my $log = log_since($node, $offset);

	while ($log =~ /duration: [\d.]+ ms  plan:\n((?:\t.*\n)+)/g)
	{
		push @plans, JSON::PP::decode_json($1 =~ s/^\t//gmr);
	}
	return @plans;
}

sub nodes
{
	my ($plan) = @_;
	return ($plan, map { nodes($_) } @{ $plan->{Plans} // [] });
}

# What is wrong with a plan. A statement touches each row of its batch a few times, never the table
# or the batch's square. What waits for a provider may be several batches.
sub faults
{
	my ($plan) = @_;
	my @nodes = nodes($plan->{Plan});
	my @given = map { $_->{'Actual Rows'} } grep { $_->{'Node Type'} eq 'Named Tuplestore Scan' } @nodes;
	my $most = 4 * max($BATCH, @given);
	my @faults;

	for my $n (@nodes)
	{
		my $loops = $n->{'Actual Loops'} || next;
		my $relation = $n->{'Relation Name'} // '';
		my $read = $n->{'Actual Rows'} * $loops;

		$read += ($n->{$_} // 0) * $loops
		  for 'Rows Removed by Filter', 'Rows Removed by Join Filter', 'Rows Removed by Index Recheck';
		push @faults, "$n->{'Node Type'} of $relation"
		  if $relation =~ $large && $n->{'Node Type'} =~ /^(?:Seq Scan|Bitmap Heap Scan|Sample Scan)$/;
		push @faults, "$n->{'Node Type'} $relation reads $read rows" if $read > $most;
	}
	return @faults;
}

# An execution whose provider is slow, so that what waits is looked at again.
sub execute_slowly
{
	my ($database) = @_;
	my $offset = -s $node->logfile;

	my $more = q{INSERT INTO lead_contacts (lead_id, empresa, nome, telefone)
		SELECT c.codigo || '-' || i, c.codigo, 'Lead', '+551199' || i FROM cadences AS c, generate_series(1, 20) AS i
		WHERE c.codigo = '%1$s';
		INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem, next_run_at, attempts)
		SELECT c.codigo || '-' || i, c.codigo, c.id, 1, now() - interval '1 hour', (c.codigo = 'um')::int
		FROM cadences AS c, generate_series(1, 20) AS i WHERE c.codigo = '%1$s'};
	# some whose last attempt is uncertain
	sql($node, sprintf($more, 'um') . q{;
		INSERT INTO lead_cadence_events (lead_cadence_run_id, step_ordem, tipo_evento, detalhes)
		SELECT id, 1, 'ERRO', jsonb_set('{"codigo": "INCERTO", "provedor": "slow", "pedido": {"operacao": "text", "campos":
			{"recipient": "+55119", "as_stored": "+55119", "message": "Oi", "channel": "WHATSAPP"}}}', '{pedido,servidor}',
			(SELECT to_jsonb(oid::bigint) FROM pg_foreign_server WHERE srvname = 'slow'))
		FROM lead_cadence_runs WHERE attempts = 1}, $database);
	# and some whose contact is not found
	sql($node, q{INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem, next_run_at)
		SELECT 'nobody-' || i, 'um', id, 1, now() - interval '1 hour' FROM cadences, generate_series(1, 50) AS i WHERE codigo = 'um'}, $database);
	is(execute($node, 'TEST', $database)->{summary}{success}, $DUE + 20, "$database: all is sent");
	# and some whose next one is: with a second provider, looks would go past the steps of a slow one
	sql($node, sprintf($more, 'dois') . "; CREATE SERVER cut FOREIGN DATA WRAPPER cadence_provider
		OPTIONS (canal 'WHATSAPP', empresa 'dois', breaker_after '0', url " . literal($provider->url('reset')) . ')',
		$database);
	execute($node, 'TEST', $database);
	my @plans = plans_since($offset);
	for my $what (@statements)
	{
		my @of_it = grep { $_->{'Query Text'} =~ m{^/\* cadence_runner: \Q$what\E \*/} } @plans;
		my %faults = map { $_ => 1 } map { faults($_) } @of_it;

		cmp_ok(scalar @of_it, '>', 0, "$database: $what was made");
		is_deeply([ sort keys %faults ], [], "$database: $what finds its rows by a key")
		  or diag(JSON::PP->new->pretty->encode($of_it[0]));
	}
	return;
}

# The state as an operator asks for it, planned in a session that forbids the planner nothing.
sub look_at_status
{
	my ($database) = @_;
	my $offset = -s $node->logfile;

	sql($node, 'SET auto_explain.log_nested_statements = on; SELECT * FROM cadence_runner_status()', $database);
	my @plans = grep { $_->{'Query Text'} =~ /FROM \S+lead_cadence_runs AS r/ } plans_since($offset);
	my @faults = map { faults($_) } @plans;

	cmp_ok(scalar @plans, '>', 0, "$database: the state is read");
	is_deeply(\@faults, [], "$database: without reading the tables") or diag(JSON::PP->new->pretty->encode($plans[0]));
	return;
}

sub load
{
	my ($database) = @_;

	sql($node, "SET client_min_messages = warning; CREATE EXTENSION cadence_runner; SELECT cadence_create_tables();
		CREATE SERVER slow FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', max_in_flight '60', url "
		  . literal($provider->url('slow/100')) . q{);
		INSERT INTO cadences (empresa, codigo) VALUES ('um', 'um'), ('dois', 'dois');
		INSERT INTO message_templates (empresa, codigo, conteudo)
		SELECT codigo, 'ola', 'Olá {{nome}}' FROM cadences;
		INSERT INTO cadence_steps (cadence_id, ordem, offset_minutos, canal, template_codigo)
		SELECT id, ordem, 1440, 'WHATSAPP', 'ola' FROM cadences, generate_series(1, 2) AS ordem},
		$database);
	return;
}

sub fill
{
	my ($database) = @_;

	sql($node, qq{INSERT INTO lead_contacts (lead_id, empresa, nome, telefone)
		SELECT 'lead-' || i, 'um', 'Lead ' || i, '+5511' || i FROM generate_series(1, $WAITING + $DUE) AS i;
		INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem, next_run_at)
		SELECT 'lead-' || i, 'um', id, 1,
			now() + interval '1 hour' + i * CASE WHEN i <= $DUE THEN interval '-1 hour' ELSE interval '1 ms' END
		FROM cadences, generate_series(1, $WAITING + $DUE) AS i WHERE codigo = 'um';
		INSERT INTO lead_cadence_events (lead_cadence_run_id, step_ordem, tipo_evento)
		SELECT id, 0, 'AGENDADO' FROM lead_cadence_runs}, $database);
	return;
}

my @tables = qw(lead_cadence_runs lead_contacts lead_cadence_events lead_messages);
my $analyze = join ';', map { "ANALYZE $_" } @tables;

my %moods = (
	never_analyzed => sub { fill('never_analyzed') },
	analyzed_empty => sub {
		sql($node, $analyze, 'analyzed_empty');
		fill('analyzed_empty');
	},
	analyzed_full => sub {
		fill('analyzed_full');
		sql($node, $analyze, 'analyzed_full');
	},
	# as if an execution had been in the midst of its work
	analyzed_claimed => sub {
		fill('analyzed_claimed');
		sql($node, qq{CREATE TABLE before AS SELECT id, next_run_at FROM lead_cadence_runs ORDER BY next_run_at LIMIT $DUE;
			UPDATE lead_cadence_runs SET claim_id = '00000000-0000-8000-8000-000000000001', next_run_at = now() + interval '5 min'
			WHERE id IN (SELECT id FROM before)}, 'analyzed_claimed');
		sql($node, $analyze, 'analyzed_claimed');
		sql($node, q{UPDATE lead_cadence_runs AS r SET claim_id = NULL, next_run_at = b.next_run_at
			FROM before AS b WHERE b.id = r.id}, 'analyzed_claimed');
	},
	# before they fell due, so that by what the planner knows nothing is
	analyzed_before => sub {
		fill('analyzed_before');
		sql($node, qq{CREATE TABLE before AS SELECT id, next_run_at FROM lead_cadence_runs ORDER BY next_run_at LIMIT $DUE;
			UPDATE lead_cadence_runs SET next_run_at = now() + interval '2 hours'
			WHERE id IN (SELECT id FROM before)}, 'analyzed_before');
		sql($node, $analyze, 'analyzed_before');
		sql($node, q{UPDATE lead_cadence_runs AS r SET next_run_at = b.next_run_at
			FROM before AS b WHERE b.id = r.id}, 'analyzed_before');
	},
	# enrolled together, so that one time stands for most of the table
	analyzed_same_time => sub {
		fill('analyzed_same_time');
		sql($node, q{UPDATE lead_cadence_runs
			SET next_run_at = now() + CASE WHEN next_run_at <= now() THEN interval '-1 hour' ELSE interval '1 hour' END},
			'analyzed_same_time');
		sql($node, $analyze, 'analyzed_same_time');
	},
	# most of them due long ago, by what the planner knows
	analyzed_all_due => sub {
		fill('analyzed_all_due');
		sql($node, q{CREATE TABLE before AS SELECT id, next_run_at FROM lead_cadence_runs;
			UPDATE lead_cadence_runs SET next_run_at = next_run_at - interval '1 year'}, 'analyzed_all_due');
		sql($node, $analyze, 'analyzed_all_due');
		sql($node, q{UPDATE lead_cadence_runs AS r SET next_run_at = b.next_run_at
			FROM before AS b WHERE b.id = r.id; DROP TABLE before}, 'analyzed_all_due');
	});

# Claims of a process that is gone. Each has one run, which is not due when it is released.
sub abandon_claims
{
	my ($database) = @_;

	sql($node, qq{INSERT INTO cadence_claims (claim_id, lease_end)
		SELECT ('00000000-0000-8000-8000-' || lpad(i::text, 12, '0'))::uuid, now() + i * interval '1 min'
		FROM generate_series(1, 5) AS i;
		UPDATE lead_cadence_runs AS r SET claim_id = c.claim_id, next_run_at = c.lease_end
		FROM cadence_claims AS c WHERE r.lead_id = 'lead-' || ($DUE + substr(c.claim_id::text, 25)::int)}, $database);
	return;
}

for my $mood (sort keys %moods)
{
	$node->safe_psql('postgres', "CREATE DATABASE $mood");
	load($mood);
	$moods{$mood}->();
	abandon_claims($mood);
	execute_slowly($mood);
	is(sql($node, 'SELECT count(*) FROM cadence_claims', $mood), 0, "$mood: no claim is left");
	abandon_claims($mood);
	look_at_status($mood);
}

done_testing();
