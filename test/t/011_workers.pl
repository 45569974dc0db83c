# Several workers share one execution: they never skip each other, nothing is sent twice, one log
# row tells of all of them, and what becomes of one of them is told.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_cluster('main', conf => ['max_worker_processes = 12']);
my $provider = start_provider();
my $workers = q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'cadence_runner'};

make_company($node, 'ok', $provider->url('slow/20'));
set_server($node, 'cadence_runner.workers', 4);
set_server($node, 'cadence_runner.batch_size', 50);
enrol($node, 'ok', 2000);

my $caller = start_sql($node, "SELECT cadence_run('TEST') -> 'summary'");
ok(poll_until(sub { sql($node, $workers) == 4 }), 'four workers');
is($caller->finish, 0, 'the caller ends well') or diag($caller->error);
is($provider->count, 2000, 'as many requests as runs');
my %per_run = $provider->per_run;
is_deeply([ grep { $_ != 1 } values %per_run ], [], 'each of them once');
is(sql($node, q{SELECT count(*), sum(runs_touched), sum(steps_executed), sum(errors) FROM cadence_runner_logs}),
	'1|2000|2000|0', 'one log row, without anybody skipped');
is(sql($node, $workers), 0, 'all workers are gone when the caller returns');

# fewer slots than wanted: fewer workers, and no error
set_server($node, 'cadence_runner.workers', 16);
sql($node, q{UPDATE lead_cadence_runs SET status = 'ATIVA', next_step_ordem = 1, passos_enviados = NULL, next_run_at = now() - interval '1 s'});
is(execute($node)->{summary}{success}, 2000, 'as many workers as there are slots');

# a server's own limit counts over all workers, and is no reason for fewer of them
sql($node, q{UPDATE lead_cadence_runs SET status = 'ATIVA', next_step_ordem = 1, passos_enviados = NULL, next_run_at = now() - interval '1 s'
	WHERE id IN (SELECT id FROM lead_cadence_runs LIMIT 200)});
sql($node, q{ALTER SERVER ok OPTIONS (ADD max_in_flight '3')});
$provider->forget;
is(execute($node)->{summary}{success}, 200, 'a server with a limit of its own');
is($provider->ask('GET', '__count')->{max_concurrent}, 3, 'is written to as often at once as that says');
sql($node, q{ALTER SERVER ok OPTIONS (DROP max_in_flight)});

