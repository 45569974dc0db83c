/*
 * zone_test.c
 *		Where telephone numbers are at home.
 */
#include "rules/zone.h"

#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "rules/zone_table.h"

#define ROWS (sizeof(zone_prefixes) / sizeof(zone_prefixes[0]))
#define ZONEINFO "/usr/share/zoneinfo/"

static void
check_number(const char *e164, const char *country, const char *uf, const char *zone, int line)
{
	check_text(zone_country_of_phone(e164), country, __FILE__, line, e164);
	check_text(zone_uf_of_phone(e164), uf, __FILE__, line, e164);
	check_text(zone_of_phone(e164), zone, __FILE__, line, e164);
}

#define NUMBER(e164, country, uf, zone) check_number(e164, country, uf, zone, __LINE__)
#define BR(e164, uf, zone) NUMBER(e164, "BR", uf, zone)

static void
table(void)
{
	for (size_t i = 0; i < ROWS; i++)
	{
		const ZonePrefix *row = &zone_prefixes[i];
		size_t len = strlen(row->prefix);

		check_note(i == 0 || strcmp(row[-1].prefix, row->prefix) < 0, __FILE__, __LINE__,
				   row->prefix);
		check_note(len > 0 && len <= 7 && strspn(row->prefix, "0123456789") == len, __FILE__,
				   __LINE__, row->prefix);
		check_note(row->country == NULL || strlen(row->country) == 2, __FILE__, __LINE__,
				   row->prefix);
		check_note(row->uf == NULL || strlen(row->uf) == 2, __FILE__, __LINE__, row->prefix);
	}
}

/* Where the system has any: a server may have its own. */
static void
zones_exist(void)
{
	CHECK(ROWS > 0);
	if (access(ZONEINFO "America/Sao_Paulo", R_OK) != 0)
		return;
	for (size_t i = 0; i < ROWS; i++)
	{
		char path[100];

		snprintf(path, sizeof(path), ZONEINFO "%s",
				 zone_prefixes[i].zone != NULL ? zone_prefixes[i].zone : "UTC");
		check_note(access(path, R_OK) == 0, __FILE__, __LINE__, path);
	}
}

static void
brazil(void)
{
	static const char *const states[][2] = {
		{"11", "SP"}, {"12", "SP"}, {"13", "SP"}, {"14", "SP"}, {"15", "SP"}, {"16", "SP"},
		{"17", "SP"}, {"18", "SP"}, {"19", "SP"}, {"21", "RJ"}, {"22", "RJ"}, {"24", "RJ"},
		{"27", "ES"}, {"28", "ES"}, {"31", "MG"}, {"32", "MG"}, {"33", "MG"}, {"34", "MG"},
		{"35", "MG"}, {"37", "MG"}, {"38", "MG"}, {"41", "PR"}, {"42", "PR"}, {"43", "PR"},
		{"44", "PR"}, {"45", "PR"}, {"46", "PR"}, {"47", "SC"}, {"48", "SC"}, {"49", "SC"},
		{"51", "RS"}, {"53", "RS"}, {"54", "RS"}, {"55", "RS"}, {"61", "DF"}, {"62", "GO"},
		{"63", "TO"}, {"64", "GO"}, {"65", "MT"}, {"66", "MT"}, {"67", "MS"}, {"68", "AC"},
		{"69", "RO"}, {"71", "BA"}, {"73", "BA"}, {"74", "BA"}, {"75", "BA"}, {"77", "BA"},
		{"79", "SE"}, {"81", "PE"}, {"82", "AL"}, {"83", "PB"}, {"84", "RN"}, {"85", "CE"},
		{"86", "PI"}, {"87", "PE"}, {"88", "CE"}, {"89", "PI"}, {"91", "PA"}, {"92", "AM"},
		{"93", "PA"}, {"94", "PA"}, {"95", "RR"}, {"96", "AP"}, {"97", "AM"}, {"98", "MA"},
		{"99", "MA"}};
	size_t n = 0;

	/* every area code, and no other */
	for (int area = 10; area < 100; area++)
	{
		char e164[20];
		const char *uf;

		snprintf(e164, sizeof(e164), "+55%d987654321", area);
		uf = n < 67 && atoi(states[n][0]) == area ? states[n++][1] : NULL;
		check_text(zone_uf_of_phone(e164), uf, __FILE__, __LINE__, e164);
		check_note((zone_of_phone(e164) != NULL) == (uf != NULL), __FILE__, __LINE__, e164);
		check_text(zone_country_of_phone(e164), "BR", __FILE__, __LINE__, e164);
	}
	CHECK_INT(n, 67);
	BR("+5511987654321", "SP", "America/Sao_Paulo");
	BR("+551133334444", "SP", "America/Sao_Paulo");
	BR("+5561987654321", "DF", "America/Sao_Paulo");
	BR("+5563987654321", "TO", "America/Araguaina");
	BR("+5565987654321", "MT", "America/Cuiaba");
	BR("+5566987654321", "MT", "America/Cuiaba");
	BR("+5567987654321", "MS", "America/Campo_Grande");
	BR("+5568987654321", "AC", "America/Rio_Branco");
	BR("+5569987654321", "RO", "America/Porto_Velho");
	BR("+5571987654321", "BA", "America/Bahia");
	BR("+5579987654321", "SE", "America/Maceio");
	BR("+5581987654321", "PE", "America/Recife");
	BR("+5585987654321", "CE", "America/Fortaleza");
	BR("+5591987654321", "PA", "America/Belem");
	BR("+5593987654321", "PA", "America/Santarem");
	BR("+5592987654321", "AM", "America/Manaus");
	BR("+5597987654321", "AM", "America/Manaus");
	BR("+5595987654321", "RR", "America/Boa_Vista");
	BR("+5596987654321", "AP", "America/Belem");
	BR("+5520987654321", NULL, NULL);
}

