/*
 * address.c
 *		Addresses that no message may go to.
 *
 * Clouds serve their instance's metadata, with credentials in it, at link-local
 * addresses (169.254.169.254) and at a few others. They are refused after
 * resolution, so a name that points there does not help; nor does one that
 * wraps an IPv4 address into an IPv6 one.
 */
#include "transport/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

typedef struct Prefix
{
	uint8_t bytes[16];
	int bits;
} Prefix;

static const Prefix refused_v4[] = {
	{{169, 254}, 16},			/* link-local: nearly all clouds */
	{{100, 100, 100, 200}, 32}, /* Alibaba */
	{{168, 63, 129, 16}, 32},	/* Azure */
	{{192, 0, 0, 192}, 32},		/* Oracle */
};

static const Prefix refused_v6[] = {
	{{0xFE, 0x80}, 10},														   /* link-local */
	{{0xFD, 0x00, 0x0E, 0xC2}, 32},											   /* Amazon */
	{{0xFD, 0x20, 0x00, 0xCE}, 32},											   /* Google */
	{{0xFD, 0, 0, 0xC1, 0, 0, 0, 0, 0, 0, 0, 0, 0xA9, 0xFE, 0xA9, 0xFE}, 128}, /* Oracle */
	{{0xFD, 0, 0, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x42}, 128},		   /* Scaleway */
};

/* Where an IPv6 address of a certain prefix carries an IPv4 one. */
static const struct Embedding
{
	Prefix prefix;
	int at; /* its first byte */
	uint8_t mask;
} embeddings[] = {
	{{{0}, 96}, 12, 0},										   /* compatible */
	{{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF}, 96}, 12, 0}, /* mapped */
	{{{0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF}, 96}, 12, 0},	   /* translated (SIIT) */
	{{{0x00, 0x64, 0xFF, 0x9B}, 96}, 12, 0},				   /* NAT64 */
	{{{0x00, 0x64, 0xFF, 0x9B, 0x00, 0x01}, 48}, 12, 0},	   /* local NAT64, /96 */
	{{{0x20, 0x02}, 16}, 2, 0},								   /* 6to4 */
	{{{0x20, 0x01}, 32}, 4, 0},								   /* Teredo's server */
	{{{0x20, 0x01}, 32}, 12, 0xFF},							   /* Teredo's client */
};

static bool
has_prefix(const uint8_t *address, const Prefix *prefix)
{
	int whole = prefix->bits / 8;
	uint8_t rest = (uint8_t) (0xFF00 >> (prefix->bits % 8));

	return memcmp(address, prefix->bytes, whole) == 0 &&
		   (prefix->bits % 8 == 0 || ((address[whole] ^ prefix->bytes[whole]) & rest) == 0);
}

static bool
is_one_of(const uint8_t *address, const Prefix *prefixes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (has_prefix(address, &prefixes[i]))
			return true;
	return false;
}

static bool
is_refused_v4(const uint8_t *v4)
{
	return is_one_of(v4, refused_v4, sizeof(refused_v4) / sizeof(refused_v4[0]));
}

/* NAT64 with a prefix of 48 bits leaves out the byte in the middle (RFC 6052). */
static bool
carries_refused_v4_in_parts(const uint8_t *v6)
{
	static const Prefix local_nat64 = {{0x00, 0x64, 0xFF, 0x9B, 0x00, 0x01}, 48};
	uint8_t v4[4] = {v6[6], v6[7], v6[9], v6[10]};

	return has_prefix(v6, &local_nat64) && is_refused_v4(v4);
}

static bool
carries_refused_v4(const uint8_t *v6)
{
	for (size_t i = 0; i < sizeof(embeddings) / sizeof(embeddings[0]); i++)
	{
		const struct Embedding *e = &embeddings[i];
		uint8_t v4[4];

		for (int k = 0; k < 4; k++)
			v4[k] = v6[e->at + k] ^ e->mask;
		if (has_prefix(v6, &e->prefix) && is_refused_v4(v4))
			return true;
	}
	/* ISATAP, below any prefix */
	if ((v6[8] & 0xFC) == 0 && v6[9] == 0 && v6[10] == 0x5E && v6[11] == 0xFE)
		return is_refused_v4(v6 + 12);
	return carries_refused_v4_in_parts(v6);
}

/* Whether an address is one that is never connected to. */
bool
address_is_refused(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET)
	{
		struct sockaddr_in v4;

		memcpy(&v4, address, sizeof(v4));
		return is_refused_v4((const uint8_t *) &v4.sin_addr);
	}
	if (address->sa_family == AF_INET6)
	{
		struct sockaddr_in6 v6;
		const uint8_t *bytes = v6.sin6_addr.s6_addr;

		memcpy(&v6, address, sizeof(v6));
		return is_one_of(bytes, refused_v6, sizeof(refused_v6) / sizeof(refused_v6[0])) ||
			   carries_refused_v4(bytes);
	}
	return false;
}
