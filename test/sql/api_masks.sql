--
-- What the dashboard says to whom people may not be shown: no number, mailbox, name or text of anybody, however it
-- is spelt in a provider's words, in any answer.
--
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET timezone = 'UTC';
-- psql reckons with the width of what is not seen, and not always alike
\pset format unaligned
CREATE SCHEMA cadence;
CREATE EXTENSION cadence_runner SCHEMA cadence;
SET search_path = cadence;
SELECT cadence_create_tables();

-- numbers, mailboxes
SELECT said, cadence_mask(said, 'error') FROM unnest(ARRAY[
    'no (11) 98765 - 4321', '11   98765   4321', U&'11 98765 \2014 4321', U&'11\00a098765\20114321', U&'1\200b1 98765\200b4321',
    U&'\FF11\FF11 \FF19\FF18\FF17\FF16\FF15-4321', U&'\0661\0661\0669\0668\0667\0666\0665\0664\0663\0662\0661', '%2B55%2011%2098765%2D4321', '%252B5511987654321',
    'wa.me/5511987654321', '\u002b5511987654321', 'C:\users\u00e9 11 98765 4321', 'ana%2540example.com', 'ana (at) example.com', 'ana ( AT ) example.com', 'ana [arroba] example.com', 'ana&#64;example.com',
    'ana at example.com', 'ana arroba example.com.br', 'ana AT example.com', 'to ana.souza  at  ex-ample.com now', 'look at example.com', 'at 10.5 s', 'ends at v2.1', 'seen at https://example.com/a',
    'ana\u0040example.com', 'ana @ example.com', '"ana souza"@example.com', 'ANA@EXAMPLE.COM', 'mailto:ana.souza@example.com',
    'timeout after 30 s, at 2026-11-30 10:05:00+00: 5 of 12', 'a @ b, 50% of 3']) AS said;

-- a line of the health: what is ours, and nothing of the words behind it
SELECT line, cadence_mask(line, 'reason') FROM unnest(ARRAY[
    'server "a" has been paused since 2026-11-30 17:24:23-03, until cadence_provider_resume(); 0 wait: Ana: asked; for it',
    'server "a" has been paused since 2026-11-30 17:24:23-03, until cadence_provider_resume(); 0 wait',
    'server "a" has sent nothing since 2026-11-30 17:24:23-03, and is tried again at 2026-11-30 17:25:23-03; 24 wait: Ana',
    'server "a" has written to nobody first since 2026-11-30 17:22:57-03, and does again at 2026-12-01 17:22:57+05:30: Error: 463: Ana',
    'server "a" fails: 7 failures and nothing sent in the last hour; Ana', 'template "t" of company "c" has been stopped at server "a" since 2026-11-30 17:24:23+00, and is tried again at 2026-11-30 17:24:23+00: Ana',
    'server "a" speaks version v1 of its API, which ends on 2027-01-01', 'overdue: 3 due, the oldest since 2026-11-30 17:24:23+00']) AS line;

-- names: in capitals, without accents, with them beside the letter, together, within another word
SELECT said, cadence_mask_answer(said, U&'Jo\00e3o d''\00c1vila M\00fcller de Z\00e9') FROM unnest(ARRAY[
    U&'JO\00c3O', 'joao', U&'Joa\0303o', 'Jo\u00e3o', 'JOAO D''AVILA MULLER', 'joaomuller', 'Joao_Muller', 'x-mullers', 'Ze', 'zero', 'de graça', 'não existe', '<b>João</b>']) AS said;
