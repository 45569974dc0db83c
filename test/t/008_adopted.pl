# An installation of before, adopted as it is: enum types, triggers that name tables without a
# schema, policies, no unique constraints and rows that break them. It runs side by side with the
# function that it replaces.

use strict;
use warnings;
use utf8;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use Test::More;

my $node = new_cluster('main', extension => 0);
my $provider = start_provider();

sql($node, q{
	CREATE ROLE app LOGIN;
	CREATE ROLE anon;
	ALTER DATABASE postgres OWNER TO app;
	ALTER SCHEMA public OWNER TO app;
	ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO anon;
	SET ROLE app;

	CREATE TYPE empresa_tipo AS ENUM ('TOKENIZA', 'BLUE');
	CREATE TYPE canal_tipo AS ENUM ('WHATSAPP', 'EMAIL', 'SMS');
	CREATE TYPE cadence_run_status AS ENUM ('ATIVA', 'CONCLUIDA', 'CANCELADA', 'PAUSADA');
	CREATE TYPE cadence_evento_tipo AS ENUM ('AGENDADO', 'DISPARADO', 'ERRO', 'RESPOSTA_DETECTADA');
	CREATE TYPE mensagem_direcao AS ENUM ('OUTBOUND', 'INBOUND');
	CREATE TYPE mensagem_estado AS ENUM ('PENDENTE', 'ENVIADO', 'ENTREGUE', 'LIDO', 'ERRO');

	CREATE TABLE cadences (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), empresa empresa_tipo NOT NULL,
		codigo text NOT NULL UNIQUE, nome text NOT NULL, descricao text, ativo boolean NOT NULL DEFAULT true,
		canal_principal canal_tipo NOT NULL DEFAULT 'WHATSAPP',
		created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
	CREATE TABLE cadence_steps (id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
		cadence_id uuid NOT NULL REFERENCES cadences ON DELETE CASCADE, ordem int NOT NULL,
		offset_minutos int NOT NULL DEFAULT 0, canal canal_tipo NOT NULL, template_codigo text NOT NULL,
		parar_se_responder boolean NOT NULL DEFAULT true,
		created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
	CREATE TABLE lead_contacts (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), lead_id text NOT NULL,
		empresa empresa_tipo NOT NULL, nome text, email text, telefone text, primeiro_nome text,
		cidade varchar(80), created_at timestamptz NOT NULL DEFAULT now(),
		updated_at timestamptz NOT NULL DEFAULT now());
	CREATE TABLE message_templates (id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
		empresa empresa_tipo NOT NULL, canal canal_tipo NOT NULL, codigo text NOT NULL, nome text NOT NULL,
		conteudo text NOT NULL, ativo boolean NOT NULL DEFAULT true,
		created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
	CREATE TABLE lead_cadence_runs (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), lead_id text NOT NULL,
		empresa empresa_tipo NOT NULL, cadence_id uuid NOT NULL REFERENCES cadences,
		status cadence_run_status NOT NULL DEFAULT 'ATIVA', started_at timestamptz NOT NULL DEFAULT now(),
		last_step_ordem int NOT NULL DEFAULT 0, next_step_ordem int, next_run_at timestamptz,
		classification_snapshot jsonb, fonte_evento_id uuid,
		created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
	CREATE TABLE lead_cadence_events (id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
		lead_cadence_run_id uuid NOT NULL REFERENCES lead_cadence_runs ON DELETE CASCADE,
		step_ordem int NOT NULL, template_codigo text NOT NULL, tipo_evento cadence_evento_tipo NOT NULL,
		detalhes jsonb, created_at timestamptz NOT NULL DEFAULT now());
	CREATE TABLE lead_messages (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), lead_id text NOT NULL,
		empresa empresa_tipo NOT NULL, run_id uuid REFERENCES lead_cadence_runs, canal canal_tipo NOT NULL,
		direcao mensagem_direcao NOT NULL, conteudo text NOT NULL,
		estado mensagem_estado NOT NULL DEFAULT 'PENDENTE', template_codigo text,
		whatsapp_message_id text, email_message_id text, enviado_em timestamptz, entregue_em timestamptz,
		lido_em timestamptz, erro_detalhe text,
		created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
	CREATE TABLE touched (run uuid, n int);

	CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		NEW.updated_at := clock_timestamp();
		RETURN NEW;
	END $$;
	CREATE FUNCTION count_event() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO touched SELECT NEW.lead_cadence_run_id, count(*) FROM lead_cadence_events
		WHERE lead_cadence_run_id = NEW.lead_cadence_run_id;
		RETURN NULL;
	END $$;
	CREATE TRIGGER touch BEFORE UPDATE ON lead_cadence_runs FOR EACH ROW EXECUTE FUNCTION touch();
	CREATE TRIGGER count_event AFTER INSERT ON lead_cadence_events FOR EACH ROW EXECUTE FUNCTION count_event();
	ALTER TABLE lead_cadence_runs ENABLE ROW LEVEL SECURITY;
	CREATE POLICY nobody ON lead_cadence_runs FOR ALL TO anon USING (false);

	INSERT INTO cadences (empresa, codigo, nome) VALUES ('BLUE', 'old', 'Antiga'), ('TOKENIZA', 'two', 'Outra');
	INSERT INTO cadence_steps (cadence_id, ordem, offset_minutos, canal, template_codigo)
	SELECT id, n, 60 * (n - 1), 'WHATSAPP', 'T' || n FROM cadences, generate_series(1, 2) AS n;
	-- the same codes in both companies, and older rows of each
	INSERT INTO message_templates (empresa, canal, codigo, nome, conteudo, updated_at)
	SELECT e, 'WHATSAPP', t, t, e || ' ' || t || ' {{nome}} {{cidade|?}} ' || v, now() - v * interval '1 day'
	FROM unnest(enum_range(NULL::empresa_tipo)) AS e, unnest(ARRAY['T1', 'T2']) AS t, generate_series(1, 3) AS v;
	INSERT INTO lead_contacts (lead_id, empresa, nome, telefone, cidade, updated_at)
	SELECT 'lead-' || i, CASE WHEN i % 2 = 0 THEN 'BLUE' ELSE 'TOKENIZA' END::empresa_tipo,
		'Zé ' || i || CASE v WHEN 1 THEN '' ELSE ' antigo' END, i::text, 'São Paulo', now() - v * interval '1 day'
	FROM generate_series(1, 300) AS i, generate_series(1, 2) AS v;
	INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem, next_run_at)
	SELECT 'lead-' || i, c.empresa, c.id, 1, now() - interval '1 hour' + i * interval '1 ms'
	FROM generate_series(1, 300) AS i
	JOIN cadences c ON c.codigo = CASE WHEN i % 2 = 0 THEN 'old' ELSE 'two' END;

	RESET ROLE;
	CREATE EXTENSION cadence_runner;
	GRANT EXECUTE ON FUNCTION cadence_create_tables(regrole) TO app;
});

