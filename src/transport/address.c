/*
 * address.c
 *		Addresses that no message may go to.
 *
 * Link-local addresses are where clouds serve their instance metadata, with
 * credentials in it (169.254.169.254). They are refused after resolution, so a
 * name that points there does not help.
 */
#include "transport/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

static bool
is_link_local_v4(uint32_t host_order)
{
	return (host_order & UINT32_C(0xFFFF0000)) == UINT32_C(0xA9FE0000); /* 169.254/16 */
}

/* An IPv4 address inside an IPv6 one: mapped (::ffff:0:0/96) or NAT64 (64:ff9b::/96). */
static bool
carries_v4(const uint8_t *v6)
{
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
	static const uint8_t nat64[12] = {0x00, 0x64, 0xFF, 0x9B};

	return memcmp(v6, mapped, 12) == 0 || memcmp(v6, nat64, 12) == 0;
}

bool
address_is_link_local(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET)
	{
		struct sockaddr_in v4;

		memcpy(&v4, address, sizeof(v4));
		return is_link_local_v4(ntohl(v4.sin_addr.s_addr));
	}
	if (address->sa_family == AF_INET6)
	{
		struct sockaddr_in6 v6;
		const uint8_t *byte = v6.sin6_addr.s6_addr;
		uint32_t tail;

		memcpy(&v6, address, sizeof(v6));
		memcpy(&tail, byte + 12, sizeof(tail));
		if (carries_v4(byte))
			return is_link_local_v4(ntohl(tail));
		return byte[0] == 0xFE && (byte[1] & 0xC0) == 0x80; /* fe80::/10 */
	}
	return false;
}
