# The promise: ten sentences, and for each a test from one end to the other that would notice if it
# were broken. What breaks them at every point is tested elsewhere: crashes in 020, lost claims in
# 021, dead providers in 019, many callers in 003, the flush with one-shot executions in 009.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

# Nothing but a commit that asks for it writes the WAL, so that a crash loses every other.
my $node = new_cluster(
	'main',
	conf => [
		"shared_preload_libraries = 'cadence_runner'", 'restart_after_crash = on',
		'synchronous_commit = off', 'wal_writer_delay = 10s',
		'wal_writer_flush_after = 1GB', 'wal_buffers = 64MB', 'shared_buffers = 128MB',
		'autovacuum = off', 'bgwriter_lru_maxpages = 0', 'checkpoint_timeout = 1h',
		'max_connections = 60'
	]);
my $provider = start_provider();

# ---- helpers -----------------------------------------------------------------------------------

# A database-wide clean slate, with companies for the behaviours that a test needs: name => [path or
# address, options].
sub begin_again
{
	my (%companies) = @_;
	sql($node, 'TRUNCATE lead_messages, lead_cadence_events, lead_cadence_runs, lead_contacts, cadence_runner_logs;
		DELETE FROM cadence_steps; DELETE FROM cadences; DELETE FROM message_templates');
	sql($node, "DROP SERVER $_ CASCADE")
	  for map { $_->{srvname} } sql_rows($node, 'SELECT srvname FROM pg_foreign_server');
	for my $name (sort keys %companies)
	{
		my ($to, %options) = @{ $companies{$name} };
		make_company($node, $name, $to =~ /:/ ? $to : $provider->url($to), %options);
	}
	$provider->forget;
	return;
}

sub resident
{
	my ($wanted) = @_;
	set_server($node, 'cadence_runner.databases', $wanted ? 'postgres' : '');
	$node->poll_query_until('postgres', 'SELECT count(*) = ' . ($wanted ? 1 : 0) . " FROM pg_stat_activity
		WHERE backend_type = 'cadence_runner resident' AND datname = 'postgres'")
	  or die 'the resident worker does not come or go';
	return;
}

# What the resident worker holds that is nobody else's.
sub resident_kb
{
	my $pid = sql($node, q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'cadence_runner resident'});
	my ($kb) = slurp_file("/proc/$pid/status") =~ /^RssAnon:\s+(\d+) kB/m;
	return $kb;
}

sub crash
{
	my (@callers) = @_;
	$node->stop('immediate');
	$_->finish for @callers;
	return;
}

# status => how many
sub states
{
	return { map { $_->{status} => $_->{n} }
		  sql_rows($node, 'SELECT status, count(*)::int AS n FROM lead_cadence_runs GROUP BY 1') };
}

sub codes
{
	my ($empresa) = @_;
	return sql($node, q{
		SELECT coalesce(string_agg(coalesce(e.detalhes ->> 'codigo', e.tipo_evento), ' ' ORDER BY e.created_at), '')
		FROM lead_cadence_events e JOIN lead_cadence_runs r ON r.id = e.lead_cadence_run_id
		WHERE r.empresa = } . literal($empresa));
}

# ---- the ten sentences -------------------------------------------------------------------------

subtest '1. a committed due step is never lost: pending, claimed, or in exactly one final state' => sub {
	my $n = 60;
	begin_again(ok => ['slow/20'], refuse => ['refuse'], gone => [ 'hang', on_uncertain => 'hold', timeout => '30s' ]);
	enrol($node, $_, $n) for qw(ok refuse gone);
	# nor is anything left that a look at a catalog would prune, and so write a page of the WAL full
	sql($node, 'VACUUM');
	sql($node, 'CHECKPOINT');

	# pending, claimed or final at a time in the middle, and after a crash there
	my $one_of_them = q{SELECT count(*) FROM lead_cadence_runs r
		WHERE (r.status = 'ATIVA' AND r.claim_id IS NULL AND r.next_run_at IS NOT NULL)::int
			+ (r.status = 'ATIVA' AND r.claim_id IS NOT NULL AND r.next_run_at > now())::int
			+ (r.status = 'CONCLUIDA' AND EXISTS (SELECT FROM lead_cadence_events e
				WHERE e.lead_cadence_run_id = r.id AND e.tipo_evento = 'DISPARADO'))::int
			+ (r.status = 'PAUSADA' AND EXISTS (SELECT FROM lead_cadence_events e
				WHERE e.lead_cadence_run_id = r.id AND e.detalhes ->> 'codigo' IN ('RECUSADO', 'INCERTO')))::int = 1};
	my $caller = start_sql($node, "SELECT cadence_run('TEST')");
	poll_until(sub { sql($node, q{SELECT count(*) FROM lead_cadence_runs WHERE status <> 'ATIVA'}) > 0 },
		'some are done');
	is(sql($node, $one_of_them), 3 * $n, 'in the middle each step is one of them');
	cmp_ok(states()->{ATIVA} // 0, '>', 0, 'and some are under way');
	crash($caller);
	$node->start;
	is(sql($node, $one_of_them), 3 * $n, 'after a crash, too');

	for (1 .. 4)
	{
		execute($node);
		make_all_due($node);
	}
	is(sql($node, $one_of_them), 3 * $n, 'at the end, too');
	my $states = states();
	is($states->{ATIVA} // 0, 0, 'and each has ended');
	is($states->{CONCLUIDA} + $states->{PAUSADA}, 3 * $n, 'none is gone');
	is(sql($node, q{SELECT count(*) FROM lead_cadence_runs r WHERE empresa = 'ok' AND status = 'CONCLUIDA'}), $n,
		'what can be sent is sent');
};

subtest '2. before the first byte leaves, the claim is flushed, whatever a trigger or a role says' => sub {
	begin_again(hang => [ 'hang', timeout => '60s' ]);
	sql($node, q{
		ALTER DATABASE postgres SET synchronous_commit = off;
		ALTER ROLE CURRENT_USER SET synchronous_commit = off;
		CREATE FUNCTION careless() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			SET synchronous_commit = off;
			RETURN NULL;
		END $$;
		CREATE CONSTRAINT TRIGGER careless AFTER UPDATE ON lead_cadence_runs
			DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION careless();
		CREATE TABLE lost (n int);
	});
	resident(1);
	# nor is anything left that a look at a catalog would prune, and so write a page of the WAL full
	sql($node, 'VACUUM');
	sql($node, 'CHECKPOINT');
	enrol($node, 'hang', 20);
	poll_until(sub { $provider->count == 20 }, 'the resident worker has sent them');
	# A commit that nobody flushes shows that the crash really loses such ones. When a page of the WAL
	# is full it is written all the same, so one is needed whose end is not.
	my $n = 0;
	halt_wal_writer($node);
	poll_until(
		sub {
			sql($node, 'INSERT INTO lost VALUES (' . ++$n . ')');
			return sql($node, 'SELECT pg_current_wal_insert_lsn() > pg_current_wal_lsn()') eq 't';
		}) or die 'the server writes everything at once';
	my %seen = $provider->per_run;
	# as they were before anybody looks at them
	$node->append_conf('postgresql.conf', "cadence_runner.enabled = off\n");
	crash();
	$node->start;

	is(sql($node, "SELECT count(*) FROM lost WHERE n = $n"), 0, 'the crash has lost a commit that was not flushed');
	is_deeply([ sort map { $_->{id} } sql_rows($node, q{SELECT id FROM lead_cadence_runs
		WHERE status = 'ATIVA' AND claim_id IS NOT NULL AND attempts = 1}) ], [ sort keys %seen ],
		'and no claim of what the provider saw');

	$node->append_conf('postgresql.conf', "cadence_runner.enabled = on\n");
	$node->reload;
	resident(0);
	sql($node, q{DROP TRIGGER careless ON lead_cadence_runs; DROP FUNCTION careless();
		ALTER DATABASE postgres RESET synchronous_commit; ALTER ROLE CURRENT_USER RESET synchronous_commit});
};

subtest '3. no two executions, callers, servers or the old edge function hold the same step' => sub {
	my $n = 600;
	begin_again(ok => ['slow/5']);
	# two servers serve the company
	make_server($node, 'ok2', $provider->url('slow/7'), empresa => 'ok');
	sql($node, 'CREATE TABLE edge (run uuid, ordem int)');
	set_server($node, 'cadence_runner.batch_size', 10);
	enrol($node, 'ok', $n);

	# the function takes what it has seen due, one by one, if nobody has moved it since
	my $edge = start_sql($node, q{
		DO $$
		DECLARE seen record;
		BEGIN
			LOOP
				SELECT id, next_step_ordem, next_run_at INTO seen FROM lead_cadence_runs
				WHERE status = 'ATIVA' AND next_run_at <= clock_timestamp() ORDER BY random() LIMIT 1;
				EXIT WHEN NOT FOUND;
				UPDATE lead_cadence_runs SET next_run_at = clock_timestamp() + interval '1 hour'
				WHERE id = seen.id AND next_run_at = seen.next_run_at;
				IF FOUND THEN
					INSERT INTO edge VALUES (seen.id, seen.next_step_ordem);
				END IF;
				COMMIT;
				PERFORM pg_sleep(0.005);
			END LOOP;
		END $$});
	my @callers = map { start_sql($node, "SELECT cadence_run('TEST')") } 1 .. 3;
	resident(1);
	is($_->finish, 0, 'a holder ends well') or diag($_->error) for @callers, $edge;
	$node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM lead_cadence_runs
		WHERE status = 'ATIVA' AND (next_run_at <= now() OR claim_id IS NOT NULL)});
	resident(0);
	set_server($node, 'cadence_runner.batch_size', 500);

	my %held = $provider->per_run;
	my $by_function = 0;
	for my $row (sql_rows($node, 'SELECT run FROM edge'))
	{
		$held{ $row->{run} }++;
		$by_function++;
	}
	is(keys %held, $n, 'each step was held');
	is_deeply([ grep { $held{$_} > 1 } keys %held ], [], 'once');
	cmp_ok($by_function, '>', 0, 'some by the function');
	cmp_ok($by_function, '<', $n, 'and some by us');
	sql($node, 'DROP TABLE edge');
};

subtest '4. all attempts of a step carry one idempotency key' => sub {
	begin_again(fail => ['fail500']);
	sql($node, q{INSERT INTO cadence_steps (cadence_id, ordem, offset_minutos, canal, template_codigo)
		SELECT id, 2, 0, 'WHATSAPP', 'fail_1' FROM cadences WHERE codigo = 'fail'});
	enrol($node, 'fail', 2);
	for my $attempt (1 .. 3)
	{
		execute($node);
		# whatever changes in between
		sql($node, "UPDATE lead_contacts SET nome = 'Nome $attempt', telefone = '+551190000000$attempt'");
		$node->restart if $attempt == 1;
		make_all_due($node);
	}
	sql($node, q{ALTER SERVER fail OPTIONS (SET url '} . $provider->url('ok') . q{')});
	execute($node);
	make_all_due($node);
	execute($node);

	my %keys;
	push @{ $keys{"$_->{run} $_->{ordem}"} }, $_->{chave} for @{ $provider->ask('GET', '__steps') };
	my @runs = map { $_->{id} } sql_rows($node, 'SELECT id FROM lead_cadence_runs');
	is_deeply(\%keys, { map { my $run = $_;
		("$run 1" => [ (idempotency_key($run, 1)) x 4 ], "$run 2" => [ idempotency_key($run, 2) ]) } @runs },
		'a UUID of run and step, and nothing else');
};

subtest '5. bytes left and no answer: uncertain; hold is at most once, retry at least once' => sub {
	# a listening socket takes bytes, but not as TLS
	begin_again(
		hold => [ 'hang', on_uncertain => 'hold', timeout => '2s' ],
		retry => [ 'hang', timeout => '2s' ],
		cut => ['reset'], half => ['halfbody'],
		refused => [ 'http://127.0.0.1:' . closed_port() . '/', on_uncertain => 'hold' ],
		nobody => [ 'http://nobody.invalid/', on_uncertain => 'hold', timeout => '2s' ],
		tls => [ $provider->url('ok') =~ s/^http:/https:/r, on_uncertain => 'hold', timeout => '2s' ]);
	enrol($node, $_, 1) for qw(hold retry cut half refused nobody tls);
	execute($node);
	is(codes($_), 'INCERTO', "$_: uncertain") for qw(hold retry cut half);
	is(codes($_), 'FALHA_ENVIO', "$_: nothing left, that is certain") for qw(refused nobody tls);
	is(sql($node, q{SELECT string_agg(empresa, ' ') FROM lead_cadence_runs WHERE status = 'PAUSADA'}), 'hold',
		'hold waits for somebody to settle it, and nothing else does');

	make_all_due($node);
	execute($node);
	my %times;
	$times{ $_->{body}{empresa} }++ for $provider->journal;
	is_deeply(\%times, { hold => 1, retry => 2, cut => 2, half => 2 }, 'hold is not sent again, retry is');
	is(codes('retry'), 'INCERTO INCERTO', 'and each attempt says so');
	is_deeply([ grep { $_->{chave} ne idempotency_key($_->{run}, 1) } @{ $provider->ask('GET', '__steps') } ], [],
		'with the same key');
};

subtest '6. a worker that lost its claim changes nothing in the run; its answer is an event' => sub {
	begin_again(gate => ['gate']);
	enrol($node, 'gate', 2);
	my $caller = start_sql($node, "SELECT cadence_run('TEST')");
	poll_until(sub { $provider->count == 2 }, 'two are under way');
	my $lost = sql($node, "SELECT id FROM lead_cadence_runs LIMIT 1");
	sql($node, "UPDATE lead_cadence_runs SET claim_id = gen_random_uuid(), next_run_at = now() + interval '7 min'
		WHERE id = '$lost'");
	my ($before) = sql_rows($node, "SELECT * FROM lead_cadence_runs WHERE id = '$lost'");
	$provider->ask('POST', '__open');
	is($caller->finish, 0, 'the worker ends well');

	my ($after) = sql_rows($node, "SELECT * FROM lead_cadence_runs WHERE id = '$lost'");
	is_deeply($after, $before, 'the run that somebody else has taken is as that one left it');
	is_deeply([ sql_rows($node, q{SELECT tipo_evento AS tipo, detalhes -> 'tardio' AS tardio FROM lead_cadence_events
		WHERE lead_cadence_run_id = '} . $lost . q{'}) ], [ { tipo => 'DISPARADO', tardio => JSON::PP::true } ],
		'and the answer is there');
	is(sql($node, "SELECT status FROM lead_cadence_runs WHERE id <> '$lost'"), 'CONCLUIDA', 'the other has moved on');
};

subtest '7. nothing is sent before it is due by the server\'s clock' => sub {
	begin_again(ok => ['ok']);
	sql($node, q{INSERT INTO lead_contacts (lead_id, empresa, nome, telefone)
		SELECT 'lead-' || i, 'ok', 'Lead', '+5511900000000' FROM generate_series(1, 20) AS i});
	resident(1);
	my %due = map { $_->{id} => $_->{due} } sql_rows($node, q{
		SELECT cadence_enroll('lead-' || i, 'ok', now() + interval '300 ms' + i * interval '70 ms') AS id,
			extract(epoch FROM now() + interval '300 ms' + i * interval '70 ms') AS due
		FROM generate_series(1, 20) AS i});
	# somebody who calls all the time does not hasten it
	poll_until(sub { execute($node); return $provider->count == 20 }, 'all are sent');
	resident(0);
	my @early = map { $_->{t} - $due{ $_->{body}{runId} } } $provider->journal;
	my ($first, $last) = (sort { $a <=> $b } @early)[0, -1];
	cmp_ok($first, '>=', 0, 'none before its time');
	cmp_ok($last, '<', 10, 'but soon after it');
};

subtest '8. after a crash, interrupted attempts are classified within 10 s, or by the next execution' => sub {
	for my $who ('resident worker', 'execution')
	{
		begin_again(hold => [ 'hang', on_uncertain => 'hold', timeout => '60s' ], retry => [ 'hang', timeout => '60s' ]);
		resident($who eq 'resident worker');
		enrol($node, $_, 5) for qw(hold retry);
		my @callers = $who eq 'execution' ? start_sql($node, "SELECT cadence_run('TEST')") : ();
		poll_until(sub { $provider->count == 10 }, "$who: ten are under way");
		crash(@callers);
		$node->start;
		my $up = time();
		execute($node) if $who eq 'execution';
		ok($node->poll_query_until('postgres', q{SELECT count(*) = 10 FROM lead_cadence_events
			WHERE detalhes ->> 'codigo' = 'INCERTO'}), "$who: each interrupted attempt is uncertain");
		cmp_ok(time() - $up, '<', 10, "$who: in time");
		is(sql($node, q{SELECT string_agg(DISTINCT concat_ws(' ', empresa, status, attempts, claim_id), ', ' ORDER BY
			concat_ws(' ', empresa, status, attempts, claim_id)) FROM lead_cadence_runs}),
			'hold PAUSADA 1, retry ATIVA 1', "$who: hold waits for somebody, retry for its time");
		is($provider->count, 10, "$who: nothing is sent again at once");
	}
	resident(0);
};

subtest '9. a dead provider neither delays another\'s due step nor grows the memory' => sub {
	begin_again(dead => [ 'hang', timeout => '60s' ], alive => ['ok']);
	sql($node, q{INSERT INTO lead_contacts (lead_id, empresa, nome, telefone)
		SELECT lead, 'alive', 'Lead', '+5511900000000' FROM unnest(ARRAY['before', 'alive']) AS lead});
	resident(1);
	sql($node, q{SELECT cadence_enroll('before', 'alive')});
	poll_until(sub { $provider->count('ok') == 1 }, 'a message, so that the worker has all that it needs');
	my $at_first = resident_kb();
	enrol($node, 'dead', 6000);
	poll_until(sub { $provider->count('hang') >= 50 }, 'the dead one has what it takes');
	my ($run) = sql_rows($node, q{SELECT cadence_enroll('alive', 'alive', now() + interval '500 ms') AS id,
		extract(epoch FROM now() + interval '500 ms') AS due});
	poll_until(sub { $provider->count('ok') == 2 }, 'the living gets its message');
	my ($request) = grep { $_->{behaviour} eq 'ok' && $_->{body}{runId} eq $run->{id} } $provider->journal;
	cmp_ok($request->{t} - $run->{due}, '<', 20, 'in time, and not in that of the dead one');

	cmp_ok($at_first, '>', 0, 'the worker has memory of its own');
	# 14 MB of steps and a batch more, and what as many requests as may be under way take of libcurl;
	# the address sanitizer keeps what was freed for a while
	cmp_ok(resident_kb() - $at_first, '<', ($ENV{SANITIZER_REPORTS} ? 1024 : 26) * 1024, 'and takes no more than its bounds');
	resident(0);
};

subtest '10. no exactly-once at the provider is claimed: that needs the provider to honour the key' => sub {
	begin_again(careless => ['reset']);
	enrol($node, 'careless', 3);
	execute($node);
	make_all_due($node);
	sql($node, q{ALTER SERVER careless OPTIONS (SET url '} . $provider->url('ok') . q{')});
	execute($node);

	my (%by_run, %by_key);
	for my $request (@{ $provider->ask('GET', '__steps') })
	{
		$by_run{ $request->{run} }++;
		$by_key{ $request->{chave} } = 1;
	}
	is_deeply([ sort values %by_run ], [ 2, 2, 2 ], 'a provider that has taken a message and not said so gets it again');
	is(keys %by_key, 3, 'one that honours the key writes to each lead once');
	is(sql($node, q{SELECT string_agg(DISTINCT detalhes ->> 'tentativa', ' ') FROM lead_cadence_events
		WHERE tipo_evento = 'DISPARADO'}), '2', 'and the book says that it was the second attempt');
	is(sql($node, q{SELECT count(*) FROM lead_cadence_events WHERE detalhes ->> 'codigo' = 'INCERTO'}), 3,
		'after one of which nobody knows');
};

done_testing();
