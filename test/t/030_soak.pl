# A short soak (see test/soak/soak.py): callers, a provider that misbehaves at random and kills of
# the server and of its workers at the same time; then the books must balance.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

# A short one: sockets are in it.
my $directory = PostgreSQL::Test::Utils::tempdir_short . '/soak';
my @command = (
	'python3', '-B', "$FindBin::RealBin/../soak/soak.py",
	'--directory', $directory, '--seed', '30', '--minutes', '0.6', '--kills', '5', '--callers', '10',
	'--kill-every', '7', '--sample-every', '2');
my $output;

IPC::Run::run(\@command, '<', \undef, '>&', \$output);
my $status = $?;
is($status, 0, 'the soak succeeds');
$status == 0 ? note($output) : diag($output);

sub figure
{
	my ($pattern) = @_;
	return $output =~ /^$pattern/m ? $1 : 0;
}

like($output, qr/^books balanced$/m, 'the books balance');
cmp_ok(figure('kills +(\d+)'), '>=', 5, 'at least five kills');
cmp_ok(figure('runs done +(\d+)'), '>', 0, 'runs have ended');
cmp_ok(figure('interrupted +(\d+)'), '>', 0, 'attempts were interrupted');
cmp_ok(figure('runs held +(\d+)'), '>', 0, 'runs were held');
like($output, qr/^sent again after .*\bFALHA_ENVIO, .*\bINCERTO$/m, 'steps were sent again');

done_testing();
