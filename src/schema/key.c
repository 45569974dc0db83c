/*
 * key.c
 *		How a key of the user's tables compares.
 *
 * As its column does, so that L1 is l1 where the application's citext or
 * collation says so, and the column's index serves. Both sides are cast to one
 * type, for which the operator is exact: nobody's overload can be nearer.
 */
#include "postgres.h"

#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "nodes/value.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "schema/key.h"

/* citext's schema, where both it and its operator are the extension's own; else NULL. */
static const char *
citext_schema(Oid type)
{
	Oid extension = getExtensionOfObject(TypeRelationId, type);
	char *name = OidIsValid(extension) ? get_extension_name(extension) : NULL;
	char *schema;
	Oid equals;

	if (name == NULL || strcmp(name, "citext") != 0)
		return NULL;
	schema = get_namespace_name(cadence_catalog_oid(TYPEOID, type, Anum_pg_type_typnamespace));
	equals = OpernameGetOprid(list_make2(makeString(schema), makeString("=")), type, type);
	if (!OidIsValid(equals) || getExtensionOfObject(OperatorRelationId, equals) != extension)
		return NULL;
	return quote_identifier(schema);
}

/* Both sides could have collations of their own: the column's is named. */
static char *
collate(Oid relation, AttrNumber number)
{
	Oid collation;
	int32 typmod;
	Oid type;
	char *name;
	Oid schema;

	get_atttypetypmodcoll(relation, number, &type, &typmod, &collation);
	name = OidIsValid(collation) ? get_collation_name(collation) : NULL;
	if (name == NULL)
		return "";
	schema = cadence_catalog_oid(COLLOID, collation, Anum_pg_collation_collnamespace);
	return psprintf(" COLLATE %s", quote_qualified_identifier(get_namespace_name(schema), name));
}

/* How a column's values compare: the schema and the name of the type, and a collation's clause. */
typedef struct KeyType
{
	const char *schema;
	const char *name;
	char *collate;
} KeyType;

static KeyType
key_type(const CadenceTables *tables, const char *table, const char *column)
{
	Oid relation = get_relname_relid(table, tables->schema);
	AttrNumber number = get_attnum(relation, column);
	bool found = number != InvalidAttrNumber;
	Oid type = found ? getBaseType(get_atttype(relation, number)) : TEXTOID;
	const char *citext = citext_schema(type);

	return (KeyType){.schema = citext != NULL ? citext : "pg_catalog",
					 .name = citext != NULL		 ? "citext"
							 : type == BPCHAROID ? "bpchar"
												 : "text",
					 .collate = found ? collate(relation, number) : ""};
}

/*
 * The condition that a column of a table, known by that alias, is a value of
 * type text, in the current memory context, inside a transaction.
 */
char *
cadence_key_is(const CadenceTables *tables, const char *table, const char *alias,
			   const char *column, const char *value)
{
	KeyType type = key_type(tables, table, column);

	return psprintf("(%s.%s::%s.%s%s OPERATOR(%s.=) (%s)::%s.%s)", alias, column, type.schema,
					type.name, type.collate, type.schema, value, type.schema, type.name);
}

/* A value of type text as one that sorts, and is the same, as in a column of a table. */
char *
cadence_key_of(const CadenceTables *tables, const char *table, const char *column,
			   const char *value)
{
	KeyType type = key_type(tables, table, column);

	return psprintf("(%s)::%s.%s%s", value, type.schema, type.name, type.collate);
}
