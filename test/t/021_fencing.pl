# A worker that has lost its claim changes nothing in the run. It is stopped in the middle of a
# transfer, longer than its lease; another execution takes the run over and says that the attempt is
# uncertain; then the worker wakes up, and the provider's answer with it.
#
# Most leases end by hand, as if their time had passed: next_run_at is moved into the past and the
# claim stays. One ends by itself.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

# Nothing is retried or looked at again by itself while a test lasts.
my $node = new_cluster('main',
	conf => [ "shared_preload_libraries = 'cadence_runner'", 'restart_after_crash = on' ]);
my $provider = start_provider();

# ---- one real lease, which ends while the others are tested ------------------------------------

# The lease is as short as it gets: two of the longest time-outs, and 20 seconds.
my $real = new_cluster(
	'real',
	conf => [
		"shared_preload_libraries = 'cadence_runner'", "cadence_runner.lease = '10s'",
		"cadence_runner.request_timeout = '1500ms'", "cadence_runner.connect_timeout = '1500ms'"
	]);
my $real_provider = start_provider();
make_company($real, 'real', $real_provider->url('hang'));
enrol($real, 'real', 1);
my $real_caller = start_sql($real, "SELECT cadence_run('TEST')");
poll_until(sub { $real_provider->count == 1 }) or die 'nothing was sent';
my $real_worker = worker_pid($real);
stop_process($real_worker);
my $real_lease = sql($real, 'SELECT next_run_at FROM lead_cadence_runs WHERE claim_id IS NOT NULL');
set_server($real, 'cadence_runner.databases', 'postgres');

# ---- the companies -----------------------------------------------------------------------------

# One for each case: what its provider answers once it may, what its policy is, and what happens to
# its run after another execution has taken it over.
my %cases = (
	retry_sent => { policy => 'retry', path => 'gate' },
	retry_failed => { policy => 'retry', path => 'gate/500' },
	retry_refused => { policy => 'retry', path => 'gate/422' },
	retry_cancelled => { policy => 'retry', path => 'gate', then => q{SELECT cadence_cancel(id, 'x')} },
	retry_paused => { policy => 'retry', path => 'gate', then => 'SELECT cadence_pause(id)' },
	hold_failed => { policy => 'hold', path => 'gate/500' },
	hold_refused => { policy => 'hold', path => 'gate/422' },
	hold_cancelled => { policy => 'hold', path => 'gate', then => q{SELECT cadence_cancel(id, 'x')} },
	hold_resumed => { policy => 'hold', path => 'gate', then => 'SELECT cadence_resume(id)' },
	hold_settled => { policy => 'hold', path => 'gate', then => 'SELECT cadence_settle(id, true)' },
	hold_sent => { policy => 'hold', path => 'gate', settles => 1 },
	hold_sent_last => { policy => 'hold', path => 'gate', settles => 1, last => 1 });

for my $name (sort keys %cases)
{
	my $case = $cases{$name};
	my @steps = ([ 'WHATSAPP', 0, 'Olá {{nome}}' ], [ 'WHATSAPP', 60, 'Outra vez' ]);

	make_server($node, $name, $provider->url($case->{path}), empresa => $name,
		on_uncertain => $case->{policy});
	make_cadence($node, $name, $name, $case->{last} ? $steps[0] : @steps);
}
make_company($node, 'narrow', $provider->url('gate'), max_in_flight => 1);
make_company($node, 'old', $provider->url('gate'), on_uncertain => 'hold');

# ---- helpers -----------------------------------------------------------------------------------

sub process_state
{
	my ($pid) = @_;
	open(my $stat, '<', "/proc/$pid/stat") or return '';
	return (<$stat> =~ /\) (\w)/)[0];
}

sub stop_process
{
	my ($pid) = @_;
	kill 'STOP', $pid;
	poll_until(sub { process_state($pid) eq 'T' }) or die "process $pid does not stop";
	return;
}

