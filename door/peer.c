/*
 * peer.c
 *		Where a request came from: the other end of its connection, or, if that is the
 *		configured proxy, whom that one names.
 *
 * A proxy appends the address that it has seen, so the last one is its word;
 * what stands before may be anybody's.
 */
#include "peer.h"

#include <arpa/inet.h>
#include <string.h>

/* An address in its one spelling; an IPv4 address in IPv6's clothes is one. */
static bool
spell(const unsigned char *bytes, bool is_ipv6, char *spelt)
{
	static const unsigned char mapped[12] = {[10] = 0xFF, [11] = 0xFF};

	if (is_ipv6 && memcmp(bytes, mapped, sizeof(mapped)) != 0)
		return inet_ntop(AF_INET6, bytes, spelt, INET6_ADDRSTRLEN) != NULL;
	return inet_ntop(AF_INET, is_ipv6 ? bytes + sizeof(mapped) : bytes, spelt, INET6_ADDRSTRLEN) !=
		   NULL;
}

static bool
spell_text(const char *text, char *spelt)
{
	unsigned char bytes[sizeof(struct in6_addr)];

	if (inet_pton(AF_INET, text, bytes) == 1)
		return spell(bytes, false, spelt);
	return inet_pton(AF_INET6, text, bytes) == 1 && spell(bytes, true, spelt);
}

static bool
spell_socket(const struct sockaddr *address, char *spelt)
{
	const struct sockaddr_in *ipv4 = (const struct sockaddr_in *) address;
	const struct sockaddr_in6 *ipv6 = (const struct sockaddr_in6 *) address;

	if (address != NULL && address->sa_family == AF_INET)
		return spell((const unsigned char *) &ipv4->sin_addr, false, spelt);
	return address != NULL && address->sa_family == AF_INET6 &&
		   spell((const unsigned char *) &ipv6->sin6_addr, true, spelt);
}

/* The last address of the last such header. */
static bool
spell_forwarded(const Headers *headers, char *spelt)
{
	const Header *header = NULL;
	const char *last;
	char text[INET6_ADDRSTRLEN];

	for (int i = 0; i < headers->n; i++)
		if (strcmp(headers->list[i].name, "x-forwarded-for") == 0)
			header = &headers->list[i];
	if (header == NULL)
		return false;
	last = header->value + header->len;
	while (last > header->value && strchr(", \t", last[-1]) == NULL)
		last--;
	if (strlen(last) >= sizeof(text))
		return false;
	strcpy(text, last);
	return spell_text(text, spelt);
}

/* The address is empty where nobody knows it. */
void
peer_find(Peer *peer, const struct sockaddr *address, const Headers *headers,
		  const char *trusted_proxy)
{
	char proxy[INET6_ADDRSTRLEN];
	char client[INET6_ADDRSTRLEN];

	if (!spell_socket(address, peer->address))
		peer->address[0] = '\0';
	peer->is_proxy = spell_text(trusted_proxy, proxy) && strcmp(proxy, peer->address) == 0;
	if (peer->is_proxy && spell_forwarded(headers, client))
		strcpy(peer->address, client);
}
