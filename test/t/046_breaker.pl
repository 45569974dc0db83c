# A breaker counts over all executions: with pauses between messages, each sends one or two.

use strict;
use warnings;
use utf8;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_cluster('main', conf => ['cadence_runner.retry_factor = 1']);
my $provider = start_provider();

sql($node, q{SELECT cadence_protocol_define('strange', '{"channels": ["WHATSAPP"],
	"operations": {"text": {"url": "{{option.url}}", "json": {"to": "{{recipient}}", "text": "{{message}}"}}},
	"response": {"error": ["/error"]}}')});

sub is_open
{
	my ($server) = @_;
	return sql($node, "SELECT count(*) FROM cadence_provider_state WHERE server = '$server' AND open_since IS NOT NULL");
}

# So many leads, each in an execution of its own.
sub one_by_one
{
	my ($company, $n) = @_;

	for (1 .. $n)
	{
		enrol($node, $company, 1);
		execute($node);
	}
}

# ---- failures in a row
make_company($node, 'failing', $provider->url('fail500'), breaker_after => 3);
one_by_one('failing', 2);
is(is_open('failing'), 0, 'two failures are not three');
one_by_one('failing', 3);
is(is_open('failing'), 1, 'three executions with a failure each open the breaker');
is($provider->count('fail500'), 3, 'and the others send nothing');
cancel_rest($node);

# ---- a message that went through begins them anew
make_company($node, 'mixed', $provider->url('fail500'), breaker_after => 3);
one_by_one('mixed', 2);
sql($node, 'ALTER SERVER mixed OPTIONS (SET url ' . literal($provider->url('ok')) . ')');
one_by_one('mixed', 1);
sql($node, 'ALTER SERVER mixed OPTIONS (SET url ' . literal($provider->url('fail500')) . ')');
one_by_one('mixed', 2);
is(is_open('mixed'), 0, 'what went through begins the count anew');
one_by_one('mixed', 1);
is(is_open('mixed'), 1, 'from there on it is the same');
cancel_rest($node);

# ---- one lead that fails again and again says nothing about its sender
make_company($node, 'single', $provider->url('fail500'), breaker_after => 3);
enrol($node, 'single', 1);
for (1 .. 5)
{
	execute($node);
	make_all_due($node);
}
is(sql($node, "SELECT attempts FROM lead_cadence_runs WHERE empresa = 'single'"), 5, 'one lead fails five times');
is(is_open('single'), 0, 'which is not the sender\'s fault');
cancel_rest($node);

# ---- the same unknown refusal
make_company($node, 'suspect', $provider->url('status/403'), protocol => 'strange');
one_by_one('suspect', 5);
is(is_open('suspect'), 1, 'the same refusal in three executions makes a sender suspect');
is($provider->count('status'), 3, 'and the others send nothing');
is(sql($node, "SELECT count(*) FROM lead_cadence_runs WHERE empresa = 'suspect' AND status = 'ATIVA'"), 5,
	'nobody is paused for it');

# ---- resumed by hand, all counts from nothing
sql($node, "SELECT cadence_provider_resume('suspect')");
make_all_due($node);
sql($node, "UPDATE lead_cadence_runs SET next_run_at = now() + interval '1 h' WHERE id NOT IN
	(SELECT id FROM lead_cadence_runs WHERE empresa = 'suspect' AND attempts = 0 LIMIT 1)");
execute($node);
is($provider->count('status'), 4, 'what is resumed sends');
is(is_open('suspect'), 0, 'and is not shut by the first refusal');
cancel_rest($node);

# ---- what an answer says of it may lengthen it, and not shorten it
sql($node, q{SELECT cadence_protocol_define('strict', '{"channels": ["WHATSAPP"],
	"operations": {"text": {"url": "{{option.url}}", "json": {"to": "{{recipient}}", "text": "{{message}}"}}},
	"response": {"error": ["/error"], "wait": ["header:Retry-After"]},
	"classes": [{"status": 429, "class": "stopped"}]}')});

sub open_for
{
	my ($server) = @_;
	return sql($node, "SELECT round(extract(epoch FROM open_until - open_since)) FROM cadence_provider_state WHERE server = '$server'");
}

make_company($node, 'longer', $provider->url('retryafter/900'), protocol => 'strict');
one_by_one('longer', 1);
is(open_for('longer'), 900, 'a sender is shut for as long as its provider says');
cancel_rest($node);
make_company($node, 'shorter', $provider->url('retryafter/1'), protocol => 'strict');
one_by_one('shorter', 1);
is(open_for('shorter'), 60, 'but for no less than its breaker does');
sql($node, "UPDATE cadence_provider_state SET open_since = now() - interval '1 min', open_until = now() - interval '1 s' WHERE server = 'shorter';
	UPDATE lead_cadence_runs SET next_run_at = now() WHERE empresa = 'shorter' AND status = 'ATIVA'");
execute($node);
is($provider->count('retryafter'), 3, 'a probe is sent');
cmp_ok(open_for('shorter'), '>=', 180, 'and shuts it for twice as long');

done_testing();