sub begin_again
{
	my (@companies) = @_;
	start_over($node, $provider);
	enrol($node, $_, 1) for @companies;
	return;
}

# Who sends: a resident worker, or an execution that somebody has called. Each starts working, and
# returns its process and what ends it.
my %senders = (
	'resident worker' => sub {
		set_server($node, 'cadence_runner.databases', 'postgres');
		my $pid;
		poll_until(
			sub {
				$pid = sql($node, "SELECT pid FROM pg_stat_activity
					WHERE backend_type = 'cadence_runner resident' AND datname = 'postgres'");
				return $pid;
			}) or die 'no resident worker';
		return ($pid, sub {
			set_server($node, 'cadence_runner.databases', '');
			$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity
				WHERE backend_type = 'cadence_runner resident'");
			return 1;
		});
	},
	'execution' => sub {
		my $caller = start_sql($node, "SELECT cadence_run('TEST')");
		return (worker_pid($node), sub { return $caller->finish == 0 });
	});

# Everything that a run's row says, by company.
sub rows
{
	return { map { $_->{empresa} => $_ } sql_rows($node, 'SELECT * FROM lead_cadence_runs') };
}

# The events of each company: "TIPO codigo tardio".
sub events
{
	my %events;
	push @{ $events{ $_->{empresa} } }, $_->{text} for sql_rows($node, q{
		SELECT r.empresa, concat_ws(' ', e.tipo_evento, e.detalhes ->> 'codigo',
			CASE WHEN (e.detalhes ->> 'tardio')::boolean THEN 'tardio' END) AS text
		FROM lead_cadence_events e JOIN lead_cadence_runs r ON r.id = e.lead_cadence_run_id
		ORDER BY e.created_at, e.id});
	return \%events;
}

sub messages
{
	return { map { $_->{empresa} => $_->{n} } sql_rows($node,
		'SELECT empresa, count(*)::int AS n FROM lead_messages GROUP BY 1') };
}

my $late = q{SELECT count(*) FROM lead_cadence_events WHERE (detalhes ->> 'tardio')::boolean};
my $wrong_key = sub {
	return [ grep { $_->{chave} ne idempotency_key($_->{run}, $_->{ordem}) }
		  @{ $provider->ask('GET', '__steps') } ];
};

# ---- stopped past its lease --------------------------------------------------------------------

for my $who (sort keys %senders)
{
	subtest "$who: stopped in the middle of a transfer, past its lease" => sub {
		my @names = sort keys %cases;
		begin_again(@names);
		my ($pid, $end) = $senders{$who}->();
		poll_until(sub { $provider->count == @names }, 'the provider has every request');
		stop_process($pid);

		is(execute($node)->{summary}{total}, 0, 'as long as its lease lasts, nobody takes a run over');
		is(sql($node, 'SELECT count(*) FROM lead_cadence_runs WHERE claim_id IS NOT NULL'), scalar @names,
			'and its claims are not abandoned: it is only stopped');

		sql($node, q{UPDATE lead_cadence_runs SET next_run_at = now() - interval '1 second'});
		is(execute($node)->{summary}{errors}, scalar @names, 'then another execution does');
		my $rows = rows();
		is_deeply(events(), { map { $_ => ['ERRO INCERTO'] } @names }, 'and says that they are uncertain');
		is_deeply({ map { $_ => [ @{ $rows->{$_} }{qw(status claim_id attempts next_step_ordem)} ] } @names },
			{ map { $_ => [ $cases{$_}{policy} eq 'hold' ? 'PAUSADA' : 'ATIVA', undef, 1, 1 ] } @names },
			'hold pauses, retry does not; it was one attempt');
		is(sql($node, q{SELECT count(*) FROM lead_cadence_runs WHERE status = 'ATIVA'
			AND next_run_at NOT BETWEEN now() + '14 min' AND now() + '15 min'}), 0, 'and tries again later');
		is($provider->count, scalar @names, 'nothing is sent again');

		# what operators do meanwhile; nothing of it falls due while this test lasts
		for my $name (grep { $cases{$_}{then} } @names)
		{
			sql($node, "$cases{$name}{then} FROM lead_cadence_runs WHERE empresa = '$name';
				UPDATE lead_cadence_runs SET next_run_at = now() + interval '1 hour'
				WHERE empresa = '$name' AND next_run_at IS NOT NULL");
		}
		my $before = rows();
		my $said = events();
		my %expected = map { $_ => [ @{ $said->{$_} }, $cases{$_}{path} eq 'gate' ? 'DISPARADO tardio'
			: $cases{$_}{path} =~ /422/ ? 'ERRO RECUSADO tardio' : 'ERRO FALHA_ENVIO tardio' ] } @names;
		push @{ $expected{hold_sent} }, 'AGENDADO';

		my $woken = sql($node, 'SELECT clock_timestamp()');
		$provider->ask('POST', '__open');
		kill 'CONT', $pid;
		ok($node->poll_query_until('postgres', "SELECT ($late) = " . @names), 'each late answer is an event');
		is_deeply(events(), \%expected, 'that says what the answer was, and that it was late');
		my $after = rows();
		for my $name (grep { !$cases{$_}{settles} } @names)
		{
			is_deeply($after->{$name}, $before->{$name}, "$name: nothing of the run has changed")
			  or diag(explain([ $before->{$name}, $after->{$name} ]));
		}
		for my $name (grep { $cases{$_}{settles} } @names)
		{
			my $last = $cases{$name}{last};
			is_deeply([ @{ $after->{$name} }{qw(status last_step_ordem next_step_ordem attempts claim_id)} ],
				[ $last ? 'CONCLUIDA' : 'ATIVA', 1, $last ? undef : 2, 0, undef ],
				"$name: the run that was held for this answer moves on");
		}
		is(sql($node, qq{SELECT next_run_at BETWEEN '$woken'::timestamptz + '60 min' AND now() + '60 min'
			FROM lead_cadence_runs WHERE empresa = 'hold_sent'}), 't', 'its next step counts from the answer');
		is(sql($node, q{SELECT next_run_at IS NULL FROM lead_cadence_runs WHERE empresa = 'hold_sent_last'}),
			't', 'or it has ended');
		is_deeply(messages(), { map { $_ => 1 } grep { $cases{$_}{path} eq 'gate' } @names },
			'each message that was sent is there, once');
		ok($end->(), 'the worker ends well');

		# whom a late failure has not settled still waits for somebody, and says so
		my @held = qw(hold_failed hold_refused);
		cmp_ok(sql($node, 'SELECT uncertain FROM cadence_runner_status WHERE database = current_database()'),
			'>=', scalar @held, 'what is held is counted as uncertain still');
		for my $name (@held)
		{
			unlike(sql_error($node, "SELECT cadence_settle('$after->{$name}{id}', true)"), qr/ERROR/,
				"$name: somebody may settle it");
		}

		# what was to be tried again still is, with the key that it had
		sql($node, q{UPDATE lead_cadence_runs SET next_run_at = now() - interval '1 second'
			WHERE empresa IN ('retry_failed', 'retry_sent')});
		execute($node);
		my %times = $provider->per_run;
		is_deeply({ map { $_ => $times{ $after->{$_}{id} } } @names },
			{ map { $_ => /^retry_(?:sent|failed)$/ ? 2 : 1 } @names }, 'only what is to be retried is sent again');
		is_deeply($wrong_key->(), [], 'with the same key');
		is(messages()->{retry_sent}, 2, 'what reached the lead twice is there twice');
		is(rows()->{retry_sent}{attempts}, 0, 'the run has moved on');
		is(sql($node, q{SELECT e.detalhes ->> 'tentativa' FROM lead_cadence_events e
			JOIN lead_cadence_runs r ON r.id = e.lead_cadence_run_id
			WHERE r.empresa = 'retry_sent' AND e.tipo_evento = 'DISPARADO' AND NOT e.detalhes ? 'tardio'}),
			2, 'with its second attempt');
	};
}

# ---- between claim and send --------------------------------------------------------------------

for my $who (sort keys %senders)
{
	subtest "$who: stopped between claim and send" => sub {
		begin_again();
		enrol($node, 'narrow', 6);
		my @runs = map { $_->{id} }
		  sql_rows($node, 'SELECT id FROM lead_cadence_runs ORDER BY next_run_at');
		my ($pid, $end) = $senders{$who}->();
		poll_until(sub { $provider->count == 1 }, 'one is under way, the others wait');
		stop_process($pid);
		my $since = time();

		is(sql($node, 'SELECT count(*) FROM lead_cadence_runs WHERE claim_id IS NOT NULL'), 6, 'all are claimed');
		sql($node, qq{SELECT cadence_cancel('$runs[1]', 'x'), cadence_pause('$runs[2]');
			UPDATE lead_contacts SET opt_out = true, updated_at = now()
			WHERE lead_id = (SELECT lead_id FROM lead_cadence_runs WHERE id = '$runs[3]');
			UPDATE lead_cadence_runs SET next_run_at = now() + interval '1 hour' WHERE id = '$runs[4]'});
		# what it knows of its runs is older than a second when it wakes up
		poll_until(sub { time() - $since > 1.2 });
		kill 'CONT', $pid;
		$provider->ask('POST', '__open');

		ok($node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM lead_cadence_runs
			WHERE claim_id IS NOT NULL AND id <> '} . $runs[4] . q{'}), 'all of it ends');
		ok($end->(), 'the worker ends well');
		is_deeply([ sort map { $_->{body}{runId} } $provider->journal ], [ sort @runs[0, 5] ],
			'sent are those that are still wanted, and no others')
		  or diag("0 to 5: @runs");
		my %status = map { $_->{id} => "$_->{status} $_->{attempts}" } sql_rows($node, 'SELECT * FROM lead_cadence_runs');
		is_deeply([ @status{@runs[0, 1, 2, 5]} ], [ 'CONCLUIDA 0', 'CANCELADA 0', 'PAUSADA 0', 'CONCLUIDA 0' ],
			'the others are what they were made');
		# an execution that had given it back has no more of it; a resident worker has looked again
		execute($node);
		is(sql($node, qq{SELECT status FROM lead_cadence_runs WHERE id = '$runs[3]'}), 'CANCELADA',
			'who has opted out is cancelled');
		is(sql($node, qq{SELECT next_run_at > now() + interval '59 min' FROM lead_cadence_runs WHERE id = '$runs[4]'}),
			't', 'what was put off stays put off');
		is($provider->count, 2, 'and not sent');
		is(sql($node, q{SELECT count(*) FROM lead_cadence_events WHERE detalhes ->> 'codigo' = 'INCERTO'}), 0,
			'none is uncertain');
	};
}

