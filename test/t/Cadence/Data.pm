# Servers of the wrapper, cadences, templates and leads in bulk, and what became of them.
#
# A server of the wrapper serves a channel and a company, so a test that needs a behaviour of the
# provider makes a company for it: server, template, cadence and leads go by that company's name.

package Cadence::Data;

use strict;
use warnings;
use utf8;

use Cadence::SQL;
use Digest::SHA qw(sha1);
use Exporter qw(import);

our @EXPORT = qw(
  make_server make_cadence make_company enrol make_all_due cancel_rest start_over
  outcomes idempotency_key
);

# A server of the wrapper; its options as name => value. Its breaker stays closed unless they say
# otherwise: most tests want to see each failure.
sub make_server
{
	my ($node, $name, $url, %options) = @_;
	my $database = delete $options{database};
	my %all = (canal => 'WHATSAPP', url => $url, breaker_after => 0, %options);
	my $list = join ', ', map { "$_ " . literal($all{$_}) } sort keys %all;

	sql($node, "CREATE SERVER $name FOREIGN DATA WRAPPER cadence_provider OPTIONS ($list)",
		$database);
	return;
}

# A cadence of a company, and its templates. steps: [channel, offset in minutes, text], in order.
sub make_cadence
{
	my ($node, $codigo, $empresa, @steps) = @_;
	my $ordem = 0;

	sql($node, "INSERT INTO cadences (empresa, codigo, nome) VALUES ("
		  . join(', ', map { literal($_) } $empresa, $codigo, $codigo) . ')');
	for my $step (@steps)
	{
		my ($canal, $offset, $text) = @$step;
		my $template = $codigo . '_' . ++$ordem;

		sql($node,
			"INSERT INTO message_templates (empresa, canal, codigo, nome, conteudo) VALUES ("
			  . join(', ', map { literal($_) } $empresa, $canal, $template, $template, $text)
			  . ");
			INSERT INTO cadence_steps (cadence_id, ordem, offset_minutos, canal, template_codigo)
			SELECT id, $ordem, $offset, "
			  . literal($canal) . ', '
			  . literal($template)
			  . " FROM cadences WHERE codigo = "
			  . literal($codigo));
	}
	return;
}

# A company of its own for one behaviour: a server by that name, and a cadence of one step.
sub make_company
{
	my ($node, $name, $url, %options) = @_;
	make_server($node, $name, $url, empresa => $name, %options);
	make_cadence($node, $name, $name, [ $options{canal} // 'WHATSAPP', 0, 'Olá {{nome}}' ]);
	return;
}

# Enrols so many new leads in a cadence, due since a minute, the first of them first.
sub enrol
{
	my ($node, $codigo, $n) = @_;
	my $first = sql($node, "SELECT count(*) + 1 FROM lead_contacts");
	my $last = $first + $n - 1;
	my $cadence = literal($codigo);

	sql($node, qq{
		INSERT INTO lead_contacts (lead_id, empresa, nome, primeiro_nome, email, telefone)
		SELECT 'lead-' || i, c.empresa, 'Lead ' || i, 'Lead', 'lead' || i || '\@example.com',
			'+5511' || lpad(i::text, 9, '0')
		FROM cadences c, generate_series($first, $last) AS i WHERE c.codigo = $cadence;
		INSERT INTO lead_cadence_runs (lead_id, empresa, cadence_id, next_step_ordem, next_run_at)
		SELECT 'lead-' || i, c.empresa, c.id, 1,
			now() - interval '1 minute' + (i - $first) * interval '1 microsecond'
		FROM cadences c, generate_series($first, $last) AS i WHERE c.codigo = $cadence;
	});
	return;
}

# As if the time of every active run had come.
sub make_all_due
{
	my ($node) = @_;
	sql($node, "UPDATE lead_cadence_runs SET next_run_at = now() - interval '1 second'
		WHERE status = 'ATIVA'");
	return;
}

# Nobody tries again what is left.
sub cancel_rest
{
	my ($node) = @_;
	sql($node, "UPDATE lead_cadence_runs SET status = 'CANCELADA' WHERE status = 'ATIVA'");
	return;
}

# No lead, run, event, message or log is left, and the provider has forgotten what came.
sub start_over
{
	my ($node, $provider) = @_;
	sql($node, 'TRUNCATE lead_messages, lead_cadence_events, lead_cadence_runs, lead_contacts,
		cadence_runner_logs');
	$provider->forget;
	return;
}

# What became of a company's messages: event or code => how many.
sub outcomes
{
	my ($node, $empresa) = @_;
	return { map { $_->{what} => $_->{n} } sql_rows($node, "SELECT what, count(*) AS n FROM (
		SELECT coalesce(e.detalhes ->> 'codigo', e.tipo_evento) AS what
		FROM lead_cadence_events e JOIN lead_cadence_runs r ON r.id = e.lead_cadence_run_id
		WHERE r.empresa = '$empresa' AND e.tipo_evento IN ('DISPARADO', 'ERRO')) AS o GROUP BY what") };
}

# The key that every attempt of a step carries: a version 5 UUID of the step's number, with the
# run as name space.
sub idempotency_key
{
	my ($run, $ordem) = @_;
	my @bytes = unpack 'C16', sha1(pack('H32', $run =~ tr/-//dr) . $ordem);

	$bytes[6] = $bytes[6] & 0x0F | 0x50;
	$bytes[8] = $bytes[8] & 0x3F | 0x80;
	return join '-', unpack 'A8 A4 A4 A4 A12', unpack 'H32', pack 'C16', @bytes;
}

1;
