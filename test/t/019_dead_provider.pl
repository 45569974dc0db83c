# One slow or dead provider neither delays another's due step by more than two seconds nor grows the
# memory past its cap: with the resident worker, and with executions that are called whenever
# something is due. The dead one's steps are older in each case, so they come first in due order.
#
# Each way of being dead has a database of its own. They all run at once, since what they do is wait,
# beside one in which nothing is dead: the machine may be slow or busy, and what that one needs, the
# others may need, too. A provider that did delay another's steps would do so for a minute or more.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use IO::Socket::INET;
use PostgreSQL::Test::Utils;
use Socket qw(SOCK_NONBLOCK SOCK_STREAM PF_INET sockaddr_in inet_aton);
use Test::More;
use Time::HiRes qw(time);

# What is promised, in seconds.
my $DELAY = 2;

# A worker's own memory. What it must hold is bounded by the steps that may wait (18 batches), by the
# transfers (100 answers of 64 kB) and by the messages that are not recorded (16 MB).
my $CAP_KB = 32 * 1024;

# Small batches, so that a few thousand steps are far more than may wait.
my $BATCH = 100;
my $MANY = 40 * $BATCH;

# How long the name server is silent, far longer than any time-out here.
my $SILENCE = 8;

# So many due times of the living, so far apart; one step of another company and one of another
# channel of the dead one's company at each.
my $DUES = 5;
my $APART = 0.5;

# ---- the dead ----------------------------------------------------------------------------------

# A listening socket whose queue is full: the kernel drops every further attempt to connect.
my $full = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1', LocalPort => 0)
  or die "could not listen: $!";
listen($full, 0) or die "could not listen: $!";
my @queued = map {
	socket(my $s, PF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0) or die "no socket: $!";
	connect($s, sockaddr_in($full->sockport, inet_aton('127.0.0.1')));
	$s;
} 1 .. 8;

my $resolver = silent_resolver($SILENCE);

# In processes of their own, so that a flood of one delays nobody at the provider's end.
my $alive = start_provider();
my $dead = start_provider();
my $flood = start_provider();

my %hang = (url => $dead->url('hang'), timeout => '1s', connect_timeout => '1s');
# They answer; how soon is a matter of how busy the machine is.
my %patient = (timeout => '120s');
my %black_hole = (%hang, url => 'http://127.0.0.1:' . $full->sockport . '/');

# Databases: what is dead there, the options of its server, how many steps are due, and how a step
# of it ends.
my @cases = (
	{ db => 'hang', what => 'hangs after the request', options => \%hang, ends => 'INCERTO' },
	{ db => 'many', what => 'hangs, with many steps that are older',
		options => { %hang, timeout => '3s' }, n => $MANY, ends => 'INCERTO' },
	{ db => 'trickle', what => 'hangs, with many steps that are given up one by one',
		options => \%hang, n => $MANY, ends => 'INCERTO' },
	{ db => 'slow', what => 'answers slowly, with many steps that are older', n => $MANY,
		options => { %patient, url => $dead->url('slow/200'), max_in_flight => 10 }, ends => 'DISPARADO' },
	{ db => 'anyone', what => 'hangs, serves any company, with many steps',
		options => { %hang, timeout => '3s' }, n => $MANY, for_all => 1, ends => 'INCERTO' },
	{ db => 'hole', what => 'never accepts', options => \%black_hole, ends => 'FALHA_ENVIO' },
	{ db => 'closed', what => 'refuses connections', quick => 1, ends => 'FALHA_ENVIO',
		options => { %hang, url => 'http://127.0.0.1:' . closed_port() . '/' } },
	{ db => 'body', what => 'answers without an end',
		options => { %patient, url => $flood->url('bigbody') }, ends => 'DISPARADO' },
	{ db => 'headers', what => 'sends headers without an end',
		options => { %hang, url => $flood->url('endlessheaders') }, ends => 'INCERTO' },
	{ db => 'drip', what => 'answers drop by drop', options => { %hang, url => $dead->url('drip') },
		ends => 'INCERTO' },
	{ db => 'rate', what => 'takes one message per second', ends => 'DISPARADO',
		options => { %patient, url => $dead->url('ok'), max_rate => 1 } },
	{ db => 'one', what => 'hangs and takes one message at a time',
		options => { %hang, max_in_flight => 1 }, ends => 'INCERTO' },
	{ db => 'two', what => 'hangs, beside one that never accepts', options => \%hang,
		second => \%black_hole, ends => 'INCERTO' },
	{ db => 'silent', what => 'has a name that is never resolved',
		options => { %hang, url => 'http://silent.example/' }, ends => 'FALHA_ENVIO' },
	# the last of those that begin at once, so that it shows how slow all that is here
	{ db => 'control', what => 'is not dead', options => { %patient, url => $dead->url('ok') }, n => 1,
		quick => 1, ends => 'DISPARADO' });

