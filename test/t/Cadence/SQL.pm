# Statements, their rows and their errors, in text of any kind.

package Cadence::SQL;

use strict;
use warnings;
use utf8;

use Encode qw(encode_utf8 decode_utf8);
use Exporter qw(import);
use JSON::PP ();

our @EXPORT = qw(sql sql_rows sql_error literal execute);

# Runs statements that must succeed; texts may hold any character. Returns psql's output.
sub sql
{
	my ($node, $text, $database) = @_;
	return decode_utf8($node->safe_psql($database // 'postgres', encode_utf8($text)));
}

# The rows of a query, as hashes with JSON's types.
sub sql_rows
{
	my ($node, $query, $database) = @_;
	my $json = $node->safe_psql($database // 'postgres',
		encode_utf8("SELECT coalesce(json_agg(q), '[]') FROM ($query) AS q"));
	return @{ JSON::PP::decode_json($json) };
}

# What psql says of statements that must fail, with SQLSTATE, detail and hint.
sub sql_error
{
	my ($node, $text, %options) = @_;
	my ($status, $stdout, $stderr) = $node->psql(
		$options{database} // 'postgres', encode_utf8($text),
		extra_params => [ '-v', 'VERBOSITY=verbose', @{ $options{extra_params} // [] } ]);

	return $status == 0 ? "no error; output: $stdout" : decode_utf8($stderr);
}

sub literal
{
	my ($text) = @_;
	return 'NULL' unless defined $text;
	$text =~ s/'/''/g;
	return "'$text'" unless $text =~ s/\\/\\\\/g;
	return " E'$text'";
}

# One execution that must succeed; its decoded result.
sub execute
{
	my ($node, $trigger, $database) = @_;
	return JSON::PP::decode_json(
		encode_utf8(sql($node, 'SELECT cadence_run(' . literal($trigger // 'TEST') . ')', $database)));
}

1;
