/*
 * headers.c
 *		The headers of a request.
 *
 * Where a proxy stands before us, both have to see the same end of a request:
 * lengths that are repeated, that contradict each other or that are not quite a
 * number are refused, and so are names that somebody else might read as one.
 */
#include "headers.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool
is_token(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char) text[i]) &&
			(text[i] == '\0' || strchr("!#$%&'*+-.^_`|~", text[i]) == NULL))
			return false;
	return len > 0;
}

static bool
is_value(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (((unsigned char) text[i] < 0x20 && text[i] != '\t') || text[i] == 0x7F)
			return false;
	return true;
}

static char *
lower_case(const char *text, size_t len)
{
	char *lower = malloc(len + 1);

	if (lower == NULL)
		return NULL;
	for (size_t i = 0; i < len; i++)
		lower[i] = (char) tolower((unsigned char) text[i]);
	lower[len] = '\0';
	return lower;
}

static enum MHD_Result
take_header(void *arg, enum MHD_ValueKind kind, const char *name, size_t name_len,
			const char *value, size_t len)
{
	Headers *headers = arg;
	Header *header = &headers->list[headers->n];

	(void) kind;
	headers->are_many = headers->n == HEADERS_MAX;
	if (headers->are_many)
		return MHD_NO;
	if (!is_token(name, name_len) || !is_value(value != NULL ? value : "", len) ||
		(header->name = lower_case(name, name_len)) == NULL)
	{
		headers->are_bad = true;
		return MHD_NO;
	}
	header->value = value != NULL ? value : "";
	header->len = len;
	headers->n++;
	return MHD_YES;
}

void
headers_read(Headers *headers, struct MHD_Connection *connection)
{
	headers->n = 0;
	headers->are_bad = headers->are_many = false;
	MHD_get_connection_values_n(connection, MHD_HEADER_KIND, take_header, headers);
}

void
headers_free(Headers *headers)
{
	for (int i = 0; i < headers->n; i++)
		free(headers->list[i].name);
	headers->n = 0;
}

static int
count(const Headers *headers, const char *name)
{
	int n = 0;

	for (int i = 0; i < headers->n; i++)
		n += strcmp(headers->list[i].name, name) == 0;
	return n;
}

/* The first of that name. */
const Header *
headers_find(const Headers *headers, const char *name)
{
	for (int i = 0; i < headers->n; i++)
		if (strcmp(headers->list[i].name, name) == 0)
			return &headers->list[i];
	return NULL;
}

/* ---- where a request ends ------------------------------------------------- */

bool
headers_mean_one_length(const Headers *headers, const char *version)
{
	const Header *length = headers_find(headers, "content-length");
	const Header *coding = headers_find(headers, "transfer-encoding");

	if (length != NULL && (coding != NULL || count(headers, "content-length") > 1 ||
						   length->len == 0 || strspn(length->value, "0123456789") != length->len))
		return false;
	if (coding == NULL)
		return true;
	return count(headers, "transfer-encoding") == 1 && strcasecmp(coding->value, "chunked") == 0 &&
		   strcmp(version, MHD_HTTP_VERSION_1_1) == 0;
}

/* Of headers that mean one length. */
bool
headers_have_body(const Headers *headers)
{
	const Header *length = headers_find(headers, "content-length");

	return headers_find(headers, "transfer-encoding") != NULL ||
		   (length != NULL && strspn(length->value, "0") != length->len);
}

/* ---- the name that we were asked for by ----------------------------------- */

/* Since HTTP/1.1 there has to be one. */
bool
headers_name_one_host(const Headers *headers, const char *version)
{
	int n = count(headers, "host");

	return n == 1 || (n == 0 && strcmp(version, MHD_HTTP_VERSION_1_1) != 0);
}

/* How much of a Host's value is the name, without the port; 0: it is no name. */
static size_t
host_length(const Header *host)
{
	const char *end = host->value + host->len;
	const char *port = memchr(host->value, ']', host->len);
	size_t len;

	if (*host->value == '[')
		port = port != NULL ? port + 1 : host->value;
	else
		port = memchr(host->value, ':', host->len);
	len = port != NULL ? (size_t) (port - host->value) : host->len;
	if (port != NULL && port < end &&
		(*port != ':' || strspn(port + 1, "0123456789") != (size_t) (end - port - 1)))
		return 0;
	return strspn(host->value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
							   "0123456789.-_[]:") >= len
			   ? len
			   : 0;
}

/* Whether a name is one of a list with spaces between them. */
static bool
is_listed(const char *list, const char *name, size_t len)
{
	while (*(list += strspn(list, " \t,")) != '\0')
	{
		size_t listed = strcspn(list, " \t,");

		if (listed == len && strncasecmp(list, name, len) == 0)
			return true;
		list += listed;
	}
	return false;
}

/* 0: a name of ours; else the status of the refusal. */
unsigned int
headers_check_host(const Headers *headers, const char *hosts)
{
	const Header *host = headers_find(headers, "host");
	size_t len = host != NULL ? host_length(host) : 0;

	if (len == 0)
		return MHD_HTTP_BAD_REQUEST;
	if (len > 1 && host->value[len - 1] == '.')
		len--;
	if (*(hosts + strspn(hosts, " \t,")) == '\0')
		hosts = "localhost 127.0.0.1 [::1]";
	return is_listed(hosts, host->value, len) ? 0 : MHD_HTTP_MISDIRECTED_REQUEST;
}

/* ---- for the database ----------------------------------------------------- */

/*
 * What concerns this connection only, and what says where a request came from:
 * of that the peer's address is what counts.
 */
static bool
is_passed_on(const char *name, bool from_proxy)
{
	static const char *const ours[] = {"connection",
									   "keep-alive",
									   "transfer-encoding",
									   "te",
									   "upgrade",
									   "expect",
									   "trailer",
									   "x-forwarded-for",
									   "x-real-ip",
									   "forwarded",
									   "proxy-authorization"};

	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (strcmp(name, ours[i]) == 0)
			return false;
	return from_proxy || strncmp(name, "x-forwarded-", strlen("x-forwarded-")) != 0;
}

/* All values of a name in one, the first of that name being at a place. */
static void
add_values(const Headers *headers, int first, Text *text)
{
	const char *name = headers->list[first].name;
	const char *between = strcmp(name, "cookie") == 0 ? "; " : ", ";
	Text values = {0};

	for (int i = first; i < headers->n; i++)
	{
		if (strcmp(headers->list[i].name, name) != 0)
			continue;
		if (i > first)
			text_add_string(&values, between);
		text_add(&values, headers->list[i].value, headers->list[i].len);
	}
	text_add_json(text, values.broken ? "" : values.data, values.broken ? 0 : values.len);
	text->broken = text->broken || values.broken;
	text_free(&values);
}

/* An object of strings; the values of a name that is repeated are one string. */
void
headers_add_json(const Headers *headers, Text *text, bool from_proxy)
{
	const char *between = "{";

	for (int i = 0; i < headers->n; i++)
	{
		const char *name = headers->list[i].name;

		if (headers_find(headers, name) != &headers->list[i] || !is_passed_on(name, from_proxy))
			continue;
		text_add_string(text, between);
		text_add_json(text, name, strlen(name));
		text_add_string(text, ": ");
		add_values(headers, i, text);
		between = ", ";
	}
	text_add_string(text, *between == '{' ? "{}" : "}");
}