# The columns that were there before, and their types.
sub columns
{
	return map { "$_->{c} $_->{t}" } sql_rows($node, q{
		SELECT attrelid::regclass || '.' || attname AS c, format_type(atttypid, atttypmod) AS t
		FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
		WHERE c.relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0
		ORDER BY 1});
}

my @before = columns();
my $create = 'SET ROLE app; SET client_min_messages = warning; SELECT cadence_create_tables()';
sql($node, $create);
sql($node, $create);
my %after = map { $_ => 1 } columns();
is_deeply([ grep { !$after{$_} } @before ], [], 'no column has changed its type');
is(sql($node, 'SELECT count(*) FROM lead_cadence_runs'), 300, 'adopted, twice, with its rows');
is(sql($node, q{SELECT (SELECT sum(runs) FROM cadence_rollup_enrolled()) || ' ' || sum(entered) FROM cadence_rollup_cohorts()}),
	'300 300', 'which count, once');
is(sql($node, q{SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 'cadence_runner_logs'}),
	'app', 'what was created belongs to the owner');
is(sql($node, q{SELECT has_function_privilege('anon', 'cadence_run(text)', 'EXECUTE')}), 'f',
	'default privileges hand nothing out');
make_server($node, 'whatsapp', $provider->url('slow/20'), max_in_flight => 4);
sql($node, 'GRANT USAGE ON FOREIGN SERVER whatsapp TO app');