SELECT cadence_mask_answer('x', NULL), cadence_mask_answer(NULL, 'Ana'), cadence_mask_answer('(.*) [a-z] Ana\', '(.*) [a-z] \');

-- and however they are spelt: what is read, and what is not, of which there is nothing but its length
SELECT said, cadence_mask_answer(said, U&'Jo\00e3o da Concei\00e7\00e3o \0141ukasz') FROM unnest(ARRAY[
    'Jo%C3%A3o', 'Jo%25C3%25A3o', 'Jo&atilde;o', 'Jo&#227;o', 'Jo&amp;atilde;o', 'Joa\u0303o', 'Jo\\u00e3o', 'Jo\xe3o', 'Jo\303\243o', 'Jo=C3=A3o', 'Jo=E3o', '=?UTF-8?Q?Jo=C3=A3o?=', '\ud83d\ude00 joao',
    U&'Jo\00ad\00e3o', U&'Jo\200b\00e3o', 'Jo<b>ão</b>', 'Jo&lt;b&gt;ão', 'Jo\u003cwbr\u003eão', 'Oi<br>João', '\u0141ukasz', '%39%38%37%36%35%34%33%32', '551:198:765:432', '+5511<b>98765</b>4321', '18:42:35 98765 4321', '55:11:98:76:54:32',
    'joao at x dot com', 'joao (at) x (dot) com', 'joao arroba x ponto com ponto br', 'joao\x40x.com', 'joao&commat;x.com', 'joao=40x.com', '<joao@x.com>',
    'at 18:42:35', '2026-11-30 17:22:57+05:30: Error: 463', '2026-11-30T17:22:57Z', 'https%3A%2F%2Fx.com%2Fa', '<p>a &amp; b</p>', 'invalid \u00e1rea', 'status=FAILED, 50% of 3']) AS said;

-- what is shown is bounded, and so is the time that it takes, also where a letter becomes eighteen
SELECT length(said), max(length(cadence_mask_answer(said, 'Ana'))) <= 300 AS bounded, max(length(cadence_mask_plain(said))) <= 300 AS plain
FROM unnest(ARRAY[repeat('não é já ', 300), repeat('1!!!!', 1000), repeat(U&'\FDFA', 1900), repeat('\u00e9', 1000)]) AS said GROUP BY said ORDER BY 1;
-- what is cut off takes the beginning of its word or number with it
SELECT "right"(cadence_mask(repeat('x ', 145) || said, 'error'), 8) AS shown FROM unnest(ARRAY['João Conceição', '11 98765 4321', 'to ana.souza@example.com']) AS said;

-- everything that there is of one person, in every answer
INSERT INTO cadences (id, empresa, codigo, nome) VALUES ('c0000000-0000-0000-0000-000000000001', 'BLUE', 'QUENTE', 'Quentes');
INSERT INTO cadence_steps (cadence_id, ordem, offset_minutos, canal, template_codigo) VALUES ('c0000000-0000-0000-0000-000000000001', 1, 0, 'WHATSAPP', 'OLA');
INSERT INTO lead_contacts (lead_id, empresa, nome, primeiro_nome, telefone, email) VALUES ('jose-conceicao', 'BLUE', 'José Conceição', 'Zezinho', '+55 (11) 98765-4321', 'jose.c@example.com');
INSERT INTO lead_cadence_runs (id, lead_id, empresa, cadence_id, status, next_step_ordem, next_run_at) VALUES
    ('a0000000-0000-0000-0000-000000000001', 'jose-conceicao', 'BLUE', 'c0000000-0000-0000-0000-000000000001', 'ATIVA', 1, now() + interval '1 hour');
INSERT INTO lead_cadence_events (lead_cadence_run_id, step_ordem, template_codigo, tipo_evento, detalhes)
SELECT 'a0000000-0000-0000-0000-000000000001', 1, 'OLA', 'ERRO', jsonb_build_object('codigo', code, 'provedor', 'regress_masks', 'erro', said, 'motivo', CASE WHEN code IN ('SAIDA', 'RESPOSTA') THEN 'Jose disse: ' || said END, 'proxima_tentativa', now())
FROM unnest(ARRAY['FALHA_ENVIO', 'RECUSADO', 'INCERTO', 'SAIDA', 'RESPOSTA', 'NOVO_CODIGO']) AS code, unnest(ARRAY['JOSE CONCEICAO, 11 98765 - 4321', 'zezinho at jose.c%40example.com']) AS said;
INSERT INTO cadence_counts (grain, at, kind, empresa, canal, outcome, code, server, template, cadence, n, first_at, last_at)
SELECT 'HOUR', date_trunc('hour', now()), 'error', 'BLUE', '', '', detalhes ->> 'codigo', 'regress_masks', 'OLA', 'c0000000-0000-0000-0000-000000000001', 2, now(), now()
FROM lead_cadence_events GROUP BY detalhes ->> 'codigo';
INSERT INTO lead_messages (lead_id, empresa, canal, direcao, conteudo, recebido_em, erro_detalhe) VALUES ('jose-conceicao', 'BLUE', 'WHATSAPP', 'INBOUND', 'Aqui é o Zezinho', now(), 'José');
INSERT INTO contact_opt_outs (lead_id, empresa, motivo, origem) VALUES ('jose-conceicao', 'BLUE', 'José ligou do 11 98765 4321', 'jose.c@example.com');
CREATE SERVER regress_masks FOREIGN DATA WRAPPER cadence_provider OPTIONS (canal 'WHATSAPP', url 'http://127.0.0.1:9/');
INSERT INTO cadence_provider_state (server, paused_at, pause_reason) VALUES ('regress_masks', now(), 'José Conceição reclamou; 11-98765-4321');
INSERT INTO cadence_runner_logs (id, executed_at, steps_executed, errors, runs_touched, duration_ms, trigger_source, details)
SELECT 'b0000000-0000-0000-0000-000000000001', now(), 0, 3, 2, 1, 'MANUAL', jsonb_build_object('erro', 'violates: 11/98765/4321, jose.c @ example.com', 'sqlstate', '23514', 'results',
    jsonb_agg(jsonb_build_object('runId', e.lead_cadence_run_id, 'leadId', 'jose-conceicao', 'stepOrdem', 1, 'templateCodigo', 'OLA', 'status', 'ERRO', 'erro', e.detalhes ->> 'erro')))
FROM lead_cadence_events AS e WHERE e.detalhes ->> 'codigo' = 'FALHA_ENVIO';

-- what somebody has given as a reason is within the words of these events, and of a result whose event is gone
INSERT INTO lead_cadence_events (lead_cadence_run_id, step_ordem, template_codigo, tipo_evento, detalhes)
SELECT 'a0000000-0000-0000-0000-000000000001', 1, 'OLA', 'ERRO', jsonb_build_object('codigo', code, 'provedor', 'regress_reasons', 'erro', 'the run is in cadence_exits: the sister called ' || code)
FROM unnest(ARRAY['OPT_OUT', 'SAIDA', 'PULADO', 'RESPOSTA', 'HUMANO_ASSUMIU', 'CANCELADA', 'REGRA_FALHOU', 'ENDERECO_MORTO']) AS code;
INSERT INTO cadence_runner_logs (id, executed_at, steps_executed, errors, runs_touched, duration_ms, trigger_source, details)
SELECT 'b0000000-0000-0000-0000-000000000002', now(), 0, 3, 2, 1, 'MANUAL', jsonb_build_object('results',
    jsonb_agg(jsonb_build_object('runId', e.lead_cadence_run_id, 'leadId', 'jose-conceicao', 'stepOrdem', 1, 'templateCodigo', 'OLA', 'status', 'ERRO', 'erro', e.detalhes ->> 'erro'))
    || jsonb_build_object('runId', 'a0000000-0000-0000-0000-000000000001', 'leadId', 'jose-conceicao', 'status', 'ERRO', 'erro', 'the brother called'))
FROM lead_cadence_events AS e WHERE e.detalhes ->> 'provedor' = 'regress_reasons';
SELECT x ->> 'code' AS code, x ->> 'message' AS message FROM jsonb_array_elements(cadence_api_execucao('{"id": "b0000000-0000-0000-0000-000000000002"}', false) -> 'results') AS x ORDER BY 1;
SELECT code, string_agg(x ->> 'text', ', ') AS text FROM unnest(ARRAY['OPT_OUT', 'SAIDA', 'PULADO', 'RESPOSTA', 'HUMANO_ASSUMIU', 'CANCELADA', 'REGRA_FALHOU', 'ENDERECO_MORTO']) AS code,
    cadence_api_error_examples(code, 'regress_reasons', 'OLA', false, 10) AS x GROUP BY 1 ORDER BY 1;

CREATE TEMP VIEW answers AS
SELECT v.name, v.answer::text FROM (VALUES
    ('agora', cadence_api_agora('{}', false)), ('servidores', cadence_api_servidores('{}', false)), ('execucoes', cadence_api_execucoes('{}', false)),
    ('execucao', cadence_api_execucao('{"id": "b0000000-0000-0000-0000-000000000001"}', false)),
    ('execucao 2', cadence_api_execucao('{"id": "b0000000-0000-0000-0000-000000000002"}', false)), ('agenda', cadence_api_agenda('{}', false)), ('erros', cadence_api_erros('{}', false)),
    ('cadencias', cadence_api_cadencias('{}', false)), ('cadencia', cadence_api_cadencia('{"id": "c0000000-0000-0000-0000-000000000001"}', false)),
    ('pessoas', cadence_api_pessoas('{"q": "a0000000-0000-0000-0000-000000000001"}', false)), ('pessoa', cadence_api_pessoa('{"run": "a0000000-0000-0000-0000-000000000001"}', false))) AS v(name, answer)
UNION ALL SELECT 'reasons ' || code, cadence_api_erro(jsonb_build_object('code', code, 'server', 'regress_reasons', 'template', 'OLA'), false)::text
FROM unnest(ARRAY['OPT_OUT', 'SAIDA', 'PULADO', 'RESPOSTA', 'HUMANO_ASSUMIU', 'CANCELADA', 'REGRA_FALHOU', 'ENDERECO_MORTO']) AS code
UNION ALL SELECT 'erro ' || code, cadence_api_erro(jsonb_build_object('code', code, 'server', 'regress_masks', 'template', 'OLA'), false)::text
FROM unnest(ARRAY['FALHA_ENVIO', 'RECUSADO', 'INCERTO', 'SAIDA', 'RESPOSTA', 'NOVO_CODIGO']) AS code;
CREATE TEMP TABLE secrets (secret) AS VALUES ('jos[eé]'), ('concei[cç]'), ('zezinho'), ('98765'), ('jose\.c'), ('disse:'), ('ligou'), ('reclamou'), ('sister'), ('brother');
SELECT a.name, s.secret FROM answers AS a JOIN secrets AS s ON a.answer ~* s.secret;
-- which all are told to whom they may be shown
SELECT s.secret, count(*) > 0 AS told FROM secrets AS s, (VALUES (cadence_api_agora('{}', true)), (cadence_api_execucao('{"id": "b0000000-0000-0000-0000-000000000001"}', true)),
    (cadence_api_execucao('{"id": "b0000000-0000-0000-0000-000000000002"}', true)), (cadence_api_pessoa('{"run": "a0000000-0000-0000-0000-000000000001"}', true)), (cadence_api_erro('{"code": "SAIDA", "server": "regress_masks", "template": "OLA"}', true))) AS v(answer)
WHERE v.answer::text ~* s.secret GROUP BY 1 ORDER BY 1;
-- and each answer has something to hide
SELECT name, answer LIKE '%***%' AS masks FROM answers WHERE name IN ('servidores', 'execucoes', 'execucao', 'pessoas', 'pessoa', 'erro FALHA_ENVIO') ORDER BY name;
-- what a sender's provider said last is the words of the last event, of somebody
SELECT x ->> 'reason' AS reason, x ->> 'last_error' AS last_error FROM jsonb_array_elements(cadence_api_servidores('{}', false) -> 'rows') AS x;
-- masking takes longer than reading: to whom it is masked, less is shown
INSERT INTO lead_cadence_events (lead_cadence_run_id, step_ordem, template_codigo, tipo_evento, detalhes)
SELECT 'a0000000-0000-0000-0000-000000000001', 1, 'OLA', 'ERRO', jsonb_build_object('codigo', 'FALHA_ENVIO', 'erro', repeat(U&'\FDFA', 1900)) FROM generate_series(1, 510);
SELECT people, jsonb_array_length(a -> 'timeline') AS shown, (a ->> 'timeline_total')::int > 510 AS more, (SELECT max(length(e ->> 'text')) FROM jsonb_array_elements(a -> 'timeline') AS e) <= 300 AS bounded
FROM unnest(ARRAY[false, true]) AS people, cadence_api_pessoa('{"run": "a0000000-0000-0000-0000-000000000001"}', people) AS a;

DROP SERVER regress_masks;
DROP EXTENSION cadence_runner CASCADE;
SET client_min_messages = warning;
DROP SCHEMA cadence CASCADE;
