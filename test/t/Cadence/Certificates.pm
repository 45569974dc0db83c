# Certificates of a test's own: authorities, and what they vouch for.

package Cadence::Certificates;

use strict;
use warnings;

use Exporter qw(import);
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(authority certificate);

my @KEY = qw(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes);
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

	$directory //= PostgreSQL::Test::Utils::tempdir('certificates');
	openssl('req -x509', @KEY, "-days 30 -keyout $name.key -out $name.crt -subj /CN=$name")
	  unless -e "$directory/$name.crt";
	return "$directory/$name.crt";
}

# The files of a certificate for localhost and of its key. It has expired where days is negative.
sub certificate
{
	my ($name, $authority, $days) = @_;
	my $issuer = authority($authority);

	append_to_file("$directory/$name.names", "subjectAltName=DNS:localhost\n");
	openssl('req', @KEY, "-keyout $name.key -out $name.csr -subj /CN=localhost");
	openssl("x509 -req -in $name.csr -CA $issuer -CAkey $authority.key -CAcreateserial",
		"-days $days -extfile $name.names -out $name.crt");
	return ("$directory/$name.crt", "$directory/$name.key");
}

1;
