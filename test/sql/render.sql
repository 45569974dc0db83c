--
-- cadence_render(): the template engine by itself.
--
\set SHOW_CONTEXT never
CREATE SCHEMA cadence;
CREATE EXTENSION cadence_runner SCHEMA cadence;
SET search_path = cadence;

SELECT template, '[' || cadence_render(template, '{"nome": "Ana Souza", "vazio": "", "espacos": " \t ", "nulo": null, "n": 1.50, "b": true,
    "o": {"a": [1, "x"]}, "chaves": "{{nome}} {{", "çedilha": "sim", "com espaço": "ok"}') || ']' AS text
FROM (VALUES (''), ('só texto'), ('{{nome}}'), ('{{ nome }}'), ('Oi {{primeiro_nome}}, {{lead_nome}}!'),
             ('{{vazio}}'), ('{{vazio|nada}}'), ('{{espacos|brancos}}'), ('{{nulo|nulo}}'), ('{{nulo}}'), ('{{vazio|}}'),
             ('{{n}} {{b}} {{o}}'), ('{{chaves}}'), ('{{chaves}}{{nome}}'), ('{{çedilha}} {{com espaço}}'),
             ('{nome} }} { {'), ('{{nome}}}'), (E'a\n{{nome}}\tb🎉')) AS v(template);

-- names fall back to você, unless the template says otherwise
SELECT cadence_render('Oi {{nome}}, {{primeiro_nome}}, {{lead_nome}}', '{"nome": ""}');
SELECT cadence_render('Oi {{nome}}, {{primeiro_nome}}, {{lead_nome}}', '{"nome": null, "primeiro_nome": null}');
SELECT cadence_render('Oi {{nome|amiga}}, {{primeiro_nome|amiga}}', '{"nome": null}');
SELECT cadence_render('{{primeiro_nome}} {{lead_nome}}', '{"nome": "  Ana   Souza ", "primeiro_nome": "Aninha", "lead_nome": "A. Souza"}');
SELECT cadence_render('{{primeiro_nome}}', '{"primeiro_nome": "Ana"}');

-- what is refused
\set VERBOSITY default
SELECT cadence_render('Oi {{apelido}}', '{"nome": "Ana"}');
SELECT cadence_render('Oi {{apelido|amigo}}', '{"nome": "Ana"}');
SELECT cadence_render('Oi {{primeiro_nome}}', '{}');
SELECT cadence_render('ção {{nome', '{"nome": "Ana"}');
SELECT cadence_render('🎉{{}}', '{"nome": "Ana"}');
SELECT cadence_render('{{ | x}}', '{"nome": "Ana"}');
SELECT cadence_render('{{{nome}}}', '{"nome": "Ana"}');
SELECT cadence_render('{{' || repeat('á', 100) || '}}', '{}');
SELECT cadence_render('{{nome}}', '[1]');
SELECT cadence_render('{{nome}}', '"texto"');
SELECT cadence_render('{{nome}}', 'null');
\set VERBOSITY sqlstate
SELECT cadence_render('{{apelido}}', '{}');
SELECT cadence_render('{{nome', '{}');
SELECT cadence_render('', '[]');
\set VERBOSITY default
SELECT cadence_render(NULL, '{}') IS NULL AS null_template, cadence_render('', NULL) IS NULL AS null_vars;

-- large
SELECT length(cadence_render(repeat('{{nome}} ', 50000), '{"nome": "Ana"}'));
SELECT length(cadence_render(repeat('x', 5000000) || '{{nome}}', '{"nome": "Ana"}'));

RESET search_path;
DROP EXTENSION cadence_runner;
DROP SCHEMA cadence;
