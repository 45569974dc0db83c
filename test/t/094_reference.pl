# docs/reference.md names everything that the extension brings: each function with its arguments, each
# view, table and column, type, trigger, setting.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Cadence;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_cluster('main', conf => ["shared_preload_libraries = 'cadence_runner'"]);
my $reference = slurp_file("$FindBin::RealBin/../../docs/reference.md");

# What stands between backticks is a name, a call, or the columns of the table that its row begins with.
my @said = $reference =~ /`([^`\n]+)`/g;
my %name = map { $_ => 1 } @said;

sub is_said
{
	my ($what, $query, $has) = @_;
	my @all = map { $_->{name} } sql_rows($node, $query);
	cmp_ok(scalar @all, '>', 0, "there are: $what");
	is(join("\n", grep { !$has->($_) } @all), '', "$what: each is in the reference");
	return;
}

# A call names all arguments, in their order.
sub has_call
{
	my ($function, @arguments) = split / /, $_[0];
	my $order = join '\b.*\b', map { quotemeta } @arguments;
	return scalar grep { /^\Q$function\E\(.*?\b$order\b/ || !@arguments && /^\Q$function\E\(/ } @said;
}

# A row of a table whose first column is that name.
sub row_of
{
	my ($table) = @_;
	return $reference =~ /^\| `\Q$table\E` \|(.*)$/m ? $1 : '';
}

my $member = q{pg_depend AS d WHERE d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass
	AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'cadence_runner')};

is_said('functions', qq{SELECT concat_ws(' ', p.proname, array_to_string(p.proargnames[1:p.pronargs], ' ')) AS name
	FROM pg_proc AS p WHERE p.oid IN (SELECT d.objid FROM $member AND d.classid = 'pg_proc'::regclass) ORDER BY 1}, \&has_call);
is_said('views and tables', qq{SELECT c.relname AS name FROM pg_class AS c
	WHERE c.oid IN (SELECT d.objid FROM $member AND d.classid = 'pg_class'::regclass) ORDER BY 1}, sub { row_of($_[0]) });
is_said('types', qq{SELECT t.typname AS name FROM pg_type AS t LEFT JOIN pg_class AS c ON c.oid = t.typrelid
	WHERE t.typelem = 0 AND coalesce(c.relkind, 'c') = 'c' AND t.oid IN (SELECT d.objid FROM $member AND d.classid = 'pg_type'::regclass) ORDER BY 1}, sub { $name{ $_[0] } });
is_said('tables that are made', q{SELECT DISTINCT table_name AS name FROM cadence_columns ORDER BY 1}, sub { row_of($_[0]) });
is_said('columns', q{SELECT table_name || '.' || column_name AS name FROM cadence_columns ORDER BY 1},
	sub { my ($table, $column) = split /\./, $_[0]; row_of($table) =~ /`\Q$column\E`/ });
is_said('triggers', q{SELECT DISTINCT tgname AS name FROM pg_trigger WHERE NOT tgisinternal AND tgrelid::regclass::text ~ '^(cadence|lead|contact|message)'
	UNION SELECT evtname FROM pg_event_trigger ORDER BY 1}, sub { $reference =~ /`(?:[^`]*\b)?\Q$_[0]\E\b/ });
is_said('the wrapper', 'SELECT fdwname AS name FROM pg_foreign_data_wrapper', sub { $name{ $_[0] } });
is_said('settings', q{SELECT name FROM pg_settings WHERE name LIKE 'cadence_runner.%' ORDER BY 1}, sub { row_of($_[0]) });

done_testing();