# ---- the databases -----------------------------------------------------------------------------

my $node = do
{
	local $ENV{LD_PRELOAD} = $resolver;
	new_cluster(
		'main',
		conf => [
			"shared_preload_libraries = 'cadence_runner'", 'max_worker_processes = 200',
			'max_connections = 300', 'fsync = off', 'autovacuum = off', "cadence_runner.batch_size = $BATCH"
		]);
};

make_company($node, 'dead', $dead->url('hang'));
make_company($node, 'second', $dead->url('hang'));
# each of the living's messages needs a connection of its own: the dead must not have used them up
make_company($node, 'alive', $alive->url('nokeepalive'));
make_server($node, 'mail', $alive->url('nokeepalive'), canal => 'EMAIL', empresa => 'dead');
make_cadence($node, 'mail', 'dead', [ 'EMAIL', 0, 'Olá {{nome}}' ]);

sub set_options
{
	my ($server, $options) = @_;
	my %add = %$options;
	my $url = delete $add{url};

	return "ALTER SERVER $server OPTIONS (SET url " . literal($url)
	  . join('', map { ", ADD $_ " . literal($add{$_}) } sort keys %add) . ");\n";
}

for my $case (@cases)
{
	sql($node, "CREATE DATABASE $case->{db} TEMPLATE postgres");
	sql($node,
		set_options('dead', $case->{options})
		  . ($case->{second} ? set_options('second', $case->{second}) : '')
		  . ($case->{for_all} ? 'ALTER SERVER dead OPTIONS (DROP empresa);' : '')
		  . 'SELECT cadence_arm()',
		$case->{db});
}

# The steps of the dead, due for an hour; for two dead ones in turn.
sub load
{
	my ($case) = @_;
	my $n = $case->{n} // 1000;
	my $empresa = $case->{second} ? "CASE i % 2 WHEN 0 THEN 'dead' ELSE 'second' END" : "'dead'";

	sql($node, qq{
		TRUNCATE lead_cadence_runs, lead_contacts CASCADE;
		INSERT INTO lead_contacts (lead_id, empresa, nome, email, telefone)
		SELECT 'lead-' || i, e, 'Lead', 'a\@example.com', '+5511900000000'
		FROM generate_series(1, $n) AS i, LATERAL (SELECT $empresa) AS s(e)
		UNION ALL SELECT 'live-' || i, e, 'Vivo', 'a\@example.com', '+5511900000000'
		FROM generate_series(1, $DUES) AS i, unnest(ARRAY['dead', 'alive']) AS e;
		INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem, next_run_at)
		SELECT 'lead-' || i, e, c.id, 1, now() - interval '1 hour' + i * interval '1 microsecond'
		FROM generate_series(1, $n) AS i, LATERAL (SELECT $empresa) AS s(e), cadences AS c
		WHERE c.codigo = e;
		ANALYZE lead_cadence_runs}, $case->{db});
	return;
}

# The steps of the living, due one after the other from two seconds on. Returns when each is due, by
# run; one that was committed later is due from then on.
sub load_living
{
	my ($case) = @_;
	my $from = time() + 2;
	my @rows = sql_rows($node, qq{
		SELECT cadence_enroll('live-' || i, c, to_timestamp(due)) AS id, due,
			CASE c WHEN 'alive' THEN 'another company' ELSE 'another channel' END AS what
		FROM generate_series(1, $DUES) AS i, unnest(ARRAY['alive', 'mail']) AS c,
			LATERAL (SELECT $from + (i - 1) * $APART) AS d(due)}, $case->{db});
	my $committed = time();

	die 'too few of the living' if @rows != 2 * $DUES;
	return map { $_->{id} => { %$_, since => $_->{due} > $committed ? $_->{due} : $committed } } @rows;
}

