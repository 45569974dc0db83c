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
	is(opt_outs(), 'lead-1 SAIR, lead-2 422 Unprocessable Entity, lead-9 asked', "$how: everybody's opt-out is noted");
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

done_testing();
