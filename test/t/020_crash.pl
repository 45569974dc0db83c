# The server dies at every point of a step's way: no step is lost, and nothing is sent twice in
# silence. What the tables say afterwards is held against what the provider has seen.
#
# Two things kill the postmaster: a library that knows the worker's transactions (test/faults), and
# the provider, which knows how far a request has come.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use File::Path qw(make_path);
use POSIX qw(WNOHANG uname);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

# Each of two steps, and more runs than the first batches of both workers take.
my $RUNS = 8;
my $BATCH = 3;

# What an execution needs to see of a dead server or worker, far below any time-out of a request.
my $SOON = 20;

# More than any one read of the provider takes, so that its first read is only a part.
my $BIG = 'x' x 300_000;

# A postmaster's lock file counts until somebody has waited for the dead process. Where the machine's
# first process is slow to do so, or never does, as in some containers, this one can.
my $PR_SET_CHILD_SUBREAPER = 36;
my %prctl = (x86_64 => 157, aarch64 => 167);
my $number = $prctl{ (uname())[4] };
syscall($number, $PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) if $^O eq 'linux' && defined $number;

my $node = new_cluster(
	'main',
	conf => [
		"shared_preload_libraries = 'cadence_runner, cadence_faults'",
		"cadence_runner.batch_size = $BATCH",
		'restart_after_crash = on',
		# a full disk shall be met by the next segment, not hidden by a spare one
		'wal_recycle = off'
	]);
my $postmaster_file = $node->data_dir . '/postmaster.pid';
my $provider = start_provider('--postmaster', $postmaster_file);
my $text = 'Olá {{nome}}';

for my $policy ('hold', 'retry')
{
	for my $kind (['ok', $text, 'ok'], ['gate', $text, 'gate'], ['big', $BIG, 'ok'])
	{
		my ($name, $first, $path) = @$kind;
		my $company = "${policy}_$name";

		make_server($node, $company, $provider->url($path), empresa => $company, on_uncertain => $policy);
		make_cadence($node, $company, $company, [ 'WHATSAPP', 0, $first ], [ 'WHATSAPP', 0, $text ]);
	}
}

# ---- the books ---------------------------------------------------------------------------------

sub begin_again
{
	my ($company) = @_;
	start_over($node, $provider);
	enrol($node, $company, $RUNS);
	return;
}

# What tables and provider say. Everything but runs is counted by step: "<run> <ordem>".
sub read_books
{
	my %books = map { $_ => {} } qw(runs requests sent messages uncertain attempt);

	$books{runs}{ $_->{id} } = $_ for sql_rows($node, q{
		SELECT id, status, next_step_ordem AS ordem, coalesce(attempts, 0) AS attempts,
			claim_id IS NOT NULL AS claimed,
			next_run_at - now() BETWEEN '14 min' AND '15 min' AS in_15_minutes
		FROM lead_cadence_runs});
	for my $e (sql_rows($node, q{
		SELECT lead_cadence_run_id AS run, step_ordem AS ordem, tipo_evento AS tipo,
			coalesce(detalhes ->> 'codigo', '') AS codigo, (detalhes ->> 'tentativa')::int AS tentativa
		FROM lead_cadence_events WHERE tipo_evento <> 'AGENDADO'}))
	{
		my $step = "$e->{run} $e->{ordem}";

		$books{sent}{$step}++ if $e->{tipo} eq 'DISPARADO';
		$books{attempt}{$step} = $e->{tentativa} if $e->{tipo} eq 'DISPARADO';
		$books{uncertain}{$step}++ if $e->{codigo} eq 'INCERTO';
	}
	$books{messages}{"$_->{run_id} $_->{step_ordem}"}++
	  for sql_rows($node, 'SELECT run_id, step_ordem FROM lead_messages WHERE estado = \'ENVIADO\'');
	for my $r (@{ $provider->ask('GET', '__steps') })
	{
		$books{requests}{"$r->{run} $r->{ordem}"}++;
		$books{wrong_key}{"$r->{run} $r->{ordem}"} = $r->{chave}
		  if $r->{chave} ne idempotency_key($r->{run}, $r->{ordem});
	}
	return \%books;
}

