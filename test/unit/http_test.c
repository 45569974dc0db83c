/*
 * http_test.c
 *		The texts of a request: its headers, its address and its body.
 */
#include "rules/http_body.h"
#include "rules/http_text.h"

#include <stdlib.h>

#include "check.h"

static const char *
shown(bool is_there, Slice s)
{
	static char text[2000];

	snprintf(text, sizeof(text), "%.*s", (int) s.len, s.at != NULL ? s.at : "");
	return is_there ? text : NULL;
}

static const char *
bearer(const char *header)
{
	Slice token = {NULL, 0};

	return shown(http_bearer(header, &token), token);
}

static void
tokens(void)
{
	CHECK_TEXT(bearer("Bearer abc"), "abc");
	CHECK_TEXT(bearer("bearer\tabc"), "abc");
	CHECK_TEXT(bearer("  BEARER   a.b-c_d=  "), "a.b-c_d=");
	/* the edge function did not ask for the word */
	CHECK_TEXT(bearer("abc"), "abc");
	CHECK_TEXT(bearer("bearerabc"), "bearerabc");
	CHECK_TEXT(bearer("Bearer"), "Bearer");
	/* another scheme, two headers, nothing */
	CHECK_TEXT(bearer("Basic abc"), NULL);
	CHECK_TEXT(bearer("Bearer abc, Bearer def"), NULL);
	CHECK_TEXT(bearer("abc,def"), NULL);
	CHECK_TEXT(bearer("Bearer \x01"), NULL);
	CHECK_TEXT(bearer("Bearer \xc3\xa9"), NULL);
	CHECK_TEXT(bearer(""), NULL);
	CHECK_TEXT(bearer("   "), NULL);
	CHECK_TEXT(bearer(NULL), NULL);
}

static const char *
cookie(const char *header)
{
	Slice value = {NULL, 0};

	return shown(http_cookie(header, "__Host-c", &value), value);
}

static void
cookies(void)
{
	CHECK_TEXT(cookie("__Host-c=1"), "1");
	CHECK_TEXT(cookie("a=b; __Host-c=1; c=d"), "1");
	CHECK_TEXT(cookie("a=b;__Host-c=x=y"), "x=y");
	CHECK_TEXT(cookie("a=b, __Host-c=1"), "1");
	CHECK_TEXT(cookie("__Host-c=1; __Host-c=2"), "1");
	CHECK_TEXT(cookie("__Host-c="), "");
	CHECK_TEXT(cookie("__Host-cc=1; x__Host-c=2; __host-c=3; __Host-c"), NULL);
	CHECK_TEXT(cookie(";;;"), NULL);
	CHECK_TEXT(cookie(""), NULL);
	CHECK_TEXT(cookie(NULL), NULL);
}

#define HEX64 "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define FF64 "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"

static bool
session(const char *text, HttpSession *to)
{
	return http_session_read((Slice){text, strlen(text)}, to);
}

static void
sessions(void)
{
	HttpSession s;

	CHECK(session("1764450000." HEX64 "." FF64, &s));
	CHECK_INT(s.until, 1764450000);
	CHECK_INT(s.proof[1], 0x11);
	CHECK_INT(s.proof[31], 0xff);
	CHECK_INT(s.signature[0], 0xff);
	CHECK_TEXT(shown(true, s.is_signed), "1764450000." HEX64);
	CHECK(session("999999999999." HEX64 "." FF64, &s));
	CHECK(!session("9999999999999." HEX64 "." FF64, &s));
	CHECK(!session("." HEX64 "." FF64, &s));
	CHECK(!session("-1." HEX64 "." FF64, &s));
	CHECK(!session("x.1." HEX64 "." FF64, &s));
	CHECK(!session("1." HEX64 "." FF64 "0", &s));
	CHECK(!session("1." HEX64 "0." FF64, &s));
	CHECK(!session("1." HEX64 "." FF64 "00", &s));
	CHECK(!session("1." HEX64, &s));
	CHECK(!session("1", &s));
	CHECK(!session("..", &s));
	CHECK(!session("", &s));
}

static const char *
decoded(const char *text)
{
	static char to[100];

	memset(to, 'x', sizeof(to));
	return http_decode(text, strlen(text), to) ? to : NULL;
}

static void
addresses(void)
{
	CHECK_TEXT(decoded(""), "");
	CHECK_TEXT(decoded("wa"), "wa");
	CHECK_TEXT(decoded("a%20b+c%2Fd%2f"), "a b+c/d/");
	CHECK_TEXT(decoded("%C3%A9"), "\xc3\xa9");
	CHECK_TEXT(decoded("\xc3\xa9"), "\xc3\xa9");
	CHECK_TEXT(decoded("%2520"), "%20");
	CHECK_TEXT(decoded("%00"), NULL);
	CHECK_TEXT(decoded("%C3"), NULL);
	CHECK_TEXT(decoded("\xff"), NULL);
	CHECK_TEXT(decoded("%ED%A0%80"), NULL);
	CHECK_TEXT(decoded("%"), NULL);
	CHECK_TEXT(decoded("%2"), NULL);
	CHECK_TEXT(decoded("%2g"), NULL);
	CHECK_TEXT(decoded("%u0041"), NULL);
}

