# Every way in which a provider can answer, or not: what becomes of the run, when it is tried again,
# and that it never takes other providers along.

use strict;
use warnings;
use utf8;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use MIME::Base64;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $SECRET = 'tok-5ecret-0123456789';
my $RETRY = 15 * 60;

# waits are compared to the second, so nothing spreads them
my $node = new_cluster('main', conf => ["cadence_runner.retry_factor = 1"]);
my $provider = start_provider();

# name => [path or whole URL, options of the server, what is expected]. Expected:
#   status    of the run            result  in the summary (by default as the status says)
#   code      of the ERRO event     wait    seconds until the next attempt
#   reason    the event's text      requests that the provider saw (1)
my %sent = (status => 'CONCLUIDA');
my %failed = (status => 'ATIVA', code => 'FALHA_ENVIO', wait => $RETRY);
my %uncertain = (status => 'ATIVA', code => 'INCERTO', wait => $RETRY);
my %answers = (
	good => [ 'ok', {}, {%sent} ],
	fail500 => [ 'fail500', {}, { %failed, reason => qr/^boom$/, http => 500 } ],
	softfail => [ 'softfail', {}, { %failed, reason => qr/^soft$/, http => 200 } ],
	forbidden => [ 'status/403', {}, { %failed, reason => qr/^status 403$/, http => 403 } ],
	refuse => [
		'refuse', {},
		{ status => 'PAUSADA', code => 'RECUSADO', permanent => 1, reason => qr/number does not exist/ }
	],
	garbage => [ 'garbage', {}, {%sent} ],
	nonjson => [ 'nonjson', {}, {%sent} ],
	empty => [ 'empty', {}, {%sent} ],
	bigbody => [ 'bigbody', { timeout => '10s' }, {%sent} ],
	nokeepalive => [ 'nokeepalive', {}, {%sent} ],
	gzip => [ 'gzip', {}, {%sent} ],
	drip => [ 'drip', { timeout => '20s' }, { %sent, message_id => qr/^m-\d+$/ } ],
	dripcut => [ 'drip', {}, {%uncertain} ],
	endlessheaders => [ 'endlessheaders', { timeout => '10s' }, { %uncertain, reason => qr/headers/ } ],
	redirect => [ 'redirect', {}, { %failed, reason => qr/^302/, http => 302 } ],
	hang => [ 'hang', {}, {%uncertain} ],
	slowbody => [ 'slowbody', {}, {%uncertain} ],
	halfbody => [ 'halfbody', {}, {%uncertain} ],
	reset => [ 'reset', {}, {%uncertain} ],
	later => [ 'retryafter/7200', {}, { %failed, wait => 7200, http => 429 } ],
	soon => [ 'retryafter/60', {}, { %failed, http => 429 } ],
	latedate => [ 'retryafterdate/7200', {}, { %failed, wait => 7200, http => 503 } ],
	echoauth => [ 'echoauth', {}, { %failed, reason => qr/^bad credentials: Bearer \*+$/ } ],
	unreachable => [ 'http://127.0.0.1:' . closed_port() . '/', {}, { %failed, requests => 0 } ],
	nowhere => [
		'http://nonexistent.invalid/', { timeout => '20s' },
		{ %failed, requests => 0, reason => qr/resolve/i }
	],
	linklocal => [
		'http://169.254.169.254/latest/meta-data', {},
		{ %failed, requests => 0, reason => qr/link-local/, quick => 1 }
	],
	mapped => [
		'http://[::ffff:169.254.169.254]/', {},
		{ %failed, requests => 0, reason => qr/link-local/, quick => 1 }
	],
	isatap => [
		'http://[2001:db8::5efe:169.254.169.254]/', {},
		{ %failed, requests => 0, reason => qr/metadata/, quick => 1 }
	],
	alibaba => [
		'http://100.100.100.200/latest/meta-data', {},
		{ %failed, requests => 0, reason => qr/metadata/, quick => 1 }
	],
	page => [ 'page', {}, { %failed, reason => qr/page/, http => 200 } ],
	saystrue => [ 'says/true', {}, { %sent, message_id => qr/^123456789012345678901234567890$/ } ],
	saystext => [ 'says/%22true%22', {}, {%sent} ],
	saysone => [ 'says/1', {}, {%sent} ],
	saysno => [ 'says/%22no%22', {}, { %failed, http => 200 } ],
	saysnull => [ 'says/null', {}, { %failed, http => 200 } ],
	saystwo => [ 'says/2', {}, { %failed, http => 200 } ],
	notls => [
		'https://127.0.0.1:' . $provider->port . '/ok', {}, { %failed, requests => 0 }
	],
	held => [
		'hang', { on_uncertain => 'hold' },
		{ status => 'PAUSADA', code => 'INCERTO', permanent => 1 }
	],
);

