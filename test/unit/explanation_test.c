/*
 * explanation_test.c
 *		The sentences of cadence_why_not(), in both languages: no server of the tests has
 *		to know Portuguese.
 */
#include "rules/explanation.h"

#include <stdlib.h>

#include "check.h"

static void
languages(void)
{
	static const char *const portuguese[] = {
		"pt",	 "pt_BR", "pt_BR.UTF-8", "pt_PT@euro",
		"PT_br", "pt-BR", "pt.UTF-8",	 "Portuguese_Brazil.1252"};
	static const char *const others[] = {"", "C", "POSIX", "en_US.UTF-8", "ptx", "p", "es_PT"};

	for (size_t i = 0; i < sizeof(portuguese) / sizeof(portuguese[0]); i++)
		check_note(explanation_is_portuguese(portuguese[i]), __FILE__, __LINE__, portuguese[i]);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		check_note(!explanation_is_portuguese(others[i]), __FILE__, __LINE__, others[i]);
	CHECK(!explanation_is_portuguese(NULL));
}

static void
sentences(void)
{
	Explanation e;

	explanation_begin(&e, REASON_WINDOW, false);
	CHECK_TEXT(e.text, "outside the window");
	explanation_add(&e, DETAIL_UNTIL, "2026-12-01 08:00 America/Manaus");
	CHECK_TEXT(e.text, "outside the window; until 2026-12-01 08:00 America/Manaus");
	CHECK_INT(e.len, strlen(e.text));
	explanation_begin(&e, REASON_WINDOW, true);
	explanation_add(&e, DETAIL_UNTIL, "2026-12-01 08:00 America/Manaus");
	CHECK_TEXT(e.text, "fora da janela de envio; até 2026-12-01 08:00 America/Manaus");
	explanation_begin(&e, REASON_CAP_PERSON, true);
	explanation_add_count(&e, 3, 3);
	explanation_add(&e, DETAIL_UNTIL, "amanhã");
	CHECK_TEXT(e.text, "a pessoa já recebeu as mensagens do dia; 3 de 3; até amanhã");
	explanation_begin(&e, REASON_CAP_PERSON, false);
	explanation_add_count(&e, 4, 3);
	CHECK_TEXT(e.text, "the person has had their messages of the day; 4 of 3");
	explanation_begin(&e, REASON_RETRY, true);
	explanation_add_attempt(&e, 2, 20);
	explanation_add(&e, DETAIL_WHY, "FALHA_ENVIO: %s 100%");
	explanation_add(&e, DETAIL_SERVER, "zap");
	CHECK_TEXT(e.text, "uma tentativa falhou e haverá outra; tentativa 2 de 20; "
					   "motivo: FALHA_ENVIO: %s 100%; servidor zap");
	explanation_begin(&e, REASON_PAUSED, true);
	explanation_add(&e, DETAIL_OPERATOR, NULL);
	CHECK_TEXT(e.text, "a execução está pausada; por um operador; cadence_resume() continua");
	explanation_begin(&e, REASON_NOT_DUE, true);
	explanation_add(&e, DETAIL_STEP, "");
	CHECK_TEXT(e.text, "ainda não está na hora do passo; passo");
}

/* What has no room is left out as a whole. */
static void
room(void)
{
	static char value[EXPLANATION_SIZE];
	Explanation e;
	size_t len;

	memset(value, 'x', sizeof(value) - 1);
	explanation_begin(&e, REASON_RETRY, true);
	len = e.len;
	explanation_add(&e, DETAIL_WHY, value);
	CHECK_INT(e.len, len);
	CHECK_TEXT(e.text, cadence_reasons[REASON_RETRY].pt);
	value[EXPLANATION_SIZE - 1 - len - strlen("; motivo: ")] = '\0';
	explanation_add(&e, DETAIL_WHY, value);
	CHECK_INT(e.len, EXPLANATION_SIZE - 1);
	explanation_add_count(&e, 1, 2);
	CHECK_INT(e.len, EXPLANATION_SIZE - 1);
}

static void
details(void)
{
	for (int i = 0; i < DETAIL_COUNT; i++)
	{
		const DetailWords *words = &cadence_details[i];

		CHECK(words->en != NULL && words->pt != NULL);
		check_note(words->en != NULL && words->en[0] != '\0', __FILE__, __LINE__, "English");
		check_note(words->pt != NULL && words->pt[0] != '\0', __FILE__, __LINE__, "Portuguese");
	}
}

static void
codes(void)
{
	for (int i = REASON_NONE + 1; i < REASON_COUNT; i++)
		CHECK_INT(cadence_reason_of(cadence_reasons[i].code), i);
	CHECK_INT(cadence_reason_of("FALHA_ENVIO"), REASON_NONE);
	CHECK_INT(cadence_reason_of(""), REASON_NONE);
}

int
main(void)
{
	RUN_GROUP("explanation: whose language it is", languages);
	RUN_GROUP("explanation: sentences", sentences);
	RUN_GROUP("explanation: what has no room", room);
	RUN_GROUP("explanation: words of details", details);
	RUN_GROUP("explanation: reasons by their codes", codes);
	return check_result();
}