static void
wishes(void)
{
	const char *prometheus = "application/openmetrics-text;version=1.0.0;q=0.75,"
							 "text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

	CHECK_INT(http_quality(prometheus, "application/openmetrics-text"), 750);
	CHECK_INT(http_quality(prometheus, "text/plain"), 500);
	CHECK_INT(http_quality(prometheus, "text/html"), -1);
	CHECK_INT(http_quality("Text/Plain", "text/plain"), 1000);
	CHECK_INT(http_quality("a/b ; q = 0.5", "a/b"), 1000);
	CHECK_INT(http_quality("a/b;q=0", "a/b"), 0);
	CHECK_INT(http_quality("a/b;q=0.001", "a/b"), 1);
	CHECK_INT(http_quality("a/b;q=0.12345", "a/b"), 123);
	CHECK_INT(http_quality("a/b;q=2", "a/b"), 1000);
	CHECK_INT(http_quality("a/b;q=x", "a/b"), 1000);
	CHECK_INT(http_quality("a/b;q=", "a/b"), 1000);
	CHECK_INT(http_quality("a/b;q=0.1,a/b;q=0.9", "a/b"), 900);
	CHECK_INT(http_quality("", "a/b"), -1);
	CHECK_INT(http_quality(NULL, "a/b"), -1);
}

static void
tags(void)
{
	CHECK(http_has_tag("\"a\"", "\"a\""));
	CHECK(http_has_tag("W/\"a\"", "\"a\""));
	CHECK(http_has_tag("\"b\", \"a\"", "\"a\""));
	CHECK(http_has_tag(" * ", "\"a\""));
	CHECK(!http_has_tag("\"A\"", "\"a\""));
	CHECK(!http_has_tag("a", "\"a\""));
	CHECK(!http_has_tag("W/", "\"a\""));
	CHECK(!http_has_tag("\"a", "\"a\""));
	CHECK(!http_has_tag("", "\"a\""));
	CHECK(!http_has_tag(NULL, "\"a\""));
}

static void
origins(void)
{
	CHECK(http_is_same_origin("https://crm.example", "crm.example"));
	CHECK(http_is_same_origin("HTTPS://CRM.example", "crm.EXAMPLE"));
	CHECK(http_is_same_origin("http://127.0.0.1:8080", "127.0.0.1:8080"));
	CHECK(http_is_same_origin("http://[::1]:8080", "[::1]:8080"));
	CHECK(!http_is_same_origin("https://crm.example:8443", "crm.example"));
	CHECK(!http_is_same_origin("https://crm.example.evil.example", "crm.example"));
	CHECK(!http_is_same_origin("https://evil.example/crm.example", "crm.example"));
	CHECK(!http_is_same_origin("ftp://crm.example", "crm.example"));
	CHECK(!http_is_same_origin("http://crm.example", "crm.example"));
	CHECK(!http_is_same_origin("http://localhost.example", "localhost.example"));
	CHECK(http_is_same_origin("http://localhost", "localhost"));
	CHECK(!http_is_same_origin("crm.example", "crm.example"));
	CHECK(!http_is_same_origin("null", "null"));
	CHECK(!http_is_same_origin("https://", ""));
	CHECK(!http_is_same_origin("https://crm.example", NULL));
	CHECK(!http_is_same_origin(NULL, "crm.example"));
}

static char field[9];

static HttpField
json(const char *body)
{
	memset(field, 'x', sizeof(field));
	return http_json_field(body, strlen(body), "token", field, sizeof(field));
}

static HttpField
form(const char *body)
{
	memset(field, 'x', sizeof(field));
	return http_form_field(body, strlen(body), "token", field, sizeof(field));
}

static void
bodies(void)
{
	CHECK_INT(json("{\"a\": 1, \"token\": \"abc\"}"), HTTP_FIELD_TEXT);
	CHECK_TEXT(field, "abc");
	CHECK_INT(json("{\"token\": \"12345678\"}"), HTTP_FIELD_TEXT);
	CHECK_INT(json("{\"token\": \"123456789\"}"), HTTP_FIELD_OTHER);
	CHECK_INT(json("{\"token\": \"a\\u0000\"}"), HTTP_FIELD_OTHER);
	CHECK_INT(json("{\"token\": 1}"), HTTP_FIELD_OTHER);
	CHECK_INT(json("{\"token\": {}}"), HTTP_FIELD_OTHER);
	CHECK_INT(json("{\"token\": null}"), HTTP_FIELD_NONE);
	CHECK_INT(json("{}"), HTTP_FIELD_NONE);
	CHECK_INT(json("[\"token\"]"), HTTP_FIELD_NONE);
	CHECK_INT(json("\"token\""), HTTP_FIELD_NONE);
	CHECK_INT(json("{\"token\": \"abc\""), HTTP_FIELD_NONE);
	CHECK_INT(json("token=abc"), HTTP_FIELD_NONE);
	CHECK_INT(json(""), HTTP_FIELD_NONE);
	CHECK_INT(form("a=1&token=a%62c"), HTTP_FIELD_TEXT);
	CHECK_TEXT(field, "abc");
	CHECK_INT(form("token=&token=x"), HTTP_FIELD_TEXT);
	CHECK_TEXT(field, "");
	CHECK_INT(form("token=123456789"), HTTP_FIELD_OTHER);
	CHECK_INT(form("token=%00"), HTTP_FIELD_OTHER);
	CHECK_INT(form("Token=1&tokens=2&=3"), HTTP_FIELD_NONE);
	CHECK_INT(form(""), HTTP_FIELD_NONE);
}

int
main(void)
{
	RUN_GROUP("http: tokens", tokens);
	RUN_GROUP("http: cookies", cookies);
	RUN_GROUP("http: sessions", sessions);
	RUN_GROUP("http: addresses", addresses);
	RUN_GROUP("http: what is wanted", wishes);
	RUN_GROUP("http: tags", tags);
	RUN_GROUP("http: origins", origins);
	RUN_GROUP("http: bodies", bodies);
	return check_result();
}