# ---- the old edge function ---------------------------------------------------------------------

subtest 'the old edge function takes over from a worker that dies' => sub {
	my $offset = -s $node->logfile;
	begin_again('old', 'old');
	my ($taken, $left) = map { $_->{id} } sql_rows($node, 'SELECT id FROM lead_cadence_runs ORDER BY next_run_at, id');
	my $caller = start_sql($node, "SELECT cadence_run('TEST')");
	poll_until(sub { $provider->count == 2 }, 'both are under way');

	# it knows nothing of claims; well before the lease of the claim would have ended
	sql($node, "UPDATE lead_cadence_runs SET next_run_at = now() + interval '25 s' WHERE id = '$taken'");
	my ($before) = sql_rows($node, "SELECT * FROM lead_cadence_runs WHERE id = '$taken'");
	ok(defined $before->{claim_id}, 'the claim\'s mark is still there');
	kill 'KILL', worker_pid($node);
	isnt($caller->finish, 0, 'the worker dies');
	poll_until(sub { log_since($node, $offset) =~ /reinitializing/ }, 'and the server restarts');
	ok($node->poll_query_until('postgres', 'SELECT true'), 'it is back');

	is(execute($node)->{summary}{total}, 1, 'the next execution finds one run');
	is(sql($node, qq{SELECT status, claim_id IS NULL FROM lead_cadence_runs WHERE id = '$left'}), 'PAUSADA|t',
		'the one that the dead worker had');
	my ($after) = sql_rows($node, "SELECT * FROM lead_cadence_runs WHERE id = '$taken'");
	is_deeply($after, $before, 'the other is the function\'s: nothing of it has changed');
	is(sql($node, qq{SELECT string_agg(lead_cadence_run_id::text, ' ') FROM lead_cadence_events}), $left,
		'and nothing is said of it');
	is($provider->count, 2, 'nothing is sent again');
};

