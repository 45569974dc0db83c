# Who counts as a member of the tables' owner: whoever may become that role. From PostgreSQL 16 on a
# membership may come without that right, and then what its holder makes is somebody else's.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_cluster('main', extension => 0);
plan skip_all => 'memberships have no options before PostgreSQL 16' if $node->pg_version < 16;

my $provider = start_provider();

sql($node, q{
	CREATE ROLE crm LOGIN;
	CREATE ROLE clerk;
	GRANT ALL ON SCHEMA public TO crm, clerk;
	CREATE EXTENSION cadence_runner;
	GRANT EXECUTE ON FUNCTION cadence_create_tables(regrole), cadence_run(text) TO crm, clerk;
	SET ROLE crm;
	SET client_min_messages = warning;
	SELECT cadence_create_tables();
});
make_company($node, 'ok', $provider->url('ok'));

sub membership
{
	my ($options) = @_;
	sql($node, "GRANT crm TO clerk WITH INHERIT TRUE, SET $options");
	return;
}

# What the clerk is told; empty: it was done.
sub told
{
	my ($statement) = @_;
	my (undef, undef, $said) = $node->psql('postgres', "SET client_min_messages = error; SET ROLE clerk; $statement",
		extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	return $said;
}

sub what_became_of_one
{
	enrol($node, 'ok', 1);
	execute($node);
	return sql($node, "SELECT coalesce(detalhes ->> 'codigo', tipo_evento) FROM lead_cadence_events ORDER BY created_at DESC LIMIT 1");
}

my @calls = (
	[ 'SELECT cadence_rollup_rebuild()', qr/42501: role "clerk" may not count anew/, 'counting anew' ],
	[ "SELECT cadence_create_tables('crm')", qr/42501: role clerk is neither a superuser nor a member/, 'making tables for the owner' ]);

membership('FALSE');
like(told($_->[0]), $_->[1], "$_->[2]: refused to a member who may not become the owner") for @calls;

membership('TRUE');
is(told($_->[0]), '', "$_->[2]: done for one who may") for @calls;

sql($node, 'ALTER SERVER ok OWNER TO clerk; GRANT USAGE ON FOREIGN SERVER ok TO crm');
is(what_became_of_one(), 'DISPARADO', 'his server counts');
membership('FALSE');
is(what_became_of_one(), 'SEM_PROVEDOR', 'not where he may not become the owner');
sql($node, 'ALTER SERVER ok OWNER TO crm');
is(what_became_of_one(), 'DISPARADO', "the owner's own does");

my $misfits = 'SELECT count(*) FROM cadence_misfits';
for my $made (
	[ 'ALTER TABLE lead_contacts OWNER TO clerk, DISABLE ROW LEVEL SECURITY', 'ALTER TABLE lead_contacts OWNER TO crm', 'a table' ],
	[ q{CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
		ALTER FUNCTION look() OWNER TO clerk;
		CREATE TRIGGER look AFTER INSERT ON lead_messages FOR EACH ROW EXECUTE FUNCTION look()},
		'DROP TRIGGER look ON lead_messages', "a trigger's function" ],
	[ 'CREATE TABLE more () INHERITS (lead_messages); ALTER TABLE more OWNER TO clerk', 'DROP TABLE more', 'an inheritor' ],
	[ 'CREATE DOMAIN words AS text; ALTER DOMAIN words OWNER TO clerk; ALTER TABLE lead_contacts ADD spoken words',
		'ALTER TABLE lead_contacts DROP spoken', 'a type' ])
{
	my ($make, $undo, $what) = @$made;

	sql($node, "SET client_min_messages = error; $make; GRANT ALL ON lead_contacts TO crm, clerk");
	is(sql($node, $misfits), 1, "$what of his: misfits have it");
	like(told("SELECT cadence_run('TEST')"), qr/42501: .*does not belong to the owner/, 'no execution reads it');
	membership('TRUE');
	is(sql($node, $misfits), 0, 'none where he may become the owner');
	is(told("SELECT cadence_run('TEST')"), '', 'and executions go on');
	membership('FALSE');
	sql($node, $undo);
}

done_testing();
