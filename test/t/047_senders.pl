# What senders learn from their providers and hold over all executions: a pause that was asked for,
# no first messages for a while, a domain that takes only so many; and that their states go where
# their names go.

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
my $dir = PostgreSQL::Test::Utils::tempdir();

# Of a company, in the order in which they came.
sub requests_of
{
	my ($empresa) = @_;
	my @requests = sort { $a->{t} <=> $b->{t} } grep { ($_->{body}{empresa} // '') eq $empresa } $provider->journal;
	return @requests;
}

sub state_of
{
	my ($server) = @_;
	my ($state) = sql_rows($node, "SELECT *, new_until - now() AS new_for FROM cadence_provider_state WHERE server = "
		  . literal($server));
	return $state // {};
}

sub health
{
	return sql($node, 'SELECT reasons::text FROM cadence_health()');
}

sub set_url
{
	my ($server, $path) = @_;
	sql($node, "ALTER SERVER $server OPTIONS (SET url " . literal($provider->url($path)) . ')');
	return;
}

sub put_off
{
	my ($empresa, $condition) = @_;
	return sql($node, "SELECT count(*) FROM lead_cadence_runs WHERE empresa = '$empresa' AND status = 'ATIVA'
		AND attempts = 0 AND claim_id IS NULL AND $condition");
}

# ---- the provider asks for less: nobody is sent to meanwhile, whatever the server's own limits
sql($node, q{SELECT cadence_protocol_define('polite', '{"channels": ["WHATSAPP"],
	"operations": {"text": {"url": "{{option.url}}", "json": {"empresa": "{{empresa}}", "to": "{{recipient}}"}}},
	"response": {"error": ["/error"], "wait": ["header:Retry-After"]}}')});
make_company($node, 'busy', $provider->url('retryafter/6'), protocol => 'polite');
enrol($node, 'busy', 1);
execute($node);
cancel_rest($node);
set_url('busy', 'ok');
enrol($node, 'busy', 5);
is(execute($node)->{summary}{success}, 5, 'an execution waits for the end of the pause');
my @times = map { $_->{t} } requests_of('busy');
cmp_ok($times[1] - $times[0], '>=', 5.9, 'and not shorter');
cancel_rest($node);

make_company($node, 'busier', $provider->url('retryafter/600'), protocol => 'polite', max_rate => 20);
enrol($node, 'busier', 40);
is(execute($node)->{summary}{errors}, 0, 'what asks for less is no failure');
cmp_ok(scalar(requests_of('busier')), '<=', 5, 'what waits for its turn does not start any more');
execute($node);
is(put_off('busier', "next_run_at > now() + interval '9 min'"), 40, 'for as long as it asks');
cancel_rest($node);

# ---- no first messages for a while: people who know the number are written to
sql($node, q{SELECT cadence_protocol_define('timelocked', '{"channels": ["WHATSAPP"],
	"operations": {"text": {"url": "{{option.url}}", "json": {"empresa": "{{empresa}}", "to": "{{recipient}}"}}},
	"response": {"error": ["/error"]},
	"classes": [{"status": 463, "class": "later", "wait": "24h", "scope": "first_touches"}]}')});
make_company($node, 'locked', $provider->url('status/463'), protocol => 'timelocked', max_in_flight => 1);
enrol($node, 'locked', 6);
is(execute($node)->{summary}{errors}, 0, 'a timelock is no failure');
is(scalar(requests_of('locked')), 1, 'nobody else is tried');
execute($node);
is(put_off('locked', "next_run_at > now() + interval '23 h'"), 6, 'all wait for its end, without an attempt');
is_deeply(outcomes($node, 'locked'), { MAIS_TARDE => 1 }, 'which is said of the one that was tried');
like(health(), qr/server \\"locked\\" has written to nobody first since .*, and does again at .*: status 463/, "in the provider's words");

set_url('locked', 'ok');
make_all_due($node);
sql($node, "UPDATE lead_cadence_runs SET last_step_ordem = 1, next_step_ordem = 1
	WHERE id IN (SELECT id FROM lead_cadence_runs WHERE empresa = 'locked' LIMIT 2)");
enrol($node, 'locked', 1);
is(execute($node)->{summary}{success}, 2, 'follow-ups go on');
is(put_off('locked', "next_run_at > now() + interval '23 h'"), 5, 'first messages do not');

# again: twice as long
set_url('locked', 'status/463');
sql($node, "UPDATE cadence_provider_state SET new_until = now() WHERE server = 'locked'");
make_all_due($node);
execute($node);
is(scalar(requests_of('locked')), 4, 'one is tried when its time has come');
execute($node);
is(sql($node, "SELECT new_stops, new_until > now() + interval '47 h' FROM cadence_provider_state WHERE server = 'locked'"),
	'2|t', 'twice as long the second time');
is(put_off('locked', "next_run_at > now() + interval '47 h'"), 5, 'for all');

# what was under way when the lock was heard does not end it, what has begun after it does
set_url('locked', 'ok');
sql($node, "UPDATE cadence_provider_state SET new_until = now() WHERE server = 'locked'");
make_all_due($node);
is(execute($node)->{summary}{success}, 5, 'then all go');
is(state_of('locked')->{$_}, undef, "$_ is over") for qw(new_since new_until new_reason);
is(state_of('locked')->{new_stops}, 0, 'and forgotten');
unlike(health(), qr/locked/, 'by the health, too');

# ---- a domain takes so many mails a minute; the others' mails do not wait for it
sql($node, q{SELECT cadence_protocol_define('mailer', '{"channels": ["EMAIL"],
	"operations": {"email": {"url": "{{option.url}}", "json": {"empresa": "{{empresa}}", "to": "{{recipient}}"}}}}')});
for my $wrong ('{"gmail.com": 0}', '{"gmail.com": 1, "Gmail.com": 2}', '{"@": 1}', '[20]', '20', '{"a b": 1}', '{')
{
	like(sql_error($node, "CREATE SERVER wrong FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'EMAIL',
		protocol 'mailer', url 'http://127.0.0.1', domain_limits " . literal($wrong) . ')'),
		qr/HV024.*domain_limits/s, "no limit of domains: $wrong");
}

# so many leads of a company get an address at Gmail, the first of them first
sub enrol_mails
{
	my ($empresa, $gmail, $others) = @_;
	enrol($node, $empresa, $gmail);
	sql($node, "UPDATE lead_contacts SET email = lead_id || CASE WHEN random() < 0.5 THEN '\@gmail.com' ELSE '\@GMail.COM.' END
		WHERE empresa = '$empresa' AND email LIKE '%example.com'");
	enrol($node, $empresa, $others);
	return;
}

sub to_gmail
{
	return grep { $_->{body}{to} =~ /gmail/i } requests_of(@_);
}

make_company($node, 'paced', $provider->url('ok'), canal => 'EMAIL', protocol => 'mailer', max_rate => 100,
	domain_limits => '{"GMAIL.com": 5, "uol.com.br": 1}');
enrol_mails('paced', 40, 60);
my @callers = map { start_sql($node, "SELECT cadence_run('TEST')") } 1 .. 3;
is($_->finish, 0, 'an execution ends well') or diag($_->error) for @callers;
is(scalar(to_gmail('paced')), 5, 'as many to Gmail as a minute may have, of three executions');
my @all = requests_of('paced');
is(scalar(@all), 65, 'and all of the others');
cmp_ok($all[-1]{t} - $all[0]{t}, '<', 45, 'which do not wait for it');
is_deeply([ sql_rows($node, "SELECT count(*) FILTER (WHERE next_run_at <= now() + interval '62 s') AS soon,
	count(*) FILTER (WHERE next_run_at > now() + interval '400 s') AS later, count(*) AS n FROM lead_cadence_runs
	WHERE empresa = 'paced' AND status = 'ATIVA' AND attempts = 0 AND claim_id IS NULL") ],
	[ { soon => 5, later => 5, n => 35 } ], 'five a minute are planned');
cancel_rest($node);

# without a pace of its own the sender's mails to Gmail wait in the execution, behind the others
make_company($node, 'free', $provider->url('ok'), canal => 'EMAIL', protocol => 'mailer', domain_limits => '{"gmail.com": 5}');
enrol_mails('free', 5, 50);
sql($node, "INSERT INTO cadence_provider_state (server, last_at, used)
	VALUES ('domain gmail.com of free', now() + interval '5 s', '0.57.5')");
is(execute($node)->{summary}{success}, 55, 'an execution waits for what can go soon');
@all = requests_of('free');
my ($first) = to_gmail('free');
is(scalar(grep { $_->{t} < $first->{t} } @all), 50, 'all of the others have gone before');
cmp_ok($first->{t} - $all[0]{t}, '>', 1.5, 'and Gmail had its pause');

# ---- a state goes where its server's name goes, whoever has dropped or renamed it
make_company($node, 'named', $provider->url('ok'), canal => 'EMAIL', protocol => 'mailer', domain_limits => '{"gmail.com": 5}');
enrol_mails('named', 1, 1);
execute($node);
sql($node, q{
	CREATE ROLE clerk; GRANT USAGE ON FOREIGN DATA WRAPPER cadence_provider TO clerk; GRANT CREATE ON DATABASE postgres TO clerk;
	SELECT cadence_provider_pause('named', 'troca de chip');
	INSERT INTO cadence_provider_state (server) VALUES ('nomeado');
	ALTER SERVER named OWNER TO clerk;
	SET ROLE clerk;
	ALTER SERVER named RENAME TO nomeado});
is(state_of('nomeado')->{pause_reason}, 'troca de chip', 'a server that is renamed is paused as before');
is_deeply([ map { $_->{server} } sql_rows($node, "SELECT server FROM cadence_provider_state WHERE server LIKE '%nam%'
	OR server LIKE '%nomeado%' ORDER BY 1") ], [ 'domain gmail.com of nomeado', 'nomeado' ], 'with all that is its own');

# dumped and restored, also over what is there
my $url = $node->connstr('postgres');
command_ok([ 'pg_dump', '-Fc', '-d', $url, '-f', "$dir/dump" ], 'pg_dump');
sql($node, 'CREATE DATABASE copy');
for my $again ('restored', 'restored again')
{
	my @clean = $again eq 'restored' ? () : qw(--clean --if-exists);
	command_ok([ 'pg_restore', @clean, '-d', $node->connstr('copy'), "$dir/dump" ], $again);
	is(sql($node, "SELECT pause_reason FROM cadence_provider_state WHERE server = 'nomeado'", 'copy'), 'troca de chip',
		"$again, it is paused");
}

sql($node, 'SET ROLE clerk; DROP SERVER nomeado');
is(state_of('nomeado')->{server}, undef, 'dropped, it has no state');
is(state_of('domain gmail.com of nomeado')->{server}, undef, 'nor has a domain that it wrote to');
is(state_of('busy')->{server}, 'busy', 'others have theirs');
make_server($node, 'nomeado', $provider->url('ok'), empresa => 'named', canal => 'EMAIL', protocol => 'mailer');
enrol($node, 'named', 1);
is(execute($node)->{summary}{success}, 1, 'and a new one of that name is not paused');

# nor does who locks our tables
my $locker = start_sql($node, 'BEGIN; LOCK TABLE cadence_provider_state; SELECT pg_advisory_lock(1); SELECT pg_sleep(600)');
poll_until(sub { sql($node, q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted}) });
make_server($node, 'locked_out', $provider->url('ok'));
sql($node, q{SET statement_timeout = '20s'; ALTER SERVER locked_out RENAME TO locked_in; DROP SERVER locked_in});
is(sql($node, "SELECT count(*) FROM pg_foreign_server WHERE srvname LIKE 'locked_%'"), 0,
	'whoever locks the table keeps nobody from renaming and dropping a server');
sql($node, 'SELECT pg_terminate_backend(' . $locker->pid . ')');

# nor do tables in disorder keep anybody from dropping a server
sql($node, 'ALTER SERVER nomeado OWNER TO clerk; DROP TABLE cadence_provider_state; SET ROLE clerk; DROP OWNED BY clerk');
is(sql($node, "SELECT count(*) FROM pg_foreign_server WHERE srvname = 'nomeado'"), 0, 'without our tables, too');

done_testing();