subtest 'the old edge function takes over from a worker that is stopped' => sub {
	begin_again('old');
	my $caller = start_sql($node, "SELECT cadence_run('TEST')");
	poll_until(sub { $provider->count == 1 }, 'it is under way');
	my $pid = worker_pid($node);
	stop_process($pid);
	sql($node, "UPDATE lead_cadence_runs SET next_run_at = now() + interval '1 hour'");
	my $before = rows();

	$provider->ask('POST', '__open');
	kill 'CONT', $pid;
	is($caller->finish, 0, 'the worker ends well');
	is_deeply(rows(), $before, 'nothing of the run has changed');
	is_deeply(events(), { old => ['DISPARADO tardio'] }, 'the late answer is an event');
};

# ---- the real lease ----------------------------------------------------------------------------

subtest 'a lease that ends by itself' => sub {
	is(sql($real, "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'cadence_runner resident'"), 1,
		'a resident worker has been there meanwhile');
	my ($early) = sql_rows($real, qq{SELECT next_run_at = '$real_lease' AS kept, claim_id IS NOT NULL AS claimed
		FROM lead_cadence_runs WHERE now() < '$real_lease'});
	ok(!$early || ($early->{kept} && $early->{claimed}), 'and leaves the run alone until then');

	ok($real->poll_query_until('postgres', 'SELECT count(*) = 1 FROM lead_cadence_events'), 'then it takes it over');
	my ($event) = sql_rows($real, qq{SELECT detalhes ->> 'codigo' AS codigo, created_at >= '$real_lease' AS after,
		created_at < '$real_lease'::timestamptz + interval '2 s' AS soon FROM lead_cadence_events});
	is_deeply($event, { codigo => 'INCERTO', after => JSON::PP::true, soon => JSON::PP::true },
		'not before the lease has ended, and soon after');
	my ($before) = sql_rows($real, 'SELECT * FROM lead_cadence_runs');
	is_deeply([ @$before{qw(status claim_id attempts)} ], [ 'ATIVA', undef, 1 ], 'to be tried again later');

	kill 'CONT', $real_worker;
	is($real_caller->finish, 0, 'the worker wakes up and ends well');
	is(sql($real, q{SELECT string_agg(concat_ws(' ', detalhes ->> 'codigo', detalhes ->> 'tardio'), ', '
		ORDER BY created_at) FROM lead_cadence_events}), 'INCERTO, INCERTO true', 'its own time-out comes too late, and says so');
	my ($after) = sql_rows($real, 'SELECT * FROM lead_cadence_runs');
	is_deeply($after, $before, 'nothing of the run has changed');
	is($real_provider->count, 1, 'nothing was sent again');
};

done_testing();

# A process that is stopped hears no signal to end.
END
{
	my $status = $?;
	kill 'CONT', $real_worker if defined $real_worker;
	$? = $status;
}
