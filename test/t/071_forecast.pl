# cadence_forecast() says what will leave; then it is let happen, on a clock that jumps from one due
# time to the next, and what the provider has got by then is compared: each message within seconds, none
# more, none less. Nobody replies.

use strict;
use warnings;
use utf8;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use POSIX qw(ceil);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);

my $DAYS = 4;
my $SOON = 60;
my $LATE = 20;		# a second for each step before it, and what a start within a lease is waited for

my $clock = PostgreSQL::Test::Utils::tempdir('clock') . '/offset';
my $library = clock_library();
my @settings;		# [since when by the machine's clock, how far the server's is ahead]

sub set_clock
{
	my ($ahead) = @_;

	open(my $file, -e $clock ? '+<' : '>', $clock) or die "$clock: $!";
	syswrite($file, pack('q', $ahead)) == 8 or die "$clock: $!";
	close($file);
	push @settings, [ time, $ahead ];
	return;
}

# What the server's clock showed at one of the machine's times.
sub by_server
{
	my ($time) = @_;
	my ($then) = grep { $_->[0] <= $time } reverse @settings;

	return $time + ($then // $settings[0])->[1];
}

# A Monday, 06:30 in São Paulo, at least a day from now: the windows and weekdays below count from it.
my $monday = int(time / 86400) * 86400 + 86400;
$monday += 86400 while (gmtime $monday)[6] != 1;
set_clock(ceil($monday + 9.5 * 3600 + 20 - time));

my $node = new_cluster('main', extension => 0, conf => [
		"shared_preload_libraries = 'cadence_runner'", "cadence_runner.databases = 'postgres'",
		'cadence_runner.workers = 1', 'autovacuum = off', 'log_timezone = UTC', "timezone = 'UTC'"]);
$node->stop;
{
	local $ENV{LD_PRELOAD} = $library;
	local $ENV{TEST_CLOCK} = $clock;
	$node->start;
}
install($node, 'postgres');
my $provider = start_provider();
my $url = $provider->url('ok');

# ---- what there is -----------------------------------------------------------------------------

# company => options of its WhatsApp servers
my %servers = (
	plain => [ {} ],
	office => [ {} ],
	paced => [ { max_per_hour => 3 } ],
	daily => [ { max_per_day => 2 } ],
	many => [ { max_new_per_day => 3 }, { max_new_per_day => 2 }, { max_rate => 2 } ],
	gentle => [ { min_gap => '3h' } ],
	capped => [ {} ],
	late => [ {} ]);
for my $company (sort keys %servers)
{
	my $n = 0;

	make_server($node, "${company}_" . ++$n, $url, empresa => $company, %$_) for @{ $servers{$company} };
	make_server($node, "${company}_mail", $url, empresa => $company, canal => 'EMAIL');
}
make_cadence($node, 'plain', 'plain', [ 'WHATSAPP', 0, 'a' ], [ 'EMAIL', 95, 'b' ], [ 'WHATSAPP', 1440, 'c' ]);
make_cadence($node, 'office', 'office', [ 'WHATSAPP', 0, 'a' ], [ 'WHATSAPP', 600, 'b' ], [ 'EMAIL', 1440, 'c' ]);
make_cadence($node, $_, $_, [ 'WHATSAPP', 0, 'a' ], [ 'WHATSAPP', 1440, 'b' ]) for qw(paced daily many capped);
make_cadence($node, 'gentle', 'gentle', [ 'WHATSAPP', 0, 'a' ], [ 'WHATSAPP', 60, 'b' ]);
make_cadence($node, 'gentle_2', 'gentle', [ 'WHATSAPP', 30, 'c' ]);
make_cadence($node, 'late', 'late', [ 'WHATSAPP', 0, 'a' ], [ 'WHATSAPP', 60, 'b' ], [ 'WHATSAPP', 60, 'c' ]);
my $office = q{'[{"dias": [1, 2, 3, 4, 5], "das": "08:00", "ate": "18:00"}]'};
sql($node, qq{
	INSERT INTO cadence_empresas (empresa, nome) SELECT DISTINCT empresa, empresa FROM cadences;
	-- the third day at nine
	UPDATE cadence_steps SET offset_referencia = 'INICIO', offset_minutos = 2 * 1440, horario = '09:00'
	WHERE template_codigo = 'plain_3';
	UPDATE cadence_empresas SET janela = $office, max_por_lead_dia = 1 WHERE empresa = 'office';
	-- a working day later; Tuesday is none
	UPDATE cadence_steps SET dias_uteis = true WHERE template_codigo = 'office_3';
	INSERT INTO cadence_feriados (dia, nome, pais) VALUES ((now() + interval '1 day')::date, 'terça', 'BR');
	UPDATE cadences SET max_novos_por_dia = 2, max_por_dia = 3 WHERE codigo = 'capped';
	UPDATE cadence_empresas SET intervalo_minimo = '2 hours' WHERE empresa = 'plain';
	-- too late when the window opens: the step is skipped, and the next one counts from then
	UPDATE cadence_empresas SET janela = '[{"das": "10:00", "ate": "12:00"}]', janela_espalha = '0' WHERE empresa = 'late';
	UPDATE cadence_steps SET validade = '30 minutes' WHERE template_codigo = 'late_1'});

# So many leads of a company in a cadence, due in turn from some minutes on.
my $leads = 0;

sub enrol_from
{
	my ($codigo, $n, $minutes, $every) = @_;
	my $first = $leads + 1;

	$leads += $n;
	sql($node, qq{
		INSERT INTO lead_contacts (lead_id, empresa, nome, telefone, email)
		SELECT 'lead-' || i, empresa, 'Lead ' || i, '+5511' || lpad(i::text, 9, '9'), i || '\@example.com'
		FROM generate_series($first, $leads) AS i, cadences WHERE codigo = '$codigo';
		INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem, started_at, next_run_at)
		SELECT 'lead-' || i, empresa, id, 1, t.at, t.at
		FROM generate_series($first, $leads) AS i, cadences,
			LATERAL (SELECT now() + make_interval(mins => $minutes, secs => $every * (i - $first)) AS at) AS t
		WHERE codigo = '$codigo'});
	return;
}

