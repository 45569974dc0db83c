# What cadence_metrics() says is what Prometheus takes, and says nothing of any person; the rules that are
# shipped work, and name nothing that is not there. On a standby, and for a role that may do nothing else.

use strict;
use warnings;
use utf8;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use IPC::Run;
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $CONTRIB = "$FindBin::RealBin/../../contrib";
my ($promtool) = grep { defined && -x } ($ENV{CADENCE_UNPACKED} // '') . '/usr/bin/promtool',
  map { "$_/promtool" } split /:/, $ENV{PATH};
plan skip_all => 'no promtool' unless defined $promtool;

# What promtool says of something that it finds wrong; nothing otherwise.
sub promtool
{
	my ($input, @arguments) = @_;
	my $output = '';
	my $good = IPC::Run::run([ $promtool, @arguments ], '<', \$input, '>&', \$output);
	return $good && $output !~ /FAILED|error/i ? '' : "promtool @arguments: $output";
}

# ---- what is shipped -----------------------------------------------------------------------------

is(promtool('', 'check', 'rules', "$CONTRIB/prometheus/alerts.yml"), '', 'the rules are rules');
is(promtool('', 'test', 'rules', "$CONTRIB/prometheus/alerts_test.yml"), '', 'and say what they should');
is(promtool('', 'check', 'config', '--syntax-only', "$CONTRIB/prometheus/prometheus.yml"), '', 'so is the sample');

# ---- something to tell ---------------------------------------------------------------------------

my $node = new_cluster('main', streaming => 1, conf => ["shared_preload_libraries = 'cadence_runner'"]);
my $provider = start_provider();

# a name that a careless writer would take for the end of a label
make_server($node, '"um ""\ {nome}"', $provider->url('ok'), empresa => 'sim');
make_server($node, 'nao', $provider->url('status/500'), empresa => 'não');
make_cadence($node, 'sim', 'sim', [ 'WHATSAPP', 0, 'Olá {{nome}}' ]);
make_cadence($node, 'nao', 'não', [ 'WHATSAPP', 0, 'Olá {{nome}}' ]);
enrol($node, 'sim', 5);
enrol($node, 'nao', 3);
execute($node);
sql($node, q{SELECT cadence_inbound('lead1@example.com', 'sim', 'in.1', now(), empresa => 'sim', canal => 'EMAIL');
	SELECT cadence_opt_out('lead-1', 'sim', 'EMAIL');
	SELECT cadence_http_count('/health', 'GET', 200);
	SELECT cadence_rollup_refresh(true)});
my $text = sql($node, 'SELECT cadence_metrics()');
my $open = sql($node, 'SELECT cadence_metrics(true)');

is(promtool($text, 'check', 'metrics'), '', 'Prometheus takes the metrics, and its linter has nothing to say');
like($text, qr/^cadence_attempts_total\{server="um \\"\\\\ \{nome\}",channel="WHATSAPP",outcome="sent"\} 5$/m, 'five were sent');
like($text, qr/^cadence_attempts_total\{server="nao",channel="WHATSAPP",outcome="failed"\} 3$/m, 'three were not');
like($text, qr/^cadence_errors_total\{code="FALHA_ENVIO"\} 3$/m, 'and why');
like($text, qr/^cadence_inbound_total\{server="",kind="message",result="done"\} 1$/m, 'somebody has answered');
like($text, qr/^cadence_opt_outs_total\{channel="EMAIL",kind="operator"\} 1$/m, 'and has had enough');
like($text, qr/^cadence_http_requests_total\{route="\/health",method="GET",code="200"\} 1$/m, 'a request');
like($text, qr/^cadence_executions_total\{trigger="TEST",result="errors"\} 1$/m, 'an execution');
like($text, qr/^cadence_runs\{status="CONCLUIDA"\} 5$/m, 'runs that have ended');
unlike($text, qr/lead-|5511|Olá|sim_1|nao_1/, 'no person, no text, no template');
unlike($text, qr/empresa=/, 'no company that nobody has asked for');

# ---- families ------------------------------------------------------------------------------------

# family => type, as the text declares them, in which each sample stands below its own.
sub families
{
	my ($told, $of_counters) = @_;
	my (%types, $family, @strays);
	for my $line (split /\n/, $told)
	{
		if ($line =~ /^# TYPE (\S+) (\S+)$/) { $types{ $family = $1 } = $2 }
		elsif ($line =~ /^(cadence_[a-z_]+)[ {]/)
		{
			my $name = $1;
			my $ending = $types{$family} eq 'histogram' ? qr/_(?:bucket|sum|count)/
			  : $types{$family} eq 'counter' ? $of_counters : qr//;
			push @strays, $line unless $name =~ /^\Q$family\E$ending$/;
		}
		elsif ($line !~ /^# (?:HELP cadence_|EOF$)/) { push @strays, $line }
	}
	is_deeply(\@strays, [], 'each sample is of the family above it');
	return \%types;
}

my $types = families($text, qr//);
my $open_types = families($open, qr/_total/);
is_deeply([ sort map { $open_types->{$_} eq 'counter' ? "${_}_total" : $_ } keys %$open_types ],
	[ sort keys %$types ], 'both formats have the same families');
like($open, qr/\n# EOF\n\z/, 'OpenMetrics has an end');
like($open, qr/_bucket\{le="1\.0"\} /, 'and bounds with a point');

# buckets that only grow, and the last of them is all
for my $name (grep { $types->{$_} eq 'histogram' } sort keys %$types)
{
	my (%buckets, %count);
	push @{ $buckets{$1} }, $2 while $text =~ /^${name}_bucket\{(.*?),?le="[^"]+"\} (\d+)$/mg;
	$count{ $1 // '' } = $2 while $text =~ /^${name}_count(?:\{(.*)\})? (\d+)$/mg;
	my @bad = grep {
		my $n = $buckets{$_};
		!defined $count{$_} || $n->[-1] != $count{$_} || grep { $n->[$_] < $n->[ $_ - 1 ] } 1 .. $#$n
	} keys %buckets;
	ok(%buckets && !@bad, "$name is a histogram");
}

# what rules and dashboard ask for is there
sub asked_for
{
	my ($file) = @_;
	my %found = map { $_ => 1 } slurp_file("$CONTRIB/$file") =~ /\b(cadence_(?!runner\b)[a-z_]+)\b/g;
	delete @found{qw(cadence_health cadence_secret_set cadence_runner_logs cadence_metrics)};
	return sort map { s/_bucket$//r } keys %found;
}
for my $file ('prometheus/alerts.yml', 'grafana/cadence_runner.json')
{
	my @missing = grep { !defined $types->{$_} } asked_for($file);
	is_deeply(\@missing, [], "$file asks for nothing that is not there");
}
my $dashboard = JSON::PP::decode_json(slurp_file("$CONTRIB/grafana/cadence_runner.json"));
cmp_ok(scalar @{ $dashboard->{panels} }, '>', 15, 'the dashboard can be read');
my $documented = slurp_file("$FindBin::RealBin/../../docs/metrics.md");
is_deeply([ grep { $documented !~ /`\Q$_\E[`{]/ } sort keys %$types ], [], 'each metric is in the documents');
my @reasons = $text =~ /^cadence_unhealthy\{reason="([a-z_]+)"\}/mg;
is_deeply([ grep { $documented !~ /`\Q$_\E`/ } @reasons ], [], 'and each reason');

# ---- companies, roles, a standby -----------------------------------------------------------------

set_server($node, 'cadence_runner.metrics_empresas', 'não, outra');
$text = sql($node, 'SELECT cadence_metrics()');
like($text, qr/outcome="failed",empresa="não"\} 3$/m, 'a company that was asked for');
like($text, qr/outcome="sent"\} 5$/m, 'and all of them together');

sql($node, 'CREATE ROLE scraper LOGIN; GRANT EXECUTE ON FUNCTION cadence_metrics(boolean) TO scraper');
my ($status, $told) = $node->psql('postgres', 'SELECT cadence_metrics()', extra_params => [ '-U', 'scraper' ]);
is($status, 0, 'who may do nothing else may ask');
like($told, qr/^cadence_runs\{status="CONCLUIDA"\} 5$/m, 'and is told');
isnt(($node->psql('postgres', 'SELECT * FROM cadence_counts', extra_params => [ '-U', 'scraper' ]))[0], 0, 'but sees no table');

$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
my $there = sql($standby, 'SELECT cadence_metrics()');
is(promtool($there, 'check', 'metrics'), '', 'a standby tells, too');
is_deeply([ $there =~ /^(cadence_attempts_total.*)$/mg ], [ $text =~ /^(cadence_attempts_total.*)$/mg ], 'the same');

# ---- what is wrong -------------------------------------------------------------------------------

set_server($node, 'cadence_runner.enabled', 'off');
like(sql($node, 'SELECT cadence_metrics()'), qr/^cadence_healthy 0$(?s:.*)^cadence_unhealthy\{reason="disabled"\} 1$/m, 'switched off');
set_server($node, 'cadence_runner.enabled', 'on');
sql($node, 'CREATE DATABASE empty');
sql($node, 'CREATE EXTENSION cadence_runner', 'empty');
my $empty = sql($node, 'SELECT cadence_metrics()', 'empty');
is(promtool($empty, 'check', 'metrics'), '', 'without tables there are metrics');
like($empty, qr/^cadence_unhealthy\{reason="tables_missing"\} 1$/m, 'which say so');

done_testing();
