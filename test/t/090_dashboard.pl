# The dashboard in a browser: the real pages, served by the real door, of a real database in which people
# have been written to and everything that a page shows and somebody else may write is hostile.

use strict;
use warnings;
use utf8;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use Encode qw(decode_utf8 encode_utf8);
use IPC::Run;
use JSON::PP ();
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'no Chromium can be installed' unless $ENV{CADENCE_BROWSER};

my $SCRIPT = '<script>hacked = 1</script><img src=x onerror="hacked = 1">';
my $NUMBER = '+5511987654321';
my %token = (people => 'people-token-0123456789', viewer => 'viewer-token-0123456789');

my $node = new_cluster('main', conf => [ "shared_preload_libraries = 'cadence_runner'", "timezone = 'UTC'" ]);
my $provider = start_provider();

# Two companies: one whose provider takes what it is given, one whose provider does not.
make_company($node, 'acme', $provider->url('ok'), max_per_day => 100, max_per_hour => 50);
make_company($node, 'bad', $provider->url('refuse'));
enrol($node, 'acme', 12);
enrol($node, 'bad', 3);
sql($node, "UPDATE lead_contacts SET nome = '$SCRIPT' WHERE empresa = 'acme';
	UPDATE lead_cadence_runs SET lead_id = '$SCRIPT' WHERE lead_id = 'lead-2';
	UPDATE lead_contacts SET lead_id = '$SCRIPT' WHERE lead_id = 'lead-2';
	UPDATE lead_cadence_runs SET lead_id = '$NUMBER' WHERE lead_id = 'lead-13'");
execute($node);
# what is to come, what waits, and a sender whose name and reason are hostile, too
enrol($node, 'acme', 7);
sql($node, q{UPDATE lead_cadence_runs SET next_run_at = now() + interval '26 hours' WHERE status = 'ATIVA' AND empresa = 'acme'});
enrol($node, 'acme', 4);
make_server($node, '"<b>sender</b>"', $provider->url('ok'), canal => 'SMS');
sql($node, "INSERT INTO cadence_provider_state (server, paused_at, pause_reason) VALUES ('<b>sender</b>', now(), "
	  . literal("$SCRIPT $NUMBER") . ')');
# enough executions for two pages
sql($node, q{INSERT INTO cadence_runner_logs (executed_at, steps_executed, errors, runs_touched, duration_ms, details)
	SELECT now() - n * interval '5 minutes', 0, 0, 0, 3, '{"results": []}' FROM generate_series(1, 60) AS n});
my $execution = sql($node, 'SELECT id FROM cadence_runner_logs ORDER BY executed_at DESC LIMIT 1');
is(sql($node, 'SELECT steps_executed FROM cadence_runner_logs ORDER BY executed_at DESC LIMIT 1'), 12, 'an execution has sent');

sql($node, q{CREATE ROLE cadence_door LOGIN;
	GRANT EXECUTE ON FUNCTION cadence_http(text, text, text, jsonb, bytea, inet) TO cadence_door;}
	  . join ' ', map { "SELECT cadence_secret_set('$_', '$token{$_}');" } sort keys %token);
my $door = start_door($node);

# What a page says is what the tables say.
my %numbers = (
	'agora.due' => sql($node, q{SELECT count(*) FROM lead_cadence_runs WHERE status = 'ATIVA' AND next_run_at <= now()}),
	'agora.in_flight' => 0,
	'agora.sent_today' => sql($node, q{SELECT count(*) FROM lead_cadence_events
		WHERE tipo_evento = 'DISPARADO' AND created_at >= date_trunc('day', now(), 'America/Sao_Paulo')}));

# a group of errors, a cadence with a hostile name, and the runs of two hostile people
sql($node, 'UPDATE cadences SET nome = ' . literal($SCRIPT) . q{ WHERE codigo = 'acme'});
my $cadence = sql($node, q{SELECT id FROM cadences WHERE codigo = 'acme'});
my $run = sql($node, 'SELECT id FROM lead_cadence_runs WHERE lead_id = ' . literal($SCRIPT));
my $error = 'erro?code=SEM_CONTATO&template=bad_1';

my $directory = PostgreSQL::Test::Utils::tempdir('browser');
my %facts = (
	base => $door->url,
	token => $token{people},
	masked => $token{viewer},
	pages => [ 'agora', 'execucoes', "execucao?id=$execution", 'agenda', 'erros', $error, 'cadencias', "cadencia?id=$cadence",
		'pessoa', 'pessoa?q=Lead', "pessoa?run=$run" ],
	numbers => \%numbers,
	hostile => { agora => [ '<b>sender</b>', $SCRIPT ], "execucao?id=$execution" => [ $SCRIPT, $NUMBER ], cadencias => [ $SCRIPT ],
		"cadencia?id=$cadence" => [ $SCRIPT ], "pessoa?run=$run" => [ $SCRIPT ], $error => [ $NUMBER ] },
	says => { agora => [ 'Brasília', '(America/Sao_Paulo)', 'Só falhas' ], $error => [ 'A pessoa não tem contato', 'Cadastre o contato.' ],
		"execucao?id=$execution" => [ 'Lead 14', 'A pessoa não tem contato', 'O provedor recusa esta mensagem' ], 'pessoa?q=NinguémTemEsteNome' => [ 'Tente só o primeiro nome' ] },
	secrets => [ '987654321' ]);
append_to_file("$directory/facts.json", encode_utf8(JSON::PP->new->encode(\%facts)));

# The browser's test speaks TAP, of which each line is one of this test's.
my $output = '';
my $errors = '';
IPC::Run::run([ '/usr/bin/python3', "$FindBin::RealBin/../browser/dashboard.py", "$directory/facts.json" ],
	'<', \undef, '>', \$output, '2>', \$errors);
my $status = ${^CHILD_ERROR_NATIVE};
my $plan = 0;
for my $line (split /\n/, decode_utf8($output))
{
	if ($line =~ /^(not )?ok \d+ - (.*)/)
	{
		ok(!$1, $2);
		$plan--;
	}
	elsif ($line =~ /^1\.\.(\d+)$/)
	{
		$plan += $1;
	}
	else
	{
		diag($line =~ s/^# ?//r);
	}
}
is($status, 0, 'the browser has ended well') or diag($errors);
is($plan, 0, 'and said all that it had to say');
cmp_ok($door->resident_kb, '<', 32 * 1024, 'the door is small');

done_testing();
