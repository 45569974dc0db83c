/*
 * class.c
 *		What an answer means, in one vocabulary for all protocols.
 */
#include "rules/class.h"

#include <stddef.h>
#include <string.h>

const ClassFacts cadence_classes[] = {
	[CLASS_SENT] = {"sent", OUTCOME_SENT, NULL, 0},
	[CLASS_DUPLICATE] = {"duplicate", OUTCOME_SENT, NULL, 0},
	[CLASS_HELD] = {"held", OUTCOME_HELD, "RETIDO", 24 * 3600},
	[CLASS_RETRY] = {"retry", OUTCOME_FAILED, "FALHA_ENVIO", 0},
	[CLASS_SLOW_DOWN] = {"slow_down", OUTCOME_PUT_OFF, "PROVEDOR_OCUPADO", 6},
	[CLASS_LATER] = {"later", OUTCOME_PUT_OFF, "MAIS_TARDE", 24 * 3600},
	[CLASS_REFUSED] = {"refused", OUTCOME_REFUSED, "RECUSADO", 0},
	[CLASS_DEAD_ADDRESS] = {"dead_address", OUTCOME_REFUSED, "ENDERECO_INEXISTENTE", 0},
	[CLASS_OPTED_OUT] = {"opted_out", OUTCOME_STOPPED, "OPT_OUT", 0},
	[CLASS_WINDOW_CLOSED] = {"window_closed", OUTCOME_REFUSED, "JANELA_FECHADA", 0},
	[CLASS_TEMPLATE_STOPPED] = {"template_stopped", OUTCOME_PUT_OFF, "TEMPLATE_PARADO", 3600},
	[CLASS_STOPPED] = {"stopped", OUTCOME_PUT_OFF, "PROVEDOR_PARADO", 60},
	[CLASS_UNCERTAIN] = {"uncertain", OUTCOME_UNCERTAIN, "INCERTO", 0},
	[CLASS_COUNT] = {NULL, OUTCOME_PENDING, NULL, 0}};

CadenceClass
cadence_class_named(const char *name)
{
	int i = 0;

	while (i < CLASS_COUNT && strcmp(cadence_classes[i].name, name) != 0)
		i++;
	return i;
}
