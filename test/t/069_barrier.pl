# The barrier: after an opt-out, a reply that stops, a pause or a cancel has committed, nothing that it
# forbids begins, claimed or not, however soon after the commit its turn comes.

use strict;
use warnings;
use utf8;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

# How long the name server takes for a name that is there after all, in seconds.
my $SLOW_NAME = 3;

my $node = do
{
	local $ENV{LD_PRELOAD} = preload('names', <<"EOC");
typedef int (*Function)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

int
getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
            struct addrinfo **result)
{
	if (name != NULL && strcmp(name, "slow.example") == 0)
	{
		sleep($SLOW_NAME);
		name = "127.0.0.1";
	}
	return next("getaddrinfo", Function)(name, service, hints, result);
}
EOC
	new_cluster('main', conf => [ 'max_prepared_transactions = 10', 'cadence_runner.batch_size = 1000' ]);
};
my $provider = start_provider();
my $CLAIMED = 'SELECT count(*) FROM lead_cadence_runs WHERE claim_id IS NOT NULL';

# Starts over with so many due runs, one worker and a provider that has so many at once.
sub begin_again
{
	my ($n, $url, $at_once) = @_;

	start_over($node, $provider);
	sql($node, 'TRUNCATE contact_opt_outs, cadence_blocklist, forbidden; SET client_min_messages = warning;
		DROP SERVER IF EXISTS ok CASCADE; DELETE FROM cadences; DELETE FROM message_templates');
	make_company($node, 'ok', $url, max_in_flight => $at_once);
	enrol($node, 'ok', $n);
	sql($node, q{UPDATE lead_contacts SET telefone = '+5511' || (960000000 + substr(lead_id, 6)::int)});
	return;
}

sub leads
{
	my ($from, $to) = @_;
	return "substr(lead_id, 6)::int BETWEEN $from AND $to";
}

# The leads of a range that the provider has heard of.
sub sent_to
{
	my ($from, $to) = @_;
	return grep { $_ >= $from && $_ <= $to } map { $_->{body}{leadId} =~ /(\d+)/ } $provider->journal;
}

set_server($node, 'cadence_runner.workers', 1);
sql($node, 'CREATE TABLE forbidden (lead_id text, at timestamptz)');

# ---- each way to forbid a message --------------------------------------------------------------

my @WAYS = (
	[ 'the contact has opted out', 'UPDATE lead_contacts SET opt_out = true WHERE %s' ],
	[ 'an opt-out of the channel', q{SELECT cadence_opt_out(lead_id, empresa, 'whatsapp') FROM lead_contacts WHERE %s} ],
	[ 'an opt-out that nobody called a function for', 'INSERT INTO contact_opt_outs (lead_id, empresa) SELECT lead_id, empresa FROM lead_contacts WHERE %s' ],
	[ 'blocked', q{SELECT cadence_block_many('phone', array_agg(telefone)) FROM lead_contacts WHERE %s} ],
	[ 'paused', 'SELECT cadence_pause(id) FROM lead_cadence_runs WHERE %s' ],
	[ 'cancelled', q{SELECT cadence_cancel(id, 'x') FROM lead_cadence_runs WHERE %s} ],
	[ 'cancelled by the application', q{UPDATE lead_cadence_runs SET status = 'CANCELADA' WHERE %s} ],
	[ 'answered', q{SELECT cadence_inbound(telefone, 'Sim', lead_id, server => 'ok') FROM lead_contacts WHERE %s} ],
	[ 'answered with a word', q{SELECT cadence_inbound(telefone, 'SAIR', lead_id, server => 'ok') FROM lead_contacts WHERE %s} ],
	[ 'in two phases', q{BEGIN; UPDATE lead_contacts SET opt_out = true WHERE %s; PREPARE TRANSACTION 'wish'; COMMIT PREPARED 'wish'} ]);

{
	my $each = 90;
	my $n = 100 + @WAYS * $each;
	my $i = 0;

	begin_again($n, $provider->url('gate'), 10);
	my $caller = start_sql($node, "SELECT cadence_run('TEST')");
	poll_until(sub { sql($node, $CLAIMED) == $n && $provider->count == 10 }) or die 'they are not all claimed';
	# each of them a commit of its own, the last of them right before the provider goes on
	sql($node, join ";\n", map { sprintf $_->[1], leads(101 + $i * $each, 100 + ++$i * $each) } @WAYS);
	$provider->ask('POST', '__open');
	is($caller->finish, 0, "$n claimed steps: the execution ends well") or diag($caller->error);
	for my $way (0 .. $#WAYS)
	{
		is(scalar(sent_to(101 + $way * $each, 100 + ($way + 1) * $each)), 0, "$WAYS[$way][0]: nothing has left after the commit");
	}
	is(scalar(sent_to(1, 100)), 100, 'all others have got theirs');
}

# ---- in the middle -----------------------------------------------------------------------------

{
	my $n = 1000;

	begin_again($n, $provider->url('slow/20'), 10);
	my $caller = start_sql($node, "SELECT cadence_run('TEST')");
	poll_until(sub { $provider->count > 0 }) or die 'nothing was sent';
	# from the last on: each in a transaction of its own, and when that was over
	sql($node, qq{DO \$\$
		BEGIN
			FOR i IN REVERSE $n .. 1 LOOP
				CONTINUE WHEN i % 3 = 0;
				PERFORM cadence_opt_out('lead-' || i, 'ok', 'WHATSAPP');
				COMMIT;
				INSERT INTO forbidden VALUES ('lead-' || i, clock_timestamp());
				COMMIT;
			END LOOP;
		END \$\$});
	is($caller->finish, 0, "opt-outs while $n messages leave: the execution ends well") or diag($caller->error);
	# what something came between twice is due as before
	execute($node);
	# from when it was handed over on, to the millisecond before
	my $begun = q{FROM forbidden AS f JOIN lead_cadence_runs AS r USING (lead_id)
		JOIN lead_messages AS m ON m.run_id = r.id
		JOIN lead_cadence_events AS e ON e.lead_cadence_run_id = r.id AND e.tipo_evento = 'DISPARADO'
		WHERE m.enviado_em - interval '1 ms' * (1 + (e.detalhes ->> 'duracao_ms')::int)};
	is(sql($node, "SELECT count(*) $begun >= f.at"), 0, 'none has begun after its opt-out')
	  or diag(sql($node, "SELECT r.lead_id, f.at, m.enviado_em, e.detalhes $begun >= f.at LIMIT 5"));
	cmp_ok(sql($node, "SELECT count(*) $begun < f.at"), '>', 0, 'some were sent before');
	cmp_ok(sql($node, "SELECT count(*) FROM forbidden LEFT JOIN lead_messages AS m USING (lead_id) WHERE m.lead_id IS NULL"),
		'>', 0, 'and some have waited too long');
	is(scalar(grep { $_ % 3 == 0 } sent_to(1, $n)), int($n / 3), 'whoever wants to be written to has got his message');
	is(sql($node, $CLAIMED), 0, 'no claim is left');
}

# ---- without a pause -----------------------------------------------------------------------------

# Statements that may forbid something, two hundred a second, and forbid nothing.
{
	my $n = 500;

	begin_again($n, $provider->url('ok'), 50);
	my $writer = start_sql($node, q{DO $$
		BEGIN
			WHILE NOT EXISTS (SELECT FROM forbidden) LOOP
				UPDATE lead_contacts SET opt_out = false WHERE false;
				COMMIT;
				PERFORM pg_sleep(0.005);
			END LOOP;
		END $$});
	# on a busy machine each execution sends few, but none may send nothing again and again
	my ($sent, $in_vain) = (0, 0);
	while ($sent < $n && $in_vain < 20)
	{
		execute($node);
		my $now = scalar(sent_to(1, $n));
		$in_vain = $now > $sent ? 0 : $in_vain + 1;
		$sent = $now;
	}
	is($sent, $n, 'while somebody raises the barrier again and again, all are sent');
	sql($node, q{INSERT INTO forbidden VALUES ('enough')});
	is($writer->finish, 0, 'and nobody is in the way of the other') or diag($writer->error);
}

# ---- on the way to the provider ------------------------------------------------------------------

{
	my ($port) = $provider->url('') =~ /:(\d+)/;

	# so few that any libcurl looks for all of them at once
	begin_again(8, "http://slow.example:$port/ok", 8);
	my $caller = start_sql($node, "SELECT cadence_run('TEST')");
	poll_until(sub { sql($node, q{SELECT count(*) FROM pg_stat_activity WHERE query ~ '^cadence_runner: 8 in flight'}) })
	  or die 'they do not look for the provider';
	sql($node, sprintf q{SELECT cadence_opt_out(lead_id, empresa) FROM lead_contacts WHERE %s}, leads(1, 4));
	is($provider->count, 0, 'the provider is still being looked for');
	is($caller->finish, 0, 'the execution ends well') or diag($caller->error);
	is(scalar(sent_to(1, 4)), 0, 'what has not left does not leave');
	is(scalar(sent_to(5, 8)), 4, 'the others do');
	is(sql($node, q{SELECT count(*) FROM lead_cadence_runs WHERE status = 'CANCELADA' OR attempts > 1}), 0,
		'without an attempt for those who do not want it');
	execute($node);
	is(sql($node, q{SELECT count(*) FROM lead_cadence_runs WHERE status = 'CANCELADA'}), 4, 'the next execution says why');
}

done_testing();
