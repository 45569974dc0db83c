# What stands around the door: the sample configurations of nginx, Caddy and systemd, as they are
# handed out but for names, ports and certificates.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use Cadence::Webhook;
use IPC::Run;
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $APP_SECRET = 'the-app-secret-of-meta';

my $unpacked = $ENV{CADENCE_UNPACKED} // '';
my $samples = Cadence::Door::sharedir() . '/cadence_runner/door';
my $directory = PostgreSQL::Test::Utils::tempdir('proxies');

# Where a program is; undef: nowhere.
sub program
{
	my ($name) = @_;
	my ($found) = grep { -x } map { "$_/$name" } split(/:/, $ENV{PATH}), '/usr/sbin', "$unpacked/usr/sbin", "$unpacked/usr/bin";
	return $found;
}

sub output_of
{
	my (@command) = @_;
	my $output = '';
	IPC::Run::run(\@command, '<', \undef, '>&', \$output);
	return ($? >> 8) . " $output";
}

sub sample
{
	return slurp_file("$samples/$_[0]");
}

# ---- systemd -------------------------------------------------------------------------------------

SKIP:
{
	skip 'no systemd', 3 unless program('systemd-analyze');

	my $unit = sample('cadence_door.service');
	my ($executable) = $unit =~ /^ExecStart=(\S+)/m;
	is($executable, `pg_config --bindir` =~ s/\n//r =~ s/^.*?(\/usr\/lib\/)/$1/r . '/cadence_door', 'the unit names the program')
	  if $executable =~ m{^/usr/lib/};
	ok($executable =~ m{^/.*/cadence_door$}, 'the unit has its place');
	$unit =~ s/^ExecStart=\S+/ExecStart=\/bin\/true/m;
	append_to_file("$directory/cadence_door.service", $unit);
	append_to_file("$directory/cadence_door.socket", sample('cadence_door.socket'));
	is(output_of('systemd-analyze', 'verify', '--man=no', "$directory/cadence_door.service", "$directory/cadence_door.socket"), '0 ',
		'systemd understands unit and socket');
	my ($exposure) = output_of('systemd-analyze', 'security', '--offline=true', "$directory/cadence_door.service") =~ /exposure level for \S+: ([\d.]+)/;
	cmp_ok($exposure // 10, '<', 2, 'and finds little that is exposed');
}

# ---- what both of them are for -------------------------------------------------------------------

my $caddy = program('caddy');
my $nginx = program('nginx');
SKIP: { skip 'no Caddy', 1 unless defined $caddy }
SKIP: { skip 'no nginx', 1 unless defined $nginx }
if (!defined $caddy && !defined $nginx)
{
	done_testing();
	exit;
}

my $node = new_cluster('main');
sql($node, 'CREATE ROLE cadence_door LOGIN; GRANT EXECUTE ON FUNCTION cadence_http TO cadence_door; CREATE ROLE hook LOGIN');
make_sender($node, 'whatsapp_cloud', $APP_SECRET);
make_door_database($node, 'door');
my %behind = (hosts => 'crm.example', trusted_proxy => '127.0.0.1');
my $door = start_door($node, %behind);
my ($certificate, $key) = certificate('proxy', 'us', 10, 'crm.example');
my @proxies;
END { my $status = $?; kill 'KILL', @proxies if @proxies; $? = $status; }

# The sample with other names for what this machine has not.
sub replaced
{
	my ($text, %replacements) = @_;

	for my $what (sort keys %replacements)
	{
		my $n = $text =~ s/\Q$what\E/$replacements{$what}/g;
		die "the sample has no $what" unless $n;
	}
	return $text;
}

sub ports
{
	return map { PostgreSQL::Test::Cluster::get_free_port() } 1, 2;
}

# Started, with what it says left in a file, and ready at a port.
sub start_proxy
{
	my ($errors, $port, @command) = @_;
	my $pid = fork // die "could not fork: $!";

	if ($pid == 0)
	{
		open(STDOUT, '>>', $errors);
		open(STDERR, '>&', \*STDOUT);
		exec(@command) or POSIX::_exit(127);
	}
	push @proxies, $pid;
	poll_until(sub { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) }) or die "$command[0] did not start: " . slurp_file($errors);
	return;
}

sub start_nginx
{
	my ($home, $port, $tls, $plain) = @_;
	my $site = replaced(sample('nginx.conf') =~ s/^\s*listen \[::\].*\n//mgr,
		'127.0.0.1:8480' => "127.0.0.1:$port", 'listen 80;' => "listen 127.0.0.1:$plain;", 'listen 443 ' => "listen 127.0.0.1:$tls ",
		'/etc/letsencrypt/live/crm.example/fullchain.pem' => $certificate, '/etc/letsencrypt/live/crm.example/privkey.pem' => $key,
		'/var/log/nginx/error.log' => "$home/error.log");

	append_to_file("$home/site.conf", $site);
	append_to_file("$home/nginx.conf", "pid $home/pid;\nerror_log $home/error.log;\nevents {}\nhttp {\naccess_log $home/access.log;\n"
		  . join('', map { "${_}_temp_path $home/$_;\n" } qw(client_body proxy fastcgi uwsgi scgi)) . "include $home/site.conf;\n}\n");
	like(output_of($nginx, '-t', '-e', "$home/error.log", '-c', "$home/nginx.conf"), qr/^0 .*test is successful/s, 'nginx understands its sample');
	start_proxy("$home/error.log", $tls, $nginx, '-e', "$home/error.log", '-c', "$home/nginx.conf", '-g', 'daemon off; master_process off;');
	return;
}

sub start_caddy
{
	my ($home, $port, $tls, $plain) = @_;
	local @ENV{qw(HOME XDG_DATA_HOME XDG_CONFIG_HOME)} = ($home) x 3;

	append_to_file("$home/Caddyfile", replaced(sample('Caddyfile'), '127.0.0.1:8480' => "127.0.0.1:$port",
		"{\n\tlog default" => "{\n\tadmin off\n\tdefault_bind 127.0.0.1\n\thttp_port $plain\n\thttps_port $tls\n\tlog default",
		"crm.example {\n" => "crm.example {\n\ttls $certificate $key\n"));
	like(output_of($caddy, 'validate', '--adapter', 'caddyfile', '--config', "$home/Caddyfile"), qr/^0 .*Valid configuration/s, 'Caddy understands its sample');
	start_proxy("$home/error.log", $tls, $caddy, 'run', '--adapter', 'caddyfile', '--config', "$home/Caddyfile");
	return;
}

# A request over TLS, whose certificate is looked at, and its answer.
sub ask
{
	my ($port, $method, $target, %options) = @_;
	my $request = Cadence::Door::request_bytes($method, $target, host => 'crm.example', %options);
	my $bytes = '';
	my $errors = '';
	# from a file: who is refused does not read to the end, and nobody may wait at a pipe's
	my $file = PostgreSQL::Test::Utils::tempdir() . '/request';

	append_to_file($file, $request);
	IPC::Run::run([ 'openssl', 's_client', '-quiet', '-verify_quiet', '-verify_return_error', '-servername', 'crm.example', '-verify_hostname',
		'crm.example', '-CAfile', authority('us'), '-connect', "127.0.0.1:$port" ], '<', $file, '>', \$bytes, '2>', \$errors);
	return parse_answer($bytes);
}

# In front of the extension.
sub check_real
{
	my ($start, $home) = @_;
	my ($tls, $plain) = ports();

	mkdir $home;
	$start->($home, $door->port, $tls, $plain);
	# Meta asks whether the address is ours, and then calls it
	my $challenge = ask($tls, 'GET', '/webhooks/whatsapp_cloud?hub.mode=subscribe&hub.verify_token=palavra&hub.challenge=1158201444');
	is("$challenge->{status} $challenge->{body}", '200 1158201444', 'Meta verifies the webhook');
	is(ask($tls, 'GET', '/webhooks/whatsapp_cloud?hub.mode=subscribe&hub.verify_token=errada&hub.challenge=1')->{status}, 401, 'nobody else does');
	my %call = signed('whatsapp_cloud', JSON::PP::encode_json({ object => 'whatsapp_business_account', entry => [] }), $APP_SECRET);
	is(ask($tls, 'POST', '/webhooks/whatsapp_cloud', %call)->{status}, 200, 'a call that is signed');
	is(ask($tls, 'POST', '/webhooks/whatsapp_cloud', %call, body => "$call{body} ")->{status}, 401, 'and one that is not');
	my $health = ask($tls, 'GET', '/health');
	like($health->{status}, qr/^(?:200|503)$/, 'health');
	is($health->{headers}{'strict-transport-security'}, 'max-age=31536000', 'over TLS from now on');
	is(ask($tls, 'POST', '/functions/v1/cadence-runner')->{status} =~ /^(?:401|503)$/, 1, 'an execution needs a token');
	my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $plain);
	syswrite($socket, "GET /a?b=c HTTP/1.1\r\nHost: crm.example\r\nConnection: close\r\n\r\n");
	my $moved = answer_of($socket);
	is("$moved->{status} $moved->{headers}{location}", '308 https://crm.example/a?b=c', 'whoever comes without TLS is sent there');
	return;
}

