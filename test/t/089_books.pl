# A database in which everything happens that can: several companies, channels and servers, failures,
# attempts of which nobody knows, skips, exits, edits that insert, remove and renumber steps, runs that
# begin again, answers, opt-outs and receipts. What was counted as it came is what a count of the tables
# says, which cadence_rollup_rebuild() is: two ways that share nothing but what they count into.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use Test::More;

my $node = new_cluster('main');
my $provider = start_provider();

make_server($node, 'zap', $provider->url('ok'), timeout => '1s', on_uncertain => 'hold');
make_server($node, 'sms', $provider->url('status/500'), canal => 'SMS');
make_server($node, 'mail', $provider->url('status/400'), canal => 'EMAIL');
make_server($node, 'zap2', $provider->url('ok'), empresa => 'ILHA');
sql($node, q{
	INSERT INTO cadence_empresas (empresa, fuso_horario) VALUES ('BLUE', 'America/Sao_Paulo'), ('ILHA', 'Asia/Tokyo');
	INSERT INTO cadences (id, empresa, codigo, reentrada)
	SELECT ('c0000000-0000-0000-0000-00000000000' || n)::uuid, CASE n WHEN 3 THEN 'ILHA' ELSE 'BLUE' END, 'C' || n, 'SEMPRE' FROM generate_series(1, 4) n;
	INSERT INTO cadence_steps (id, cadence_id, ordem, canal, template_codigo, offset_minutos, se_falhar, parar_se_responder)
	SELECT ('50000000-0000-0000-0000-0000000000' || n || s)::uuid, ('c0000000-0000-0000-0000-00000000000' || n)::uuid, s,
		CASE WHEN s = 2 AND n = 1 THEN 'SMS' WHEN s = 2 AND n = 2 THEN 'EMAIL' ELSE 'WHATSAPP' END, 'T' || s, 60,
		CASE WHEN n = 2 THEN 'PULAR' END, n <> 4
	FROM generate_series(1, 4) n, generate_series(1, 4) s;
	INSERT INTO message_templates (empresa, codigo, conteudo, assunto)
	SELECT e, 'T' || s, 'oi {{nome}}', 'a' FROM generate_series(1, 4) s, unnest('{BLUE,ILHA}'::text[]) e;
	INSERT INTO lead_contacts (lead_id, empresa, nome, telefone, email)
	SELECT 'l' || n, e, 'Ana', '119876' || lpad(n::text, 5, '0'), 'l' || n || '@example.com' FROM generate_series(1, 60) n, unnest('{BLUE,ILHA}'::text[]) e});

# All that waits is due, and tried.
sub go_on
{
	sql($node, "UPDATE lead_cadence_runs SET next_run_at = now() - interval '10 minutes' WHERE status = 'ATIVA'");
	return execute($node)->{summary}{total};
}

