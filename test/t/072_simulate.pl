# A short simulation (see test/simulate/simulate.py): two months around the rules alone, some of those
# rules broken on purpose, and a day on a real server under a shifted clock. What must not happen is
# counted by a checker that uses nothing of the engine, and is 0.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

# A short one: sockets are in it.
my $directory = PostgreSQL::Test::Utils::tempdir_short . '/simulate';
my @command = (
	'python3', '-B', "$FindBin::RealBin/../simulate/simulate.py", '--directory', $directory,
	'--days', '60', '--leads', '300', '--seed', '72', '--breaks', 'a holiday is ignored', 'one more than a cap',
	'--week', '1', '--week-leads', '30');
my $output;

IPC::Run::run(\@command, '<', \undef, '>&', \$output);
my $status = $?;
is($status, 0, 'the simulation succeeds');
$status == 0 ? note($output) : diag($output);

# The figures of both parts, in order.
sub figures
{
	my ($name) = @_;
	return $output =~ /^  \Q$name\E +(\d+)$/mg;
}

like($output, qr/^\d+ passed, 0 failed$/m, 'nothing has happened that must not');
cmp_ok((figures('messages'))[0], '>', 1000, 'messages were sent, by the rules');
cmp_ok((figures('messages'))[1], '>', 10, 'and by the server');
cmp_ok((figures('zones with messages'))[0], '>=', 30, 'to thirty zones');
cmp_ok((figures("waits: $_"))[0], '>', 0, "some waited: $_")
  for qw(FERIADO INTERVALO_MINIMO JANELA LIMITE_CADENCIA LIMITE_EMPRESA LIMITE_NOVOS LIMITE_PESSOA limit);

done_testing();
