# The server's clock may be set: by an hour, forth and back, with messages under way or without; a
# step may be due across a change of daylight saving time, at infinity or never. Nothing is sent
# before its time by the server's clock, nothing twice without being said to be uncertain in between,
# and nobody waits for the hour to pass again, or spins.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use PostgreSQL::Test::Utils;
use Test::More;
use POSIX ();
use Time::HiRes qw(time);

my $hour = 3600;
my $SOON = 30;		# what would wait otherwise waits for an hour, or a minute
my $dir = PostgreSQL::Test::Utils::tempdir('clock');
my $clock = "$dir/offset";

my $library = clock_library();

# How far the server's clock is ahead, in whole seconds.
my $ahead = 0;

sub set_clock
{
	my ($seconds) = @_;

	$ahead = $seconds;
	open(my $file, -e $clock ? '+<' : '>', $clock) or die "$clock: $!";
	syswrite($file, pack('q', int($seconds))) == 8 or die "$clock: $!";
	close($file);
	return;
}

sub with_clock
{
	my ($what) = @_;
	local $ENV{LD_PRELOAD} = $library;
	local $ENV{TEST_CLOCK} = $clock;

	return $what->();
}

# Processor time that a process has used, in seconds.
sub processor_time
{
	my ($pid) = @_;
	my $stat = slurp_file("/proc/$pid/stat");
	my (@fields) = split ' ', $stat =~ s/^.*\) //sr;

	return ($fields[11] + $fields[12]) / POSIX::sysconf(POSIX::_SC_CLK_TCK());
}

set_clock(0);
my $node = new_cluster('main', extension => 0, conf => [
		"shared_preload_libraries = 'cadence_runner'", "cadence_runner.databases = 'postgres'",
		'cadence_runner.retry_dispatch = 1s', 'max_connections = 50', 'log_timezone = UTC']);
$node->stop;
with_clock(sub { $node->start });
install($node, 'postgres');
my $provider = start_provider();
make_company($node, 'ok', $provider->url('ok'));
make_company($node, 'sentinel', $provider->url('status/200'));
make_company($node, 'slow', $provider->url('slow/2000'));
make_company($node, 'hang', $provider->url('hang'), timeout => '60s');
make_company($node, 'paced', $provider->url('slow/1'), max_rate => '10');

# To another year. PostgreSQL's own checkpointer waits by the clock, and where that is back by more
# than 24 days, a server with assertions finds its time-out too long: back it goes while none runs.
sub travel
{
	my ($seconds) = @_;
	return set_clock($seconds) if $seconds >= $ahead;

	$node->stop;
	set_clock($seconds);
	with_clock(sub { $node->start });
	return;
}

my $resident = q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'cadence_runner resident'};

sub state_of
{
	my ($empresa) = @_;
	return sql($node, 'SELECT status, attempts, claim_id IS NULL FROM lead_cadence_runs WHERE empresa = '
		  . literal($empresa) . ' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3');
}

sub done
{
	my ($empresa) = @_;
	return sql($node, q{SELECT count(*) FROM lead_cadence_runs WHERE status = 'CONCLUIDA' AND empresa = }
		  . literal($empresa));
}

# Has the worker look at all that is due, by something that becomes due now: what it has not taken
# when that is done was not due.
sub has_looked
{
	my $n = done('sentinel') + 1;

	enrol_at('sentinel', 'now()');
	return poll_until(sub { done('sentinel') == $n }, undef, $SOON);
}

# A new lead, with a run that is due at an SQL expression; returns the run.
sub enrol_at
{
	my ($codigo, $when) = @_;

	return sql($node, qq{
		WITH c AS (SELECT * FROM cadences WHERE codigo = '$codigo'),
		n AS (SELECT count(*) + 1 AS n FROM lead_contacts),
		k AS (INSERT INTO lead_contacts (lead_id, empresa, nome, telefone)
			SELECT 'lead-' || n, empresa, 'Lead', '+55119' FROM n, c RETURNING lead_id, empresa)
		INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem, next_run_at)
		SELECT lead_id, k.empresa, c.id, 1, $when FROM k, c RETURNING id});
}

