--
-- What the extension brings along, and who may use it.
--
-- Default privileges that hand out everything must not hand out these functions,
-- nor the table (hosted installations grant all to their anonymous role that way).
CREATE ROLE regress_cadence_anon NOLOGIN;
CREATE ROLE "regress_Cadence anon" NOLOGIN;
CREATE SCHEMA cadence;
ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO regress_cadence_anon, "regress_Cadence anon" WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES IN SCHEMA cadence GRANT ALL ON FUNCTIONS TO regress_cadence_anon;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC, regress_cadence_anon;
CREATE EXTENSION cadence_runner SCHEMA cadence;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM PUBLIC, regress_cadence_anon;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON FUNCTIONS FROM regress_cadence_anon, "regress_Cadence anon";
ALTER DEFAULT PRIVILEGES IN SCHEMA cadence REVOKE ALL ON FUNCTIONS FROM regress_cadence_anon;

SELECT extversion, extrelocatable FROM pg_extension WHERE extname = 'cadence_runner';

-- every object of the extension; newer servers also count the row types of views and tables, and the arrays of them
SELECT pg_describe_object(d.classid, d.objid, d.objsubid) COLLATE "C" AS object
FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass
WHERE e.extname = 'cadence_runner' AND d.deptype = 'e'
  AND NOT (d.classid = 'pg_type'::regclass AND EXISTS (
    SELECT FROM pg_type t JOIN pg_class c ON c.reltype IN (t.oid, t.typelem)
    WHERE t.oid = d.objid AND (c.relkind IN ('r', 'v') OR (t.typelem <> 0 AND c.reltype = t.typelem))))
ORDER BY 1;

-- each with a comment
SELECT pg_describe_object(d.classid, d.objid, d.objsubid) AS without_comment
FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass
WHERE e.extname = 'cadence_runner' AND d.deptype = 'e'
  AND d.classid IN ('pg_proc'::regclass, 'pg_class'::regclass, 'pg_foreign_data_wrapper'::regclass)
  AND coalesce(obj_description(d.objid, d.classid::regclass::name), '') = '';

-- the functions' signatures and kinds
SELECT p.oid::regprocedure AS function, pg_get_function_result(p.oid) AS result, l.lanname AS language,
       p.provolatile AS volatile, p.proparallel AS parallel, p.proisstrict AS strict, p.prosecdef AS definer
FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
WHERE p.pronamespace = 'cadence'::regnamespace
ORDER BY p.proname COLLATE "C", p.pronargs;

SELECT p.proname AS function, pg_get_function_arguments(p.oid) AS arguments
FROM pg_proc p WHERE p.pronamespace = 'cadence'::regnamespace AND p.pronargdefaults > 0
ORDER BY p.proname COLLATE "C", p.pronargs;

-- nobody but the owner may execute anything
SELECT p.oid::regprocedure AS executable_by_others, a.grantee::regrole
FROM pg_proc p CROSS JOIN aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a
WHERE p.pronamespace = 'cadence'::regnamespace AND a.grantee <> p.proowner;
SELECT p.proname AS executable_by_anon FROM pg_proc p
WHERE p.pronamespace = 'cadence'::regnamespace AND
      (has_function_privilege('regress_cadence_anon', p.oid, 'EXECUTE') OR
       has_function_privilege('regress_Cadence anon', p.oid, 'EXECUTE'));
-- nor do more with the protocols than read them
SELECT c.relname, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS who, a.privilege_type
FROM pg_class c CROSS JOIN aclexplode(c.relacl) AS a
WHERE c.oid = 'cadence.cadence_protocols'::regclass AND a.grantee <> c.relowner;
SELECT has_foreign_data_wrapper_privilege('regress_cadence_anon', 'cadence_provider', 'USAGE') AS anon_may_name_urls;

-- the wrapper checks options and opens nothing by itself
SELECT fdwname, fdwhandler::regproc, fdwvalidator::regproc, fdwacl FROM pg_foreign_data_wrapper
WHERE fdwname = 'cadence_provider';

-- not relocatable, and only once in a database
ALTER EXTENSION cadence_runner SET SCHEMA public;
CREATE EXTENSION cadence_runner SCHEMA public;
CREATE EXTENSION IF NOT EXISTS cadence_runner SCHEMA public;

DROP EXTENSION cadence_runner;
DROP SCHEMA cadence;
DROP ROLE regress_cadence_anon, "regress_Cadence anon";