set_server($node, 'cadence_runner.enabled', 'off');
enrol_from('plain', 3, 5, 61);
enrol_from('office', 4, 7, 61);
enrol_from('paced', 6, 3, 1);
enrol_from('daily', 4, 4, 1);
enrol_from('many', 8, 6, 2);
enrol_from('gentle', 2, 9, 30);
enrol_from('capped', 5, 11, 1);
enrol_from('late', 2, 13, 60);
# the same people in another cadence
sql($node, q{INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem, started_at, next_run_at)
	SELECT r.lead_id, r.empresa, c.id, 1, r.started_at, r.next_run_at + interval '30 minutes'
	FROM lead_cadence_runs r, cadences c WHERE r.empresa = 'gentle' AND c.codigo = 'gentle_2'});
# nowhere to send to
enrol_from('plain', 1, 5, 1);
sql($node, "UPDATE lead_contacts SET email = NULL, telefone = NULL WHERE lead_id = 'lead-$leads'");
enrol_from('plain', 1, 5, 1);
sql($node, "UPDATE lead_contacts SET email = NULL WHERE lead_id = 'lead-$leads'");

# ---- what is said --------------------------------------------------------------------------------

my $until = sql($node, "SELECT extract(epoch FROM now() + interval '$DAYS days')");
my $all = qq{SELECT extract(epoch FROM f.at) AS at, f.run, f.step, f.canal, f.server, f.certain, r.empresa
	FROM cadence_forecast(now(), now() + interval '$DAYS days') AS f JOIN lead_cadence_runs r ON r.id = f.run ORDER BY f.at};
my @said = sql_rows($node, $all);
cmp_ok(scalar(@said), '>', 50, 'a forecast: ' . @said . ' messages');
is((grep { !$_->{certain} } @said), 0, 'all of them certain');

# ---- what happens --------------------------------------------------------------------------------