for my $name (sort keys %answers)
{
	my ($path, $options, $expected) = @{ $answers{$name} };
	make_company($node, $name, $path =~ /:/ ? $path : $provider->url($path),
		timeout => '500ms', %$options);
	enrol($node, $name, 1);
}
sql($node, "CREATE USER MAPPING FOR PUBLIC SERVER echoauth OPTIONS (bearer_token '$SECRET')");

my $before = time();
my $result = execute($node);
my $took = time() - $before;
my %results = map { $_->{runId} => $_ } @{ $result->{results} };
my %requests = $provider->per_run;

for my $name (sort keys %answers)
{
	my ($path, $options, $expected) = @{ $answers{$name} };
	my $sent = $expected->{status} eq 'CONCLUIDA';
	my ($run) = sql_rows($node, "SELECT *, extract(epoch FROM next_run_at)::float8 AS due
		FROM lead_cadence_runs WHERE empresa = '$name'");
	my ($event) = sql_rows($node, "SELECT *, extract(epoch FROM created_at)::float8 AS at
		FROM lead_cadence_events WHERE lead_cadence_run_id = '$run->{id}'");
	my $details = $event->{detalhes};

	is($run->{status}, $expected->{status}, "$name: status of the run") or diag(explain($event));
	my $may_be_sent = ($expected->{code} // '') eq 'INCERTO';
	is($results{ $run->{id} }{status}, $sent ? 'CONCLUIDA' : 'ERRO', "$name: in the summary");
	is($event->{tipo_evento}, $sent ? 'DISPARADO' : 'ERRO', "$name: event");
	is($requests{ $run->{id} } // 0, $expected->{requests} // 1, "$name: requests");
	is($run->{claim_id}, undef, "$name: nobody holds the run");
	is($run->{attempts}, $sent ? 0 : 1, "$name: attempts");
	is($details->{codigo}, $expected->{code}, "$name: code");
	is($details->{permanente} ? 1 : undef, $expected->{permanent}, "$name: permanent or not");
	is(sql($node, "SELECT string_agg(estado, ' ') FROM lead_messages WHERE run_id = '$run->{id}'"),
		$sent ? 'ENVIADO' : $may_be_sent ? 'INCERTO' : '', "$name: message row");
	is($results{ $run->{id} }{erro}, $details->{erro}, "$name: reason in the summary") unless $sent;
	like($details->{erro}, $expected->{reason}, "$name: reason") if $expected->{reason};
	is($details->{http_status}, $expected->{http}, "$name: status in the event") if $expected->{http};
	like($details->{message_id}, $expected->{message_id}, "$name: message id")
	  if $expected->{message_id};
	cmp_ok(abs($run->{due} - $event->{at} - $expected->{wait}), '<', 25, "$name: next attempt")
	  if $expected->{wait};
	cmp_ok($details->{duracao_ms} // 0, '<', 400, "$name: at once") if $expected->{quick};
}
is($provider->count('ok'), 1, 'a redirect is not followed');
my $bad = grep { $_->[2]{status} ne 'CONCLUIDA' } values %answers;
is($result->{summary}{errors}, $bad, 'the summary counts the failures');
is($result->{summary}{success}, keys(%answers) - $bad, 'and what was sent');
cmp_ok($took, '<', 45, 'all of them share the waiting');

# Fails for each place in which a piece of a secret is found.
sub is_hidden
{
	my ($secret, $what) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	for my $table (qw(lead_cadence_events cadence_runner_logs lead_messages lead_cadence_runs pg_stat_activity))
	{
		is( sql($node,
				"SELECT count(*) FROM $table AS t WHERE strpos(t::text, " . literal($secret) . ') > 0'
				  . ($table eq 'pg_stat_activity' ? ' AND pid <> pg_backend_pid()' : '')),
			0, "$what: not in $table");
	}
	unlike(log_since($node), qr/\Q$secret\E/, "$what: not in the server's log");
	return;
}

subtest 'secrets stay where they are' => sub {
	my $long = join '', map { sprintf 'k%05d', $_ } 1 .. 400;
	my $basic = encode_base64("user-5ecret:$SECRET", '');
	my ($request) = grep { $_->{behaviour} eq 'echoauth' } $provider->journal;

	is($request->{headers}{authorization}, "Bearer $SECRET", 'the provider got it');
	is_hidden($SECRET, 'a bearer token that the provider repeats');

	make_company($node, 'echolong', $provider->url('echoauth'));
	make_company($node, 'echobasic', $provider->url('echoauth'));
	make_company($node, 'hangauth', $provider->url('hang'), timeout => '60s');
	sql($node, "CREATE USER MAPPING FOR PUBLIC SERVER echolong OPTIONS (bearer_token '$long');
		CREATE USER MAPPING FOR PUBLIC SERVER hangauth OPTIONS (bearer_token '$long');
		CREATE USER MAPPING FOR PUBLIC SERVER echobasic OPTIONS (username 'user-5ecret', password '$SECRET')");
	enrol($node, $_, 1) for qw(echolong echobasic);
	execute($node);
	is_hidden(substr($long, 0, 60), 'a token longer than the text that is kept');
	is_hidden($basic, 'user and password, as the header has them');

	enrol($node, 'hangauth', 1);
	my $before = $provider->count;
	my $caller = start_sql($node, "SELECT cadence_run('TEST')");
	poll_until(sub { $provider->count > $before }, 'a request is under way');
	is_hidden(substr($long, 0, 60), 'while it is used');
	sql($node, 'SELECT pg_cancel_backend(' . $caller->pid . ')');
	$caller->finish;
};

subtest 'hold never sends again by itself' => sub {
	my $held = sub { $provider->per_run('hang') };
	my %before = $held->();

	sql($node, "UPDATE lead_cadence_runs SET next_run_at = now() - interval '1 minute'
		WHERE empresa IN ('held', 'hang')");
	execute($node);
	my %after = $held->();
	my ($run) = sql_rows($node, "SELECT id FROM lead_cadence_runs WHERE empresa = 'held'");
	my ($retried) = sql_rows($node, "SELECT id FROM lead_cadence_runs WHERE empresa = 'hang'");

	is($after{ $run->{id} }, 1, 'still one request, though its time came');
	is($after{ $retried->{id} }, 2, 'while retry sends again');

	sql($node, "SELECT cadence_resume('$run->{id}')");
	execute($node);
	%after = $held->();
	is($after{ $run->{id} }, 2, 'an operator may');
};

subtest 'a connection that dies when it is used again' => sub {
	my $n = 60;

	sql($node, "UPDATE lead_cadence_runs SET status = 'CANCELADA' WHERE status = 'ATIVA'");
	make_company($node, 'closeafter', $provider->url('closeafter/60'), max_in_flight => 3);
	enrol($node, 'closeafter', $n);
	$provider->forget;

	my $summary = execute($node)->{summary};
	my %times = $provider->per_run;

	is(keys %times, $n, 'every run was tried');
	is_deeply([ grep { $times{$_} != 1 } keys %times ], [], 'each with one request');
	cmp_ok($summary->{errors}, '>', 0, 'connections did die');
	is(sql($node, "SELECT string_agg(DISTINCT detalhes ->> 'codigo', ',') FROM lead_cadence_events
		WHERE detalhes ->> 'provedor' = 'closeafter' AND tipo_evento = 'ERRO'"),
		'INCERTO', 'what became of those messages is uncertain');

	for my $attempt (2 .. 4)
	{
		make_all_due($node);
		execute($node);
	}
	%times = $provider->per_run;
	my %attempts = map { $_->{id} => $_->{n} } sql_rows($node,
		"SELECT r.id, count(*) AS n FROM lead_cadence_runs r
		 JOIN lead_cadence_events e ON e.lead_cadence_run_id = r.id
		 WHERE r.empresa = 'closeafter' AND e.tipo_evento IN ('DISPARADO', 'ERRO') GROUP BY r.id");
	is_deeply(\%times, \%attempts, 'as many requests as attempts, for each run');
	my @keys = map { "$_->{body}{runId} $_->{headers}{'idempotency-key'}" } $provider->journal;
	my %keys = map { $_ => 1 } @keys;
	is(keys %keys, $n, 'one key per run over all attempts');
};

subtest 'memory is bounded whatever comes back' => sub {
	my $n = 40;

	plan skip_all => 'needs /proc' unless -r '/proc/self/status';
	sql($node, "UPDATE lead_cadence_runs SET status = 'CANCELADA' WHERE status = 'ATIVA'");
	make_company($node, 'waits', $provider->url('slow/4000'), timeout => '20s');
	enrol($node, 'waits', 1);
	enrol($node, 'bigbody', $n);
	enrol($node, 'endlessheaders', $n);

	my $caller = start_sql($node, "SELECT cadence_run('TEST')");
	my $worker = worker_pid($node);
	ok($node->poll_query_until('postgres', "SELECT count(*) = $n FROM lead_cadence_runs
		WHERE empresa = 'endlessheaders' AND status = 'ATIVA' AND claim_id IS NULL
		AND next_run_at > now()"), 'endless headers are over');
	ok($node->poll_query_until('postgres', "SELECT count(*) = $n + 1 FROM lead_cadence_runs
		WHERE empresa = 'bigbody' AND status = 'CONCLUIDA'"), 'big bodies are over');
	my ($peak) = slurp_file("/proc/$worker/status") =~ /^VmHWM:\s+(\d+) kB/m;
	cmp_ok($peak, '<', 100_000, 'the worker stayed under 100 MB');
	is($caller->finish, 0, 'the execution ends well');
};

done_testing();
