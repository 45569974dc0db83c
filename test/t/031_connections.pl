# What a connection may carry: one request and its answer, of one server; and what is learned of
# providers that close theirs without a word.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use IO::Socket::INET;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_cluster('main', conf => ["cadence_runner.workers = 1"]);
my $provider = start_provider();

# Nobody tries again what is left, and the provider has forgotten what came.
sub end
{
	cancel_rest($node);
	$provider->forget;
	return;
}

# Soon after the answer, or at once: far sooner than any connection lasts that is meant to.
for my $after (0, 1, 20)
{
	subtest "a provider that hangs up $after ms after its answers" => sub {
		my $n = 300;
		my $name = "hangup$after";

		make_company($node, $name, $provider->url("hangup/$after"),
			max_in_flight => 5, on_uncertain => 'hold');
		enrol($node, $name, $n);
		execute($node);
		my %seen = %{ outcomes($node, $name) };
		my %times = $provider->per_run;

		# what was under way while that was learned, and while it was tried again
		cmp_ok($seen{DISPARADO} // 0, '>=', $n - 10, 'nearly all are sent') or diag(explain(\%seen));
		is_deeply([ grep { $_ > 1 } values %times ], [], 'none of them twice');
		end();
	};
}

subtest 'a provider that keeps its connections' => sub {
	make_company($node, 'keeps', $provider->url('slow/20'), max_in_flight => 4);
	enrol($node, 'keeps', 200);
	execute($node);
	is_deeply(outcomes($node, 'keeps'), { DISPARADO => 200 }, 'all are sent');
	my $connections = $provider->ask('GET', '__count')->{connections};
	cmp_ok($connections, '<', 60, 'over few connections, once they are known to last');
	end();
};

# An answer that nobody asked for belongs to no request: not to another server's, nor to a later one
# of the same. The provider accepts a few messages first, so that its connections are known to last.
# Then it refuses each, and a second answer, which accepts it, follows at once or while the
# connection is idle.
for my $after (0, 5)
{
	subtest "an answer too many, $after ms later" => sub {
		my @names = map { "excess${after}_$_" } 1 .. 3;

		make_company($node, $_, $provider->url("excess/$after/4?$_"), max_in_flight => 1, max_rate => 15)
		  for @names;
		enrol($node, $_, 12) for @names;
		execute($node);
		for my $name (@names)
		{
			my %seen = %{ outcomes($node, $name) };

			# one that the second answer met while it was being written is uncertain
			$seen{FALHA_ENVIO} += delete $seen{INCERTO} // 0;
			is_deeply(\%seen, { DISPARADO => 4, FALHA_ENVIO => 8 }, "$name: none that was refused is said to be sent");
		}
		end();
	};
}

subtest 'large messages' => sub {
	for my $kb (1, 60, 70, 500)
	{
		make_server($node, "large$kb", $provider->url('ok'), empresa => "large$kb");
		make_cadence($node, "large$kb", "large$kb", [ 'WHATSAPP', 0, 'x' ]);
		sql($node, "UPDATE message_templates SET conteudo = repeat('é', $kb * 512) WHERE empresa = 'large$kb'");
		enrol($node, "large$kb", 2);
	}
	execute($node);
	is_deeply(outcomes($node, "large$_"), { DISPARADO => 2 }, "$_ kB are sent") for 1, 60, 70, 500;
	end();
};

subtest 'an answer before the request is whole' => sub {
	my $early = IO::Socket::INET->new(
		Listen => 5, LocalAddr => '127.0.0.1', LocalPort => 0, Timeout => 60);

	make_server($node, 'early', 'http://127.0.0.1:' . $early->sockport . '/', empresa => 'early');
	make_cadence($node, 'early', 'early', [ 'WHATSAPP', 0, '{{nome}}' x 200 ]);
	enrol($node, 'early', 1);
	sql($node, "UPDATE lead_contacts SET nome = repeat('x', 60000) WHERE empresa = 'early'");
	my $caller = start_sql($node, "SELECT cadence_run('TEST')");
	my $client = $early->accept or BAIL_OUT('nothing connects');
	# far more is still to come than the kernel's buffers hold
	sysread $client, my $begin, 100;
	syswrite $client, "HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{\"success\":true}";
	is($caller->finish, 0, 'the execution ends well');
	is_deeply(outcomes($node, 'early'), { INCERTO => 1 }, 'is none to it');
	end();
};

done_testing();