# The one state that a run is in, or what is wrong with it.
sub state_of
{
	my ($books, $run) = @_;
	my $ordem = $run->{ordem} // 3;
	my $here = "$run->{id} $ordem";

	for my $n (1, 2)
	{
		my $sent = $books->{sent}{"$run->{id} $n"} // 0;
		return "step $n was recorded $sent times, and step $ordem is next" if $sent != ($n < $ordem ? 1 : 0);
	}
	return 'done' if $run->{status} eq 'CONCLUIDA' && $ordem == 3 && !$run->{claimed};
	return 'paused' if $run->{status} eq 'PAUSADA' && !$run->{claimed} && $books->{uncertain}{$here};
	return 'claimed' if $run->{status} eq 'ATIVA' && $run->{claimed} && $run->{attempts} > 0;
	return 'pending' if $run->{status} eq 'ATIVA' && !$run->{claimed};
	return join ' ', map { "$_=" . ($run->{$_} // 'null') } sort keys %$run;
}

sub in_state
{
	my ($books, $state) = @_;
	return grep { state_of($books, $_) eq $state } values %{ $books->{runs} };
}

# What is true at any time, whatever has died: a list of what is not.
sub problems
{
	my ($books, $policy) = @_;
	my @problems;

	for my $run (values %{ $books->{runs} })
	{
		my $state = state_of($books, $run);
		push @problems, "run $run->{id}: $state" unless $state =~ /^(?:done|paused|claimed|pending)$/;
	}
	for my $step (keys %{ $books->{requests} })
	{
		my $n = $books->{requests}{$step};
		my ($run, $ordem) = split / /, $step;
		my $row = $books->{runs}{$run};
		my $allowed = $policy eq 'hold' ? 1 : 1 + ($books->{uncertain}{$step} // 0);
		my $attempts = $books->{sent}{$step} ? $books->{attempt}{$step}
		  : ($row->{ordem} // 0) == $ordem ? $row->{attempts} : 0;

		push @problems, "step $step: sent $n times, allowed are $allowed" if $n > $allowed;
		push @problems, "step $step: sent $n times with $attempts committed claims" if $n > $attempts;
	}
	for my $step (keys %{ $books->{sent} })
	{
		push @problems, "step $step: recorded, but never sent" unless $books->{requests}{$step};
	}
	is_deeply($books->{messages}, $books->{sent}, 'each step that was sent has its message row');
	push @problems, map { "step $_: key $books->{wrong_key}{$_}" } sort keys %{ $books->{wrong_key} };
	return [ sort @problems ];
}

# Steps that left without a conclusive answer on record.
sub open_steps
{
	my ($books) = @_;
	return grep { !$books->{sent}{$_} } sort keys %{ $books->{requests} };
}

# ---- dying and coming back ---------------------------------------------------------------------

sub postmaster_pid
{
	my ($pid) = slurp_file($postmaster_file) =~ /^(\d+)/;
	return $pid;
}

sub is_gone
{
	my ($pid) = @_;

	waitpid($pid, WNOHANG);
	return !kill 0, $pid;
}

sub start_execution
{
	return start_sql($node, "SELECT cadence_run('TEST')");
}

# Waits for a postmaster that something else kills, and for its last children, which hold the
# shared memory; then starts another.
sub come_back
{
	my ($pid, $caller) = @_;

	poll_until(sub { is_gone($pid) }, 'the postmaster was killed', $SOON)
	  or BAIL_OUT('nobody was killed; the execution said: ' . $caller->output . $caller->error);
	my $since = time();
	isnt($caller->finish, 0, 'as its caller notices');
	$node->append_conf('postgresql.conf', "cadence_faults.point = ''\n");
	$node->kill9;    # tells the framework
	poll_until(sub { $node->start(fail_ok => 1) }, 'the server starts again');
	cmp_ok(time() - $since, '<', $SOON, 'soon: its worker has not waited for the provider');
	return;
}

# The server is up again, by itself or with some help.
sub is_up
{
	my ($pid) = @_;

	return 1 if $node->psql('postgres', 'SELECT 1', stdout => \my $out, stderr => \my $error) == 0;
	return 0 unless is_gone($pid);
	$node->kill9;
	return $node->start(fail_ok => 1);
}

# ---- one death ---------------------------------------------------------------------------------

# What the first execution after a death must do with what that has interrupted, without waiting
# for the end of a lease.
sub check_classified
{
	my ($before, $after, $policy) = @_;
	my @interrupted = in_state($before, 'claimed');
	my @open = open_steps($before);

	is(scalar(in_state($after, 'claimed')), 0, 'the next execution leaves no claim of a dead worker');
	is_deeply([ grep { !$after->{uncertain}{$_} } @open ], [],
		'whatever has left without an answer is said to be uncertain');
	is_deeply(
		[ grep { ($after->{uncertain}{"$_->{id} $_->{ordem}"} // 0) != 1 } @interrupted ],
		[], 'each interrupted attempt is said to be uncertain, once');
	is_deeply(
		[ grep { ($after->{requests}{$_} // 0) != ($before->{requests}{$_} // 0) }
			  map { "$_->{id} $_->{ordem}" } @interrupted ],
		[], 'and not sent again at once');
	my @now = map { $after->{runs}{ $_->{id} } } @interrupted;
	if ($policy eq 'hold')
	{
		is_deeply([ grep { state_of($after, $_) ne 'paused' } @now ], [], 'their runs are paused');
	}
	else
	{
		is_deeply([ grep { $_->{status} ne 'ATIVA' || $_->{claimed} || !$_->{in_15_minutes} } @now ],
			[], 'their runs are tried again in 15 minutes');
	}
	return;
}

# Everything that may still be sent is sent.
sub execute_until_quiet
{
	for (1 .. 6)
	{
		last if sql($node, "SELECT count(*) FROM lead_cadence_runs WHERE status = 'ATIVA'") == 0;
		make_all_due($node);
		execute($node);
	}
	return;
}

sub check_end
{
	my ($before, $end, $policy) = @_;
	my %may_be_paused = map { $_ => 1 } open_steps($before),
	  map { "$_->{id} $_->{ordem}" } in_state($before, 'claimed');
	my @paused = in_state($end, 'paused');

	is_deeply(problems($end, $policy), [], 'the books are right at the end');
	is(keys %{ $end->{runs} }, $RUNS, 'no run is lost');
	is(in_state($end, 'done') + @paused, $RUNS, 'each has ended');
	is_deeply([ grep { $policy eq 'retry' || !$may_be_paused{"$_->{id} $_->{ordem}"} } @paused ],
		[], 'and none is paused without need');
	is_deeply([ grep { $end->{requests}{$_} > 1 && !$may_be_paused{$_} } keys %{ $end->{requests} } ],
		[], 'nothing was sent again but what was interrupted');
	return;
}

# What a death does, and what it must have left behind; with both policies.
sub death
{
	my ($what, $kind, $die, $left) = @_;

	for my $policy ('hold', 'retry')
	{
		subtest "$what, $policy" => sub {
			begin_again("${policy}_$kind");
			$die->();
			my $before = read_books();

			is_deeply(problems($before, $policy), [], 'the books are right after it');
			is(keys %{ $before->{runs} }, $RUNS, 'no run is gone');
			$left->($before);

			$provider->ask('POST', '__open');
			execute($node);
			my $after = read_books();
			is_deeply(problems($after, $policy), [], 'the books are right after the next execution');
			check_classified($before, $after, $policy);

			execute_until_quiet();
			check_end($before, read_books(), $policy);
		};
	}
	return;
}

# ---- kill -9 of the postmaster in the worker's transactions ------------------------------------

sub dies_in_transaction
{
	my ($point) = @_;

	return sub {
		my $offset = -s $node->logfile;
		my $pid = postmaster_pid();

		$node->append_conf('postgresql.conf', "cadence_faults.point = '$point'\n");
		$node->reload;
		$node->poll_query_until('postgres', "SELECT current_setting('cadence_faults.point') = '$point'")
		  or die 'the fault is not armed';
		come_back($pid, start_execution());
		like(log_since($node, $offset), qr/killing the server at $point$/m, 'it died there');
	};
}

death('before the claim\'s commit', 'ok', dies_in_transaction('claim_before_commit'), sub {
	my ($books) = @_;
	is(in_state($books, 'pending'), $RUNS, 'nothing is claimed');
	is(keys %{ $books->{requests} }, 0, 'and nothing has left');
});
death('after the claim\'s commit', 'ok', dies_in_transaction('claim_after_commit'), sub {
	my ($books) = @_;
	is(in_state($books, 'claimed'), $BATCH, 'a batch is claimed');
	is(keys %{ $books->{requests} }, 0, 'and nothing has left');
});
death('before the record\'s commit', 'ok', dies_in_transaction('record_before_commit'), sub {
	my ($books) = @_;
	cmp_ok(scalar(open_steps($books)), '>=', 1, 'something was sent and not recorded');
});
death('after the record\'s commit', 'ok', dies_in_transaction('record_after_commit'), sub {
	my ($books) = @_;
	cmp_ok(scalar(keys %{ $books->{sent} }), '>=', 1, 'something was recorded');
});

# ---- kill -9 of the postmaster on the way to the provider and back -----------------------------

sub dies_on_the_way
{
	my ($point) = @_;

	return sub {
		my $pid = postmaster_pid();

		$provider->ask('POST', "__arm/$point");
		come_back($pid, start_execution());
	};
}

my $is_claimed = sub {
	my ($books) = @_;
	# or the caller was gone first, and its worker had time to give back what had not left
	ok(in_state($books, 'claimed') >= 1 || in_state($books, 'pending') == $RUNS, 'something was under way, or all is due as before');
};
my $has_arrived = sub {
	my ($books) = @_;
	cmp_ok(scalar(open_steps($books)), '>=', 1, 'something was sent and not recorded');
};

death('after the connect', 'ok', dies_on_the_way('connect'), $is_claimed);
death('in the request', 'big', dies_on_the_way('request'), $is_claimed);
death('before the answer', 'ok', dies_on_the_way('before_answer'), $has_arrived);
death('in the answer', 'ok', dies_on_the_way('in_answer'), $has_arrived);

# What is uncertain stays so until that is on record: an execution may die on the way there, too.
death('twice', 'ok', sub {
	dies_on_the_way('before_answer')->();
	dies_in_transaction('record_before_commit')->();
}, $has_arrived);

# ---- the other ways to die ---------------------------------------------------------------------

# An execution whose messages have arrived and wait for their answers.
sub start_waiting
{
	my $caller = start_execution();

	poll_until(sub { $provider->count >= $BATCH }) or die 'nothing arrives';
	return $caller;
}

death('stop -m immediate', 'gate', sub {
	my $caller = start_waiting();

	$node->stop('immediate');
	isnt($caller->finish, 0, 'the caller notices');
	$node->start;
}, $has_arrived);

death('kill -9 of a worker', 'gate', sub {
	my $offset = -s $node->logfile;
	my $pid = postmaster_pid();
	my $caller = start_waiting();

	kill 'KILL', worker_pid($node);
	isnt($caller->finish, 0, 'the caller notices');
	poll_until(sub { log_since($node, $offset) =~ /reinitializing/ }, 'the server restarts');
	ok($node->poll_query_until('postgres', 'SELECT true'), 'by itself');
	is(postmaster_pid(), $pid, 'with the same postmaster');
}, $has_arrived);

death('SIGTERM to a worker', 'gate', sub {
	my $offset = -s $node->logfile;
	my $caller = start_waiting();

	kill 'TERM', worker_pid($node);
	isnt($caller->finish, 0, 'the caller notices');
	unlike(log_since($node, $offset), qr/reinitializing/, 'the server goes on');
}, sub {
	my ($books) = @_;
	is(in_state($books, 'claimed'), 0, 'no claim is left');
	cmp_ok(scalar(open_steps($books)), '>=', 1, 'something was sent without an answer');
	is_deeply([ grep { !$books->{uncertain}{$_} } open_steps($books) ], [], 'and says so at once');
});

# What looks for the claims of the dead must leave those of the living alone.
subtest 'nobody dies' => sub {
	begin_again('retry_gate');
	my $caller = start_execution();
	poll_until(sub { $provider->count == $RUNS }, 'all are under way');

	is(execute($node)->{summary}{total}, 0, 'another execution finds nothing to do');
	my $meanwhile = read_books();
	is_deeply(problems($meanwhile, 'retry'), [], 'the books are right');
	is(in_state($meanwhile, 'claimed'), $RUNS, 'and all are claimed still');
	is_deeply($meanwhile->{uncertain}, {}, 'without doubt');

	$provider->ask('POST', '__open');
	is($caller->finish, 0, 'the first execution ends well') or diag($caller->error);
	execute_until_quiet();
	my $end = read_books();
	is_deeply(problems($end, 'retry'), [], 'the books are right at the end');
	is(in_state($end, 'done'), $RUNS, 'each run is done');
	is_deeply($end->{uncertain}, {}, 'none was uncertain');
};

# ---- a full disk -------------------------------------------------------------------------------

my $disk = $ENV{CADENCE_SMALL_DISK};
my $filler = defined $disk ? "$disk/filler" : undef;

# To the last byte.
sub fill_disk
{
	my $block = "\0" x 65536;

	open(my $file, '>', $filler) or die "$filler: $!";
	for my $size (65536, 1)
	{
		1 while syswrite($file, $block, $size);
	}
	die "$filler: $!" unless $!{ENOSPC};
	close $file;
	return;
}

# The next commit needs another file. A checkpoint may have made some ahead of time.
sub use_up_wal
{
	my $spare = sql($node, q{SELECT count(*) FROM pg_ls_waldir()
		WHERE name ~ '^[0-9A-F]{24}$' AND name > pg_walfile_name(pg_current_wal_insert_lsn())});

	sql($node, 'SELECT txid_current(); SELECT pg_switch_wal()') for 0 .. $spare;
	return;
}

sub move_to_tablespace
{
	my ($name) = @_;
	sql($node, "ALTER TABLE lead_messages SET TABLESPACE $name;
		ALTER TABLE lead_cadence_events SET TABLESPACE $name");
	return;
}

subtest 'no room for the record' => sub {
	plan skip_all => 'no small disk: needs root, and mount' unless defined $disk;
	make_path("$disk/space");
	begin_again('hold_gate');
	sql($node, "CREATE TABLESPACE small LOCATION '$disk/space'");
	move_to_tablespace('small');
	my $caller = start_waiting();

	fill_disk();
	$provider->ask('POST', '__open');
	ok( $node->poll_query_until('postgres', q{SELECT count(*) > 0 FROM pg_stat_activity
			WHERE backend_type = 'cadence_runner' AND query ~ ': 0 in flight, .* [1-9]\d* to record'}),
		'what is answered can not be recorded');
	my $full = read_books();
	is_deeply(problems($full, 'hold'), [], 'the books are right meanwhile');
	is(keys %{ $full->{sent} }, 0, 'and nothing is recorded');

	unlink $filler;
	is($caller->finish, 0, 'with room again the execution ends well') or diag($caller->error);
	execute_until_quiet();
	my $end = read_books();
	is_deeply(problems($end, 'hold'), [], 'the books are right at the end');
	is(in_state($end, 'done'), $RUNS, 'each run is done');
	is_deeply($end->{uncertain}, {}, 'none was uncertain: its answer was not forgotten');

	sql($node, 'TRUNCATE lead_messages, lead_cadence_events');
	move_to_tablespace('pg_default');
	sql($node, 'DROP TABLESPACE small');
};

if (defined $disk)
{
	my $wal = $node->data_dir . '/pg_wal';

	$node->stop;
	system_or_bail('mv', $wal, "$disk/pg_wal");
	symlink("$disk/pg_wal", $wal) or die "$wal: $!";
	$node->start;
	death('no room for the WAL', 'gate', sub {
		my $offset = -s $node->logfile;
		my $pid = postmaster_pid();
		my $caller = start_waiting();

		fill_disk();
		use_up_wal();
		$provider->ask('POST', '__open');
		poll_until(sub { log_since($node, $offset) =~ /PANIC: .*No space left on device/ },
			'the server panics');
		isnt($caller->finish, 0, 'as its caller notices');
		unlink $filler;
		poll_until(sub { is_up($pid) }, 'with room again it starts');
	}, $has_arrived);
	# the disk is gone before the framework looks at the cluster again
	$node->stop;
}

done_testing();
