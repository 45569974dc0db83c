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

-- what nobody sees does not count: editors put it there
SELECT cadence_render(U&'Oi {{\00A0nome\00A0}}!', '{"nome": "Ana"}');
SELECT cadence_render(U&'Oi {{nome}}, {{primeiro_nome}}', U&'{"nome": "\00A0"}'::jsonb);
SELECT cadence_render('{{nome}}, {{primeiro_nome}}!', U&'{"nome": "\202AMaria\00A0Souza\202C"}'::jsonb) = U&'Maria\00A0Souza, Maria!' AS ok;

-- large
SELECT length(cadence_render(repeat('{{nome}} ', 10000), '{"nome": "Ana"}'));
SELECT length(cadence_render(repeat('x', 1000000) || '{{nome}}', '{"nome": "Ana"}'));
SELECT length(cadence_render(repeat('{{nome}}', 16), jsonb_build_object('nome', repeat('x', 1024 * 1024))));
-- and too large: refused before it costs anything
SELECT cadence_render(repeat('{{', 14000000), '{}');
SELECT cadence_render(repeat('{', 52000000), '{}');
SELECT cadence_render(repeat('{{nome}}', 10001), '{"nome": "Ana"}');
SELECT cadence_render(repeat('{{nome}}', 600), jsonb_build_object('nome', repeat('x', 1000000)));
SELECT cadence_render('{{nome}} ' || repeat('{{nome}}', 16), jsonb_build_object('nome', repeat('x', 1024 * 1024)));
SELECT cadence_render(repeat('{{nome|' || repeat('x', 4000) || '}}', 200) || repeat('{{nome}}', 16), jsonb_build_object('nome', repeat('x', 1024 * 1024)));

RESET search_path;
DROP EXTENSION cadence_runner;
DROP SCHEMA cadence;
