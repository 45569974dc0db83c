# What senders may do: rates and windows that hold over all executions, a breaker that opens and
# closes, a pause by hand; what is put off is no attempt.

use strict;
use warnings;
use utf8;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = new_cluster('main', conf => ['cadence_runner.workers = 2']);
my $provider = start_provider();

# When the requests of a company came.
sub times_of
{
	my ($empresa) = @_;
	return sort { $a <=> $b } map { $_->{t} } grep { ($_->{body}{empresa} // '') eq $empresa } $provider->journal;
}

sub requests_of
{
	return scalar(my @times = times_of(@_));
}

# The most of them that came within a second, wherever it begins.
sub most_in_a_second
{
	my @times = times_of(@_);
	my $most = 0;

	for my $i (0 .. $#times)
	{
		my $n = grep { $_ >= $times[$i] && $_ < $times[$i] + 1 } @times;
		$most = $n if $n > $most;
	}
	return $most;
}

sub runs_of
{
	my ($empresa) = @_;
	return { map { $_->{status} => $_->{n} } sql_rows($node, "SELECT status, count(*) AS n
		FROM lead_cadence_runs WHERE empresa = '$empresa' GROUP BY 1") };
}

sub state_of
{
	my ($server) = @_;
	my ($state) = sql_rows($node, "SELECT * FROM cadence_provider_state WHERE server = '$server'");
	return $state // {};
}

# ---- a rate holds over all executions
make_company($node, 'fast', $provider->url('ok'), max_rate => 20);
enrol($node, 'fast', 80);
my @callers = map { start_sql($node, "SELECT cadence_run('TEST')") } 1 .. 3;
is($_->finish, 0, 'an execution ends well') for @callers;
is_deeply(runs_of('fast'), { CONCLUIDA => 80 }, 'all are sent by three executions');
is(requests_of('fast'), 80, 'each once');
# on a slow machine some arrive late, and close to the next ones
cmp_ok(most_in_a_second('fast'), '<=', 32, 'never much more than the rate in any second');

# ---- what one worker may have under way is its part: the other, and the execution's end, do not wait for it
make_company($node, 'parts', $provider->url('ok'), max_in_flight => 10);
enrol($node, 'parts', 1500);
my $began = time();
execute($node);
is(requests_of('parts'), 1500, 'two workers send what has a limit of its own');
cmp_ok(time() - $began, '<', 60, 'and none waits for the end of its lease');

# ---- nor is it kept from another execution by one that has nothing more to send there
make_company($node, 'held', $provider->url('gate'));
make_company($node, 'free', $provider->url('ok'), max_in_flight => 4);
enrol($node, $_, 1) for 'held', 'free';
my $first = start_sql($node, "SELECT cadence_run('TEST')");
poll_until(sub { $provider->count('gate') == 1 && requests_of('free') == 1 }) or die 'nothing was sent';
enrol($node, 'free', 3);
execute($node);
is(requests_of('free'), 4, 'another execution sends while the first one waits');
ok($first->running, 'which it still does');
$provider->ask('POST', '__open');
is($first->finish, 0, 'until it is answered');

# ---- a day's limit: the rest is put off to when it can go, and that is no attempt
make_company($node, 'daily', $provider->url('ok'), max_per_day => 3);
enrol($node, 'daily', 10);
my $result = execute($node);
is($result->{summary}{success}, 3, 'as many as a day may have');
is($result->{summary}{skipped}, 7, 'the others are put off');
is($result->{summary}{errors}, 0, 'which is no error');
is_deeply([ sql_rows($node, "SELECT DISTINCT attempts, next_run_at > now() + interval '23 hours' AS tomorrow,
	claim_id IS NULL AS free FROM lead_cadence_runs WHERE empresa = 'daily' AND status = 'ATIVA'") ],
	[ { attempts => 0, tomorrow => JSON::PP::true, free => JSON::PP::true } ], 'they are due tomorrow, without an attempt');
is(sql($node, "SELECT count(*) FROM lead_cadence_events e JOIN lead_cadence_runs r ON r.id = e.lead_cadence_run_id
	WHERE r.empresa = 'daily' AND tipo_evento = 'ERRO'"), 0, 'and nothing is written about it');
make_all_due($node);
is(execute($node)->{summary}{success}, 0, 'nothing more goes today');
cancel_rest($node);

# ---- people who are written to first have a limit of their own; follow-ups go past it
make_company($node, 'first', $provider->url('ok'), max_new_per_day => 2);
enrol($node, 'first', 5);
sql($node, "INSERT INTO cadence_steps (cadence_id, ordem, offset_minutos, canal, template_codigo)
	SELECT cadence_id, 2, 0, canal, template_codigo FROM cadence_steps JOIN cadences c ON c.id = cadence_id
	WHERE codigo = 'first'");
sql($node, "UPDATE lead_cadence_runs SET last_step_ordem = 1, next_step_ordem = 2
	WHERE id IN (SELECT id FROM lead_cadence_runs WHERE empresa = 'first' ORDER BY next_run_at DESC LIMIT 2)");
is(execute($node)->{summary}{success}, 4, 'two first touches, and both follow-ups');
cancel_rest($node);

# ---- a breaker: failures in a row shut the sender, what waits stays untouched
make_company($node, 'broken', $provider->url('fail500'), breaker_after => 4, max_in_flight => 2);
enrol($node, 'broken', 40);
execute($node);
my $attempts = $provider->count('fail500');
cmp_ok($attempts, '>=', 4, 'the breaker opens after some failures');
cmp_ok($attempts, '<=', 20, 'and long before all have failed');
ok(state_of('broken')->{open_since}, 'it is open');
is(state_of('broken')->{open_reason}, 'boom', "in the provider's words");
like(sql($node, 'SELECT reasons::text FROM cadence_health()'),
	qr/server \\"broken\\" has sent nothing since .*; 0 wait: boom/, 'and the health says so');
is(sql($node, "SELECT count(*) FROM lead_cadence_runs WHERE empresa = 'broken' AND attempts > 0"),
	$attempts, 'nobody else has used an attempt');
make_all_due($node);
execute($node);
is($provider->count('fail500'), $attempts, 'nothing is sent while it is open');
like(sql($node, 'SELECT reasons::text FROM cadence_health()'), qr/server \\"broken\\" .*; 40 wait: boom/, 'and so many wait');

# one probe when its time has come; the provider is well again
sql($node, "ALTER SERVER broken OPTIONS (SET url " . literal($provider->url('ok')) . ')');
sql($node, "UPDATE cadence_provider_state SET open_until = now() WHERE server = 'broken'");
make_all_due($node);
execute($node);
cmp_ok(requests_of('broken'), '>', $attempts, 'a probe is sent');
ok(!state_of('broken')->{open_since}, 'and closes the breaker');
make_all_due($node);
execute($node);
is_deeply(runs_of('broken'), { CONCLUIDA => 40 }, 'then everything goes');

# ---- the same unknown refusal for several leads is the sender's fault, not theirs
sql($node, q{SELECT cadence_protocol_define('strange', '{"channels": ["WHATSAPP"],
	"operations": {"text": {"url": "{{option.url}}", "json": {"to": "{{recipient}}", "text": "{{message}}"}}},
	"response": {"error": ["/error"]}}')});
make_company($node, 'suspect', $provider->url('status/403'), protocol => 'strange', max_in_flight => 1);
enrol($node, 'suspect', 30);
execute($node);
cmp_ok($provider->count('status'), '<=', 10, 'three leads are enough');
like(state_of('suspect')->{open_reason}, qr/several leads: status 403/, 'the sender is shut');
is_deeply(runs_of('suspect'), { ATIVA => 30 }, 'and nobody is paused');
cancel_rest($node);

# ---- by hand
make_company($node, 'byhand', $provider->url('ok'));
enrol($node, 'byhand', 3);
sql($node, "SELECT cadence_provider_pause('byhand', 'férias')");
execute($node);
is(requests_of('byhand'), 0, 'nothing leaves by a sender that is paused');
is(sql($node, "SELECT count(*) FROM lead_cadence_runs WHERE empresa = 'byhand' AND next_run_at > now()"),
	3, 'and nothing is claimed over and over meanwhile');
# each is counted once in a round, and the last round's figure stands while the next is counted
for my $due (1, 3)
{
	sql($node, "UPDATE cadence_provider_state SET round_until = now() WHERE server = 'byhand';
		UPDATE lead_cadence_runs SET next_run_at = now()
		WHERE id IN (SELECT id FROM lead_cadence_runs WHERE empresa = 'byhand' LIMIT $due)");
	execute($node);
	like(sql($node, 'SELECT reasons::text FROM cadence_health()'),
		qr/server \\"byhand\\" has been paused since .*; 3 wait: férias/, 'the health says it');
}
sql($node, "SELECT cadence_provider_resume('byhand')");
execute($node);
is_deeply(runs_of('byhand'), { CONCLUIDA => 3 }, 'until it is resumed');
is(state_of('byhand')->{waiting} + state_of('byhand')->{waited}, 0, 'then nobody waits');
like(sql_error($node, "SELECT cadence_provider_pause('nobody')"), qr/42704.*"nobody"/s, 'there must be such a server');

# ---- somebody else shuts a sender while an execution has its steps waiting: they do not start
my %shut_by = (
	paused => q{SELECT cadence_provider_pause('SERVER')},
	opened => q{UPDATE cadence_provider_state SET open_since = now(), open_until = now() + interval '1 h',
		openings = 1, open_reason = 'elsewhere' WHERE server = 'SERVER'},
	stopped => q{UPDATE cadence_provider_state SET new_since = now(), new_until = now() + interval '1 d',
		new_stops = 1, new_reason = 'elsewhere' WHERE server = 'SERVER'});
for my $how (sort keys %shut_by)
{
	make_company($node, $how, $provider->url('ok'), max_rate => 50);
	enrol($node, $how, 400);
	my $caller = start_sql($node, "SELECT cadence_run('TEST') -> 'summary'");
	poll_until(sub { requests_of($how) >= 20 }) or die 'nothing is sent';
	sql($node, $shut_by{$how} =~ s/SERVER/$how/r);
	my $shut_at = time;
	is($caller->finish, 0, "$how: the execution ends") or diag($caller->error);
	my @late = grep { $_ > $shut_at } times_of($how);
	cmp_ok(scalar(@late), '<=', 200, "$how: of what waited, no more than a few seconds' worth starts");
	cmp_ok($late[-1] // $shut_at, '<=', $shut_at + 4, "$how: and none later");
	my $left = qq{SELECT count(*) FROM lead_cadence_runs WHERE empresa = '$how' AND status = 'ATIVA'
		AND attempts = 0 AND claim_id IS NULL AND next_run_at};
	is(sql($node, "$left < now()"), 400 - requests_of($how), "$how: the others are due as before, without an attempt");
	execute($node);
	is(sql($node, "$left > now()"), 400 - requests_of($how), "$how: and the next execution puts them off");
	cancel_rest($node);
}

done_testing();
