# Nobody's lock on a sender's state stops the others, nobody's row throws away what was learned of
# senders, what is resumed is resumed in the worker that runs, and a claim that takes long does not
# send what was forbidden meanwhile.

use strict;
use warnings;
use utf8;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use PostgreSQL::Test::Utils;
use Resident;
use Test::More;

my $node = resident_cluster('main', 'postgres',
	conf => ['cadence_runner.workers = 1', 'cadence_runner.enabled = off', 'cadence_runner.batch_size = 100']);
my $provider = start_provider();

sub requests_of
{
	my ($empresa) = @_;
	return scalar(grep { ($_->{body}{empresa} // '') eq $empresa } $provider->journal);
}

sub state_of
{
	my ($server) = @_;
	my ($state) = sql_rows($node, 'SELECT *, next_at > now() + interval \'5 min\' AS waits FROM cadence_provider_state'
		  . ' WHERE server = ' . literal($server));
	return $state // {};
}

set_server($node, 'cadence_runner.enabled', 'on');
sql($node, "SELECT cadence_pause_worker()");
ok(poll_until(sub { resident_pid($node) eq '' }), 'the resident worker is paused');

# ---- somebody keeps the state of a sender: locked, changed, or made and not committed
my %kept = (
	locked => q{SELECT 1 FROM cadence_provider_state WHERE server = 'locked' FOR UPDATE},
	changed => q{SELECT cadence_provider_pause('changed')},
	made => q{SELECT cadence_provider_pause('made')});

make_company($node, 'free', $provider->url('ok'));
for my $name (sort keys %kept)
{
	make_company($node, $name, $provider->url('ok'), max_per_day => 100000);
	enrol($node, $name, 60);
	enrol($node, 'free', 10);
	sql($node, "INSERT INTO cadence_provider_state (server) VALUES ('$name')") unless $name eq 'made';
	my $locker = start_sql($node, "BEGIN; $kept{$name}; SELECT pg_sleep(600)");
	poll_until(sub { sql($node, q{SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND wait_event = 'PgSleep'}) },
		"a sender's state is kept: $name");
	is(execute($node)->{summary}{success}, 10, 'the others are sent');
	is(requests_of($name), 0, 'nothing leaves by a sender whose limits are not known');
	is(sql($node, qq{SELECT count(*) FROM lead_cadence_runs WHERE empresa = '$name' AND status = 'ATIVA' AND attempts = 0 AND claim_id IS NULL}),
		60, 'what waits for it has used no attempt');
	sql($node, q{SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()});
	make_all_due($node);
	is(execute($node)->{summary}{success}, 60, 'until it is let go');
}

# ---- one row that is refused does not throw away what was learned
sql($node, q{SELECT cadence_protocol_define('polite', '{"channels": ["WHATSAPP"],
	"operations": {"text": {"url": "{{option.url}}", "json": {"empresa": "{{empresa}}", "to": "{{recipient}}"}}},
	"response": {"error": ["/error"], "wait": ["header:Retry-After"]}}')});
make_company($node, 'busy', $provider->url('retryafter/600'), protocol => 'polite');
enrol($node, 'busy', 3);
enrol($node, 'free', 1);
sql($node, q{ALTER TABLE lead_cadence_events ADD CONSTRAINT refuse CHECK (detalhes ->> 'provedor' <> 'free') NOT VALID});
execute($node);
ok(state_of('busy')->{waits}, 'all know that the provider asks for less, though a row was refused beside it');
sql($node, q{ALTER TABLE lead_cadence_events DROP CONSTRAINT refuse});
cancel_rest($node);

# ---- a record that has to be written again teaches nothing again
make_company($node, 'asks', $provider->url('retryafter/600'), protocol => 'polite');
enrol($node, 'asks', 1);
my $events = start_sql($node, 'BEGIN; LOCK TABLE lead_cadence_events IN SHARE MODE; SELECT pg_sleep(600)');
poll_until(sub { sql($node, q{SELECT count(*) FROM pg_locks WHERE mode = 'ShareLock' AND relation = 'lead_cadence_events'::regclass AND granted}) },
	'no event can be written');
my $recording = start_sql($node, q{SELECT cadence_run('TEST')});
poll_until(sub { state_of('asks')->{slow_until} }, 'what was learned is known before the record is written');
my $learned = state_of('asks')->{slow_until};
my $waits = q{SELECT count(*) FROM pg_locks WHERE relation = 'lead_cadence_events'::regclass AND NOT granted};
poll_until(sub { sql($node, $waits) == $_ }, $_ ? 'the record waits' : 'and is given up for a while') for 1, 0, 1;
sql($node, q{SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()});
is($recording->finish, 0, 'the execution ends well') or diag($recording->error);
is(state_of('asks')->{slow_until}, $learned, 'the pause is as long as it was');
cancel_rest($node);

# ---- what the moment prevents, however often, is recorded whole when it has passed
make_company($node, 'patient', $provider->url('ok'));
for my $case ([ 'no room', 'lead_messages', 'disk_full' ], [ 'no lock', 'lead_cadence_events', 'lock_not_available' ])
{
	my ($what, $table, $condition) = @$case;
	my $recorded = sub {
		return sql($node, q{SELECT count(*) FROM lead_messages AS m JOIN lead_cadence_events AS e ON e.lead_cadence_run_id = m.run_id
			WHERE m.empresa = 'patient' AND e.tipo_evento = 'DISPARADO' AND NOT e.detalhes ? 'registro'});
	};

	enrol($node, 'patient', 2);
	my $before = $recorded->();
	sql($node, qq{
		CREATE TABLE moment (); CREATE SEQUENCE tries;
		CREATE FUNCTION not_now() RETURNS trigger LANGUAGE plpgsql AS \$\$
		BEGIN
			IF nextval('public.tries') > 0 AND to_regclass('public.moment') IS NOT NULL THEN
				RAISE $condition USING MESSAGE = 'not now';
			END IF;
			RETURN NEW;
		END\$\$;
		CREATE TRIGGER not_now BEFORE INSERT ON $table FOR EACH ROW EXECUTE FUNCTION not_now()});
	my $recording = start_sql($node, q{SELECT cadence_run('TEST')});
	# the batch, its halves, and each step in pieces: more often than a step is tried before that
	poll_until(sub { sql($node, 'SELECT last_value FROM tries') >= 30 }, "$what for a long time");
	sql($node, 'DROP TABLE moment');
	is($recording->finish, 0, "$what: the execution ends well") or diag($recording->error);
	is($recorded->() - $before, 2, "$what: both are recorded whole");
	sql($node, qq{DROP TRIGGER not_now ON $table; DROP FUNCTION not_now; DROP SEQUENCE tries});
}

# ---- what was forbidden while a claim took its time is not sent
make_company($node, 'late', $provider->url('ok'));
enrol($node, 'late', 4);
sql($node, q{
	CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_sleep(1); RETURN NULL; END$$;
	CREATE CONSTRAINT TRIGGER wait AFTER UPDATE ON lead_cadence_runs DEFERRABLE INITIALLY DEFERRED
		FOR EACH ROW WHEN (NEW.claim_id IS NOT NULL AND OLD.claim_id IS NULL) EXECUTE FUNCTION wait()});
my $execution = start_sql($node, q{SELECT cadence_run('TEST')});
ok(poll_until(sub { sql($node, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'cadence_runner' AND wait_event = 'PgSleep'}) }),
	'a claim takes its time');
sql($node, q{SELECT cadence_opt_out(lead_id, empresa) FROM lead_cadence_runs WHERE empresa = 'late' ORDER BY lead_id LIMIT 2});
is(sql($node, q{SELECT count(*) FROM lead_cadence_runs WHERE empresa = 'late' AND claim_id IS NULL}), 4,
	'two opt out before it is committed');
is($execution->finish, 0, 'the execution ends well') or diag($execution->error);
is(requests_of('late'), 2, 'and the others are written to');
sql($node, q{DROP TRIGGER wait ON lead_cadence_runs});
cancel_rest($node);

# ---- a worker that was asked to wait for a day hears that its sender is resumed
sql($node, q{ALTER SERVER busy OPTIONS (SET url } . literal($provider->url('retryafter/86400')) . ')');
sql($node, q{SELECT cadence_provider_resume('busy'); SELECT cadence_resume_worker()});
enrol($node, 'busy', 1);
within($SOON, 'the provider asks the resident worker to wait for a day', sub { state_of('busy')->{waits} });
sql($node, 'ALTER SERVER busy OPTIONS (SET url ' . literal($provider->url('ok')) . ')');
sql($node, q{SELECT cadence_provider_resume('busy')});
sql($node, q{UPDATE lead_cadence_runs SET next_run_at = now() WHERE empresa = 'busy' AND status = 'ATIVA'});
within($SOON, 'and sends as soon as somebody resumes it',
	sub { sql($node, q{SELECT count(*) FROM lead_cadence_runs WHERE empresa = 'busy' AND status = 'CONCLUIDA'}) });

done_testing();