# What gets to the database is said by a stub's.
sub check_stub
{
	my ($start, $home, %expected) = @_;
	my $stub = start_door($node, database => 'door', schema => 'stub', %behind);
	my ($tls, $plain) = ports();

	mkdir $home;
	$start->($home, $stub->port, $tls, $plain);
	my $told = JSON::PP::decode_json(ask($tls, 'POST', '/webhooks/wa/SEGREDO?a=%C3%A9', body => 'x' x 2_000_000,
		headers => { 'X-Forwarded-For' => '192.0.2.1', 'X-Forwarded-Proto' => 'http', 'X-Real-IP' => '192.0.2.1' })->{body});
	is("$told->{path} $told->{query} $told->{length}", '/webhooks/wa/SEGREDO a=%C3%A9 2000000', 'path, query and body as they came');
	is("$told->{peer} $told->{headers}{'x-forwarded-proto'} $told->{headers}{host}", '127.0.0.1 https crm.example', 'from whom, and not what he says');
	like(ask($tls, 'POST', '/login', body => 'x' x 70_000)->{status}, $expected{too_large}, 'elsewhere less is taken');
	is(ask($tls, 'POST', '/u/SEGREDO')->{status}, 200, 'a link');
	is(ask($tls, 'GET', '/metrics')->{status}, 200, 'metrics for this machine');
	my $stranger = ask($tls, 'GET', '/api/agora', host => 'evil.example');
	like("$stranger->{status} $stranger->{body}", $expected{other_name}, 'names that are not ours');

	# nor where the door does not answer
	$stub->stop;
	is(ask($tls, 'POST', $_)->{status}, 502, "nobody answers $_") for '/webhooks/wa/SEGREDO', '/u/SEGREDO', '/api/pessoas?q=SEGREDO', '/login';
	unlike(join('', map { slurp_file($_) } glob "$home/*.log"), qr/SEGREDO/, 'no secret is in any log');
	return;
}

# ---- Caddy ---------------------------------------------------------------------------------------

if (defined $caddy)
{
	check_real(\&start_caddy, "$directory/caddy");
	# 2.6 says that it could not pass on what is too large; a name that is not there has nothing
	check_stub(\&start_caddy, "$directory/caddy_stub", too_large => qr/^(?:413|502)$/, other_name => qr/^200 $/);
	like(slurp_file("$directory/caddy_stub/error.log"), qr/connection refused/, 'where errors are');
}

# ---- nginx ---------------------------------------------------------------------------------------

if (defined $nginx)
{
	check_real(\&start_nginx, "$directory/nginx");
	check_stub(\&start_nginx, "$directory/nginx_stub", too_large => qr/^413$/, other_name => qr/^421 /);
	like(slurp_file("$directory/nginx_stub/access.log"), qr{POST /login}, 'where other requests are');
	like(slurp_file("$directory/nginx_stub/error.log"), qr{POST /login}, 'and their errors');
}

done_testing();
