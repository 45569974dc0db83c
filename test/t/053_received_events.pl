# From a provider's call to what is done, each event by itself: what one row refuses stops no other.

use strict;
use warnings;
use utf8;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use Cadence::Webhook;
use JSON::PP ();
use Test::More;

my $node = new_cluster('main', conf => ['deadlock_timeout = 100ms']);
my $provider = start_provider();
my $SECRET = 'segredo-da-carta-segredo-da-carta';

sql($node, 'CREATE ROLE hook LOGIN;
	GRANT EXECUTE ON FUNCTION cadence_receive(text, text, jsonb, text, bytea, text) TO hook');
make_company($node, 'blue', $provider->url('ok'));
sql($node, "CREATE USER MAPPING FOR CURRENT_USER SERVER blue OPTIONS (path_secret '$SECRET')");
enrol($node, 'blue', 3);
sql($node, "UPDATE lead_contacts SET telefone = '+551198765432' || right(lead_id, 1)");
is(execute($node)->{summary}{success}, 3, 'three messages are sent');
my @sent = map { $_->{id} } sql_rows($node, 'SELECT whatsapp_message_id AS id FROM lead_messages ORDER BY lead_id');
my @phone = map { $_->{telefone} } sql_rows($node, 'SELECT telefone FROM lead_contacts ORDER BY lead_id');

sub told
{
	my (@events) = @_;
	return receive($node, 'blue', secret => $SECRET, body => JSON::PP->new->utf8->encode(\@events));
}

sub states
{
	return join ' ', map { $_->{estado} }
	  sql_rows($node, "SELECT estado FROM lead_messages WHERE direcao = 'OUTBOUND' ORDER BY lead_id");
}

sub rejected
{
	return join '; ', map { "$_->{codigo} $_->{motivo}" }
	  sql_rows($node, "SELECT coalesce(codigo, '-') AS codigo, motivo FROM cadence_rejected ORDER BY em, id");
}

# ---- several in one call ----------------------------------------------------------------

is(told({ event => 'receipt', id => $sent[0], state => 'delivered' },
		{ event => 'message', id => 'in-1', phone => $phone[1], text => 'Quero' },
		{ event => 'nothing that is known' },
		{ event => 'receipt', id => $sent[1], state => 'read' }),
	200, 'a call with four events');
is(states(), 'ENTREGUE LIDO ENVIADO', 'what became of the messages');
is(sql($node, "SELECT lead_id || ' ' || conteudo FROM lead_messages WHERE direcao = 'INBOUND'"), 'lead-2 Quero', 'the answer');
is(rejected(), '- no rule knows it', 'the one that nobody knows');
is(told({ event => 'message', id => 'in-1', phone => $phone[1], text => 'Quero' }, { event => 'receipt', id => $sent[1], state => 'delivered' }),
	200, 'what was told before');
is(states() . sql($node, "SELECT count(*) FROM lead_messages WHERE direcao = 'INBOUND'"), 'ENTREGUE LIDO ENVIADO1', 'happens once');
is(told({ event => 'receipt', id => 'of others', state => 'read' }), 200, 'a receipt of a message that is not ours');
is(rejected(), '- no rule knows it', '... is nothing');

# ---- one is refused ------------------------------------------------------------------------

sql($node, q{DELETE FROM cadence_rejected;
	CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not % now', NEW.conteudo USING ERRCODE = '23514'; END $$;
	CREATE TRIGGER refuse BEFORE INSERT ON lead_messages FOR EACH ROW WHEN (NEW.direcao = 'INBOUND') EXECUTE FUNCTION refuse()});
is(told({ event => 'message', id => 'in-2', phone => $phone[2], text => 'isto' }, { event => 'receipt', id => $sent[2], state => 'read' }),
	200, 'one that a trigger refuses, and another');
is(states(), 'ENTREGUE LIDO LIDO', 'the other is done');
is(rejected(), '23514 not isto now', 'the one is kept, with the reason');
is(sql($node, 'SELECT cadence_rejected_retry()'), 0, 'tried again, it is refused again');
sql($node, 'DROP TRIGGER refuse ON lead_messages');
is(sql($node, 'SELECT cadence_rejected_retry()'), 1, 'and then it is taken');
is(sql($node, "SELECT string_agg(conteudo, ' ' ORDER BY recebido_em, conteudo) FROM lead_messages WHERE direcao = 'INBOUND'"), 'Quero isto', '... as it was told');
is(rejected(), '', '... and gone');

# what a trigger sets reaches neither the next event nor the caller
sql($node, q{CREATE TABLE seen (path text); GRANT ALL ON seen TO PUBLIC;
	CREATE FUNCTION leave() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		INSERT INTO public.seen VALUES (current_setting('search_path')); SET search_path = eve, public; SET lock_timeout = 0; RETURN NEW; END $$;
	CREATE TRIGGER leave BEFORE INSERT ON lead_messages FOR EACH ROW EXECUTE FUNCTION leave()});
is(told(map { { event => 'message', id => "set-$_", phone => $phone[0], text => 'x' } } 1 .. 2), 200, 'two events whose trigger sets something');
is(sql($node, "SELECT string_agg(DISTINCT path, ';') FROM seen"), 'pg_catalog, public, pg_temp', '... which is undone each time');
sql($node, q{DROP TRIGGER leave ON lead_messages; DELETE FROM lead_messages WHERE conteudo = 'x'});

# somebody else's deferred trigger does not run with the owner's rights
sql($node, q{CREATE SCHEMA eve; GRANT ALL ON SCHEMA eve TO hook;
	SET ROLE hook;
	CREATE TABLE eve.t (i int); CREATE TABLE eve.seen (who text);
	CREATE FUNCTION eve.look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO eve.seen VALUES (current_user); RETURN NULL; END $$;
	CREATE CONSTRAINT TRIGGER look AFTER INSERT ON eve.t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION eve.look()});
is(receive($node, 'blue', secret => $SECRET, body => qq([{"event": "receipt", "id": "$sent[0]", "state": "read"}]),
		before => 'INSERT INTO eve.t VALUES (1);'), 200, 'a call after an insert of the caller\'s');
is(sql($node, 'SELECT string_agg(who, $$ $$) FROM eve.seen'), 'hook', 'whose trigger is its own');

# ---- nobody, and again ----------------------------------------------------------------------

is(told({ event => 'message', id => 'in-3', phone => '+5521912345678', text => 'Quem é?' }), 200, 'a message of nobody');
is(rejected(), '- nobody is known by what it names', '... is kept');
sql($node, "INSERT INTO lead_contacts (lead_id, empresa, telefone) VALUES ('novo', 'blue', '21 91234-5678')");
is(sql($node, 'SELECT cadence_rejected_retry()'), 1, 'and taken when somebody is known by that number');
is(sql($node, "SELECT lead_id FROM lead_messages WHERE conteudo = 'Quem é?'"), 'novo', '... whose it is');

# ---- a row that somebody holds -----------------------------------------------------------------

sql($node, "UPDATE lead_messages SET estado = 'ENVIADO', entregue_em = NULL, lido_em = NULL WHERE direcao = 'OUTBOUND'");
{
	my $holder = start_sql($node, "BEGIN; SELECT FROM lead_messages WHERE whatsapp_message_id = '$sent[2]' FOR UPDATE; SELECT pg_sleep(60)");

	$holder->pid;
	ok($node->poll_query_until('postgres', "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep')"), 'somebody holds a row');
	is(told({ event => 'receipt', id => $sent[2], state => 'delivered' }, { event => 'receipt', id => $sent[0], state => 'read' }), 503,
		'two receipts, which are to be told again');
	like(states(), qr/^LIDO /, 'the other one is not held up');
	is(rejected(), '', 'the one is not kept where nobody would try it again');
	$holder->kill;
	sql($node, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
}
ok($node->poll_query_until('postgres', "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep')"), 'the row is free');
is(told({ event => 'receipt', id => $sent[2], state => 'delivered' }, { event => 'receipt', id => $sent[0], state => 'read' }), 200, 'told again');
is(sql($node, "SELECT estado FROM lead_messages WHERE whatsapp_message_id = '$sent[2]'"), 'ENTREGUE', '... it is taken');

done_testing();
