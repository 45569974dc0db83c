# The link to unsubscribe in a mail as it arrives, and what following it stops: also what waits.

use strict;
use warnings;
use utf8;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use MailServer;
use PostgreSQL::Test::Utils;
use Test::More;

my $base = 'https://crm.example/u/';
my $mail = start_mail_server();
my $provider = start_provider();
my $node = new_cluster('main', conf => [ "cadence_runner.unsubscribe_url = '$base'" ]);

# What a mailbox does: it sends a POST to the address in the header.
sub follow
{
	my ($link) = @_;
	my ($token) = $link =~ /^\Q$base\E([\w-]+)$/ or die "no link of ours: $link";
	return sql($node, 'SELECT status FROM cadence_unsubscribe(' . literal($token) . ', true)');
}

make_server($node, 'mail', $mail->url('PLAIN'), canal => 'EMAIL', empresa => 'acme', protocol => 'smtp', starttls => 'optional',
	'"from"' => 'ACME <vendas@acme.example>');
make_cadence($node, 'acme', 'acme', [ 'EMAIL', 0, 'Oi. Sair: {{unsubscribe_url}}' ], [ 'EMAIL', 60, 'Oi de novo' ]);
enrol($node, 'acme', 2);
execute($node);
my ($one) = $mail->mails('lead1@example.com');
my ($other) = $mail->mails('lead2@example.com');
my ($link) = $one->{headers}{'List-Unsubscribe'} =~ /^<(.*)>$/;
like($link, qr/^\Q$base\E[\w-]+$/, 'a mail has the link');
is($one->{headers}{'List-Unsubscribe-Post'}, 'List-Unsubscribe=One-Click', 'which a mailbox may follow by itself');
like($one->{text}, qr/Sair: \Q$link\E/, 'and so has its text');
isnt($other->{headers}{'List-Unsubscribe'}, "<$link>", 'another person has another');
is(follow($link), 200, 'followed');
is(follow($link), 200, 'and once more');
is(sql($node, 'SELECT string_agg(concat_ws($$ $$, lead_id, canal, origem), $$, $$) FROM contact_opt_outs'),
	'lead-1 EMAIL cadence_unsubscribe', 'one opt-out');
make_all_due($node);
execute($node);
is(scalar $mail->mails('lead1@example.com'), 1, 'whoever has unsubscribed gets no more');
is(scalar $mail->mails('lead2@example.com'), 2, 'the other does');

# The links of all who wait for a slow provider are followed meanwhile.
make_company($node, 'slow', $provider->url('slow/2000'), max_in_flight => 2);
enrol($node, 'slow', 40);
my $caller = start_sql($node, q{SELECT cadence_run('TEST')});
poll_until(sub { $provider->count > 0 }) or die 'nothing was sent';
is(sql($node, qq{SELECT string_agg(DISTINCT u.status::text, ' ') FROM lead_cadence_runs r
	CROSS JOIN LATERAL cadence_unsubscribe(replace(cadence_unsubscribe_url(r.id), '$base', ''), true) AS u
	WHERE r.empresa = 'slow'}), 200, 'all of them');
is($caller->finish, 0, 'the execution ends well') or diag($caller->error);
cmp_ok($provider->count, '<', 15, 'what waits is not sent');
is(sql($node, q{SELECT count(*) FROM lead_cadence_runs WHERE empresa = 'slow' AND status = 'ATIVA'}), 0, 'no run goes on');

done_testing();
