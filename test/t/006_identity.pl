# As whom an execution acts: the owner of the tables, from the first moment to the last, whatever
# the triggers on them do.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_cluster('main', extension => 0, conf => ["synchronous_commit = on"]);
my $provider = start_provider();
my $RUN = "SELECT crm.cadence_run('TEST')";

sql($node, q{
	CREATE ROLE crm LOGIN;
	CREATE ROLE clerk LOGIN;
	CREATE ROLE reader LOGIN;
	CREATE ROLE outsider LOGIN;
	CREATE SCHEMA crm AUTHORIZATION crm;
	CREATE EXTENSION cadence_runner SCHEMA crm;
	GRANT EXECUTE ON FUNCTION crm.cadence_create_tables(regrole) TO crm;
	GRANT USAGE ON SCHEMA crm TO clerk, reader, outsider;
	SET ROLE crm;
	SET client_min_messages = warning;
	SELECT crm.cadence_create_tables();
	GRANT SELECT ON ALL TABLES IN SCHEMA crm TO reader;
	RESET ROLE;
	GRANT EXECUTE ON FUNCTION crm.cadence_run(text) TO clerk;
	ALTER ROLE postgres SET search_path = crm, public;
});

make_company($node, 'ok', $provider->url('ok'));
sql($node, 'GRANT USAGE ON FOREIGN SERVER ok TO crm');

# What a statement says when a role runs it.
sub error_as
{
	my ($role, $statement) = @_;
	return sql_error($node, $statement, extra_params => [ '-U', $role ]);
}

sub result_as
{
	my ($role) = @_;
	my ($status, $out, $err) = $node->psql('postgres', $RUN, extra_params => [ '-U', $role ]);
	return $status == 0 ? JSON::PP::decode_json($out) : { error => $err };
}

# The cluster's pg_hba.conf lets only its own user in.
unlink $node->data_dir . '/pg_hba.conf';
$node->append_conf('pg_hba.conf', 'local all all trust');
$node->reload;
$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_hba_file_rules") or die;

sql($node, q{
	CREATE TABLE crm.seen (n serial, run_session name, run_current name, path text, row_security text,
		iso text, sync text, lock text, work_mem text);
	ALTER TABLE crm.seen OWNER TO crm;
	CREATE FUNCTION crm.look() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO seen (run_session, run_current, path, row_security, iso, sync, lock, work_mem)
		VALUES (session_user, current_user, current_setting('search_path'),
			current_setting('row_security'), current_setting('transaction_isolation'),
			current_setting('synchronous_commit'), current_setting('lock_timeout'),
			current_setting('work_mem'));
		RETURN NULL;
	END $$;
	CREATE TRIGGER look AFTER INSERT ON crm.lead_messages FOR EACH ROW EXECUTE FUNCTION crm.look();
});