# ---- watching ----------------------------------------------------------------------------------

# The most private memory that each database's workers were seen with, in kB.
sub watch_memory
{
	my ($most) = @_;

	for my $line (split /\n/, sql($node, q{SELECT datname || ' ' || pid FROM pg_stat_activity
		WHERE backend_type IN ('cadence_runner', 'cadence_runner resident')}))
	{
		my ($db, $pid) = split / /, $line;
		open(my $status, '<', "/proc/$pid/status") or next;
		my ($kb) = join('', <$status>) =~ /^RssAnon:\s+(\d+) kB/m;
		$most->{$db} = $kb if defined $kb && $kb > ($most->{$db} // 0);
	}
	return;
}

# Lets the steps of the living fall due, does something for a case at each of its due times, and
# watches until all have arrived.
sub live
{
	my ($at_due) = @_;
	my %seen = (most => {}, planned => {}, arrived => {});
	my $expected = @cases * $DUES * 2;
	my @dues;

	for my $case (@cases)
	{
		my %planned = load_living($case);

		$seen{planned}{ $case->{db} } = \%planned;
		push @dues, map { [ $_->{due}, $case ] } values %planned;
	}
	@dues = sort { $a->[0] <=> $b->[0] } @dues;
	poll_until(
		sub {
			$at_due->((shift @dues)->[1]) while @dues && time() > $dues[0][0];
			watch_memory($seen{most});
			return $alive->count >= $expected;
		}, 'all of the living are sent');
	$seen{arrived}{ $_->{body}{runId} } //= $_->{t} for $alive->journal;
	my %times = $alive->per_run;
	is_deeply([ grep { $times{$_} > 1 } keys %times ], [], 'none of the living is sent twice');
	return \%seen;
}

# How late those of one kind in one case were: the first and the last.
sub delays
{
	my ($seen, $db, $what) = @_;
	my @delays = sort { $a <=> $b } map { ($seen->{arrived}{ $_->{id} } // 'inf') - $_->{since} }
	  grep { $_->{what} eq $what } values %{ $seen->{planned}{$db} };

	return @delays[ 0, -1 ];
}

sub check_living
{
	my ($case, $seen) = @_;
	my %planned = %{ $seen->{planned}{ $case->{db} } };

	for my $what ('another company', 'another channel')
	{
		my ($first, $last) = delays($seen, $case->{db}, $what);
		my (undef, $control) = delays($seen, 'control', $what);
		my @early = grep { ($seen->{arrived}{ $_->{id} } // 'inf') < $_->{due} } values %planned;

		is(@early, 0, "$what: none is sent early");
		cmp_ok($last, '<=', $DELAY + 4 * ($control > 1 ? $control : 1), "$what: none is late");
	}
	my $most = $seen->{most}{ $case->{db} } // 0;
	cmp_ok($most, '>', 0, 'its memory was seen') if $seen->{is_resident};
	cmp_ok($most, '<', $CAP_KB, 'the memory is bounded');
	return;
}

# What became of the steps of the dead, as far as they have ended.
sub check_dead
{
	my ($case) = @_;
	my ($book) = sql_rows($node, q{
		SELECT count(*) AS ended,
			count(*) FILTER (WHERE coalesce(e.detalhes ->> 'codigo', e.tipo_evento) <> '} . $case->{ends}
			. q{') AS otherwise,
			count(*) FILTER (WHERE e.tipo_evento = 'ERRO' AND NOT (r.status = 'ATIVA' AND r.claim_id IS NULL
				AND r.attempts = 1 AND r.next_step_ordem = 1
				AND r.next_run_at BETWEEN e.created_at + '14 min' AND e.created_at + '16 min'
				AND r.next_run_at = (e.detalhes ->> 'proxima_tentativa')::timestamptz)) AS not_retried,
			count(*) FILTER (WHERE e.tipo_evento = 'DISPARADO' AND r.status <> 'CONCLUIDA') AS not_done,
			count(*) - count(DISTINCT e.lead_cadence_run_id) AS twice
		FROM lead_cadence_events e JOIN lead_cadence_runs r ON r.id = e.lead_cadence_run_id
		WHERE r.lead_id LIKE 'lead-%' AND e.tipo_evento <> 'AGENDADO'
			AND r.empresa = 'dead'}, $case->{db});

	cmp_ok(delete $book->{ended}, '>', 0, 'steps of the dead have ended');
	is_deeply($book, { otherwise => 0, not_retried => 0, not_done => 0, twice => 0 },
		"as $case->{ends}, and will be tried again where that is so")
	  or diag(sql($node, q{SELECT concat_ws(' ', count(*), e.detalhes ->> 'provedor', e.tipo_evento,
			e.detalhes ->> 'codigo', regexp_replace(e.detalhes ->> 'erro', '[0-9]{3,}', 'N', 'g')) AS t
		FROM lead_cadence_events e GROUP BY e.detalhes ->> 'provedor', e.tipo_evento, e.detalhes ->> 'codigo',
			regexp_replace(e.detalhes ->> 'erro', '[0-9]{3,}', 'N', 'g')}, $case->{db}));
	return;
}

# Nothing that any of the dead has got came twice, nor without its key.
sub check_requests
{
	my %times;

	for my $r (map { @{ $_->ask('GET', '__steps') } } $dead, $flood)
	{
		$times{ $r->{run} }++;
		$times{'without its key'}++ if $r->{chave} ne idempotency_key($r->{run}, $r->{ordem});
	}
	delete $times{$_} for grep { $times{$_} == 1 } keys %times;
	is_deeply(\%times, {}, 'nothing is sent twice to the dead, nor without its key');
	return;
}

sub check
{
	my ($who, $seen) = @_;

	for my $case (@cases)
	{
		subtest "$who: a provider $case->{what}" => sub {
			check_living($case, $seen);
			check_dead($case);
		};
	}
	check_requests();
	return;
}

sub begin
{
	load($_) for @cases;
	$_->forget for $alive, $dead, $flood;
	return;
}

# ---- the resident worker -----------------------------------------------------------------------

begin();
set_server($node, 'cadence_runner.databases', join ', ', map { $_->{db} } @cases);
ok($node->poll_query_until('postgres', "SELECT count(*) = " . @cases . " FROM pg_stat_activity
	WHERE backend_type = 'cadence_runner resident'"), 'the workers are there');
check('resident worker', { %{ live(sub { }) }, is_resident => 1 });

subtest 'resident worker: what is tried again' => sub {
	# nothing of the others stands before it any more
	my $run = sql($node, q{SELECT lead_cadence_run_id FROM lead_cadence_events
		WHERE detalhes ->> 'codigo' = 'INCERTO' LIMIT 1}, 'hang');
	sql($node, "UPDATE lead_cadence_runs SET status = 'CANCELADA' WHERE id <> '$run' AND status = 'ATIVA';
		UPDATE lead_cadence_runs SET next_run_at = now() WHERE id = '$run'", 'hang');

	poll_until(sub { 2 == grep { $_->{run} eq $run } @{ $dead->ask('GET', '__steps') } },
		'reaches the provider once more');
	my %keys = map { $_->{chave} => 1 } grep { $_->{run} eq $run } @{ $dead->ask('GET', '__steps') };
	is_deeply([ keys %keys ], [ idempotency_key($run, 1) ], 'with the same key');
	ok($node->poll_query_until('hang', "SELECT attempts = 2 AND status = 'ATIVA' AND claim_id IS NULL
		AND next_run_at > now() + interval '14 min' FROM lead_cadence_runs WHERE id = '$run'"),
		'and is uncertain a second time');
};

# ---- executions ---------------------------------------------------------------------------------

set_server($node, 'cadence_runner.databases', '');
ok($node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity
	WHERE backend_type = 'cadence_runner resident'"), 'the resident workers leave');

begin();
my @callers;
my $call = sub { push @callers, start_sql($node, "SELECT cadence_run('CRON')", database => $_[0]{db}) };
$call->($_) for @cases;
check('executions', live($call));

$node->stop('fast');
$_->finish for @callers;

done_testing();
