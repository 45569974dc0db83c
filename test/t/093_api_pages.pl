# The dashboard's pages of errors, cadences and people: what they say after people have been written to,
# have answered and have opted out is what the tables say, and their words are those of the documents.

use strict;
use warnings;
use utf8;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use Encode qw(encode_utf8);
use JSON::PP ();
use PostgreSQL::Test::Utils;
use Test::More;

# What a page's function answers.
sub page
{
	my ($node, $name, $params, $people) = @_;
	return JSON::PP::decode_json(encode_utf8(sql($node,
		"SELECT cadence_api_$name(" . literal(JSON::PP->new->canonical->encode($params)) . ', ' . ($people // 'true') . ')')));
}

# ---- the words -----------------------------------------------------------------------------------

my $node = new_cluster('main', conf => ["timezone = 'UTC'"]);
my $provider = start_provider();

# A code stands in the first or second column of a row of a table.
my %documented;
for my $line (split /\n/, slurp_file("$FindBin::RealBin/../../docs/codes.md"))
{
	my @cells = split /\s*\|\s*/, $line;
	$documented{$_} = 1 for map { /`([A-Z_]{4,})`/g } grep { defined } @cells[ 1, 2 ];
}
delete $documented{$_} for qw(WHATSAPP EMAIL USAGE);
my %said = map { $_->{code} => 1 } sql_rows($node, 'SELECT code FROM cadence_code_words');
cmp_ok(scalar keys %documented, '>', 30, 'the document has codes');
is_deeply([ grep { !$said{$_} } sort keys %documented ], [], 'of each the pages say what it means');
is_deeply([ grep { !$documented{$_} } sort keys %said ], [], 'and they say nothing of others');

# ---- what has happened ---------------------------------------------------------------------------

make_server($node, 'zap', $provider->url('ok'), empresa => 'acme');
make_server($node, 'sms', $provider->url('refuse'), empresa => 'acme', canal => 'SMS');
make_cadence($node, 'quente', 'acme', [ 'WHATSAPP', 0, 'Olá {{nome}}' ], [ 'WHATSAPP', 0, 'De novo' ], [ 'SMS', 0, 'E por SMS' ]);
enrol($node, 'quente', 12);
# who has no number, and who is no contact
sql($node, q{UPDATE lead_contacts SET telefone = '+55119' || 80000000 + substr(lead_id, 6)::int;
	UPDATE lead_contacts SET telefone = NULL WHERE lead_id = 'lead-11';
	DELETE FROM lead_contacts WHERE lead_id = 'lead-12'});
execute($node);
# some messages arrive and are read; one answers, one wants no more
sql($node, q{SELECT count(cadence_delivery('zap', m.whatsapp_message_id, 'delivered')) FROM lead_messages m WHERE lead_id IN ('lead-1', 'lead-2', 'lead-3', 'lead-4');
	SELECT count(cadence_delivery('zap', m.whatsapp_message_id, 'read')) FROM lead_messages m WHERE lead_id IN ('lead-1', 'lead-2');
	SELECT cadence_inbound(server => 'zap', sender => (SELECT telefone FROM lead_contacts WHERE lead_id = 'lead-1'), message => 'quem é?');
	SELECT cadence_inbound(server => 'zap', sender => (SELECT telefone FROM lead_contacts WHERE lead_id = 'lead-2'), message => 'SAIR')});
for (1 .. 3)
{
	make_all_due($node);
	execute($node);
}

my $id = sql($node, 'SELECT id FROM cadences');
my $cadence = page($node, 'cadencia', { id => $id });
my ($listed) = @{ page($node, 'cadencias', {})->{cadences} };
my @steps = @{ $cadence->{steps} };

is($cadence->{enrolled}, sql($node, 'SELECT count(*) FROM lead_cadence_runs'), 'who began');
is($listed->{enrolled}, $cadence->{enrolled}, 'the list has the same');
is($steps[0]{entered}, $cadence->{enrolled}, 'all have come to the first step');
for my $step (@steps)
{
	my $n = $step->{step};
	my $of_step = sub { sql($node, 'SELECT ' . $_[0]) };

	is($step->{sent}, $of_step->("count(DISTINCT lead_cadence_run_id) FROM lead_cadence_events WHERE tipo_evento = 'DISPARADO' AND step_ordem = $n"), "step $n: sent");
	is($step->{entered}, $of_step->("count(DISTINCT lead_cadence_run_id) FROM lead_cadence_events WHERE tipo_evento = 'AGENDADO' AND step_ordem = $n"), "step $n: came to it")
	  if $n > 1;
	is($step->{delivered}, $of_step->("count(*) FROM lead_messages WHERE entregue_em IS NOT NULL AND step_ordem = $n AND direcao = 'OUTBOUND'"), "step $n: delivered");
	is($step->{read}, $of_step->("count(*) FROM lead_messages WHERE lido_em IS NOT NULL AND step_ordem = $n AND direcao = 'OUTBOUND'"), "step $n: read");
	is($step->{failed}, $of_step->("count(*) FROM lead_cadence_runs WHERE status = 'PAUSADA' AND next_step_ordem = $n"), "step $n: failed");
	cmp_ok($step->{$_}, '<=', $step->{entered}, "step $n: $_ is no more than have come to it") for qw(sent delivered read replied opted_out failed);
}
is($steps[0]{replied}, 2, 'two have answered after the first message');
is($steps[0]{opted_out}, 1, 'and one of them wants no more');
for my $key (qw(sent delivered read replied opted_out failed))
{
	my $sum = 0;
	$sum += $_->{$key} for @steps;
	is($listed->{$key}, $sum, "the list's $key is the sum of the steps'");
}

# ---- errors --------------------------------------------------------------------------------------

my %groups = map { join('/', @$_{qw(code server template)}) => $_->{n} } @{ page($node, 'erros', {})->{groups} };
my %counted = map { $_->{what} => $_->{n} } sql_rows($node, q{SELECT concat_ws('/', detalhes ->> 'codigo', coalesce(detalhes ->> 'provedor', ''), coalesce(template_codigo, '')) AS what,
	count(*) AS n FROM lead_cadence_events WHERE tipo_evento = 'ERRO' GROUP BY 1});
is_deeply(\%groups, \%counted, 'errors are those of the events');
cmp_ok(scalar keys %groups, '>=', 3, 'of several kinds');
my $group = page($node, 'erro', { code => 'SEM_CONTATO', template => 'quente_1' });
is($group->{n}, scalar @{ $group->{examples} }, 'each of a small group is an example');
is($group->{examples}[0]{lead_id}, 'lead-12', 'of whom it was');

# ---- a person ------------------------------------------------------------------------------------

my $person = page($node, 'pessoa', { lead_id => 'lead-1', empresa => 'acme' });
my %what;
$what{ $_->{what} }++ for @{ $person->{timeline} };
is($what{sent}, sql($node, q{SELECT count(*) FROM lead_messages WHERE lead_id = 'lead-1' AND direcao = 'OUTBOUND' AND run_id IS NOT NULL}), 'what a person was sent');
is($what{received}, 1, 'what they have written');
is($what{read}, 1, 'and read');
my ($found) = @{ page($node, 'pessoas', { q => sql($node, q{SELECT substr(telefone, 4) FROM lead_contacts WHERE lead_id = 'lead-1'}) })->{people} };
is($found->{lead_id}, 'lead-1', 'who is found by their number');
is_deeply(page($node, 'pessoas', { q => sql($node, q{SELECT telefone FROM lead_contacts WHERE lead_id = 'lead-1'}) }, 'false')->{people}, [], 'but by nobody to whom it is masked');

done_testing();
