# A cadence is edited while messages of it are claimed, and on their way: whatever is put off, and whatever
# comes next, goes by the steps as they are then, not as they were when the claim was made.

use strict;
use warnings;
use utf8;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use Test::More;

my $DAY = 1440;
my $node = new_cluster('main', conf => [ 'cadence_runner.workers = 1', 'cadence_runner.retry_dispatch = 1h' ]);
my $provider = start_provider();
my $OF = q{cadence_id = (SELECT id FROM cadences WHERE codigo = '%s')};

# Leads in a cadence of steps with these offsets, one message at a time, and the first of them on its way.
sub begin
{
	my ($codigo, $answer, $leads, @offsets) = @_;

	start_over($node, $provider);
	make_server($node, $codigo, $provider->url($answer), empresa => $codigo, max_in_flight => 1);
	make_cadence($node, $codigo, $codigo, map { [ 'WHATSAPP', $_, 'Oi {{nome}}' ] } @offsets);
	sql($node, "INSERT INTO lead_contacts (lead_id, empresa, nome, telefone)
		SELECT 'lead-' || i, '$codigo', 'Lead', '+551190000000' || i FROM generate_series(1, $leads) AS i");
	sql($node, "SELECT cadence_enroll('lead-$_', '$codigo')") for 1 .. $leads;
	my $execution = start_sql($node, "SELECT cadence_run('TEST')");
	poll_until(sub { $provider->count == 1 }, "$codigo: a message is on its way");
	is(sql($node, 'SELECT count(*) FROM lead_cadence_runs WHERE claim_id IS NOT NULL'), $leads, "$codigo: all are claimed");
	return $execution;
}

sub edit
{
	my ($codigo, $text) = @_;
	sql($node, sprintf("$text", sprintf($OF, $codigo)));
	return;
}

sub answer
{
	my ($execution) = @_;
	$provider->ask('POST', '__open');
	is($execution->finish, 0, 'the execution ends') or diag($execution->error);
	return;
}

# Whether the nth lead stands before that step, due so many minutes after what that counts from, and untried.
sub stands
{
	my ($lead, $template, $minutes, $what) = @_;
	my ($run) = sql_rows($node, "SELECT status, (SELECT template_codigo FROM cadence_steps s WHERE s.cadence_id = r.cadence_id
			AND ordem >= next_step_ordem AND s.id <> ALL (coalesce(passos_enviados, '{}')) ORDER BY ordem LIMIT 1) AS step,
		round(extract(epoch FROM next_run_at - counts_from) / 60) AS minutes, attempts, claim_id IS NULL AS free
		FROM lead_cadence_runs r WHERE lead_id = 'lead-$lead'");
	is_deeply($run, { status => 'ATIVA', step => $template, minutes => $minutes, attempts => 0, free => JSON::PP::true }, $what);
	return;
}

# ---- what is put off

# A run that waits behind the first, and can not be asked about: it is put off by a minute.
sub put_off
{
	my ($codigo, $text) = @_;
	my $execution = begin($codigo, 'gate', 2, 0);

	edit($codigo, $text);
	sql($node, q{CREATE VIEW cadence_exits AS SELECT id AS run_id, (1 / (attempts - attempts))::text AS motivo FROM lead_cadence_runs});
	poll_until(sub { sql($node, 'SELECT count(*) FROM lead_cadence_runs WHERE claim_id IS NULL') == 1 }, "$codigo: the second is put off");
	sql($node, 'DROP VIEW cadence_exits');
	answer($execution);
	my ($run) = sql_rows($node, q{SELECT substr(lead_id, 6)::int AS lead, next_run_at < now() + interval '2 minutes' AS soon
		FROM lead_cadence_runs WHERE status = 'ATIVA'});
	return $run;
}

my $run = put_off('later', "UPDATE cadence_steps SET offset_minutos = 3 * $DAY WHERE %s");
stands($run->{lead}, 'later_1', 3 * $DAY, 'a step whose time is edited: put off to that');
sql($node, 'UPDATE lead_cadence_runs SET next_run_at = now()');
is(execute($node)->{summary}{success}, 1, 'and before it by hand alone');

$run = put_off('sooner', 'UPDATE cadence_steps SET offset_minutos = -5 WHERE %s');
ok($run->{soon}, 'a time that has passed: as soon as it can');

$run = put_off('hand', "UPDATE lead_cadence_runs SET counts_from = NULL;
	UPDATE cadence_steps SET offset_minutos = 3 * $DAY WHERE %s");
ok($run->{soon}, 'a time that was set by hand stays');

$run = put_off('anew', "BEGIN; CREATE TEMP TABLE kept AS SELECT * FROM cadence_steps WHERE %1\$s; DELETE FROM cadence_steps WHERE %1\$s;
	INSERT INTO cadence_steps (cadence_id, ordem, offset_minutos, canal, template_codigo)
	SELECT cadence_id, ordem, 3 * $DAY, canal, template_codigo FROM kept; COMMIT");
stands($run->{lead}, 'anew_1', 3 * $DAY, 'a step that was saved anew with another id: by its time');

# ---- what has not left

my $execution = begin('waits', 'gate', 2, 0);
edit('waits', "UPDATE cadence_steps SET offset_minutos = 2 * $DAY WHERE %s");
poll_until(sub { sql($node, 'SELECT count(*) FROM lead_cadence_runs WHERE claim_id IS NULL') == 1 }, 'what waits for its turn is given back');
answer($execution);
is($provider->count, 1, 'only what was on its way has left');
($run) = sql_rows($node, q{SELECT substr(lead_id, 6)::int AS lead FROM lead_cadence_runs WHERE status = 'ATIVA'});
stands($run->{lead}, 'waits_1', 2 * $DAY, 'the other goes by the edited time');

$execution = begin('away', 'gate', 2, 0, $DAY);
sql($node, q{INSERT INTO cadences (empresa, codigo) VALUES ('away', 'elsewhere')});
edit('away', q{UPDATE cadence_steps SET cadence_id = (SELECT id FROM cadences WHERE codigo = 'elsewhere') WHERE ordem = 1 AND %s});
poll_until(sub { sql($node, 'SELECT count(*) FROM lead_cadence_runs WHERE claim_id IS NULL') == 1 }, 'so is what belongs to another cadence now');
answer($execution);
is($provider->count, 1, 'and it is not sent');
stands($_, 'away_2', $DAY, 'the one behind it has its own time') for 1 .. 2;

# ---- what was tried has a time of its own

$execution = begin('failed', 'gate/503', 1, 0);
edit('failed', "UPDATE cadence_steps SET offset_minutos = 2 * $DAY WHERE %s");
answer($execution);
is(sql($node, q{SELECT attempts, next_run_at < now() + interval '2 hours' FROM lead_cadence_runs}), '1|t', 'it is tried again then');

# ---- what is not sent, since its step has gone

$execution = begin('gone', 'gate', 2, 0, $DAY);
edit('gone', "DELETE FROM cadence_steps WHERE ordem = 1 AND %s");
answer($execution);
stands($_, 'gone_2', $DAY, 'a step that has gone: the one behind it has its own time') for 1 .. 2;

# nor where whoever had claimed it is gone, too
$execution = begin('crashed', 'gate', 2, 0, $DAY);
edit('crashed', "DELETE FROM cadence_steps WHERE ordem = 1 AND %s");
$node->stop('immediate');
$execution->finish;
$node->start;
execute($node) for 1, 2;
stands($_, 'crashed_2', $DAY, 'interrupted, and its step has gone: the one behind it has its own time') for 1 .. 2;
is($provider->count, 1, 'and is not sent at once');

start_over($node, $provider);
make_server($node, 'tried', $provider->url('status/503'), empresa => 'tried');
make_cadence($node, 'tried', 'tried', map { [ 'WHATSAPP', $_, 'Oi {{nome}}' ] } 0, $DAY);
sql($node, q{INSERT INTO lead_contacts (lead_id, empresa, nome, telefone) VALUES ('lead-1', 'tried', 'Lead', '+5511900000001');
	SELECT cadence_enroll('lead-1', 'tried')});
execute($node);
edit('tried', 'DELETE FROM cadence_steps WHERE ordem = 1 AND %s');
is(sql($node, 'SELECT round(extract(epoch FROM next_run_at - counts_from) / 60) FROM lead_cadence_runs'), $DAY,
	'so has it where the one that has gone was to be tried again');

# ---- what comes after a message that is on its way

$execution = begin('next', 'gate', 1, 0, 60);
edit('next', "UPDATE cadence_steps SET offset_minutos = 4 * $DAY WHERE ordem = 2 AND %s");
answer($execution);
stands(1, 'next_2', 4 * $DAY, 'the next step: by the edited time');

$execution = begin('between', 'gate', 1, 0, 60);
edit('between', "UPDATE cadence_steps SET ordem = 3 WHERE ordem = 2 AND %1\$s;
	INSERT INTO cadence_steps (cadence_id, ordem, offset_minutos, canal, template_codigo)
	SELECT cadence_id, 2, 5 * $DAY, canal, 'between_new' FROM cadence_steps WHERE ordem = 1 AND %1\$s");
answer($execution);
stands(1, 'between_new', 5 * $DAY, 'a step that was inserted: by its own time');
is(sql($node, q{SELECT template_codigo FROM lead_cadence_events WHERE tipo_evento = 'AGENDADO' ORDER BY created_at DESC, id DESC LIMIT 1}),
	'between_new', 'as its event says');

$execution = begin('after', 'gate', 1, 0, 60, $DAY);
edit('after', 'DELETE FROM cadence_steps WHERE ordem = 2 AND %s');
answer($execution);
stands(1, 'after_3', $DAY, 'where the next has gone, the one behind it: by its own time');

$execution = begin('tail', 'gate', 1, 0);
edit('tail', "INSERT INTO cadence_steps (cadence_id, ordem, offset_minutos, canal, template_codigo)
	SELECT cadence_id, 2, 6 * $DAY, canal, 'tail_new' FROM cadence_steps WHERE %s");
answer($execution);
stands(1, 'tail_new', 6 * $DAY, 'a step behind the end: whoever has not finished gets it');

$execution = begin('short', 'gate', 1, 0, 60);
edit('short', 'DELETE FROM cadence_steps WHERE ordem = 2 AND %s');
answer($execution);
is(sql($node, 'SELECT status FROM lead_cadence_runs'), 'CONCLUIDA', 'where there is none behind it any more, the run has ended');

# ---- what was to be skipped

# Nothing can be recorded until that session has ended.
sub lock_events
{
	my $lock = start_sql($node, 'BEGIN; LOCK TABLE lead_cadence_events IN SHARE MODE; SELECT pg_sleep(600)');
	poll_until(sub { sql($node, q{SELECT count(*) FROM pg_locks WHERE relation = 'lead_cadence_events'::regclass AND mode = 'ShareLock' AND granted}) },
		'no event can be written');
	return $lock;
}

# A run whose step is decided upon, which can not be recorded before the cadence is edited.
sub decided
{
	my ($codigo, $prepare, $text) = @_;

	start_over($node, $provider);
	make_server($node, $codigo, $provider->url('ok'), empresa => $codigo);
	make_cadence($node, $codigo, $codigo, map { [ 'WHATSAPP', $_, 'Oi {{nome}}' ] } 0, $DAY);
	sql($node, "INSERT INTO lead_contacts (lead_id, empresa, nome, telefone) VALUES ('lead-1', '$codigo', 'Lead', '+5511900000001');
		SELECT cadence_enroll('lead-1', '$codigo', now() - interval '1 hour')");
	sql($node, $prepare);
	my $lock = lock_events();
	my $execution = start_sql($node, "SELECT cadence_run('TEST')");
	poll_until(sub { sql($node, 'SELECT count(*) FROM lead_cadence_runs WHERE claim_id IS NOT NULL') }, "$codigo: it is claimed");
	edit($codigo, $text);
	sql($node, 'SELECT pg_terminate_backend(' . $lock->pid . ', 60000)');
	is($execution->finish, 0, 'the execution ends') or diag($execution->error);
	is($provider->count, 0, "$codigo: nothing was sent");
	return;
}

my $SHORT = q{UPDATE cadence_steps SET validade = '1 minute' WHERE ordem = 1};
my $SKIPS = q{CREATE VIEW cadence_skips AS SELECT id AS run_id, 1 AS ordem, 'already'::text AS motivo FROM lead_cadence_runs};

decided('expired', $SHORT, "UPDATE cadence_steps SET offset_minutos = 3 * $DAY WHERE ordem = 1 AND %s");
stands(1, 'expired_1', 3 * $DAY, 'a step that has expired, and is due later now: not skipped');
is_deeply(outcomes($node, 'expired'), {}, 'nor said to be');
sql($node, 'UPDATE lead_cadence_runs SET next_run_at = now()');
is(execute($node)->{summary}{success}, 1, 'it can be sent');

decided('skipped', $SKIPS, "UPDATE cadence_steps SET offset_minutos = 3 * $DAY WHERE ordem = 1 AND %s");
stands(1, 'skipped_1', 3 * $DAY, 'nor one that cadence_skips names: it is asked again when that is due');
sql($node, 'UPDATE lead_cadence_runs SET next_run_at = now()');
execute($node);
is_deeply(outcomes($node, 'skipped'), { PULADO => 1 }, 'and skipped then');
sql($node, 'DROP VIEW cadence_skips');

decided('vanished', $SHORT, 'DELETE FROM cadence_steps WHERE ordem = 1 AND %s');
stands(1, 'vanished_2', $DAY, 'one that has gone: the one behind it has its own time');
is_deeply(outcomes($node, 'vanished'), {}, 'and nothing was skipped');

decided('nowhere', q{UPDATE cadence_steps SET se_falhar = 'PULAR'; UPDATE lead_contacts SET telefone = NULL},
	"UPDATE cadence_steps SET offset_minutos = 3 * $DAY WHERE ordem = 1 AND %s");
stands(1, 'nowhere_1', 3 * $DAY, 'who has no address may have one by then');

decided('kept', $SHORT, "UPDATE cadence_steps SET offset_minutos = 2 * $DAY WHERE ordem = 2 AND %s");
is_deeply(outcomes($node, 'kept'), { VENCIDO => 1 }, 'where another step is edited it is skipped');
stands(1, 'kept_2', 2 * $DAY, 'and the next one has the edited time');

# ---- what is recorded together was claimed apart, and is not recorded at the first try

start_over($node, $provider);
set_server($node, 'cadence_runner.batch_size', 1);
make_server($node, 'apart', $provider->url('gate'), empresa => 'apart');
make_cadence($node, 'apart', 'apart', map { [ 'WHATSAPP', $_, 'Oi {{nome}}' ] } 0, 60);
sql($node, q{INSERT INTO lead_contacts (lead_id, empresa, nome, telefone, fuso_horario)
		SELECT 'lead-' || i, 'apart', 'Lead', '+551190000000' || i, CASE WHEN i % 2 = 0 THEN 'Asia/Tokyo' END FROM generate_series(1, 6) AS i;
	SELECT cadence_enroll('lead-' || i, 'apart') FROM generate_series(1, 6) AS i});
$execution = start_sql($node, q{SELECT cadence_run('TEST')});
poll_until(sub { $provider->count == 6 }, 'six messages are on their way');
my $lock = lock_events();
edit('apart', q{UPDATE cadence_steps SET horario = '09:00' WHERE ordem = 2 AND %s});
$provider->ask('POST', '__open');
my $TRIES = q{SELECT count(DISTINCT xact_start) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND xact_start > '%s'};
my $first;
poll_until(sub { $first = sql($node, q{SELECT max(xact_start) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND backend_type LIKE 'cadence%'}) },
	'they can not be recorded');
poll_until(sub { sql($node, sprintf($TRIES, $first)) }, 'at the next try neither');
sql($node, 'SELECT pg_terminate_backend(' . $lock->pid . ', 60000)');
is($execution->finish, 0, 'the execution ends') or diag($execution->error);
is(sql($node, q{SELECT string_agg(lead_id || (next_run_at AT TIME ZONE CASE WHEN right(lead_id, 1)::int % 2 = 0 THEN 'Asia/Tokyo' ELSE 'America/Sao_Paulo' END)::time,
		' ' ORDER BY lead_id) FROM lead_cadence_runs WHERE status = 'ATIVA' AND next_step_ordem = 2 AND claim_id IS NULL}),
	join(' ', map { "lead-${_}09:00:00" } 1 .. 6), 'each by its own calendar');
is($provider->count, 6, 'and nothing was sent twice');

done_testing();
