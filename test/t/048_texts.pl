# What providers and triggers say is kept in places of a fixed size, and never cut within a character.

use strict;
use warnings;
use utf8;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use PostgreSQL::Test::Utils;
use Resident;
use Test::More;

my $node = resident_cluster('main', '', conf => ['cadence_runner.workers = 1']);
my $provider = start_provider();

# Whether a query's text is what the database says that all texts are.
sub is_valid
{
	my ($query) = @_;
	return sql($node, "SELECT convert_from(convert_to(t, 'UTF8'), 'UTF8') = t FROM ($query) AS q (t)");
}

# ---- a provider's error, in the status: with each number of bytes before its characters of two
sql($node, q{SELECT cadence_protocol_define('wordy', '{"channels": ["WHATSAPP"],
	"operations": {"text": {"url": "{{option.url}}", "json": {"to": "{{recipient}}", "text": "{{message}}"}}},
	"response": {"error": ["/error"]}}')});
for my $before ('', 'a')
{
	my $body = '%7B%22error%22%3A%22' . $before . ('%C3%A9' x 300) . '%22%7D';

	make_company($node, "wordy_of$before", $provider->url("answers/500/$body"), protocol => 'wordy');
	enrol($node, "wordy_of$before", 1);
	execute($node);
	is(is_valid("SELECT p ->> 'last_error' FROM cadence_runner_status, jsonb_array_elements(providers) AS p
		WHERE p ->> 'server' = 'wordy_of$before' AND p ->> 'last_error' LIKE '%éé%'"), 't', "'$before' and a long error");
}
cancel_rest($node);

# ---- what ends a resident worker, in the status of it
make_company($node, 'plain', $provider->url('ok'));
enrol($node, 'plain', 1);
sql($node, q{
	CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE '%', repeat('é', 400); END $$;
	CREATE TRIGGER refuse BEFORE INSERT ON cadence_claims FOR EACH ROW EXECUTE FUNCTION refuse()});
set_server($node, 'cadence_runner.databases', 'postgres');
poll_until(sub { (status($node)->{problem} // '') =~ /éé/ }, 'a worker that ends says why');
is(is_valid("SELECT problem FROM cadence_runner_status WHERE database = 'postgres'"), 't', 'in whole characters');
is(is_valid('SELECT reasons::text FROM cadence_health()'), 't', 'as does the health');

done_testing();
