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
	is(output_of('systemd-analyze', 'verify', "$directory/cadence_door.service", "$directory/cadence_door.socket"), '0 ',
		'systemd understands unit and socket');
	my ($exposure) = output_of('systemd-analyze', 'security', '--offline=true', "$directory/cadence_door.service") =~ /exposure level for \S+: ([\d.]+)/;
	cmp_ok($exposure // 10, '<', 2, 'and finds little that is exposed');
}

# ---- Caddy ---------------------------------------------------------------------------------------

SKIP:
{
	my $caddy = program('caddy');
	skip 'no Caddy', 1 unless defined $caddy;

	local $ENV{HOME} = $directory;
	local $ENV{XDG_DATA_HOME} = $directory;
	local $ENV{XDG_CONFIG_HOME} = $directory;
	like(output_of($caddy, 'validate', '--adapter', 'caddyfile', '--config', "$samples/Caddyfile"), qr/^0 .*Valid configuration/s,
		'Caddy understands its sample');
}

# ---- nginx ---------------------------------------------------------------------------------------

my $nginx = program('nginx');
if (!defined $nginx)
{
	SKIP: { skip 'no nginx', 1 }
	done_testing();
	exit;
}

my $node = new_cluster('main');
sql($node, 'CREATE ROLE cadence_door LOGIN; GRANT EXECUTE ON FUNCTION cadence_http TO cadence_door; CREATE ROLE hook LOGIN');
make_sender($node, 'whatsapp_cloud', $APP_SECRET);
make_door_database($node, 'door');
my %behind = (hosts => 'crm.example', trusted_proxy => '127.0.0.1');
my $door = start_door($node, %behind);
my $stub = start_door($node, database => 'door', schema => 'stub', %behind);

my ($tls_port, $plain_port) = (PostgreSQL::Test::Cluster::get_free_port(), PostgreSQL::Test::Cluster::get_free_port());
my ($certificate, $key) = certificate('proxy', 'us', 10);

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

sub start_nginx
{
	my ($name, $port, $tls, $plain) = @_;
	my $home = "$directory/$name";
	my $site = replaced(sample('nginx.conf') =~ s/^\s*listen \[::\].*\n//mgr,
		'127.0.0.1:8480' => "127.0.0.1:$port", 'listen 80;' => "listen 127.0.0.1:$plain;", 'listen 443 ' => "listen 127.0.0.1:$tls ",
		'/etc/letsencrypt/live/crm.example/fullchain.pem' => $certificate, '/etc/letsencrypt/live/crm.example/privkey.pem' => $key,
		'/var/log/nginx/error.log' => "$home/error.log");

	mkdir $home;
	append_to_file("$home/site.conf", $site);
	append_to_file("$home/nginx.conf", "pid $home/pid;\nerror_log $home/error.log;\nevents {}\nhttp {\naccess_log $home/access.log;\n"
		  . join('', map { "${_}_temp_path $home/$_;\n" } qw(client_body proxy fastcgi uwsgi scgi)) . "include $home/site.conf;\n}\n");
	like(output_of($nginx, '-t', '-e', "$home/error.log", '-c', "$home/nginx.conf"), qr/^0 .*test is successful/s, "nginx understands its sample ($name)");
	my $pid = fork // die "could not fork: $!";
	if ($pid == 0)
	{
		exec($nginx, '-e', "$home/error.log", '-c', "$home/nginx.conf", '-g', 'daemon off; master_process off;') or POSIX::_exit(127);
	}
	poll_until(sub { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $tls) }) or die 'nginx did not start';
	return $pid;
}

# A request over TLS, whose certificate is looked at, and its answer.
sub ask
{
	my ($port, $method, $target, %options) = @_;
	my $request = Cadence::Door::request_bytes($method, $target, host => 'crm.example', %options);
	my $bytes = '';
	my $errors = '';

	IPC::Run::run([ 'openssl', 's_client', '-quiet', '-verify_quiet', '-verify_return_error', '-verify_hostname', 'localhost',
		'-CAfile', authority('us'), '-connect', "127.0.0.1:$port" ], '<', \$request, '>', \$bytes, '2>', \$errors);
	return parse_answer($bytes);
}

