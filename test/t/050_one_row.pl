# What one row makes slow, large or hard to read is no other row's affair: the others are sent
# meanwhile, what was sent does not stay in memory, and whoever looks at the status can read it.

use strict;
use warnings;
use utf8;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use PostgreSQL::Test::Utils;
use Test::More;

my $provider = start_provider();
my $node = new_cluster('main',
	conf => [ "shared_preload_libraries = 'cadence_runner'", 'cadence_runner.workers = 1' ]);

sub answering
{
	my ($status, $body) = @_;
	return $provider->url("answers/$status/" . $body =~ s/([^A-Za-z0-9_.-])/sprintf('%%%02X', ord $1)/ger);
}

# ---- an error that is longer than the status shows ends between two characters
my $error = 'x' x 254 . "\xC3\xA9 no";
make_company($node, 'long', answering(500, qq({"error": "$error"})));
enrol($node, 'long', 1);
execute($node);
like(sql($node, "SELECT convert_from(convert_to(providers::text, 'UTF8'), 'UTF8') FROM cadence_runner_status()"),
	qr/"x{254}"/, 'a provider that says much can be read about');
cancel_rest($node);

# ---- what was sent is not kept until the last of its batch has ended
my $bytes = 100_000;
my $n = 60;
make_server($node, 'mail', answering(200, '{"id": "1"}'), empresa => 'mail', canal => 'EMAIL', protocol => 'resend',
	max_rate => 1000, '"from"' => 'vendas@acme.example');
sql($node, "CREATE USER MAPPING FOR PUBLIC SERVER mail OPTIONS (api_key 're_key')");
make_cadence($node, 'mail', 'mail', [ 'EMAIL', 0, 'Olá' ]);
sql($node, "UPDATE message_templates SET html = '{{nome}}' || repeat('x', $bytes) WHERE codigo = 'mail_1'");
make_company($node, 'last', $provider->url('gate'), timeout => '5min');
enrol($node, 'mail', $n);
enrol($node, 'last', 1);
my $caller = start_sql($node, "SELECT cadence_run('TEST')");
poll_until(sub { sql($node, "SELECT count(*) FROM lead_cadence_events WHERE tipo_evento = 'DISPARADO'") == $n })
  or die 'the mails are not sent';
my $offset = -s $node->logfile;
sql($node, 'SELECT pg_log_backend_memory_contexts(' . worker_pid($node) . ')');
poll_until(sub { log_since($node, $offset) =~ /Grand total/ }) or die 'the worker does not say';
my @batches = log_since($node, $offset) =~ /cadence_runner batch: (\d+) total/g;
is(@batches, 1, 'the batch lives as long as its last message');
cmp_ok($batches[0], '<', $n * $bytes / 4, 'without the texts of those that were sent');
$provider->ask('POST', '__open');
is($caller->finish, 0, 'it ends');
cancel_rest($node);

# ---- a run that takes longer than anybody waits holds up the others once, and not with each half
make_company($node, 'fine', $provider->url('ok'));
make_company($node, 'slow', $provider->url('ok'));
sql($node, q{
	CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(300); RETURN NEW; END $$;
	CREATE TRIGGER dawdle BEFORE UPDATE ON lead_cadence_runs FOR EACH ROW
		WHEN (NEW.empresa = 'slow' AND NEW.claim_id IS NOT NULL) EXECUTE FUNCTION dawdle()});
enrol($node, 'fine', 20);
enrol($node, 'slow', 1);
$caller = start_sql($node, "SELECT cadence_run('TEST')");
poll_until(sub { $provider->count('ok') >= 20 }, 'the others are sent', 90);
poll_until(sub { !$caller->running }, 'and the execution ends without it');
$node->stop('immediate');
$caller->finish;

done_testing();