# So many leads, from one on, begin a cadence.
sub begin
{
	my ($cadence, $company, $first, $last, $condition) = @_;
	sql($node, "SELECT count(cadence_enroll('l' || n, '$cadence', now(), '$company')) FROM generate_series($first, $last) n WHERE "
		  . ($condition // 'true'));
	return;
}

sub say_all
{
	my ($text, $first, $last) = @_;
	sql($node, "SELECT cadence_inbound('+55119876' || lpad(n::text, 5, '0'), '$text', 'in.' || n, now(), NULL, 'BLUE', 'WHATSAPP') FROM generate_series($first, $last) n");
	return;
}

# What differs between what was counted as it came and a count of the tables.
sub differences
{
	return sql($node, q{
		CREATE TEMP VIEW cohorts AS SELECT right(step_id::text, 2) AS step, day, empresa, entered, sent, delivered, read, replied, opted_out, failed, skipped, stopped
		FROM cadence_rollup_cohorts() WHERE entered + sent + delivered + read + replied + opted_out + failed + skipped + stopped <> 0
		UNION ALL SELECT cadence_id::text, day, empresa, runs, 0, 0, 0, 0, 0, 0, 0, 0 FROM cadence_rollup_enrolled();
		-- minutes apart, and by the day: an event is written a moment after it is counted
		CREATE TEMP VIEW counts AS SELECT g, kind, server, canal, outcome, code, template, cadence, empresa, sum(n) AS n
		FROM unnest('{TOTAL,HOUR,MINUTE}'::text[]) AS g, cadence_rollup_counts(g, '{attempt,error}') GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9;
		BEGIN;
		CREATE TEMP TABLE cohorts_came AS TABLE cohorts;
		CREATE TEMP TABLE counts_came AS TABLE counts;
		SELECT WHERE cadence_rollup_rebuild() IS NULL;
		SELECT 'came', x::text FROM (TABLE cohorts_came EXCEPT TABLE cohorts) x UNION ALL SELECT 'tables', x::text FROM (TABLE cohorts EXCEPT TABLE cohorts_came) x
		UNION ALL
		SELECT 'came', x::text FROM (TABLE counts_came EXCEPT TABLE counts) x UNION ALL SELECT 'tables', x::text FROM (TABLE counts EXCEPT TABLE counts_came) x;
		ROLLBACK});
}

begin("C$_", $_ == 3 ? 'ILHA' : 'BLUE', 1, 40, "n % 4 = $_ - 1") for 1 .. 4;
is(go_on(), 40, 'the first steps of all');
sql($node, q{
	SELECT cadence_delivery(CASE empresa WHEN 'ILHA' THEN 'zap2' ELSE 'zap' END, whatsapp_message_id, CASE WHEN hashtext(lead_id) & 1 = 0 THEN 'delivered' ELSE 'read' END)
	FROM lead_messages WHERE whatsapp_message_id IS NOT NULL;
	-- twice, and in the other order
	SELECT cadence_delivery('zap', whatsapp_message_id, 'delivered') FROM lead_messages WHERE whatsapp_message_id IS NOT NULL AND empresa = 'BLUE'});
say_all('oi', 1, 8);
say_all('SAIR', 9, 11);
sql($node, "SELECT cadence_opt_out('l' || n, 'BLUE', c) FROM generate_series(12, 14) n, unnest('{WHATSAPP,SMS}'::text[]) c");
go_on() for 1 .. 5;
is(differences(), '', 'failures, answers, opt-outs, receipts');

# one before all, one less, and another number
begin('C1', 'BLUE', 30, 45);
sql($node, q{
	INSERT INTO cadence_steps (id, cadence_id, ordem, canal, template_codigo)
	VALUES ('50000000-0000-0000-0000-000000000010', 'c0000000-0000-0000-0000-000000000001', 0, 'WHATSAPP', 'T1');
	DELETE FROM cadence_steps WHERE id = '50000000-0000-0000-0000-000000000013';
	UPDATE cadence_steps SET ordem = 9 WHERE id = '50000000-0000-0000-0000-000000000044'});
go_on();
sql($node, "SELECT cadence_resume(id) FROM lead_cadence_runs WHERE status = 'PAUSADA' AND cadence_id = 'c0000000-0000-0000-0000-000000000001'");
go_on();
is(differences(), '', 'edits, and what was resumed');

# of steps that have other numbers now, of runs that are over
sql($node, q{
	SELECT cadence_delivery('zap', whatsapp_message_id, 'read') FROM lead_messages
	WHERE run_id IN (SELECT id FROM lead_cadence_runs WHERE cadence_id = 'c0000000-0000-0000-0000-000000000004' AND status = 'CONCLUIDA')});
is(differences(), '', 'receipts of what was sent before an edit');
cmp_ok(sql($node, "SELECT sum(read) FROM cadence_rollup_cohorts() WHERE step_id = '50000000-0000-0000-0000-000000000044'"), '>', 0, 'which count');

# nobody knows, and somebody says
sql($node, q{ALTER SERVER zap OPTIONS (SET url '} . $provider->url('hang') . q{')});
begin('C4', 'BLUE', 46, 53);
go_on();
is(sql($node, q{SELECT count(cadence_settle(id, hashtext(lead_id) & 1 = 0)) FROM lead_cadence_runs
	WHERE status = 'PAUSADA' AND lead_id IN (SELECT 'l' || n FROM generate_series(46, 53) n)}), 8, 'nobody knows of some');
sql($node, q{ALTER SERVER zap OPTIONS (SET url '} . $provider->url('ok') . q{')});
is(differences(), '', 'what somebody has settled');
go_on();

# who begins again, is cancelled, paused, skips, leaves, comes too late
begin('C4', 'BLUE', 46, 49);
sql($node, q{
	SELECT cadence_cancel(id, 'x') FROM lead_cadence_runs WHERE lead_id = 'l50' AND status = 'ATIVA';
	SELECT cadence_pause(id) FROM lead_cadence_runs WHERE lead_id = 'l51' AND status = 'ATIVA';
	UPDATE lead_contacts SET opt_out = true WHERE lead_id = 'l52';
	UPDATE cadence_steps SET validade = '1 minute' WHERE cadence_id = 'c0000000-0000-0000-0000-000000000004' AND ordem = 3;
	CREATE VIEW cadence_skips AS SELECT id AS run_id, next_step_ordem AS ordem, 'x'::text AS motivo FROM lead_cadence_runs WHERE lead_id IN ('l46', 'l47') AND next_step_ordem = 1;
	CREATE VIEW cadence_exits AS SELECT id AS run_id, 'comprou'::text AS motivo FROM lead_cadence_runs WHERE lead_id = 'l48'});
go_on() for 1 .. 3;
say_all('oi', 46, 55);
sql($node, q{SELECT cadence_delivery('zap', whatsapp_message_id, 'failed', now(), '131026', 'gone') FROM lead_messages
	WHERE empresa = 'BLUE' AND whatsapp_message_id IS NOT NULL AND entregue_em IS NULL});
is(differences(), '', 'skips, exits, what has come back');

is(sql($node, q{SELECT string_agg(DISTINCT outcome, ' ' ORDER BY outcome) FROM cadence_rollup_counts('TOTAL', '{attempt}')}),
	'failed refused sent skipped stopped uncertain', 'of each kind');
is(sql($node, q{SELECT bool_and(n > 0) FROM (SELECT unnest(ARRAY[sum(entered), sum(sent), sum(delivered), sum(read), sum(replied), sum(opted_out), sum(failed), sum(skipped), sum(stopped)]) AS n
	FROM cadence_rollup_cohorts()) AS x}), 't', 'and in each column');
is(sql($node, 'SELECT count(*) FROM cadence_rollup_cohorts() WHERE greatest(sent, replied, opted_out, failed, skipped, stopped) > entered OR greatest(delivered, read) > sent'),
	0, 'none over 100 %');

done_testing();
