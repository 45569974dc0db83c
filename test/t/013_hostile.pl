# Others who may create things in the tables' schema, or own a table there, get no rights by it; and
# duplicates in adopted tables send nothing twice.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_cluster('main', extension => 0);
my $provider = start_provider();
my $evil_is = q{SELECT rolsuper FROM pg_roles WHERE rolname = 'evil'};

# an adopted enum has no exact operator in pg_catalog: one in the tables' schema would be chosen
sql($node, q{
	CREATE EXTENSION cadence_runner;
	CREATE ROLE evil;
	GRANT CREATE ON SCHEMA public TO evil;
	CREATE TYPE st AS ENUM ('ATIVA', 'CONCLUIDA', 'CANCELADA', 'PAUSADA');
	CREATE TABLE lead_cadence_runs (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), lead_id varchar(40),
		empresa text, cadence_id uuid, status st DEFAULT 'ATIVA', next_step_ordem int, next_run_at timestamptz);
	CREATE TABLE cadence_empresas (empresa text, nome text, fuso_horario text);
	SET client_min_messages = warning;
	SELECT cadence_create_tables();
	SET ROLE evil;
	CREATE FUNCTION same(st, st) RETURNS boolean LANGUAGE plpgsql AS
		$$BEGIN EXECUTE 'ALTER ROLE evil SUPERUSER'; RETURN true; END$$;
	CREATE FUNCTION same(varchar, varchar) RETURNS boolean LANGUAGE plpgsql AS
		$$BEGIN EXECUTE 'ALTER ROLE evil SUPERUSER'; RETURN true; END$$;
	CREATE FUNCTION same(varchar, text) RETURNS boolean LANGUAGE plpgsql AS
		$$BEGIN EXECUTE 'ALTER ROLE evil SUPERUSER'; RETURN true; END$$;
	CREATE OPERATOR public.= (LEFTARG = st, RIGHTARG = st, FUNCTION = same);
	CREATE OPERATOR public.= (LEFTARG = varchar, RIGHTARG = varchar, FUNCTION = same);
	CREATE OPERATOR public.= (LEFTARG = varchar, RIGHTARG = text, FUNCTION = same);
	CREATE FUNCTION jsonb_build_object(text, timestamptz) RETURNS jsonb LANGUAGE plpgsql AS
		$$BEGIN EXECUTE 'ALTER ROLE evil SUPERUSER'; RETURN '{}'; END$$;
});
make_company($node, 'ok', $provider->url('ok'));
sql($node, q{INSERT INTO cadence_empresas VALUES ('ok', 'Um'), ('ok', 'Dois')});
enrol($node, 'ok', 3);
is(execute($node)->{summary}{success}, 3, 'duplicates of a company count once');
is($provider->count, 3, 'one message each');
my $run = sql($node, q{SELECT cadence_enroll('novo', 'ok')});
sql($node, "SELECT cadence_pause('$run'), cadence_resume('$run')");
sql($node, "SELECT cadence_cancel('$run', 'x')");
is(sql($node, $evil_is), 'f', 'an operator in the schema is never run');

# who may create a trigger, and no more, does so while a statement of ours waits for her to commit
sql($node, q{
	GRANT TRIGGER ON lead_messages TO evil;
	SET ROLE evil;
	CREATE SEQUENCE lurked;
	CREATE FUNCTION lurk() RETURNS trigger LANGUAGE plpgsql AS
		$$BEGIN PERFORM nextval('lurked'); EXECUTE 'ALTER ROLE evil SUPERUSER'; RETURN new; END$$});
sub lurk_on
{
	my ($table) = @_;
	return qq{BEGIN; SET LOCAL ROLE evil;
		CREATE TRIGGER lurk BEFORE INSERT OR UPDATE ON $table FOR EACH ROW EXECUTE FUNCTION lurk();
		DO \$\$BEGIN
			FOR i IN 1 .. 5000 LOOP
				EXIT WHEN EXISTS (SELECT FROM pg_locks WHERE relation = '$table'::regclass AND NOT granted);
				PERFORM pg_sleep(0.01);
			END LOOP;
		END\$\$; COMMIT};
}
my %waits = (
	'a webhook' => sub { return sql_error($node, q{SELECT cadence_delivery('ok', 'm-1', 'read')}) },
	'a webhook of a session that has called before' => sub {
		return sql_error($node, q{SELECT cadence_delivery('ok', 'none', 'read'); SELECT cadence_delivery('ok', 'm-2', 'read')});
	},
	'an execution' => sub { enrol($node, 'ok', 1); return sql_error($node, q{SELECT cadence_run('TEST')}) });
