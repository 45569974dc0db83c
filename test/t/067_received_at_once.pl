# What comes back at one moment: many answers of one person, receipts while their messages are being
# recorded, and the same told by many in opposite orders.

use strict;
use warnings;
use utf8;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use Test::More;

my $node = new_cluster('main', conf => ['deadlock_timeout = 100ms']);
my $provider = start_provider();
my $SECRET = '0123456789abcdef0123456789abcdef';

make_server($node, 'zap', $provider->url('ok'), empresa => 'zap');
sql($node, "CREATE USER MAPPING FOR CURRENT_USER SERVER zap OPTIONS (path_secret '$SECRET')");
make_cadence($node, 'zap', 'zap', [ 'WHATSAPP', 0, 'Oi' ], [ 'WHATSAPP', 60, 'Oi de novo' ]);

# A call that is made again until it was taken whole, as a provider does.
sql($node, qq{
	CREATE TABLE answers (status int);
	CREATE PROCEDURE tell(events jsonb) LANGUAGE plpgsql AS \$\$
	DECLARE
		answer int := 0;
	BEGIN
		WHILE answer <> 200 LOOP
			SELECT status INTO answer FROM cadence_receive('zap', 'POST', '{}', '', convert_to(events::text, 'UTF8'), '$SECRET');
			INSERT INTO answers VALUES (answer);
			COMMIT;
		END LOOP;
	END \$\$});

sub finish_all
{
	my ($what, @sessions) = @_;
	is(scalar(grep { $_->finish != 0 } @sessions), 0, "$what: every session ends well")
	  or diag(map { $_->error } @sessions);
	return;
}

sub answers
{
	return sql($node, q{SELECT string_agg(concat(status, ': ', n), ', ' ORDER BY status) FROM (SELECT status, count(*) AS n FROM answers GROUP BY 1) AS a});
}

# ---- fifty answers of one person -----------------------------------------------------------

enrol($node, 'zap', 1);
sql($node, q{UPDATE lead_contacts SET telefone = '+5511987654321'; UPDATE lead_cadence_runs SET next_run_at = now() + interval '1 hour'});
finish_all('answers', map {
	my $session = $_;
	start_sql($node, join '', map { qq{CALL tell('{"event": "message", "id": "in.$session.$_", "phone": "+5511987654321", "text": "Sim"}');\n} } 1 .. 5)
} 1 .. 10);
is(sql($node, q{SELECT count(*) FROM lead_messages WHERE direcao = 'INBOUND' AND lead_id = 'lead-1'}), 50, 'each of them is kept');
is(sql($node, q{SELECT concat_ws(' ', status, (SELECT count(*) FROM lead_cadence_events)) FROM lead_cadence_runs}), 'CANCELADA 1', 'one of them has ended the run');
is(answers(), '200: 50', 'nobody was in the way of another for long');

# ---- receipts of what is being recorded ----------------------------------------------------

start_over($node, $provider);
sql($node, 'TRUNCATE answers');
enrol($node, 'zap', 300);
{
	# each tells of what it sees, until all is told
	my $teller = q{DO $$
		DECLARE
			events jsonb;
		BEGIN
			WHILE (SELECT count(*) < 300 FROM lead_messages WHERE estado = 'LIDO') LOOP
				SELECT jsonb_agg(jsonb_build_object('event', 'receipt', 'id', m.whatsapp_message_id, 'state', s) ORDER BY m.id, s)
				INTO events FROM (SELECT * FROM lead_messages WHERE estado <> 'LIDO' LIMIT 50) AS m, unnest(ARRAY['read', 'delivered']) AS s;
				IF events IS NOT NULL THEN
					CALL tell(events);
				END IF;
				COMMIT;
			END LOOP;
		END $$};
	my @tellers = map { start_sql($node, $teller) } 1, 2;

	is(execute($node)->{summary}{success}, 300, 'all are sent meanwhile');
	finish_all('receipts', @tellers);
}
is(sql($node, q{SELECT count(*) FROM lead_messages WHERE estado = 'LIDO' AND entregue_em IS NOT NULL AND lido_em IS NOT NULL}), 300, 'and read');
is(sql($node, q{SELECT count(*) FROM lead_cadence_runs WHERE status = 'ATIVA' AND next_step_ordem = 2}), 300, 'each run has moved on once');
is(sql($node, q{SELECT count(*) FROM lead_cadence_events WHERE tipo_evento = 'DISPARADO'}), 300, 'as its events say');

# ---- the same in opposite orders -----------------------------------------------------------

sql($node, q{TRUNCATE answers; UPDATE lead_messages SET estado = 'ENVIADO', entregue_em = NULL, lido_em = NULL; CREATE TABLE gate ()});
{
	# all begin together, with all that there is to tell in one call
	my $calls = sub {
		my ($order) = @_;
		return qq{DO \$\$
		DECLARE
			events jsonb;
			state text;
		BEGIN
			WHILE to_regclass('gate') IS NOT NULL LOOP
				COMMIT;
			END LOOP;
			FOREACH state IN ARRAY ARRAY['delivered', 'read'] LOOP
				SELECT jsonb_agg(jsonb_build_object('event', 'receipt', 'id', m.whatsapp_message_id, 'state', state) ORDER BY m.id $order)
				INTO events FROM lead_messages AS m;
				CALL tell(events);
			END LOOP;
		END \$\$};
	};
	my @sessions = map { start_sql($node, $calls->($_)) } 'ASC', 'DESC', 'ASC', 'DESC';

	$_->pid for @sessions;
	sql($node, 'DROP TABLE gate');
	finish_all('opposite orders', @sessions);
}
is(sql($node, q{SELECT count(*) FROM lead_messages WHERE estado = 'LIDO'}), 300, 'nothing that was told in opposite orders is lost');
is(sql($node, q{SELECT count(*) FROM answers WHERE status NOT IN (200, 503)}), 0, 'who was in the way was told to come again');
note('answers: ' . answers());
is(sql($node, 'SELECT count(*) FROM cadence_rejected'), 0, 'and nothing is rejected');

done_testing();
