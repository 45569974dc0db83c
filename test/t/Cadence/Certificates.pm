# Certificates of a test's own: authorities, and what they vouch for.

package Cadence::Certificates;

use strict;
use warnings;

use Exporter qw(import);
use POSIX qw(strftime);
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(authority certificate);

my @KEY = qw(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes);
my $DAY = 86400;
# an authority's books, without which it gives no times but such as begin now
my $BOOKS = <<'END';
[ca]
default_ca = books
[books]
database = books
new_certs_dir = .
default_md = sha256
unique_subject = no
policy = policy
rand_serial = yes
[policy]
commonName = supplied
END
my $directory;

sub openssl
{
	system("cd $directory && openssl @_ >>openssl.log 2>&1") == 0
	  or BAIL_OUT("openssl @_: " . slurp_file("$directory/openssl.log"));
	return;
}

# The file of an authority's own certificate; it is made by the first call.
sub authority
{
	my ($name) = @_;

	if (!defined $directory)
	{
		$directory = PostgreSQL::Test::Utils::tempdir('certificates');
		append_to_file("$directory/books.conf", $BOOKS);
		append_to_file("$directory/books", '');
	}
	openssl('req -x509', @KEY, "-days 30 -keyout $name.key -out $name.crt -subj /CN=$name")
	  unless -e "$directory/$name.crt";
	return "$directory/$name.crt";
}

# So many days from now, as openssl wants it.
sub day
{
	my ($days) = @_;
	return strftime('%Y%m%d%H%M%SZ', gmtime(time() + $days * $DAY));
}

# The files of a certificate for a host, localhost if none is named, and of its key. It has expired
# where days is negative.
sub certificate
{
	my ($name, $authority, $days, $host) = @_;
	my $issuer = authority($authority);

	$host //= 'localhost';
	append_to_file("$directory/$name.names", "subjectAltName=DNS:$host\n");
	openssl('req', @KEY, "-keyout $name.key -out $name.csr -subj /CN=$host");
	openssl("ca -batch -config books.conf -cert $issuer -keyfile $authority.key -notext",
		'-startdate', day(-30), '-enddate', day($days),
		"-in $name.csr -extfile $name.names -out $name.crt");
	return ("$directory/$name.crt", "$directory/$name.key");
}

1;
