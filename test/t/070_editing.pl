# Cadences are edited while their runs are being sent: whatever becomes of the steps' numbers, no run
# gets a step twice, and none goes without a step that was there all the time.

use strict;
use warnings;
use utf8;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use Test::More;
use Time::HiRes qw(time);

my $STEPS = 6;
my $node = new_cluster('main', conf => [ 'cadence_runner.batch_size = 15', 'cadence_runner.workers = 2',
	'cadence_runner.retry_dispatch = 1s' ]);
my $provider = start_provider();
my $seed = $ENV{EDITING_SEED} // int(time);
my $made = 0;

srand($seed);
note("EDITING_SEED=$seed");

# The numbers of a cadence's steps by their templates.
sub numbers
{
	my ($codigo) = @_;
	return map { $_->{template_codigo} => $_->{ordem} } sql_rows($node, "SELECT s.template_codigo, s.ordem
		FROM cadence_steps s JOIN cadences c ON c.id = s.cadence_id WHERE c.codigo = '$codigo'");
}

sub any_of
{
	return $_[ int(rand(@_)) ];
}

# A number that no step has, somewhere among them or at either end.
sub free_number
{
	my (%numbers) = @_;
	my %used = map { $_ => 1 } values %numbers;
	my @sorted = sort { $a <=> $b } values %numbers;
	my $n = any_of($sorted[0] - 1, map { $_ + 1 } @sorted);

	$n++ while $used{$n};
	return $n;
}

my $OF = q{FROM cadences c WHERE c.id = cadence_id AND c.codigo = '%s'};

# Each gives the statements of one edit of a cadence.
my %EDITS = (
	insert => sub {
		my ($codigo, %numbers) = @_;
		my $template = "$codigo\_new" . ++$made;
		my $ordem = free_number(%numbers);
		return qq{INSERT INTO message_templates (empresa, canal, codigo, nome, conteudo)
			VALUES ('$codigo', 'WHATSAPP', '$template', '', 'Oi');
			INSERT INTO cadence_steps (cadence_id, ordem, offset_minutos, canal, template_codigo)
			SELECT id, $ordem, 0, 'WHATSAPP', '$template' FROM cadences WHERE codigo = '$codigo'};
	},
	move => sub {
		my ($codigo, %numbers) = @_;
		my $ordem = free_number(%numbers);
		return "UPDATE cadence_steps SET ordem = $ordem WHERE template_codigo = '" . any_of(keys %numbers) . "'";
	},
	swap => sub {
		my ($codigo, %numbers) = @_;
		my ($one, $other) = (any_of(keys %numbers), any_of(keys %numbers));
		return '' if $one eq $other;
		return join ';', map { "UPDATE cadence_steps SET ordem = $_->[1] WHERE template_codigo = '$_->[0]'" }
		  [ $one, -999999 ], [ $other, $numbers{$one} ], [ $one, $numbers{$other} ];
	},
	shift => sub {
		return sprintf "UPDATE cadence_steps SET ordem = ordem + 10000 $OF", @_;
	},
	turn => sub {
		my ($codigo) = @_;
		return sprintf("UPDATE cadence_steps SET ordem = -50000000 - ordem $OF;", $codigo)
		  . sprintf("UPDATE cadence_steps s SET ordem = o.n FROM (SELECT s.id, row_number() OVER (ORDER BY ordem) AS n
			FROM cadence_steps s JOIN cadences c ON c.id = s.cadence_id WHERE c.codigo = '%s') AS o WHERE o.id = s.id", $codigo);
	},
	remove => sub {
		my ($codigo, %numbers) = @_;
		my @new = grep { /new/ } keys %numbers;
		return @new ? "DELETE FROM cadence_steps WHERE template_codigo = '" . any_of(@new) . "'" : '';
	},
	text => sub {
		return sprintf "UPDATE cadence_steps SET canal = 'whatsapp', updated_at = now() $OF", @_;
	},
	times => sub {
		return sprintf "UPDATE cadence_steps SET offset_minutos = -floor(random() * 3) $OF", @_;
	});

sub edit
{
	my ($codigo) = @_;
	my $name = any_of(sort keys %EDITS);
	my $text = $EDITS{$name}->($codigo, numbers($codigo));
	note("$name: $text");
	like(sql_error($node, "BEGIN; $text; COMMIT"), qr/^no error/, "$name is not refused") if $text ne '';
	return;
}

sub left
{
	return sql($node, "SELECT count(*) FROM lead_cadence_runs WHERE status = 'ATIVA'");
}

# Edits while executions go on, until all runs have ended.
sub edit_all_along
{
	my ($codigo, $url, $runs) = @_;
	my $edits = 0;
	my $until = time + 150;

	start_over($node, $provider);
	make_server($node, $codigo, $provider->url($url), empresa => $codigo);
	make_cadence($node, $codigo, $codigo, map { [ 'WHATSAPP', 0, "Oi $_" ] } 1 .. $STEPS);
	enrol($node, $codigo, $runs);
	while (left() > 0 && time < $until)
	{
		my $execution = start_sql($node, "SELECT cadence_run('TEST')");

		do
		{
			edit($codigo) if $edits++ < 150;
		} while ($execution->running && $edits < 150);
		is($execution->finish, 0, 'the execution') or diag($execution->error);
	}
	is(left(), 0, "$codigo: all runs have ended");
	is(sql($node, "SELECT count(*) FROM lead_cadence_runs WHERE status <> 'CONCLUIDA'"), 0, "$codigo: and well");
	return;
}

# run and template => how often that was sent.
sub sent
{
	return map { ("$_->{run_id} $_->{template_codigo}" => $_->{n}) } sql_rows($node,
		'SELECT run_id, template_codigo, count(*) AS n FROM lead_messages GROUP BY 1, 2');
}

sub check
{
	my ($codigo) = @_;
	my %sent = sent();
	my @runs = map { $_->{id} } sql_rows($node, 'SELECT id FROM lead_cadence_runs');
	my %keys;
	my %steps;

	is_deeply([ grep { $sent{$_} > 1 } sort keys %sent ], [], "$codigo: no step twice");
	is_deeply([ grep { !$sent{$_} } map { my $run = $_; map { "$run $codigo\_$_" } 1 .. $STEPS } @runs ], [],
		"$codigo: no step that was there is missing");
	for my $request ($provider->journal)
	{
		my $step = "$request->{body}{runId} $request->{body}{templateCodigo}";
		$keys{$step}{ $request->{headers}{'idempotency-key'} } = 1;
		$steps{ $request->{headers}{'idempotency-key'} }{$step} = 1;
	}
	is_deeply([ grep { keys %{ $steps{$_} } > 1 } sort keys %steps ], [], "$codigo: no two steps have one key");
	is_deeply([ grep { keys %{ $keys{$_} } > 1 } sort keys %keys ], [], "$codigo: no step has two keys");
	return;
}

edit_all_along('slow', 'slow/30', 60);
check('slow');

# each first attempt fails: runs stay before a step whose number changes
edit_all_along('fails', 'first500', 40);
check('fails');

# ---- what is claimed, and has not left, when its step is removed

start_over($node, $provider);
make_server($node, 'gate', $provider->url('gate'), empresa => 'gate', max_in_flight => 1);
make_cadence($node, 'gate', 'gate', map { [ 'WHATSAPP', 0, "Oi $_" ] } 1, 2);
enrol($node, 'gate', 5);
my $execution = start_sql($node, "SELECT cadence_run('TEST')");
poll_until(sub { $provider->count == 1 }, 'the first is on its way');
sql($node, "DELETE FROM cadence_steps WHERE template_codigo = 'gate_1'");
$provider->ask('POST', '__open');
is($execution->finish, 0, 'the execution') or diag($execution->error);
for (1 .. 10)
{
	execute($node) if left() > 0;
}
my %sent = sent();
is(scalar(grep { /gate_1$/ } keys %sent), 1, 'a step that was removed has left only for whom it was on its way');
is(scalar(grep { /gate_2$/ } keys %sent), 5, 'and all have the one behind it');
is(left(), 0, 'as all have ended');

# ---- the step that was tried is removed, and the gap is closed

# By way of numbers that nobody has: the rows lie in any order, and each is checked as it is written.
my $OTHERS = q{WHERE cadence_id = (SELECT id FROM cadences WHERE codigo = '%1$s')};
my $REMOVE = qq{DELETE FROM cadence_steps WHERE template_codigo = '%1\$s_1';
	UPDATE cadence_steps SET ordem = ordem + 1000 $OTHERS;
	UPDATE cadence_steps SET ordem = ordem - 1001 $OTHERS};

# All of the runs get the steps behind it, each once.
sub check_others
{
	my ($codigo, $runs, $what) = @_;

	sql($node, "UPDATE lead_cadence_runs SET next_run_at = now() - interval '1 s' WHERE status = 'ATIVA'");
	for (1 .. 10)
	{
		execute($node) if left() > 0;
	}
	my %seen;
	$seen{ $_->{body}{templateCodigo} }++ for $provider->journal;
	is_deeply(\%seen, { map { ("${codigo}_$_" => $runs) } 1 .. 3 }, "$what: each step has left once");
	my %keys = map { ($_->{headers}{'idempotency-key'} => 1) } $provider->journal;
	is(scalar(keys %keys), 3 * $runs, "$what: each with a key of its own");
	is(sql($node, "SELECT count(*) FROM lead_cadence_runs WHERE status <> 'CONCLUIDA'"), 0, "$what: all have ended");
	return;
}

for my $on_uncertain (qw(retry hold))
{
	start_over($node, $provider);
	make_server($node, $on_uncertain, $provider->url('reset'), empresa => $on_uncertain, on_uncertain => $on_uncertain);
	make_cadence($node, $on_uncertain, $on_uncertain, map { [ 'WHATSAPP', 0, "Oi $_" ] } 1 .. 3);
	enrol($node, $on_uncertain, 4);
	execute($node);
	is(sql($node, q{SELECT count(*) FROM lead_cadence_events WHERE detalhes ->> 'codigo' = 'INCERTO'}), 4, 'all are uncertain');
	sql($node, sprintf("BEGIN; $REMOVE; COMMIT", $on_uncertain));
	sql($node, sprintf("ALTER SERVER $on_uncertain OPTIONS (SET url '%s')", $provider->url('ok')));
	sql($node, q{SELECT cadence_resume(id) FROM lead_cadence_runs WHERE status = 'PAUSADA'});
	check_others($on_uncertain, 4, "uncertain, $on_uncertain");
}

# on their way, when it is removed
start_over($node, $provider);
make_server($node, 'way', $provider->url('gate'), empresa => 'way');
make_cadence($node, 'way', 'way', map { [ 'WHATSAPP', 0, "Oi $_" ] } 1 .. 3);
enrol($node, 'way', 4);
$execution = start_sql($node, "SELECT cadence_run('TEST')");
poll_until(sub { $provider->count == 4 }, 'all are on their way');
sql($node, sprintf("BEGIN; $REMOVE; COMMIT", 'way'));
$provider->ask('POST', '__open');
is($execution->finish, 0, 'the execution') or diag($execution->error);
check_others('way', 4, 'on their way');

# interrupted, when it is removed: nobody knows whether it was sent, and the others are
start_over($node, $provider);
make_server($node, 'crash', $provider->url('gate'), empresa => 'crash', on_uncertain => 'hold');
make_cadence($node, 'crash', 'crash', map { [ 'WHATSAPP', 0, "Oi $_" ] } 1 .. 3);
enrol($node, 'crash', 4);
$execution = start_sql($node, "SELECT cadence_run('TEST')");
poll_until(sub { $provider->count == 4 }, 'all are on their way');
$node->stop('immediate');
$execution->finish;
$node->start;
sql($node, sprintf("BEGIN; $REMOVE; COMMIT", 'crash'));
$provider->ask('POST', '__open');
execute($node);
is(sql($node, q{SELECT count(DISTINCT lead_cadence_run_id) FROM lead_cadence_events WHERE detalhes ->> 'codigo' = 'INCERTO'}), 4,
	'that they were interrupted is recorded');
check_others('crash', 4, 'interrupted');

done_testing();