# Steps whose requests are more than the events that say that one of them is uncertain allow. Events
# have the server's time and requests the machine's, so they are counted.
sub unexplained
{
	my (%times, %said);

	$times{ $_->{headers}{'idempotency-key'} }++ for $provider->journal;
	$said{ idempotency_key($_->{run}, $_->{ordem}) }++
	  for sql_rows($node, q{SELECT lead_cadence_run_id AS run, step_ordem AS ordem
			FROM lead_cadence_events WHERE detalhes ->> 'codigo' = 'INCERTO'});
	return grep { $times{$_} > 1 + ($said{$_} // 0) } keys %times;
}

# ---- an idle worker ----------------------------------------------------------------------------

ok(has_looked(), 'the worker serves');
my $worker = sql($node, $resident);
my ($cpu, $since) = (processor_time($worker), time);

enrol_at('ok', q{now() + interval '30 minutes'});
ok(has_looked(), 'it looks');
is(done('ok'), 0, 'what is due in half an hour waits');
set_clock($hour);
ok(has_looked(), 'an hour later');
ok(poll_until(sub { done('ok') == 1 }, undef, $SOON), 'it is sent');
enrol_at('ok', q{now() - interval '30 minutes'});
ok(poll_until(sub { done('ok') == 2 }, undef, $SOON), 'so is what was due half an hour ago');
enrol_at('ok', q{now() + interval '1 second'});
set_clock(0);
ok(has_looked(), 'back again, the worker does not wait for the hour to pass');
is(done('ok'), 2, 'what was due in a second is due in an hour');
enrol_at('ok', q{now() + interval '1 second'});
ok(poll_until(sub { done('ok') == 3 }, undef, $SOON), 'what is due in a second is sent then');
set_clock(-$hour);
enrol_at('ok', q{now() + interval '1 second'});
ok(poll_until(sub { done('ok') == 4 }, undef, $SOON), 'one hour further back, too');
set_clock(0);

# ---- messages under way ------------------------------------------------------------------------

for my $step ([ 'back', -$hour ], [ 'forth', 0 ])
{
	my ($name, $to) = @$step;
	my $before = $provider->count('slow');
	my $done = done('slow');

	enrol_at('hang', 'now()');
	enrol_at('slow', 'now()') for 1 .. 3;
	ok(poll_until(sub { $provider->count('slow') >= $before + 3 }, undef, $SOON), 'messages are under way');
	set_clock($to);
	my $answered = time + 2;
	ok(poll_until(sub { done('slow') + sql($node, q{SELECT count(*) FROM lead_cadence_events
			WHERE detalhes ? 'tardio'}) >= $done + 3 }, undef, $SOON),
		"an hour $name: their answers are recorded, although another message hangs")
	  or diag(state_of('slow'));
	cmp_ok(time - $answered, '<', $SOON, "an hour $name: within seconds");
}
ok(poll_until(sub { done('slow') == 6 }, undef, $SOON), 'all of them end') or diag(state_of('slow'));
is_deeply([ unexplained() ], [], 'nothing was sent twice without being uncertain in between');

# ---- a pace ------------------------------------------------------------------------------------

enrol_at('paced', 'now()') for 1 .. 15;
ok(poll_until(sub { done('paced') > 1 }, undef, $SOON), 'a provider with a pace');
set_clock(-$hour);
ok(poll_until(sub { done('paced') == 15 }, undef, $SOON), 'does not wait for the hour to pass');

# ---- a worker that is started again ------------------------------------------------------------

cmp_ok(processor_time($worker) - $cpu, '<', 0.2 * (time - $since) + 0.5, 'the worker did not spin');
my $supervisor = sql($node, q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'cadence_runner supervisor'});
cmp_ok(processor_time($supervisor), '<', 1, 'nor did the supervisor');
is(sql($node, $resident), $worker, 'it is still the same worker');
set_clock(-2 * $hour);
sql($node, "SELECT pg_terminate_backend($worker)");
ok(poll_until(sub { my $pid = sql($node, $resident); $pid ne '' && $pid ne $worker }, undef, $SOON),
	'one that ends when the clock was set back is there again soon');
ok(has_looked(), 'and serves');
set_clock(0);
ok(has_looked(), 'later, too');

# ---- daylight saving time ----------------------------------------------------------------------

# The second step is due a minute after the first, across the change.
make_cadence($node, 'dst', 'ok', [ 'WHATSAPP', 0, 'a' ], [ 'WHATSAPP', 1, 'b' ]);
for my $change ([ 'Europe/Berlin', '2027-03-28 01:00:00+00', 'spring' ],
	[ 'Europe/Berlin', '2027-10-31 01:00:00+00', 'autumn' ],
	[ 'America/Sao_Paulo', '2018-11-04 03:00:00+00', 'spring' ],
	[ 'America/Sao_Paulo', '2019-02-17 02:00:00+00', 'autumn' ])
{
	my ($zone, $at, $season) = @$change;
	my $what = "$zone, $season";
	my $there = sql($node, "SELECT extract(epoch FROM timestamptz '$at')") - time;
	my $step = "SELECT last_step_ordem, status FROM lead_cadence_runs WHERE id = ";

	travel($there - 30);
	sql($node, "ALTER DATABASE postgres SET timezone = '$zone'; ALTER SYSTEM SET timezone = '$zone'");
	$node->reload;
	my $run = enrol_at('dst', 'now()');
	ok(poll_until(sub { sql($node, "$step'$run'") eq '1|ATIVA' }, undef, $SOON), "$what: the first step is sent");
	is(sql($node, "SELECT (EXTRACT(timezone FROM now()) <> EXTRACT(timezone FROM next_run_at)),
			next_run_at - m.enviado_em BETWEEN interval '59 s' AND interval '61 s'
		FROM lead_cadence_runs r JOIN lead_messages m ON m.run_id = r.id WHERE r.id = '$run'"),
		't|t', "$what: the next is due a minute later, in another offset");
	set_clock($there + 20);
	ok(has_looked(), "$what: beyond the change");
	is(sql($node, "$step'$run'"), '1|ATIVA', "$what: it is not sent early");
	set_clock($there + 40);
	ok(has_looked() && poll_until(sub { sql($node, "$step'$run'") eq '2|CONCLUIDA' }, undef, $SOON), "$what: but then");
}
sql($node, 'ALTER SYSTEM RESET timezone; ALTER DATABASE postgres RESET timezone');
travel(0);
$node->reload;
ok(has_looked(), 'back in the present');

# ---- a crash, and a clock that is an hour back afterwards ---------------------------------------

sql($node, q{UPDATE lead_cadence_runs SET status = 'CANCELADA' WHERE status = 'ATIVA'});
my $under_way = $provider->count('hang');
my $interrupted = enrol_at('hang', 'now()');
ok(poll_until(sub { $provider->count('hang') > $under_way }, undef, $SOON), 'a message is under way');
$node->stop('immediate');
set_clock(-$hour);
with_clock(sub { $node->start });
ok(poll_until(sub { sql($node, qq{SELECT count(*) FROM lead_cadence_events
		WHERE lead_cadence_run_id = '$interrupted' AND detalhes ->> 'codigo' = 'INCERTO'}) > 0 }, undef, 10),
	'after a crash it is said to be uncertain within ten seconds, although the clock was set back');
set_clock(0);

# ---- strange times -----------------------------------------------------------------------------

my $before = $provider->count('ok');
my %never = map { $_ => enrol_at('ok', $_) }
  ("'infinity'", "'294276-12-31 23:59:59+00'", 'NULL', q{now() + interval '200000 years'});
ok(has_looked(), 'runs that are due at the end of time, or never');
is($provider->count('ok'), $before, 'are not sent');
is(sql($node, 'SELECT count(*) FROM lead_cadence_runs WHERE id IN (' . join(', ', map { literal($_) } values %never)
		  . q{) AND status = 'ATIVA' AND attempts = 0 AND claim_id IS NULL}), 4, 'nor taken');
like(sql($node, 'SELECT ok, reasons FROM cadence_health()'), qr/^f\|.*next_run_at/,
	'the health tells of what is never due');
is(sql($node, q{SELECT worker_pid, due_now FROM cadence_runner_status()}), sql($node, $resident) . '|0',
	'the status can tell of them');
sql($node, 'DELETE FROM lead_cadence_runs WHERE status = ' . q{'ATIVA' AND next_run_at IS NULL});

# switched off, so that it stays due for a while
set_server($node, 'cadence_runner.enabled', 'off');
my $since_ever = enrol_at('ok', q{'-infinity'});
is(sql_error($node, 'SELECT due_now FROM cadence_runner_status()'), "no error; output: 1",
	'the status can tell of what is due since -infinity');
like(sql($node, 'SELECT reasons FROM cadence_health()'), qr/overdue: 1 due|1 runs are due/, 'so can the health');
set_server($node, 'cadence_runner.enabled', 'on');
ok(poll_until(sub { sql($node, "SELECT status FROM lead_cadence_runs WHERE id = '$since_ever'") eq 'CONCLUIDA' }, undef, $SOON),
	'it is simply due');

make_cadence($node, 'max', 'ok', [ 'WHATSAPP', 0, 'a' ], [ 'WHATSAPP', 2147483647, 'b' ]);
my $long = enrol_at('max', 'now()');
ok(poll_until(sub { sql($node, "SELECT last_step_ordem, status FROM lead_cadence_runs WHERE id = '$long'") eq '1|ATIVA' }, undef, $SOON),
	'a next step after the longest offset');
is(sql($node, "SELECT extract(year FROM next_run_at) - extract(year FROM now()) BETWEEN 4080 AND 4090
	FROM lead_cadence_runs WHERE id = '$long'"), 't', 'is due in thousands of years');
like(sql_error($node, q{SELECT cadence_enroll('lead-1', 'max', '294276-12-31 23:59:00+00')}),
	qr/no error/, 'so is one that starts at the end of time');
make_cadence($node, 'late', 'ok', [ 'WHATSAPP', 2147483647, 'a' ]);
like(sql_error($node, q{SELECT cadence_enroll('lead-1', 'late', '294276-12-31 23:59:00+00')}),
	qr/no error/, 'also where its offset leads past that');
is(sql_error($node, q{SELECT cadence_preview(id) FROM lead_cadence_runs WHERE next_run_at > now() + interval '1 year'}) =~ /no error/,
	1, 'all of them can be looked at');

ok(has_looked(), 'the worker is well');
is_deeply([ unexplained() ], [], 'nothing was sent twice');

# ---- an execution by itself --------------------------------------------------------------------

sql($node, q{UPDATE lead_cadence_runs SET status = 'CANCELADA' WHERE status = 'ATIVA'});
set_server($node, 'cadence_runner.databases', '');
ok(poll_until(sub { sql($node, $resident) eq '' }, undef, $SOON), 'without a worker');
my $paced = done('paced');
enrol_at('paced', 'now()') for 1 .. 15;
my $caller = start_sql($node, q{SELECT cadence_run('TEST') -> 'summary' -> 'success'});
ok(poll_until(sub { done('paced') > $paced + 1 }, undef, $SOON), 'an execution of messages with a pace');
set_clock(-$hour);
ok(poll_until(sub { !$caller->running }, undef, $SOON), 'does not wait for the hour to pass, either')
  or do { sql($node, 'SELECT pg_cancel_backend(' . $caller->pid . ')'); poll_until(sub { !$caller->running }, undef, $SOON) };
is(done('paced'), $paced + 15, 'and sends all of them');

set_clock(0);
my $slow = done('slow');
sql($node, q{UPDATE lead_cadence_runs SET status = 'CANCELADA' WHERE status = 'ATIVA'});
enrol_at('hang', 'now()');
enrol_at('slow', 'now()') for 1 .. 3;
my $hanging = $provider->count('hang');
$caller = start_sql($node, q{SELECT cadence_run('TEST') -> 'summary' -> 'success'});
ok(poll_until(sub { $provider->count('hang') > $hanging }, undef, $SOON), 'an execution with a message that hangs');
set_clock(-$hour);
ok(poll_until(sub { done('slow') == $slow + 3 }, undef, $SOON), 'records the others in time');
sql($node, 'SELECT pg_cancel_backend(' . $caller->pid . ')');
ok(poll_until(sub { !$caller->running }, undef, $SOON), 'and ends when it is told to');
unlike(log_since($node), qr/PANIC|terminated by signal/, 'nothing has crashed');

done_testing();
