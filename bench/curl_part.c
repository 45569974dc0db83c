/*
 * curl_part.c
 *		What libcurl alone takes for the requests of the benchmark.
 *
 * The same POSTs as the extension's, as many of them under way at once, on one
 * thread with handles and connections that are kept, and nothing else: no
 * database, no JSON, no look at the answers. What a request takes here is what
 * no sender that uses libcurl can save.
 *
 *		curl_part URL REQUESTS IN_FLIGHT
 *
 * prints "RESULT requests seconds cpu_seconds".
 */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define TEXT                                                                                       \
	"Olá Maria, tudo bem? Aqui é da ACME. Recebemos o seu contato e queremos entender melhor o " \
	"que você procura. Podemos conversar hoje? Se preferir, responda com o melhor horário."

#define BODY                                                                                      \
	"{\"leadId\":\"lead-12345\",\"telefone\":\"+5511900012345\",\"mensagem\":\"" TEXT             \
	"\",\"empresa\":\"ACME\",\"runId\":\"3f0c1a52-6c0e-4c41-9f0e-0c5b8f3f6f11\",\"stepOrdem\":1," \
	"\"templateCodigo\":\"INBOUND_D0\",\"canal\":\"WHATSAPP\"}"

typedef struct Slot
{
	struct curl_slist *headers;
	char answer[1024];
	size_t have;
} Slot;

static CURLM *multi;
static long started, ended, wanted;

static void
fail(const char *what, const char *why)
{
	fprintf(stderr, "curl_part: %s: %s\n", what, why);
	exit(1);
}

static size_t
keep_answer(char *data, size_t size, size_t count, void *arg)
{
	Slot *slot = arg;
	size_t n = size * count;

	if (slot->have + n > sizeof(slot->answer))
		return 0;
	memcpy(slot->answer + slot->have, data, n);
	slot->have += n;
	return n;
}

static CURL *
make_handle(const char *url)
{
	CURL *easy = curl_easy_init();
	Slot *slot = calloc(1, sizeof(*slot));
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");

	headers = curl_slist_append(headers, "Authorization: Bearer bench-token-0123456789abcdef");
	headers = curl_slist_append(headers, "Expect:");
	headers = curl_slist_append(headers, "Idempotency-Key: 5c3b9a0e-7f0d-5a3e-8a51-0d6f5b0c9a77");
	if (easy == NULL || slot == NULL || headers == NULL)
		fail("libcurl", "out of memory");
	slot->headers = headers;
	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDS, BODY);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long) strlen(BODY));
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, keep_answer);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, slot);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, slot);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	return easy;
}

static void
start(CURL *easy)
{
	if (started >= wanted)
		return;
	started++;
	curl_multi_add_handle(multi, easy);
}

static void
take_ended(void)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(multi, &left)) != NULL)
	{
		CURL *easy = message->easy_handle;
		CURLcode code = message->data.result;
		Slot *slot;
		long status = 0;

		curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
		curl_easy_getinfo(easy, CURLINFO_PRIVATE, &slot);
		if (code != CURLE_OK || status != 200)
			fail("POST", curl_easy_strerror(code));
		slot->have = 0;
		ended++;
		curl_multi_remove_handle(multi, easy);
		start(easy);
	}
}

static double
seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

static double
cpu_seconds(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_utime.tv_sec + usage.ru_stime.tv_sec +
		   (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

int
main(int argc, char **argv)
{
	double began, cpu;
	int running;

	if (argc != 4)
		fail("usage", "curl_part URL REQUESTS IN_FLIGHT");
	curl_global_init(CURL_GLOBAL_DEFAULT);
	multi = curl_multi_init();
	wanted = atol(argv[2]);
	curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, atol(argv[3]));
	began = seconds();
	cpu = cpu_seconds();
	for (long i = 0; i < atol(argv[3]); i++)
		start(make_handle(argv[1]));
	while (ended < wanted)
	{
		if (curl_multi_perform(multi, &running) != CURLM_OK)
			fail("curl_multi_perform", "failed");
		take_ended();
		if (ended < wanted)
			curl_multi_poll(multi, NULL, 0, 1000, NULL);
	}
	printf("RESULT %ld %.3f %.3f\n", ended, seconds() - began, cpu_seconds() - cpu);
	return 0;
}
