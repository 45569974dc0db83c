# Before the first byte of an attempt leaves, its claim is in the WAL on disk, whatever the settings
# of the server, the database, the role and the tables' own triggers say.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use Test::More;

# Nothing but the commit itself must write the WAL before the crash.
my $node = new_cluster(
	'main',
	conf => [
		'wal_level = replica', 'max_wal_senders = 2',
		'synchronous_commit = off', 'wal_writer_delay = 10s',
		'wal_writer_flush_after = 1GB', 'wal_buffers = 64MB', 'shared_buffers = 128MB',
		'autovacuum = off', 'bgwriter_lru_maxpages = 0', 'checkpoint_timeout = 1h'
	]);
my $provider = start_provider();

make_company($node, 'hang', $provider->url('hang'), timeout => '60s');
sql($node, q{
	ALTER DATABASE postgres SET synchronous_commit = off;
	ALTER ROLE CURRENT_USER SET synchronous_commit = off;
	CREATE FUNCTION careless() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		SET synchronous_commit = off;
		RETURN NULL;
	END $$;
	CREATE TRIGGER careless AFTER UPDATE ON lead_cadence_runs FOR EACH STATEMENT EXECUTE FUNCTION careless();
	CREATE CONSTRAINT TRIGGER careless_late AFTER UPDATE ON lead_cadence_runs
		DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION careless();
	CREATE TABLE lost (n int);
});
enrol($node, 'hang', 300);
# no more are due than can be under way: while one waits, the execution looks whether it is still
# wanted, and commits
my $not_due = q{substr(lead_id, 6)::int > 100};
sql($node, "UPDATE lead_cadence_runs SET next_run_at = now() + interval '1 hour' WHERE $not_due");
sql($node, 'CHECKPOINT');

my $caller = start_sql($node, "SELECT cadence_run('TEST')");
poll_until(sub { $provider->count == 100 }, 'messages are on their way');
halt_wal_writer($node);
# a commit that nobody flushes shows that the crash really loses such ones
# (now and then a page of the WAL is full, and written by itself)
my $lost = 0;
poll_until(
	sub {
		sql($node, 'INSERT INTO lost VALUES (' . ++$lost . ')');
		return sql($node, 'SELECT pg_current_wal_insert_lsn() > pg_current_wal_lsn()') eq 't';
	}) or die 'every commit is written by itself';
my %seen = $provider->per_run;
$node->stop('immediate');
$caller->finish;
$node->start;

is(sql($node, "SELECT count(*) FROM lost WHERE n = $lost"), 0, 'the crash lost a commit that was not flushed');
my %claimed = map { $_->{id} => 1 } sql_rows($node,
	'SELECT id FROM lead_cadence_runs WHERE claim_id IS NOT NULL AND attempts = 1 AND next_run_at > now()');
is_deeply([ grep { !$claimed{$_} } keys %seen ], [],
	'whatever the provider saw is claimed after the crash');
# what was never claimed is still to be sent, and does not have to hang
sql($node, "ALTER SERVER hang OPTIONS (SET url '" . $provider->url('ok') . "')");
sql($node, "UPDATE lead_cadence_runs SET next_run_at = now() WHERE $not_due");
my $summary = execute($node)->{summary};
is_deeply([ @$summary{qw(total errors)} ], [ 300, scalar keys %claimed ],
	'so the next execution knows of it');
my %uncertain = map { $_->{run} => 1 } sql_rows($node,
	"SELECT lead_cadence_run_id AS run FROM lead_cadence_events WHERE detalhes ->> 'codigo' = 'INCERTO'");
is_deeply([ sort keys %uncertain ], [ sort keys %claimed ], 'says that it is uncertain');
my %times = $provider->per_run;
is_deeply([ grep { $times{$_} > 1 } keys %times ], [], 'and does not send it again at once');

# A standby that must confirm and is gone: a claim that is not known to be there sends nothing, also
# when a stop ends the wait for it.
sql($node, 'TRUNCATE lead_messages, lead_cadence_events, lead_cadence_runs, lead_contacts, cadence_runner_logs');
sql($node, 'DROP TRIGGER careless ON lead_cadence_runs; DROP TRIGGER careless_late ON lead_cadence_runs');
$provider->forget;
enrol($node, 'hang', 20);
sql($node, q{ALTER SYSTEM SET synchronous_standby_names = 'nobody'; SELECT pg_reload_conf()});
my $syncing = q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'cadence_runner' AND wait_event = 'SyncRep'};
$caller = start_sql($node, "SELECT cadence_run('TEST')");
ok(poll_until(sub { sql($node, $syncing) == 1 }), 'the claim waits for a standby that is gone');
is($provider->count, 0, 'nothing is sent meanwhile');
# the stop's own record must not wait, and neither must the log
sql($node, q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'cadence_runner'});
ok(poll_until(sub {
		sql($node, q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'cadence_runner'}) == 0
	}), 'a stop ends the wait');
$caller->finish;
is($provider->count, 0, 'and nothing has left since');
sql($node, q{ALTER SYSTEM RESET synchronous_standby_names; SELECT pg_reload_conf()});
is(sql($node, 'SELECT count(*) FROM lead_cadence_runs WHERE next_run_at <= now() AND claim_id IS NULL'), 20,
	'what was claimed is given back');
is(execute($node)->{summary}{success}, 20, 'and sent by the next execution');

done_testing();
