# Secrets from files: read again when the file has changed, never waited for, and for one host.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use POSIX qw(mkfifo);
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_cluster(
	'main', conf => ["shared_preload_libraries = 'cadence_runner'", "cadence_runner.databases = 'postgres'"]);
my $provider = start_provider();
my $directory = PostgreSQL::Test::Utils::tempdir('secrets');
my $file = "$directory/token";

chmod 0755, $directory;
make_company($node, 'file', $provider->url('ok'));

sub write_secret
{
	my ($text) = @_;

	open(my $new, '>', "$file.new") or die "$file.new: $!";
	print $new $text;
	close $new;
	rename "$file.new", $file or die "$file: $!";
	return;
}

# One more message; the authorization that it carried, or what its event says.
sub sent_with
{
	my $before = $provider->count;
	my $events = sql($node, 'SELECT count(*) FROM lead_cadence_events');
	my $error;

	enrol($node, 'file', 1);
	poll_until(
		sub {
			$error = sql($node, "SELECT max(detalhes ->> 'erro') FROM (
				SELECT * FROM lead_cadence_events ORDER BY created_at DESC, id DESC
				LIMIT (SELECT count(*) - $events FROM lead_cadence_events)) AS new");
			return $provider->count > $before || $error ne '';
		});
	sql($node, "UPDATE lead_cadence_runs SET status = 'CANCELADA' WHERE status = 'ATIVA'") if $error;
	return $error || ($provider->journal)[-1]{headers}{authorization};
}

write_secret("first\n");
sql($node, "CREATE USER MAPPING FOR CURRENT_USER SERVER file
	OPTIONS (bearer_token_file '$file', host '127.0.0.1')");
is(sent_with(), 'Bearer first', 'the secret of the file');
write_secret("second\r\n");
is(sent_with(), 'Bearer second', 'another, moved into its place');
open(my $same, '>', $file) or die "$file: $!";
print $same 'third';
close $same;
is(sent_with(), 'Bearer third', 'another, written over it');

for my $case (
	[ 'gone', sub { }, qr/could not open the file of a secret/ ],
	[ 'empty', sub { write_secret("\n") }, qr/must hold from 1 to 8192 bytes/ ],
	[ 'too long', sub { write_secret('x' x 8193) }, qr/must hold from 1 to 8192 bytes/ ],
	[ 'of two lines', sub { write_secret("a\nb") }, qr/control characters/ ],
	[ 'a FIFO', sub { mkfifo($file, 0644) or die "$file: $!" }, qr/not a regular file/ ],
	[ 'a directory', sub { mkdir $file or die "$file: $!" }, qr/not a regular file|Is a directory/ ],
	[ 'a device', sub { symlink '/dev/zero', $file or die "$file: $!" }, qr/not a regular file/ ])
{
	my ($what, $make, $error) = @$case;

	unlink $file;
	$make->();
	like(sent_with(), $error, "a file that is $what");
	rmdir $file;
	unlink $file;
	write_secret("after $what");
	is(sent_with(), "Bearer after $what", '... and good again');
}
is(sql($node, "SELECT count(*) FROM lead_cadence_events WHERE strpos(detalhes::text, '$directory') > 0"),
	0, 'nobody is told where the file lies');

done_testing();
