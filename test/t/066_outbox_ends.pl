# News by the resident worker, at once; and what becomes of them when a worker dies, or their server
# does not answer.

use strict;
use warnings;
use utf8;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use PostgreSQL::Test::Utils;
use Resident;
use Test::More;

my $provider = start_provider();
my $hub = start_provider();
my $node = resident_cluster('main', 'postgres', conf => ['restart_after_crash = on']);

sub outbox
{
	return sql($node, q{SELECT string_agg(concat_ws(' ', evento, status, claim_id IS NOT NULL, split_part(erro, ':', 1)), ', ' ORDER BY id) FROM cadence_outbox});
}

sub hub
{
	my ($path) = @_;
	sql($node, 'TRUNCATE cadence_outbox; ALTER SERVER hub OPTIONS (SET url ' . literal($hub->url($path)) . ')');
	$hub->forget;
	return;
}

# The keys of the answers that the hub has got.
sub replies
{
	return map { $_->{headers}{'idempotency-key'} } grep { $_->{body}{event} eq 'reply' } $hub->journal;
}

sub say_something
{
	my ($id) = @_;
	return sql($node, "SELECT cadence_inbound('+5511987654321', 'Oi', '$id', server => 'zap')");
}

sub becomes
{
	my ($expected, $name) = @_;
	poll_until(sub { outbox() eq $expected });
	is(outbox(), $expected, $name);
	return;
}

make_server($node, 'zap', $provider->url('ok'), empresa => 'zap');
make_cadence($node, 'zap', 'zap', [ 'WHATSAPP', 0, 'Oi' ]);
make_server($node, 'hub', $hub->url('ok'), canal => 'EVENTOS', timeout => '60s');
sql($node, q{INSERT INTO lead_contacts (lead_id, empresa, telefone) VALUES ('ana', 'zap', '+5511987654321')});
ok(wait_for_resident($node, 'postgres', $SOON), 'it runs');

# A commit wakes it; so do its own.
say_something('in.1');
becomes('reply ENTREGUE f', 'an answer is told at once');
sql($node, 'TRUNCATE cadence_outbox');
sql($node, q{INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem, next_run_at) SELECT 'ana', 'zap', id, 1, now() FROM cadences});
becomes('finished ENTREGUE f', 'so is the end of a run');
is($hub->count, 2, 'each once');

# Its server is gone for a while: runs go on, and the news goes when it is back.
hub('hang');
say_something('in.2');
ok(poll_until(sub { $hub->count == 1 }), 'it is under way');
is(outbox(), 'reply PENDENTE t', 'and claimed');
sql($node, q{INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem, next_run_at) SELECT 'ana', 'zap', id, 1, now() FROM cadences});
ok($node->poll_query_until('postgres', q{SELECT count(*) = 2 FROM lead_cadence_runs WHERE status = 'CONCLUIDA'}), 'a server of news that hangs delays no run');

# Dead in the middle of it: nobody knows, the next one says so, and it is sent again by the same key.
my $pid = resident_pid($node);
my ($key) = replies();
sql($node, q{DELETE FROM cadence_outbox WHERE evento <> 'reply'});
kill 'KILL', $pid;
poll_until(sub { my $new = eval { resident_pid($node) }; $new && $new ne $pid }, 'another worker starts');
ok($node->poll_query_until('postgres', q{SELECT erro LIKE 'INCERTO: an attempt was interrupted%' FROM cadence_outbox}), 'a worker that was killed leaves it uncertain');
is(outbox(), 'reply PENDENTE f INCERTO', 'as the next one notes');
is(sql($node, q{SELECT next_run_at BETWEEN now() + interval '12 min' AND now() + interval '17 min' FROM cadence_outbox}), 't', 'it waits');
is_deeply([ replies() ], [$key], 'and nothing is sent meanwhile');
sql($node, 'ALTER SERVER hub OPTIONS (SET url ' . literal($hub->url('ok')) . '); UPDATE cadence_outbox SET next_run_at = now()');
becomes('reply ENTREGUE f', 'then it is sent again');
is_deeply([ replies() ], [ $key, $key ], 'by the same key');

# The table of news is locked: people are written to all the same, and what waits is told when it is let go.
my $sent = $provider->count;
for my $mode ('SHARE', 'ACCESS EXCLUSIVE')
{
	hub('ok');
	sql($node, q{INSERT INTO cadence_outbox (empresa, evento, corpo, next_run_at) VALUES ('zap', 'waits', '{"event": "waits"}', now() + interval '2 s')});
	my $locker = start_sql($node, "BEGIN; LOCK TABLE cadence_outbox IN $mode MODE; SELECT pg_sleep(600)");
	ok(poll_until(sub { sql($node, q{SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND wait_event = 'PgSleep'}) }), "news are locked: $mode");
	sql($node, q{INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem, next_run_at) SELECT 'ana', 'zap', id, 1, now() FROM cadences});
	ok(poll_until(sub { $provider->count == $sent + 1 }), 'people are written to');
	ok($node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM lead_cadence_runs WHERE status = 'ATIVA'}), 'and that is recorded');
	$sent = $provider->count;
	sql($node, q{SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()});
	say_something("locked.$sent");
	ok($node->poll_query_until('postgres', q{SELECT count(*) = 2 FROM cadence_outbox WHERE status = 'ENTREGUE'}), 'what waits is told when it is let go');
}

# on_uncertain 'hold': once, whatever happens.
sql($node, q{ALTER SERVER hub OPTIONS (ADD on_uncertain 'hold')});
hub('reset');
say_something('in.3');
becomes('reply PARADA f INCERTO', 'where that is held, somebody has to say so');
is($hub->count, 1, 'and it was sent once');

done_testing();