# one that takes one message at a time, beside the other: all workers are at work, and it gets one at a time
set_server($node, 'cadence_runner.workers', 4);
make_company($node, 'narrow', $provider->url('slow/50'), max_in_flight => 1);
enrol($node, 'narrow', 120);
sql($node, q{UPDATE lead_cadence_runs SET status = 'ATIVA', next_step_ordem = 1, passos_enviados = NULL, next_run_at = now() - interval '1 s'});
$provider->forget;
$caller = start_sql($node, "SELECT cadence_run('TEST') -> 'summary'");
ok(poll_until(sub { sql($node, $workers) == 4 }), 'four workers beside a server that takes one message');
is($caller->finish, 0, 'which end well') or diag($caller->error);
is(sql($node, q{SELECT steps_executed FROM cadence_runner_logs ORDER BY executed_at DESC LIMIT 1}), 2120, 'all is sent');
my @times = sort { $a <=> $b } map { $_->{t} } grep { $_->{body}{empresa} eq 'narrow' } $provider->journal;
is_deeply([ grep { $times[$_] - $times[ $_ - 1 ] < 0.045 } 1 .. $#times ], [], 'one message at a time');
cmp_ok($times[-1] - $times[0], '<', 120 * 0.05 * 2 + 4, 'and hardly a pause between two workers');
sql($node, q{DELETE FROM lead_cadence_runs WHERE empresa = 'narrow'; DROP SERVER narrow});

# two servers of one group have it together
for my $name (qw(first second))
{
	make_company($node, $name, $provider->url('slow/50'), max_in_flight => 2, limit_group => 'portfolio');
	enrol($node, $name, 40);
}
$provider->forget;
is(execute($node)->{summary}{success}, 80, 'two servers of one limit group');
is($provider->ask('GET', '__count')->{max_concurrent}, 2, 'are written to as often at once as the group may be');
sql($node, q{DELETE FROM lead_cadence_runs WHERE empresa IN ('first', 'second'); DROP SERVER first; DROP SERVER second});

# one of them is terminated: what it had not sent is due as before, and the caller is told
set_server($node, 'cadence_runner.workers', 2);
sql($node, q{UPDATE lead_cadence_runs SET status = 'ATIVA', next_step_ordem = 1, passos_enviados = NULL, next_run_at = now() - interval '1 s'});
sql($node, "ALTER SERVER ok OPTIONS (SET url '" . $provider->url('slow/200') . "')");
$provider->forget;
$caller = start_sql($node, "SELECT cadence_run('TEST') -> 'summary'");
ok(poll_until(sub { $provider->count > 200 }), 'at work');
sql($node, q{SELECT pg_terminate_backend(max(pid)) FROM pg_stat_activity WHERE backend_type = 'cadence_runner'});
$caller->finish;
like($caller->error, qr/ERROR:  57P01: .*stopped/, 'the caller is told');
is(sql($node, $workers), 0, 'and the other has ended, too');
is(sql($node, q{SELECT count(*) FROM lead_cadence_runs WHERE claim_id IS NOT NULL}), 0, 'no claim is left');
sql($node, "ALTER SERVER ok OPTIONS (SET url '" . $provider->url('ok') . "')");
execute($node);
%per_run = $provider->per_run;
is(keys %per_run, 2000, 'and the next execution sends the rest');
my $uncertain = sql($node, q{SELECT count(*) FROM lead_cadence_events WHERE detalhes ->> 'codigo' = 'INCERTO'});
is_deeply([ grep { $_ != 1 } values %per_run ], [], 'once') or diag("$uncertain uncertain");

# What becomes due again, and all of it.
sub all_due
{
	sql($node, q{UPDATE lead_cadence_runs SET status = 'ATIVA', next_step_ordem = 1, passos_enviados = NULL, attempts = 0,
		claim_id = NULL, next_run_at = now() - interval '1 s'});
	sql($node, 'TRUNCATE cadence_runner_logs, lead_cadence_events');
	$provider->forget;
	return;
}

# max_in_flight is shared, not multiplied
all_due();
sql($node, "ALTER SERVER ok OPTIONS (SET url '" . $provider->url('slow/20') . "')");
set_server($node, 'cadence_runner.workers', 8);
set_server($node, 'cadence_runner.max_in_flight', 5);
is(execute($node)->{summary}{success}, 2000, 'more workers than messages in flight');
cmp_ok($provider->ask('GET', '__count')->{max_concurrent}, '<=', 5, 'no more than allowed');
# nor while the first has some under way already, and the others come
all_due();
sql($node, q{UPDATE lead_cadence_runs SET next_run_at = now() + interval '1 hour' WHERE id NOT IN (SELECT id FROM lead_cadence_runs LIMIT 120)});
sql($node, "ALTER SERVER ok OPTIONS (SET url '" . $provider->url('slow/400') . "')");
is(execute($node)->{summary}{success}, 120, 'messages that take long');
cmp_ok($provider->ask('GET', '__count')->{max_concurrent}, '<=', 5, 'no more than allowed');
set_server($node, 'cadence_runner.max_in_flight', 100);
set_server($node, 'cadence_runner.workers', 2);

# a trigger that talks: nobody waits for somebody to listen
all_due();
sql($node, q{
	CREATE FUNCTION talk() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN RAISE WARNING '%', repeat('x', 500); RETURN new; END $$;
	CREATE TRIGGER talk BEFORE UPDATE ON lead_cadence_runs FOR EACH ROW EXECUTE FUNCTION talk()});
$caller = start_sql($node, "SET client_min_messages = error; SELECT cadence_run('TEST') -> 'summary' -> 'success'");
is($caller->finish, 0, 'a trigger that talks holds nobody up') or diag($caller->error);
is($provider->count, 2000, 'and all are sent');

# a caller that does not read what it says, which is far more than sockets and queues hold
for my $level ('warning', 'notice')
{
	all_due();
	sql($node, "ALTER SERVER ok OPTIONS (SET url '" . $provider->url('gate') . "')");
	sql($node, qq{
		CREATE OR REPLACE FUNCTION talk() RETURNS trigger LANGUAGE plpgsql SET client_min_messages = $level AS \$\$
		BEGIN RAISE $level '%', repeat('x', 500); RETURN new; END \$\$});
	$caller = start_sql($node, "SELECT cadence_run('TEST') -> 'summary' -> 'success'");
	poll_until(sub { $provider->count >= 50 }) or die 'no message is under way';
	$caller->freeze;
	$provider->ask('POST', '__open');
	ok(poll_until(sub { $provider->count == 2000 }), "$level: a caller that does not read holds up nobody");
	ok($node->poll_query_until('postgres', 'SELECT count(*) = 1 FROM cadence_runner_logs WHERE steps_executed = 2000'),
		'the execution ends without it');
	$caller->thaw;
	is($caller->finish, 0, 'and is heard of when it reads again')
	  or diag($caller->error =~ s/^.*: (WARNING|NOTICE):  .*\n//gmr);
	like($caller->error, qr/x{500}/, 'with some of what was said');
}
sql($node, 'DROP TRIGGER talk ON lead_cadence_runs');

# switched off while a helper has transfers under way: they end by themselves
all_due();
sql($node, "ALTER SERVER ok OPTIONS (SET url '" . $provider->url('slow/2000') . "')");
$caller = start_sql($node, "SELECT cadence_run('TEST') -> 'summary'");
ok(poll_until(sub { $provider->ask('GET', '__count')->{max_concurrent} >= 100 }), 'both are at work');
set_server($node, 'cadence_runner.enabled', 'off');
$caller->finish;
like($caller->error, qr/ERROR:  55000: .*switched off/, 'switched off');
is(sql($node, q{SELECT count(*) FROM lead_cadence_events WHERE tipo_evento = 'ERRO'}), 0, 'without breaking anything off');
is(sql($node, q{SELECT count(*) FROM lead_cadence_runs WHERE claim_id IS NOT NULL}), 0, 'no claim is left');
is(sql($node, 'SELECT steps_executed FROM cadence_runner_logs'), $provider->count, 'the log counts what was sent');
set_server($node, 'cadence_runner.enabled', 'on');

# a claim that fails whatever its runs: nobody takes anything
all_due();
sql($node, q{
	CREATE FUNCTION refuse_all() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN RAISE undefined_column USING MESSAGE = 'not this time'; END $$;
	CREATE TRIGGER refuse_all AFTER UPDATE ON lead_cadence_runs EXECUTE FUNCTION refuse_all()});
$caller = start_sql($node, "SELECT cadence_run('TEST')");
$caller->finish;
like($caller->error, qr/ERROR:  42703: .*not this time/, 'it ends the execution');
is($provider->count, 0, 'and nobody has sent anything');
is(sql($node, q{SELECT count(*) FROM lead_cadence_runs WHERE claim_id IS NOT NULL}), 0, 'or taken it');
sql($node, 'DROP TRIGGER refuse_all ON lead_cadence_runs');

sql($node, "ALTER SERVER ok OPTIONS (SET url '" . $provider->url('slow/2000') . "')");

# the leader is cancelled while it waits for a helper: that is logged, too
all_due();
sql($node, q{UPDATE lead_cadence_runs SET status = 'PAUSADA' WHERE id NOT IN (SELECT id FROM lead_cadence_runs ORDER BY id LIMIT 60)});
$caller = start_sql($node, "SELECT cadence_run('TEST') -> 'summary'");
ok(poll_until(sub { $provider->count == 60 }), 'the last ones are under way');
sql($node, q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE backend_type = 'cadence_runner'});
$caller->finish;
like($caller->error, qr/ERROR:  (57014|57P01)/, 'the caller is told');
is(sql($node, 'SELECT count(*) FROM cadence_runner_logs WHERE errors > 0'), 1, 'and the log');
is(sql($node, q{SELECT count(*) FROM lead_cadence_runs WHERE claim_id IS NOT NULL}), 0, 'no claim is left');

done_testing();