static void
countries(void)
{
	NUMBER("+541122334455", "AR", NULL, "America/Argentina/Buenos_Aires");
	NUMBER("+595981123456", "PY", NULL, "America/Asuncion");
	NUMBER("+244923123456", "AO", NULL, "Africa/Luanda");
	NUMBER("+258821234567", "MZ", NULL, "Africa/Maputo");
	NUMBER("+33612345678", "FR", NULL, "Europe/Paris");
	NUMBER("+447400123456", "GB", NULL, "Europe/London");
	NUMBER("+447797712345", "JE", NULL, "Europe/Jersey");
	NUMBER("+4915123456789", "DE", NULL, "Europe/Berlin");
	NUMBER("+380501234567", "UA", NULL, "Europe/Kyiv");
	NUMBER("+919876543210", "IN", NULL, "Asia/Kolkata");
	NUMBER("+18095551234", "DO", NULL, "America/Santo_Domingo");
}

/* Countries with several times: nobody is taken to live where most others do. */
static void
several_zones(void)
{
	NUMBER("+56912345678", "CL", NULL, NULL);
	NUMBER("+593991234567", "EC", NULL, NULL);
	NUMBER("+525512345678", "MX", NULL, NULL);
	NUMBER("+61412345678", "AU", NULL, NULL);
	NUMBER("+64211234567", "NZ", NULL, NULL);
	NUMBER("+628123456789", "ID", NULL, NULL);
	NUMBER("+8613123456789", "CN", NULL, NULL);
	/* mobile numbers tell nothing, landlines do */
	NUMBER("+351912345678", "PT", NULL, NULL);
	NUMBER("+351212345678", "PT", NULL, "Europe/Lisbon");
	NUMBER("+351291234567", "PT", NULL, "Atlantic/Madeira");
	NUMBER("+351292234567", "PT", NULL, "Atlantic/Azores");
	NUMBER("+351295234567", "PT", NULL, "Atlantic/Azores");
	NUMBER("+351296234567", "PT", NULL, "Atlantic/Azores");
	NUMBER("+34612345678", "ES", NULL, NULL);
	NUMBER("+34912345678", "ES", NULL, "Europe/Madrid");
	NUMBER("+34922345678", "ES", NULL, "Atlantic/Canary");
}

/* Codes of several countries, of none, and what is no number. */
static void
not_known(void)
{
	NUMBER("+12125551234", NULL, NULL, NULL);
	NUMBER("+14165551234", NULL, NULL, NULL);
	NUMBER("+79161234567", NULL, NULL, NULL);
	NUMBER("+77011234567", NULL, NULL, NULL);
	NUMBER("+590690001234", NULL, NULL, "America/Guadeloupe");
	NUMBER("+80012345678", NULL, NULL, NULL);
	NUMBER("", NULL, NULL, NULL);
	NUMBER("+", NULL, NULL, NULL);
	NUMBER("5511987654321", NULL, NULL, NULL);
	NUMBER("+5", NULL, NULL, NULL);
	NUMBER("+55", "BR", NULL, NULL);
	NUMBER("+551", "BR", NULL, NULL);
	NUMBER("+5511", "BR", "SP", "America/Sao_Paulo");
}

int
main(void)
{
	RUN_GROUP("zones: the table is in order", table);
	RUN_GROUP("zones: every one is in tzdata", zones_exist);
	RUN_GROUP("zones: Brazil by area code", brazil);
	RUN_GROUP("zones: countries with one time", countries);
	RUN_GROUP("zones: countries with several", several_zones);
	RUN_GROUP("zones: what is not known", not_known);
	return check_result();
}