# Wakes the worker, and waits until all that is due was looked at, for two seconds at most: how many
# runs are claimed, how many are due, and when the next one is.
sql($node, q{CREATE FUNCTION settle(OUT claimed int, OUT due int, OUT next float8) LANGUAGE plpgsql AS $$
	BEGIN
		FOR i IN 1 .. 100 LOOP
			SELECT count(claim_id), count(*) FILTER (WHERE next_run_at <= clock_timestamp()), extract(epoch FROM min(next_run_at))
			INTO claimed, due, next FROM lead_cadence_runs WHERE status = 'ATIVA';
			EXIT WHEN claimed = 0 AND due = 0;
			PERFORM pg_sleep(0.02);
		END LOOP;
	END $$});

# When the next is due. What was given a start within its lease waits for it: so does the clock, a few
# seconds at a time.
sub settle
{
	my $deadline = time + $SOON;

	while (1)
	{
		my ($claimed, $due, $next) = split /\|/, sql($node,
			'UPDATE lead_cadence_runs SET next_run_at = next_run_at WHERE false; SELECT * FROM settle()'), 3;

		return $next if $claimed == 0 && $due == 0;
		last if time > $deadline;
		next if $claimed == 0;
		set_clock($settings[-1][1] + 5);
		$deadline = time + $SOON;
	}
	diag(log_since($node));
	BAIL_OUT('what is due is not looked at');
	return;
}

set_server($node, 'cadence_runner.enabled', 'on');
my $stops = 0;
while (1)
{
	my $next = settle();

	last if $next eq '' || $next > $until;
	# just behind it, so that it is due
	set_clock(ceil($next - time)) if $next > by_server(time);
	$stops++;
}
note("$stops stops of the clock");

my %got;
for my $request ($provider->journal)
{
	my $key = "$request->{body}{runId} $request->{body}{stepOrdem}";

	fail("$key came twice") if exists $got{$key};
	$got{$key} = by_server($request->{t});
}
my %server_of = map { ("$_->{run} $_->{ordem}" => $_->{server}) }
  sql_rows($node, q{SELECT e.lead_cadence_run_id AS run, e.step_ordem AS ordem, c.server
	FROM lead_cadence_events e JOIN lead_cadence_runs r ON r.id = e.lead_cadence_run_id
	JOIN cadence_conversations c ON c.lead_id = r.lead_id AND c.empresa = r.empresa AND c.canal = 'WHATSAPP'
	JOIN cadence_steps s ON s.cadence_id = r.cadence_id AND s.ordem = e.step_ordem AND s.canal = 'WHATSAPP'
	WHERE e.tipo_evento = 'DISPARADO'});
my $worst = 0;
my %seen;
for my $row (@said)
{
	my $key = "$row->{run} $row->{step}";
	my $at = $got{$key};
	my $off = defined $at ? $at - $row->{at} : undef;
	my $what = "$row->{empresa}: step $row->{step} of $row->{run} at " . gmtime($row->{at});

	$seen{$key} = 1;
	# what was to leave at the very end may come just behind it
	next if !defined $at && $row->{at} > $until - $LATE;
	if (!defined $at) { fail("$what has come"); next }
	$worst = abs $off if abs $off > $worst;
	fail(sprintf '%s came %.1f s later than was said', $what, $off) if abs $off > $LATE;
	is($server_of{$key}, $row->{server}, "$what by the server that was said")
	  if exists $server_of{$key} && $row->{empresa} eq 'many';
}
cmp_ok($worst, '<=', $LATE, sprintf 'what was said came when it was said, to %.1f s', $worst);
for my $key (sort keys %got)
{
	fail("$key came at " . gmtime($got{$key}) . ', and nobody had said so') if !$seen{$key} && $got{$key} < $until - $LATE;
}
is(scalar(grep { $got{$_} < $until } keys %got), scalar(@said), 'none more, none less');
my %companies = map { $_->{empresa} => 1 } @said;
is_deeply([ sort keys %companies ], [ sort keys %servers ], 'of every company');

# What is said now of the rest is what is left.
my $left = sql($node, q{SELECT count(*) FROM cadence_forecast(now(), now() + interval '1 minute')});
cmp_ok($left, '<=', 1, 'nothing that was due is left');

$node->stop;
done_testing();
