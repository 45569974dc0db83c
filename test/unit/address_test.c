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
	result = address_is_refused(address);
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

/* Metadata of clouds that is not link-local. */
static void
metadata(void)
{
	CHECK(refused("100.100.100.200"));
	CHECK(!refused("100.100.100.201"));
	CHECK(refused("168.63.129.16"));
	CHECK(!refused("168.63.129.17"));
	CHECK(refused("192.0.0.192"));
	CHECK(!refused("192.0.0.193"));
	CHECK(refused("fd00:ec2::254"));
	CHECK(refused("fd00:ec2::23"));
	CHECK(refused("fd20:ce::254"));
	CHECK(refused("fd00:c1::a9fe:a9fe"));
	CHECK(refused("fd00:42::42"));
	CHECK(!refused("fd00:ec3::254"));
	CHECK(!refused("fd20:cf::254"));
	CHECK(!refused("fd00:42::43"));
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
	CHECK(refused("::ffff:100.100.100.200"));
	CHECK(refused("::ffff:168.63.129.16"));
	CHECK(refused("64:ff9b::192.0.0.192"));
	/* compatible, translated, 6to4, local NAT64 both ways, Teredo both ways, ISATAP */
	CHECK(refused("::169.254.169.254"));
	CHECK(!refused("::8.8.8.8"));
	CHECK(refused("::ffff:0:169.254.169.254"));
	CHECK(!refused("::ffff:0:8.8.8.8"));
	CHECK(refused("2002:a9fe:a9fe::1"));
	CHECK(refused("2002:6464:64c8:1:2:3:4:5"));
	CHECK(!refused("2002:0808:0808::a9fe:a9fe"));
	CHECK(refused("64:ff9b:1::169.254.169.254"));
	CHECK(refused("64:ff9b:1:a9fe:a9:fe00::"));
	CHECK(!refused("64:ff9b:1::8.8.8.8"));
	CHECK(refused("2001:0:a9fe:a9fe::1"));
	CHECK(refused("2001:0:808:808:0:0:5601:5601"));
	CHECK(!refused("2001:0:808:808:0:0:a9fe:a9fe"));
	CHECK(refused("2001:db8::5efe:169.254.169.254"));
	CHECK(refused("2001:db8::200:5efe:a9fe:a9fe"));
	CHECK(!refused("2001:db8::5efe:8.8.8.8"));
}

static void
other_families(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/tmp/socket"};

	CHECK(!address_is_refused((struct sockaddr *) &address));
}

int
main(void)
{
	RUN_GROUP("address: IPv4", v4);
	RUN_GROUP("address: metadata elsewhere", metadata);
	RUN_GROUP("address: IPv6", v6);
	RUN_GROUP("address: IPv4 inside IPv6", v4_inside_v6);
	RUN_GROUP("address: other families", other_families);
	return check_result();
}
