# HTTPS: the certificate is checked, connections are kept, and what may have left is never said to be
# certain. The test has a certificate authority of its own; a library that is loaded before libc puts
# it in the place of the system's.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use PostgreSQL::Test::Utils;
use Test::More;

# A provider with a certificate for localhost.
sub tls_provider
{
	return start_provider('--tls', certificate(@_));
}

my $good = tls_provider('good', 'ours', 30);
my $expired = tls_provider('expired', 'ours', -1);
my $foreign = tls_provider('foreign', 'theirs', 30);

my $node = do
{
	local $ENV{LD_PRELOAD} = other_authority(authority('ours'));
	new_cluster('main', conf => ["cadence_runner.workers = 1"]);
};

sub reason
{
	my ($empresa) = @_;
	return sql($node, "SELECT max(e.detalhes ->> 'erro') FROM lead_cadence_events e
		JOIN lead_cadence_runs r ON r.id = e.lead_cadence_run_id WHERE r.empresa = '$empresa'");
}

make_company($node, 'good', $good->tls_url('ok'));
make_company($node, 'wrong_name', $good->tls_url('ok', '127.0.0.1'));
make_company($node, 'expired', $expired->tls_url('ok'));
make_company($node, 'unknown_ca', $foreign->tls_url('ok'));
sql($node, "CREATE USER MAPPING FOR CURRENT_USER SERVER $_ OPTIONS (bearer_token 'secret')")
  for qw(good wrong_name expired unknown_ca);
enrol($node, $_, 3) for qw(good wrong_name expired unknown_ca);
execute($node);

is_deeply(outcomes($node, 'good'), { DISPARADO => 3 }, 'a good certificate: sent');
is(($good->journal)[0]{headers}{authorization}, 'Bearer secret', 'with the secret');
for my $case ([ 'wrong_name', $good, 3, qr/name/i ], [ 'expired', $expired, 0, qr/expired/i ],
	[ 'unknown_ca', $foreign, 0, qr/certificate/i ])
{
	my ($name, $provider, $requests, $reason) = @$case;

	is_deeply(outcomes($node, $name), { FALHA_ENVIO => 3 }, "$name: certain, nothing left");
	is($provider->count, $requests, "$name: nothing came");
	like(reason($name), $reason, "$name: the reason says it");
}
cancel_rest($node);

subtest 'connections are used again' => sub {
	make_company($node, 'keeps', $good->tls_url('slow/20'), max_in_flight => 4);
	enrol($node, 'keeps', 200);
	$good->forget;
	execute($node);
	is_deeply(outcomes($node, 'keeps'), { DISPARADO => 200 }, 'all are sent');
	cmp_ok($good->ask('GET', '__count')->{connections}, '<', 60, 'over few connections');
};

subtest 'a connection that dies when it is used again' => sub {
	make_company($node, 'closeafter', $good->tls_url('closeafter/60'), max_in_flight => 3);
	enrol($node, 'closeafter', 60);
	$good->forget;
	execute($node);
	my %seen = %{ outcomes($node, 'closeafter') };
	my %times = $good->per_run;
	is(keys %times, 60, 'every run was tried');
	is_deeply([ grep { $times{$_} != 1 } keys %times ], [], 'each with one request');
	is_deeply([ sort keys %seen ], [ 'DISPARADO', 'INCERTO' ], 'sent, or uncertain');
	cmp_ok($seen{INCERTO}, '<=', 6, 'which is learned');
	cancel_rest($node);
};

subtest 'a provider that hangs up after its answers' => sub {
	make_company($node, 'hangup', $good->tls_url('hangup/1'), max_in_flight => 5);
	enrol($node, 'hangup', 100);
	execute($node);
	cmp_ok(outcomes($node, 'hangup')->{DISPARADO}, '>=', 97, 'nearly all are sent');
	cancel_rest($node);
};

subtest 'a large message' => sub {
	make_server($node, 'large', $good->tls_url('ok'), empresa => 'large');
	make_cadence($node, 'large', 'large', [ 'WHATSAPP', 0, 'x' ]);
	sql($node, "UPDATE message_templates SET conteudo = repeat('x', 1000000) WHERE empresa = 'large'");
	enrol($node, 'large', 2);
	execute($node);
	is_deeply(outcomes($node, 'large'), { DISPARADO => 2 }, 'is sent');
};

# A provider that shakes hands and then reads nothing: from there on bytes may have left.
subtest 'nobody reads' => sub {
	make_server($node, 'stuck', $good->tls_url('hang'), empresa => 'stuck', timeout => '5s');
	make_cadence($node, 'stuck', 'stuck', [ 'WHATSAPP', 0, 'x' ]);
	enrol($node, 'stuck', 2);
	execute($node);
	is_deeply(outcomes($node, 'stuck'), { INCERTO => 2 }, 'uncertain');
};

done_testing();