my @nginx = start_nginx('real', $door->port, $tls_port, $plain_port);
END { my $status = $?; kill 'KILL', @nginx if @nginx; $? = $status; }

# Meta asks whether the address is ours, and then calls it.
my $challenge = ask($tls_port, 'GET', '/webhooks/whatsapp_cloud?hub.mode=subscribe&hub.verify_token=palavra&hub.challenge=1158201444');
is("$challenge->{status} $challenge->{body}", '200 1158201444', 'Meta verifies the webhook');
is(ask($tls_port, 'GET', '/webhooks/whatsapp_cloud?hub.mode=subscribe&hub.verify_token=errada&hub.challenge=1')->{status}, 401, 'nobody else does');
my %call = signed('whatsapp_cloud', JSON::PP::encode_json({ object => 'whatsapp_business_account', entry => [] }), $APP_SECRET);
is(ask($tls_port, 'POST', '/webhooks/whatsapp_cloud', %call)->{status}, 200, 'a call that is signed');
is(ask($tls_port, 'POST', '/webhooks/whatsapp_cloud', %call, body => "$call{body} ")->{status}, 401, 'and one that is not');
my $health = ask($tls_port, 'GET', '/health');
like($health->{status}, qr/^(?:200|503)$/, 'health');
is($health->{headers}{'strict-transport-security'}, 'max-age=31536000', 'over TLS from now on');
is(ask($tls_port, 'POST', '/functions/v1/cadence-runner')->{status} =~ /^(?:401|503)$/, 1, 'an execution needs a token');
my $plain = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $plain_port);
syswrite($plain, "GET /a?b=c HTTP/1.1\r\nHost: crm.example\r\nConnection: close\r\n\r\n");
my $moved = answer_of($plain);
is("$moved->{status} $moved->{headers}{location}", '308 https://crm.example/a?b=c', 'whoever comes without TLS is sent there');

# What gets to the database is said by a stub's.
($tls_port, $plain_port) = (PostgreSQL::Test::Cluster::get_free_port(), PostgreSQL::Test::Cluster::get_free_port());
push @nginx, start_nginx('stub', $stub->port, $tls_port, $plain_port);
my $told = JSON::PP::decode_json(ask($tls_port, 'POST', '/webhooks/wa/SEGREDO?a=%C3%A9', body => 'x' x 2_000_000,
	headers => { 'X-Forwarded-For' => '192.0.2.1', 'X-Forwarded-Proto' => 'http', 'X-Real-IP' => '192.0.2.1' })->{body});
is("$told->{path} $told->{query} $told->{length}", '/webhooks/wa/SEGREDO a=%C3%A9 2000000', 'path, query and body as they came');
is("$told->{peer} $told->{headers}{'x-forwarded-proto'} $told->{headers}{host}", '127.0.0.1 https crm.example', 'from whom, and not what he says');
is(ask($tls_port, 'POST', '/login', body => 'x' x 70_000)->{status}, 413, 'elsewhere less is taken');
is(ask($tls_port, 'POST', '/u/SEGREDO')->{status}, 200, 'a link');
is(ask($tls_port, 'GET', '/metrics')->{status}, 200, 'metrics for this machine');
is(ask($tls_port, 'GET', '/api/agora', host => 'evil.example')->{status}, 421, 'names that are not ours');
unlike(join('', map { slurp_file($_) } glob "$directory/*/access.log"), qr/SEGREDO/, 'no secret is in its log');
like(slurp_file("$directory/stub/access.log"), qr{POST /login}, 'where other requests are');

# Nor where the door does not answer.
$stub->stop;
is(ask($tls_port, 'POST', $_)->{status}, 502, "nobody answers $_") for '/webhooks/wa/SEGREDO', '/u/SEGREDO', '/api/pessoas?q=SEGREDO', '/login';
my $errors = join '', map { slurp_file($_) } glob "$directory/*/error.log";
unlike($errors, qr/SEGREDO/, 'no secret is in the log of errors');
like($errors, qr{POST /login}, 'where others are');

done_testing();