subtest 'the right to execute is all that a caller needs' => sub {
	enrol($node, 'ok', 1);
	like(error_as('outsider', $RUN), qr/ERROR:  42501: permission denied for function cadence_run/,
		'without it');
	like(error_as('reader', $RUN), qr/ERROR:  42501: /, 'the right to read tables does not help');
	is($provider->count, 0, 'and nothing happens');
	like(error_as('clerk', 'SELECT * FROM crm.lead_cadence_runs'), qr/ERROR:  42501: /,
		'a clerk can not read the tables');
	is(result_as('clerk')->{summary}{success}, 1, 'but start an execution');
	my @seen = sql_rows($node, 'SELECT * FROM seen');
	is(@seen, 1, 'the trigger ran');
	is($seen[0]{run_session}, 'crm', 'in a session of the owner');
	is($seen[0]{run_current}, 'crm', 'as the owner');
	is($seen[0]{path} =~ s/ //gr, 'pg_catalog,crm,pg_temp', 'with this search path');
	is($seen[0]{row_security}, 'off', 'and policies that would hide rows are errors');
};

subtest 'what a trigger sets ends with its transaction' => sub {
	sql($node, q{
		ALTER ROLE crm SET default_transaction_isolation = 'serializable';
		ALTER ROLE crm SET synchronous_commit = off;
		ALTER ROLE crm SET search_path = public;
		ALTER ROLE crm SET lock_timeout = '1h';
		CREATE ROLE crm_other;
		GRANT crm_other TO crm;
		TRUNCATE crm.seen;
		CREATE FUNCTION crm.mess() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN
			SET synchronous_commit = off;
			SET lock_timeout = '1min';
			SET search_path = public;
			SET work_mem = '64kB';
			SET ROLE crm_other;
			SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY;
			RETURN NULL;
		END $$;
		CREATE CONSTRAINT TRIGGER mess AFTER INSERT ON crm.lead_cadence_events
			DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION crm.mess();
		ALTER SYSTEM SET work_mem = '5MB';
	});
	$node->reload;
	set_server($node, 'cadence_runner.batch_size', 1);
	set_server($node, 'cadence_runner.max_in_flight', 1);
	enrol($node, 'ok', 4);
	my $result = result_as('clerk');

	is($result->{summary}{success}, 4, 'every turn works') or diag(explain($result));
	is(sql($node, q{SELECT DISTINCT run_session, run_current, replace(path, ' ', ''), iso, sync,
		CASE WHEN lock IN ('1s', '100ms') THEN 'ours' ELSE lock END, work_mem
		FROM seen}), 'crm|crm|pg_catalog,crm,pg_temp|read committed|on|ours|5MB',
		'each transaction begins with the same settings');
	cmp_ok(sql($node, 'SELECT count(*) FROM seen'), '==', 4, 'all of them');
	is(sql($node, 'SELECT count(*) FROM cadence_runner_logs WHERE errors = 0 AND steps_executed = 4'), 1,
		'the log row too');
	sql($node, 'DROP TRIGGER mess ON crm.lead_cadence_events; ALTER ROLE crm RESET ALL');
	set_server($node, 'cadence_runner.batch_size', 500);
};

subtest 'a trigger gets no more than the owner\'s rights' => sub {
	my $count = sub { sql($node, "SELECT count(*) FROM pg_roles WHERE rolname = 'intruder'") };

	for my $attack (
		'SET ROLE postgres',
		'RESET SESSION AUTHORIZATION; CREATE ROLE intruder SUPERUSER',
		'SET SESSION AUTHORIZATION postgres',
		'RESET ROLE; CREATE ROLE intruder SUPERUSER')
	{
		sql($node, qq{
			CREATE OR REPLACE FUNCTION crm.attack() RETURNS trigger LANGUAGE plpgsql AS \$\$
			BEGIN
				$attack;
				RETURN NULL;
			END \$\$;
			DROP TRIGGER IF EXISTS attack ON crm.lead_messages;
			CREATE TRIGGER attack AFTER INSERT ON crm.lead_messages FOR EACH ROW EXECUTE FUNCTION crm.attack()});
		enrol($node, 'ok', 1);
		my $result = result_as('clerk');

		is($count->(), 0, "$attack: nothing comes of it");
		is($result->{results}[0]{status}, 'ERRO', "$attack: an error of that row");
		is(sql($node, "SELECT count(*) FROM lead_cadence_runs WHERE status = 'ATIVA'"), 0,
			"$attack: what was sent is not sent again");
	}
	sql($node, 'DROP TRIGGER attack ON crm.lead_messages');
};

subtest 'servers and secrets' => sub {
	my $file = PostgreSQL::Test::Utils::tempdir() . '/token';
	my $last = sub { ($provider->journal)[-1]{headers}{authorization} };

	sql($node, 'REVOKE USAGE ON FOREIGN SERVER ok FROM crm');
	enrol($node, 'ok', 1);
	like(result_as('clerk')->{results}[0]{erro}, qr/USAGE/, 'a server without USAGE for the owner');
	sql($node, 'GRANT USAGE ON FOREIGN SERVER ok TO crm');
	make_all_due($node);
	result_as('clerk');
	is($last->(), undef, 'with USAGE, and no mapping');

	sql($node, "CREATE USER MAPPING FOR PUBLIC SERVER ok OPTIONS (bearer_token 'for-everybody')");
	enrol($node, 'ok', 1);
	result_as('clerk');
	is($last->(), 'Bearer for-everybody', 'the mapping of PUBLIC');

	sql($node, "CREATE USER MAPPING FOR clerk SERVER ok OPTIONS (bearer_token 'for-the-clerk');
		CREATE USER MAPPING FOR crm SERVER ok OPTIONS (bearer_token 'for-the-owner')");
	enrol($node, 'ok', 1);
	result_as('clerk');
	is($last->(), 'Bearer for-the-owner', 'the owner\'s own goes before it, the caller\'s never counts');

	append_to_file($file, "from-a-file\n");
	sql($node, "ALTER USER MAPPING FOR crm SERVER ok OPTIONS (DROP bearer_token, bearer_token_file '$file', host '127.0.0.1')");
	enrol($node, 'ok', 1);
	result_as('clerk');
	is($last->(), 'Bearer from-a-file', 'a secret in a file');
	sql($node, "ALTER USER MAPPING FOR crm SERVER ok OPTIONS (SET bearer_token_file '$file.missing')");
	enrol($node, 'ok', 1);
	my $erro = result_as('clerk')->{results}[0]{erro};
	like($erro, qr/server "ok".*file/, 'a file that is missing is said');
	like(error_as('crm', "ALTER USER MAPPING FOR crm SERVER ok OPTIONS (SET bearer_token_file '/etc/passwd')"),
		qr/ERROR:  42501: /, 'files are for superusers to name');

	sql($node, "ALTER USER MAPPING FOR crm SERVER ok OPTIONS (DROP bearer_token_file, DROP host, bearer_token 'secret')");
	my ($status, $out) = $node->psql('postgres',
		q{SELECT count(*), count(umoptions) FROM pg_user_mappings WHERE usename = 'crm'},
		extra_params => [ '-U', 'reader' ]);
	is($out, '1|0', 'others see that there is a mapping, and no option of it');
};

subtest 'an owner who can not be connected as' => sub {
	sql($node, 'ALTER ROLE crm NOLOGIN');
	if ($node->pg_version >= 17)
	{
		ok(defined result_as('clerk')->{summary},
			'a role that may not log in: the server connects as it all the same');
	}
	else
	{
		like(error_as('clerk', $RUN),
			qr/ERROR:  28000: .*"crm", may not log in\nDETAIL:  An execution .*\nHINT:  Run ALTER ROLE crm LOGIN; it/,
			'a role that may not log in: the hint says what to do');
	}
	sql($node, 'ALTER ROLE crm LOGIN; REVOKE CONNECT ON DATABASE postgres FROM PUBLIC;
		GRANT CONNECT ON DATABASE postgres TO clerk');
	like(error_as('clerk', $RUN), qr/ERROR:  42501: permission denied for database "postgres"/,
		'a role without CONNECT: the true error');
	sql($node, 'GRANT CONNECT ON DATABASE postgres TO PUBLIC');
	ok(defined result_as('clerk')->{summary}, 'with both it works again');
};

done_testing();
