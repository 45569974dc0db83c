# Waiting for a state, instead of sleeping for a fixed time and hoping.

package Cadence::Wait;

use strict;
use warnings;
use utf8;

use Exporter qw(import);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep time);

our @EXPORT = qw(poll_until);

my $TIMEOUT = $PostgreSQL::Test::Utils::timeout_default;

# Waits until a piece of Perl is true; fails the test's assertion otherwise.
sub poll_until
{
	my ($condition, $what, $seconds) = @_;
	my $until = time() + ($seconds // $TIMEOUT);
	my $met;

	usleep(20_000) until ($met = $condition->()) || time() > $until;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok($met, $what) if defined $what;
	return $met;
}

1;