for my $table ('lead_messages', 'messages_part')
{
	sql($node, q{ALTER TABLE lead_messages RENAME TO messages_part; SET client_min_messages = warning;
		CREATE TABLE lead_messages (LIKE messages_part INCLUDING DEFAULTS) PARTITION BY LIST (empresa);
		ALTER TABLE lead_messages ATTACH PARTITION messages_part DEFAULT; SELECT cadence_create_tables()})
	  if $table ne 'lead_messages';
	for my $who (sort keys %waits)
	{
		my $lurker = start_sql($node, lurk_on($table));
		poll_until(sub { sql($node, qq{SELECT count(*) FROM pg_locks WHERE relation = '$table'::regclass
			AND mode = 'ShareRowExclusiveLock' AND granted}) }, "$table: $who comes when she has begun");
		my $said = $waits{$who}->();
		is($lurker->finish, 0, 'and waits for her') or diag($lurker->error);
		is(sql($node, q{SELECT count(*) FROM pg_trigger WHERE tgname = 'lurk'}), 1, 'she has committed');
		is(sql($node, $evil_is), 'f', 'her trigger is not run') or diag($said);
		sql($node, "DROP TRIGGER lurk ON $table");
		execute($node);
	}
}
# nor by functions that a statement of ours calls
sql($node, 'GRANT TRIGGER ON cadence_deltas TO evil');
enrol($node, 'ok', 1);
my $lurker = start_sql($node, lurk_on('cadence_deltas'));
poll_until(sub { sql($node, q{SELECT count(*) FROM pg_locks WHERE relation = 'cadence_deltas'::regclass
	AND mode = 'ShareRowExclusiveLock' AND granted}) }, 'a recount comes when she has begun');
like(sql_error($node, 'SELECT cadence_rollup_rebuild()'), qr/ERROR:  42501: /, 'a recount is refused');
is($lurker->finish, 0, 'and has waited for her') or diag($lurker->error);
sql($node, 'DROP TRIGGER lurk ON cadence_deltas');
is(sql($node, 'SELECT is_called FROM lurked'), 'f', 'what she would have done that no rollback undoes is not done');
like(sql_error($node, 'SELECT cadence_rollup_rebuild()'), qr/^no error/, 'without her trigger it goes through');
sql($node, q{ALTER TABLE lead_messages DETACH PARTITION messages_part; DROP TABLE lead_messages;
	ALTER TABLE messages_part RENAME TO lead_messages; SET client_min_messages = warning; SELECT cadence_create_tables()});
sql($node, 'REVOKE TRIGGER ON lead_messages FROM evil');

# a table of somebody else is neither adopted nor written to: its triggers would run as the owner
sql($node, 'ALTER TABLE lead_messages OWNER TO evil; GRANT ALL ON lead_messages TO PUBLIC');
like(sql_error($node, 'SELECT cadence_create_tables()'), qr/ERROR:  42501: .*do not all belong to role/, 'not adopted');
sql($node, q{
	SET ROLE evil;
	CREATE FUNCTION rise() RETURNS trigger LANGUAGE plpgsql AS
		$$BEGIN EXECUTE 'ALTER ROLE evil SUPERUSER'; RETURN new; END$$;
	CREATE TRIGGER rise BEFORE INSERT ON lead_messages FOR EACH ROW EXECUTE FUNCTION rise()});
my $sent = $provider->count;
enrol($node, 'ok', 1);
like(sql_error($node, "SELECT cadence_run('TEST')"), qr/ERROR:  42501: .*does not belong.*HINT:/s, 'not written to');
is(sql($node, $evil_is), 'f', 'nor are its triggers run');
is($provider->count, $sent, 'and nothing was sent');

# what we create is not handed out by default privileges
$node->safe_psql('postgres', 'CREATE DATABASE other');
is($node->safe_psql('other', q{
	SET client_min_messages = warning;
	ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO evil;
	CREATE EXTENSION cadence_runner;
	SELECT cadence_create_tables();
	SELECT bool_or(has_table_privilege('evil', c.oid, 'TRUNCATE, INSERT, UPDATE, DELETE, TRIGGER'
		|| CASE WHEN c.relname <> 'cadence_protocols' THEN ', SELECT' ELSE '' END))
	FROM pg_class c WHERE relname ~ '^(lead|cadence|message)' AND relkind = 'r'}) =~ s/^\n+//r,
	'f', 'no right on the tables by default');

done_testing();
