# A table of news that refuses them, or is locked, undoes nothing of what they would tell of, and
# keeps nobody from being written to.

use strict;
use warnings;
use utf8;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_cluster('main');
my $provider = start_provider();
my $hub = start_provider();

sub begin_again
{
	start_over($node, $provider);
	sql($node, 'TRUNCATE cadence_outbox, contact_opt_outs');
	$hub->forget;
	return;
}

sub opt_outs
{
	return sql($node, q{SELECT string_agg(DISTINCT lead_id || ' ' || coalesce(motivo, ''), ', ') FROM contact_opt_outs});
}

sub runs
{
	return sql($node, q{SELECT string_agg(status || ' ' || n, ', ' ORDER BY status) FROM (SELECT status, count(*) AS n FROM lead_cadence_runs GROUP BY status) AS s});
}

sub count_of
{
	my ($where) = @_;
	return sql($node, "SELECT count(*) FROM cadence_outbox WHERE $where");
}

# Somebody who keeps the table of news until they are let go.
sub lock_news
{
	my ($mode) = @_;
	my $locker = start_sql($node, "BEGIN; LOCK TABLE cadence_outbox IN $mode MODE; SELECT pg_sleep(600)");
	poll_until(sub { sql($node, q{SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND wait_event = 'PgSleep'}) }, "news are locked: $mode");
	return $locker;
}

sub unlock_news
{
	sql($node, q{SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()});
	return;
}

sql($node, q{SELECT cadence_protocol_define('strict', '{"channels": ["WHATSAPP"],
	"operations": {"text": {"url": "{{option.url}}", "json": {"to": "{{recipient}}"}}},
	"classes": [{"status": "2xx", "class": "sent"}, {"status": "4xx", "class": "opted_out"}]}')});
make_server($node, 'zap', $provider->url('ok'), empresa => 'zap');
make_cadence($node, 'zap', 'zap', [ 'WHATSAPP', 0, 'Oi' ]);
make_server($node, 'out', $provider->url('refuse'), empresa => 'out', protocol => 'strict');
make_cadence($node, 'out', 'out', [ 'WHATSAPP', 0, 'Oi' ]);
make_server($node, 'hub', $hub->url('ok'), canal => 'EVENTOS');
sql($node, q{CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'no news'; END$$});

# ---- who wants no more is heard, whatever becomes of the news of it
sub all_opt_out
{
	my ($how) = @_;
	enrol($node, 'zap', 1);
	enrol($node, 'out', 1);
	sql($node, q{UPDATE lead_contacts SET telefone = '+551198765432' || right(lead_id, 1)});
	sql($node, q{SELECT cadence_opt_out('lead-9', 'zap', NULL, 'asked')});
	is(sql($node, q{SELECT cadence_inbound('+5511987654321', 'SAIR', 'in.1', server => 'zap')}), 'done', "$how: a word is heard");
	is(execute($node)->{summary}{total}, 1, "$how: runs go on");
	# the provider's words for 422 are its Python's
	like(opt_outs(), qr/^lead-1 SAIR, lead-2 422 Unprocessable \w+, lead-9 asked$/, "$how: everybody's opt-out is noted");
	return;
}

sql($node, q{CREATE TRIGGER refuse BEFORE INSERT ON cadence_outbox FOR EACH ROW EXECUTE FUNCTION refuse()});
all_opt_out('refused');
is(count_of('true'), 0, 'the news are missing');
sql($node, 'DROP TRIGGER refuse ON cadence_outbox');
begin_again();
my $locker = lock_news('SHARE');
all_opt_out('locked');
unlock_news();
is(count_of('true'), 0, 'the news are missing');
begin_again();
all_opt_out('taken');
is(count_of(q{evento = 'opt_out'}), 3, 'and otherwise are there');

# ---- a table that can not be read keeps nobody from being written to, nor one that refuses to be claimed from
begin_again();
for my $mode ('SHARE', 'ACCESS EXCLUSIVE')
{
	enrol($node, 'zap', 25);
	sql($node, q{INSERT INTO cadence_outbox (empresa, evento, corpo) SELECT 'zap', 'told', '{"event": "told"}' FROM generate_series(1, 5)});
	lock_news($mode);
	is(execute($node)->{summary}{success}, 25, "$mode: everybody is written to");
	unlock_news();
	is($hub->count, 0, "$mode: nothing is told");
	execute($node);
	is($hub->count, 5, "$mode: until it is let go");
	begin_again();
}
enrol($node, 'zap', 25);
sql($node, q{INSERT INTO cadence_outbox (empresa, evento, corpo) SELECT 'zap', 'told', '{"event": "told"}' FROM generate_series(1, 5);
	CREATE TRIGGER refuse BEFORE UPDATE ON cadence_outbox FOR EACH ROW EXECUTE FUNCTION refuse()});
my $log = execute($node);
is(join(' ', @{ $log->{summary} }{qw(success errors)}), '25 0', 'refused: everybody is written to, and nothing is said of runs');
sql($node, 'DROP TRIGGER refuse ON cadence_outbox');

# ---- a body that nobody could read
begin_again();
sql($node, q{INSERT INTO cadence_outbox (empresa, evento, corpo) SELECT 'zap', 'huge', jsonb_build_object('event', repeat('x', 100000000));
	INSERT INTO cadence_outbox (empresa, evento, corpo) SELECT 'zap', 'long', jsonb_build_object('event', 'long', 'x', repeat('x', 500000)) FROM generate_series(1, 20)});
enrol($node, 'zap', 1);
is(execute($node)->{summary}{success}, 1, 'a body that is too long stops nothing');
is(sql($node, q{SELECT string_agg(DISTINCT concat_ws(' ', evento, status, split_part(erro, ':', 1)), ', ') FROM cadence_outbox WHERE evento <> 'finished'}),
	'huge PARADA CORPO_INVALIDO, long ENTREGUE', 'and nothing but itself, and all others are told');

# ---- the server of one company that hangs keeps nothing from the others'
begin_again();
my $slow = start_provider();
make_server($node, 'slow', $slow->url('hang'), canal => 'EVENTOS', empresa => 'slow', max_in_flight => 1, timeout => '60s');
sql($node, q{INSERT INTO cadence_outbox (empresa, evento, corpo, next_run_at) SELECT 'slow', 'told', '{"event": "told"}', now() - interval '1 hour' FROM generate_series(1, 500);
	INSERT INTO cadence_outbox (empresa, evento, corpo) SELECT 'zap', 'told', '{"event": "told"}' FROM generate_series(1, 250)});
my $caller = start_sql($node, q{SELECT cadence_run('TEST')});
ok(poll_until(sub { $hub->count == 250 }), 'the news of others are told');
is($slow->count, 1, 'while it has one that hangs');
enrol($node, 'zap', 1);
is(execute($node)->{summary}{success}, 1, 'and the next execution need not wait for it');
sql($node, q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE '%cadence_run(''TEST'')%' AND pid <> pg_backend_pid() AND backend_type = 'client backend'});
$caller->finish;

done_testing();