# The function of before: reads what is due, and for each run an UPDATE that still compares
# next_run_at; what it took, it sends. Here "sends" is a row.
my $edge = q{
	CREATE TABLE edge_sent (run uuid);
	GRANT ALL ON edge_sent TO app;
};
sql($node, $edge);
my $loop = q{
	SET ROLE app;
	SELECT format('WITH taken AS (UPDATE lead_cadence_runs SET next_run_at = now() + interval ''1 day''
		WHERE id = %L AND status = ''ATIVA'' AND next_run_at = %L RETURNING id)
		INSERT INTO edge_sent SELECT id FROM taken', id, next_run_at)
	FROM lead_cadence_runs WHERE status = 'ATIVA' AND next_run_at <= now() ORDER BY next_run_at DESC
	\gexec
};
set_server($node, 'cadence_runner.batch_size', 10);
my @new = map { start_sql($node, "SELECT cadence_run('TEST')") } 1 .. 2;
poll_until(sub { $provider->count > 0 }, 'the extension is at work');
my $old = start_sql($node, $loop);
is($_->finish, 0, 'a caller ends well') or diag($_->error) for $old, @new;

my %by_us = $provider->per_run;
my %by_edge = map { $_->{run} => 1 } sql_rows($node, 'SELECT run FROM edge_sent');
note(keys(%by_us) . ' by us, ' . keys(%by_edge) . ' by the function of before');
cmp_ok(scalar keys %by_us, '>', 0, 'the extension sent some');
cmp_ok(scalar keys %by_edge, '>', 0, 'the function of before sent others');
is_deeply([ grep { $by_us{$_} != 1 } keys %by_us ], [], 'no step twice by us');
is_deeply([ grep { $by_edge{$_} } keys %by_us ], [], 'nor by both');
is(keys(%by_us) + sql($node, 'SELECT count(*) FROM edge_sent'), 300, 'all of them were sent');
is(sql($node, 'SELECT count(*) FROM lead_cadence_runs WHERE claim_id IS NOT NULL'), 0, 'no claim is left');

my %seen = map { $_->{body}{leadId} => $_->{body} } $provider->journal;
my ($wrong) = grep {
	my ($i) = $_->{leadId} =~ /(\d+)/;
	my $empresa = $i % 2 ? 'TOKENIZA' : 'BLUE';
	$_->{empresa} ne $empresa || $_->{mensagem} ne "$empresa T1 Zé $i São Paulo 1";
} values %seen;
is($wrong, undef, 'of duplicates the most recent row counts, and each company has its own')
  or diag(explain($wrong));
is(sql($node, 'SELECT count(*) FROM lead_messages'), scalar keys %by_us, 'a message row each');
is(sql($node, 'SELECT count(*) FROM touched'), 2 * keys %by_us, 'triggers of before still work');

sql($node, "UPDATE lead_cadence_runs SET next_step_ordem = 2, next_run_at = now() - interval '1 s'");
is(execute($node)->{summary}{success}, 300, 'the second step of all');
is(sql($node, "SELECT count(*) FROM lead_cadence_runs WHERE status = 'CONCLUIDA'"), 300, 'and their end');

# an enum without a word that we need can not be adopted, and every such thing is said at once
sql($node, q{
	ALTER TABLE lead_messages ALTER direcao TYPE text;
	ALTER TABLE lead_cadence_runs ALTER lead_id TYPE int USING 1;
	DROP INDEX lead_contacts_phone_idx;
	ALTER TABLE lead_contacts ALTER telefone TYPE bigint USING 1;
});
like(sql_error($node, $create), qr/ERROR:  42804: .*lead_contacts\.telefone.*bigint/s, 'what does not fit is said');
like(sql_error($node, $create), qr/lead_cadence_runs\.lead_id.*integer/, 'all of it at once');

done_testing();
