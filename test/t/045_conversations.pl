# Which sender writes to whom: a person keeps the one that wrote last, others go to the one with
# the most room; nobody is written to too soon, nor again before an answer where a sender waits
# for one; and who counts as written to first.

use strict;
use warnings;
use utf8;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_cluster('main',
	conf => [ 'cadence_runner.workers = 2', 'cadence_runner.batch_size = 7' ]);
my $provider = start_provider();

# Which servers have sent to the leads of a company, by lead: their names in order.
sub senders_of
{
	my ($empresa) = @_;
	return { map { $_->{lead_id} => $_->{servers} } sql_rows($node, "SELECT r.lead_id,
		string_agg(e.detalhes ->> 'provedor', ' ' ORDER BY e.created_at, e.id) AS servers
		FROM lead_cadence_events e JOIN lead_cadence_runs r ON r.id = e.lead_cadence_run_id
		WHERE r.empresa = '$empresa' AND e.tipo_evento = 'DISPARADO' GROUP BY 1") };
}

# How many leads of a company have had such messages: names of servers => leads.
sub shares_of
{
	my ($empresa) = @_;
	my %shares;

	$shares{$_}++ for values %{ senders_of($empresa) };
	return \%shares;
}

# Another run, in another cadence of their company, for leads that are there.
sub enrol_again
{
	my ($codigo, $condition) = @_;

	sql($node, "INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem, next_run_at)
		SELECT k.lead_id, k.empresa, c.id, 1, now() - interval '1 minute' + row_number() OVER (ORDER BY k.lead_id) * interval '1 microsecond'
		FROM cadences c JOIN lead_contacts k USING (empresa) WHERE c.codigo = '$codigo' AND "
		  . ($condition // 'true'));
	return;
}

sub conversations_of
{
	my ($empresa) = @_;
	return sql_rows($node, "SELECT * FROM cadence_conversations WHERE empresa = '$empresa' ORDER BY lead_id");
}

sub count_of
{
	return sql($node, "SELECT count(*) FROM $_[0]") + 0;
}

my $result;

# ---- one plain server: nobody asks, and nothing is kept
make_company($node, 'plain', $provider->url('ok'), max_rate => 1000, max_per_day => 1000);
enrol($node, 'plain', 5);
is(execute($node)->{summary}{success}, 5, 'a plain server sends');
is(count_of('cadence_conversations'), 0, 'and no conversation is kept');
is(sql($node, "SELECT idx_scan FROM pg_stat_user_tables WHERE relname = 'cadence_conversations'"), 0, 'nor looked for');

# ---- a person keeps the sender that wrote last
make_server($node, "pool_$_", $provider->url('ok'), empresa => 'pool') for qw(a b);
make_cadence($node, 'pool_first', 'pool', [ 'WHATSAPP', 0, 'Olá' ]);
make_cadence($node, 'pool_second', 'pool', [ 'WHATSAPP', 0, 'De novo' ]);
enrol($node, 'pool_first', 40);
is(execute($node)->{summary}{success}, 40, 'two servers share the leads');
my $first = senders_of('pool');
my $shares = shares_of('pool');
cmp_ok($shares->{$_} // 0, '>', 5, "$_ has some of them") for qw(pool_a pool_b);
is_deeply({ map { $_->{lead_id} => $_->{server} } conversations_of('pool') }, $first, 'it is kept who wrote to whom');

make_server($node, 'pool_c', $provider->url('ok'), empresa => 'pool');
$node->restart;
enrol_again('pool_second');
is(execute($node)->{summary}{success}, 40, 'another cadence, another server, and a restart between');
is_deeply(senders_of('pool'), { map { $_ => "$first->{$_} $first->{$_}" } keys %$first },
	'everybody hears from the same sender again');
enrol($node, 'pool_first', 40);
execute($node);
cmp_ok(shares_of('pool')->{pool_c} // 0, '>', 3, 'new people go to the new one, too');

# the preview says what would happen
cancel_rest($node);
sql($node, "DELETE FROM lead_cadence_runs WHERE empresa = 'pool' AND cadence_id = (SELECT id FROM cadences WHERE codigo = 'pool_second')");
enrol_again('pool_second');
is_deeply([ sql_rows($node, "SELECT DISTINCT c.server IS NOT DISTINCT FROM cadence_preview(r.id) ->> 'provedor' AS same
	FROM lead_cadence_runs r JOIN cadence_conversations c USING (lead_id, empresa) WHERE r.status = 'ATIVA'") ],
	[ { same => JSON::PP::true } ], "a preview shows the person's own sender");

# ---- one that is shut takes nobody, and keeps its people
sql($node, "SELECT cadence_provider_pause('pool_b')");
my $kept = count_of("cadence_conversations WHERE server = 'pool_b'");
my $sent = execute($node)->{summary}{success};
is($sent, 80 - $kept, 'the people of a paused sender wait, and nobody else');
is(sql($node, "SELECT count(*) FROM lead_cadence_runs JOIN cadence_conversations USING (lead_id, empresa)
	WHERE status = 'ATIVA' AND server <> 'pool_b'"), 0, 'only they');
sql($node, "UPDATE lead_cadence_runs SET next_run_at = now() + interval '1 day' WHERE status = 'ATIVA'");
enrol($node, 'pool_first', 40);
is(execute($node)->{summary}{success}, 40, 'new people go to those that are open');
is(count_of("cadence_conversations WHERE server = 'pool_b'"), $kept, 'and none to the paused one');
sql($node, "SELECT cadence_provider_pause('pool_$_')") for qw(a c);
enrol($node, 'pool_first', 5);
my $before = count_of('cadence_conversations');
is(execute($node)->{summary}{skipped}, 5, 'where all are shut, new people wait');
is(count_of('cadence_conversations'), $before, 'and belong to nobody yet');
sql($node, "SELECT cadence_provider_resume('pool_$_')") for qw(a b c);

# a breaker that is open is asked again by one new person, not by all
sql($node, "UPDATE cadence_provider_state SET open_since = now() - interval '1 hour', open_until = now() - interval '1 second',
	open_reason = 'boom' WHERE server = 'pool_c'");
set_server($node, 'cadence_runner.batch_size', 500);
cancel_rest($node);
$kept = count_of("cadence_conversations WHERE server = 'pool_c'");
enrol($node, 'pool_first', 40);
is(execute($node)->{summary}{success}, 40, 'all go');
is(count_of("cadence_conversations WHERE server = 'pool_c'"), $kept + 1, 'one of them to see whether it is well again');
is(sql($node, "SELECT open_since IS NULL FROM cadence_provider_state WHERE server = 'pool_c'"), 't', 'and the probe has closed it');
set_server($node, 'cadence_runner.batch_size', 7);

# ---- a sender that is gone
sql($node, 'DROP SERVER pool_a');
sql($node, "DELETE FROM lead_cadence_runs WHERE empresa = 'pool'");
sql($node, "DELETE FROM cadence_conversations WHERE server <> 'pool_a'");
enrol_again('pool_second', "lead_id IN (SELECT lead_id FROM cadence_conversations)");
execute($node);
is(count_of("cadence_conversations WHERE server = 'pool_a'"), 0, 'the people of a server that is gone get another');

# ---- new people go to the one with the most room
make_server($node, 'room_small', $provider->url('ok'), empresa => 'room', max_per_day => 10);
make_server($node, 'room_large', $provider->url('ok'), empresa => 'room', max_per_day => 30);
make_cadence($node, 'room', 'room', [ 'WHATSAPP', 0, 'Olá' ]);
enrol($node, 'room', 42);
is(execute($node)->{summary}{success}, 40, 'as many as both may');
is_deeply(shares_of('room'), { room_small => 10, room_large => 30 }, 'each as many as it has room for');
cancel_rest($node);

# ---- a pause between two messages to one person, whatever cadence, execution or worker
make_company($node, 'paced', $provider->url('ok'), min_gap => '1h');
make_cadence($node, 'paced_too', 'paced', [ 'WHATSAPP', 0, 'E mais' ]);
enrol($node, 'paced', 60);
enrol_again('paced_too');
sql($node, "UPDATE lead_cadence_runs SET next_run_at = (SELECT min(next_run_at) FROM lead_cadence_runs WHERE empresa = 'paced')
	+ right(lead_id, 3)::int * interval '1 microsecond' WHERE empresa = 'paced'");
my @callers = map { start_sql($node, "SELECT cadence_run('TEST')") } 1 .. 2;
is($_->finish, 0, 'an execution ends well') for @callers;
is(scalar(keys %{ senders_of('paced') }), 60, 'everybody is written to');
is_deeply(shares_of('paced'), { paced => 60 }, 'and nobody twice');
is_deeply([ sql_rows($node, "SELECT DISTINCT attempts, claim_id IS NULL AS free,
	next_run_at BETWEEN now() + interval '55 minutes' AND now() + interval '61 minutes' AS in_an_hour
	FROM lead_cadence_runs WHERE empresa = 'paced' AND status = 'ATIVA'") ],
	[ { attempts => 0, free => JSON::PP::true, in_an_hour => JSON::PP::true } ], 'the others are due an hour later, without an attempt');
is_deeply(outcomes($node, 'paced'), { DISPARADO => 60 }, 'and nothing is written about it');
sql($node, "UPDATE cadence_conversations SET last_sent_at = last_sent_at - interval '2 hours'");
make_all_due($node);
is(execute($node)->{summary}{success}, 60, 'then they go');

# never again, says somebody
enrol_again('paced_too', "lead_id = (SELECT min(lead_id) FROM lead_contacts WHERE empresa = 'paced')");
sql($node, "UPDATE cadence_conversations SET last_sent_at = 'infinity' WHERE empresa = 'paced'");
is(execute($node)->{summary}{skipped}, 1, 'a person whose last message is never over is not written to');
is(sql($node, "SELECT count(*) FROM lead_cadence_runs WHERE empresa = 'paced' AND status = 'ATIVA'
	AND isfinite(next_run_at) AND next_run_at > now() + interval '300 days'"), 1, 'for as long as a wait can be');
cancel_rest($node);

# it counts from when the message left, not from when it was claimed
make_company($node, 'late', $provider->url('slow/1200'), min_gap => '1h', max_in_flight => 1);
enrol($node, 'late', 3);
execute($node);
is(sql($node, "SELECT max(last_sent_at) - min(last_sent_at) > interval '2 seconds' FROM cadence_conversations WHERE empresa = 'late'"),
	't', 'the pause counts from when a message left');

# what was not sent has not been sent
make_company($node, 'failing', $provider->url('fail500'), min_gap => '1h');
enrol($node, 'failing', 3);
execute($node);
is_deeply([ map { [ $_->{server}, $_->{last_sent_at}, $_->{last_key} ] } conversations_of('failing') ],
	[ ([ undef, undef, undef ]) x 3 ], 'a message that was refused is none');
sql($node, 'ALTER SERVER failing OPTIONS (SET url ' . literal($provider->url('ok')) . ')');
make_all_due($node);
execute($node);
is_deeply(outcomes($node, 'failing'), { FALHA_ENVIO => 3, DISPARADO => 3 }, 'and the next try does not wait for it');

# ---- nobody is written to again before an answer
make_server($node, 'quiet', $provider->url('reset'), empresa => 'quiet', quiet_until_reply => 'on', on_uncertain => 'retry');
make_cadence($node, 'quiet', 'quiet', [ 'WHATSAPP', 0, 'Olá' ], [ 'WHATSAPP', 0, 'Ainda aí?' ]);
enrol($node, 'quiet', 2);
execute($node);
is_deeply(outcomes($node, 'quiet'), { INCERTO => 2 }, 'a first message that may have been sent');
is(scalar(grep { $_->{last_sent_at} } conversations_of('quiet')), 2, 'counts as sent');
sql($node, 'ALTER SERVER quiet OPTIONS (SET url ' . literal($provider->url('ok')) . ')');
make_all_due($node);
is(execute($node)->{summary}{success}, 2, 'it is tried again all the same: that is no second message');
sql($node, "INSERT INTO lead_messages (lead_id, empresa, canal, direcao, recebido_em)
	SELECT lead_id, empresa, canal, 'INBOUND', last_sent_at - interval '1 minute' FROM cadence_conversations WHERE empresa = 'quiet'");
for my $try (1, 2)
{
	make_all_due($node);
	is(execute($node)->{summary}{skipped}, 2, "nobody who has not answered since gets another ($try)");
}
is_deeply(outcomes($node, 'quiet'), { INCERTO => 2, DISPARADO => 2, AGUARDA_RESPOSTA => 2 }, 'which is said once');
is_deeply([ sql_rows($node, "SELECT DISTINCT attempts, next_run_at BETWEEN now() + interval '9 minutes' AND now() + interval '61 minutes' AS later
	FROM lead_cadence_runs WHERE empresa = 'quiet'") ], [ { attempts => 0, later => JSON::PP::true } ], 'and looked at again later');
sql($node, "INSERT INTO lead_messages (lead_id, empresa, canal, direcao, recebido_em)
	SELECT lead_id, empresa, 'whatsapp', 'INBOUND', now() FROM cadence_conversations WHERE empresa = 'quiet' ORDER BY lead_id LIMIT 1");
make_all_due($node);
is(execute($node)->{summary}{success}, 1, 'who answers gets the next one');
cancel_rest($node);

# ---- people who are written to first: not those who have written, nor those who were written to
make_server($node, 'newcomers', $provider->url('ok'), empresa => 'newcomers', max_new_per_day => 2);
make_server($node, 'letters', $provider->url('ok'), empresa => 'newcomers', canal => 'EMAIL');
make_cadence($node, 'newcomers', 'newcomers', [ 'WHATSAPP', 0, 'Olá' ]);
make_cadence($node, 'newcomers_too', 'newcomers', [ 'WHATSAPP', 0, 'De novo' ]);
make_cadence($node, 'by_mail', 'newcomers', [ 'EMAIL', 0, 'Olá' ], [ 'WHATSAPP', 0, 'Recebeu?' ]);
enrol($node, 'newcomers', 4);
is(execute($node)->{summary}{success}, 2, 'two first touches a day');
sql($node, "INSERT INTO lead_messages (lead_id, empresa, canal, direcao, recebido_em)
	SELECT lead_id, empresa, 'WHATSAPP', 'INBOUND', now() - interval '40 days' FROM lead_cadence_runs
	WHERE empresa = 'newcomers' AND status = 'ATIVA' ORDER BY next_run_at LIMIT 1");
make_all_due($node);
is(execute($node)->{summary}{success}, 1, 'who has written to us is none');
enrol_again('newcomers_too');
is(execute($node)->{summary}{success}, 3, 'nor is who was written to before, in another cadence');
cancel_rest($node);
enrol($node, 'by_mail', 2);
execute($node);
make_all_due($node);
is(execute($node)->{summary}{success}, 0, 'a mail is no touch on another channel');
cancel_rest($node);

# two messages to one person in one claim: the second is a follow-up
make_server($node, 'twice', $provider->url('ok'), empresa => 'twice', max_new_per_day => 1);
make_cadence($node, $_, 'twice', [ 'WHATSAPP', 0, 'Olá' ]) for qw(twice twice_too);
enrol($node, 'twice', 1);
enrol_again('twice_too');
is(execute($node)->{summary}{success}, 2, 'one first touch, and a follow-up of the same moment');

# where neither is sent, nobody has written; where the second is not, the first has
make_server($node, 'neither', $provider->url('fail500'), empresa => 'neither', max_new_per_day => 5);
make_server($node, 'neither_timed', $provider->url('fail500'), empresa => 'neither', min_gap => '1s');
sql($node, "SELECT cadence_provider_pause('neither_timed')");
make_cadence($node, $_, 'neither', [ 'WHATSAPP', 0, 'Olá' ]) for qw(neither neither_too);
enrol($node, 'neither', 1);
enrol_again('neither_too');
execute($node);
is_deeply(outcomes($node, 'neither'), { FALHA_ENVIO => 2 }, 'two messages to one person fail');
is_deeply([ map { [ $_->{server}, $_->{last_sent_at}, $_->{last_key} ] } conversations_of('neither') ],
	[ [ undef, undef, undef ] ], 'and nobody has written to them');
cancel_rest($node);

# a run that had begun before anybody asked
sql($node, "DELETE FROM cadence_conversations WHERE empresa = 'newcomers'");
make_cadence($node, 'begun', 'newcomers', [ 'WHATSAPP', 0, 'Olá' ], [ 'WHATSAPP', 0, 'E então?' ]);
enrol($node, 'begun', 2);
sql($node, "UPDATE lead_cadence_runs SET last_step_ordem = 1, next_step_ordem = 2 WHERE status = 'ATIVA'");
is(execute($node)->{summary}{success}, 2, 'a follow-up of a run that had begun before is none either');

# ---- one lead in two spellings is one person, where the columns say so
sql($node, q{
	CREATE EXTENSION citext;
	DROP INDEX lead_cadence_runs_active_idx;
	ALTER TABLE lead_contacts ALTER lead_id TYPE citext;
});
make_company($node, 'spelled', $provider->url('ok'), min_gap => '1h');
enrol($node, 'spelled', 1);
enrol_again('spelled');
sql($node, "UPDATE lead_cadence_runs SET lead_id = upper(lead_id) WHERE id = (SELECT id FROM lead_cadence_runs WHERE empresa = 'spelled' LIMIT 1)");
is(execute($node)->{summary}{success}, 1, 'LEAD-1 and lead-1 have one pause');
cancel_rest($node);

# ---- what refuses a conversation stops nobody else
make_company($node, 'guarded', $provider->url('ok'), min_gap => '1h');
make_company($node, 'guarded_too', $provider->url('fail500'), min_gap => '1h');
enrol($node, $_, 3) for qw(guarded guarded_too);
sql($node, q{
	CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no such talk'; END $$;
	CREATE TRIGGER refuse_one BEFORE INSERT ON cadence_conversations FOR EACH ROW
	WHEN (NEW.empresa = 'guarded' AND NEW.lead_id LIKE '%1') EXECUTE FUNCTION refuse();
	CREATE TRIGGER refuse_back BEFORE UPDATE ON cadence_conversations FOR EACH ROW
	WHEN (NEW.empresa = 'guarded_too' AND NEW.lead_id LIKE '%5') EXECUTE FUNCTION refuse();
});
my $refused = count_of("lead_cadence_runs WHERE empresa = 'guarded' AND lead_id LIKE '%1'");
my $stays = count_of("lead_cadence_runs WHERE empresa = 'guarded_too' AND lead_id LIKE '%5'");
$result = execute($node);
is($result->{summary}{success}, 3 - $refused, 'a conversation that its table refuses keeps its own step');
is_deeply(outcomes($node, 'guarded_too'), { FALHA_ENVIO => 3 }, 'one that it does not let go of keeps no record');
is(scalar(grep { $_->{server} } conversations_of('guarded_too')), $stays, 'the others are given back');

# ---- each is looked up by its key, also in an execution that has begun with none
make_company($node, 'grown', $provider->url('ok'), min_gap => '1h', max_new_per_day => 100000);
set_server($node, 'cadence_runner.batch_size', 50);
sql($node, q{DROP TRIGGER refuse_one ON cadence_conversations; DROP TRIGGER refuse_back ON cadence_conversations;
	TRUNCATE cadence_conversations});
sql($node, 'VACUUM ANALYZE cadence_conversations');
enrol($node, 'grown', 2000);
my $statistics = q{SELECT sum(idx_scan) AS scans, sum(idx_tup_read) AS reads FROM pg_stat_user_indexes
	WHERE relname = 'cadence_conversations'};
($before) = sql_rows($node, $statistics);
my $after;
is(execute($node)->{summary}{success}, 2000, 'among many conversations');
poll_until(sub { ($after) = sql_rows($node, $statistics); $after->{scans} > $before->{scans} }, 'the look-ups are counted');
cmp_ok($after->{reads} - $before->{reads}, '<', 40000, 'nobody reads all of them each time');

done_testing();
