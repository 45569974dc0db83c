# Waiting for a state, instead of sleeping for a fixed time and hoping.

package Cadence::Wait;

use strict;
use warnings;
use utf8;

use Exporter qw(import);
use List::Util qw(max min);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep time);

our @EXPORT = qw(poll_until);

my $TIMEOUT = $PostgreSQL::Test::Utils::timeout_default;

# Waits until a piece of Perl is true; fails the test's assertion otherwise.
sub poll_until
{
	my ($condition, $what, $seconds) = @_;
	my $since = time();
	my $until = $since + ($seconds // $TIMEOUT);
	my $met;

	# A look mostly starts a psql, so what takes its time is looked at less and less often.
	usleep(pause(time() - $since)) until ($met = $condition->()) || time() > $until;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok($met, $what) if defined $what;
	return $met;
}

# Microseconds until the next look, after so many seconds: a twentieth of those, from 20 to 200 ms.
sub pause
{
	my ($waited) = @_;
	return 1e6 * max(0.02, min(0.2, $waited / 20));
}

1;
