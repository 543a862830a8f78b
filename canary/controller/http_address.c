/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/controller/http_address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_loopback(const struct sockaddr_storage *a)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)a;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)a;

	if (a->ss_family == AF_INET)
		return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
	return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

bool bl_http_ip(const char *host, uint16_t port, struct sockaddr_storage *ret)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET,
				  .sin_port = htons(port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
				   .sin6_port = htons(port) };

	*ret = (struct sockaddr_storage){ 0 };
	if (strcmp(host, "localhost") == 0)
		host = "127.0.0.1";
	if (inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
		memcpy(ret, &v4, sizeof(v4));
		return true;
	}
	if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1) {
		memcpy(ret, &v6, sizeof(v6));
		return true;
	}
	return false;
}

bool bl_http_host_is_ip(const char *header)
{
	struct sockaddr_storage ignored;
	char name[INET6_ADDRSTRLEN + 1];
	size_t len;

	if (*header == '[')
		len = strcspn(++header, "]");
	else
		len = strcspn(header, ":");
	if (len >= sizeof(name))
		return false;
	memcpy(name, header, len);
	name[len] = '\0';
	return bl_http_ip(name, 0, &ignored);
}

int bl_http_address(const char *text, bool tls, struct sockaddr_storage *ret,
		    struct bl_err *err)
{
	struct sockaddr_storage address;
	char host[INET6_ADDRSTRLEN];
	const char *colon = strrchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : 0;
	long port = -1;
	char *end = NULL;

	if (colon && colon[1] >= '0' && colon[1] <= '9')
		port = strtol(colon + 1, &end, 10);
	if (len > 2 && text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	}
	if (!end || *end || port < 0 || port > 65535 || len == 0 ||
	    len >= sizeof(host)) {
		bl_err_set(err, -EINVAL, "'%s' is not ADDRESS:PORT", text);
		bl_err_hint(err, "for example 127.0.0.1:%d", BL_HTTP_PORT);
		return -EINVAL;
	}
	memcpy(host, text, len);
	host[len] = '\0';
	if (!bl_http_ip(host, (uint16_t)port, &address)) {
		bl_err_set(err, -EINVAL, "'%s' is not an IP address", host);
		bl_err_hint(err, "for example 127.0.0.1:%d", BL_HTTP_PORT);
		return -EINVAL;
	}
	if (!tls && !is_loopback(&address)) {
		bl_err_set(
			err, -EPERM,
			"%s is not a loopback address, and plain HTTP goes no further",
			host);
		bl_err_hint(
			err,
			"'belay controller init' makes certificates; then leave --plaintext out");
		return -EPERM;
	}
	*ret = address;
	return 0;
}

void bl_http_address_text(const struct sockaddr_storage *a, uint16_t port,
			  char *ret, size_t size)
{
	char host[INET6_ADDRSTRLEN] = "?";

	if (a->ss_family == AF_INET6) {
		inet_ntop(AF_INET6,
			  &((const struct sockaddr_in6 *)a)->sin6_addr, host,
			  sizeof(host));
		snprintf(ret, size, "[%s]:%u", host, port);
		return;
	}
	inet_ntop(AF_INET, &((const struct sockaddr_in *)a)->sin_addr, host,
		  sizeof(host));
	snprintf(ret, size, "%s:%u", host, port);
}

uint16_t bl_http_port(const struct sockaddr_storage *a)
{
	return ntohs(a->ss_family == AF_INET6
			     ? ((const struct sockaddr_in6 *)a)->sin6_port
			     : ((const struct sockaddr_in *)a)->sin_port);
}
