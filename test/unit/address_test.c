/*
 * address_test.c
 *		Addresses that no message may go to.
 */
#include "transport/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/un.h>

#include "check.h"

/* In memory of exactly the address's size. */
static bool
refused(const char *text)
{
	struct sockaddr *address;
	bool is_v6 = strchr(text, ':') != NULL;
	bool result;

	if (is_v6)
	{
		struct sockaddr_in6 *v6 = calloc(1, sizeof(*v6));

		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(80);
		CHECK_INT(inet_pton(AF_INET6, text, &v6->sin6_addr), 1);
		address = (struct sockaddr *) v6;
	}
	else
	{
		struct sockaddr_in *v4 = calloc(1, sizeof(*v4));

		v4->sin_family = AF_INET;
		v4->sin_port = htons(80);
		CHECK_INT(inet_pton(AF_INET, text, &v4->sin_addr), 1);
		address = (struct sockaddr *) v4;
	}
	result = address_is_link_local(address);
	free(address);
	return result;
}

static void
v4(void)
{
	CHECK(refused("169.254.0.0"));
	CHECK(refused("169.254.169.254"));
	CHECK(refused("169.254.255.255"));
	CHECK(!refused("169.253.255.255"));
	CHECK(!refused("169.255.0.0"));
	CHECK(!refused("254.169.169.254"));
	CHECK(!refused("127.0.0.1"));
	CHECK(!refused("10.0.0.1"));
	CHECK(!refused("0.0.0.0"));
	CHECK(!refused("255.255.255.255"));
}

static void
v6(void)
{
	CHECK(refused("fe80::1"));
	CHECK(refused("febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
	CHECK(!refused("fec0::1"));
	CHECK(!refused("fe7f::1"));
	CHECK(!refused("::1"));
	CHECK(!refused("::"));
	CHECK(!refused("2001:db8::fe80"));
	CHECK(!refused("fd00::1"));
}

/* One address in the other's clothes. */
static void
v4_inside_v6(void)
{
	CHECK(refused("::ffff:169.254.169.254"));
	CHECK(refused("::ffff:a9fe:1"));
	CHECK(!refused("::ffff:127.0.0.1"));
	CHECK(!refused("::ffff:169.253.0.1"));
	CHECK(refused("64:ff9b::169.254.169.254"));
	CHECK(!refused("64:ff9b::8.8.8.8"));
	CHECK(!refused("2001:db8::a9fe:a9fe"));
}

static void
other_families(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/tmp/socket"};

	CHECK(!address_is_link_local((struct sockaddr *) &address));
}

int
main(void)
{
	RUN_GROUP("address: IPv4", v4);
	RUN_GROUP("address: IPv6", v6);
	RUN_GROUP("address: IPv4 inside IPv6", v4_inside_v6);
	RUN_GROUP("address: other families", other_families);
	return check_result();
}
