/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses to listen on, as text and back. A part of http.c. */
#ifndef BL_CANARY_HTTP_ADDRESS_H
#define BL_CANARY_HTTP_ADDRESS_H

#include "canary/controller/http.h"

/* Whether @host is an IP address, or localhost. */
bool bl_http_ip(const char *host, uint16_t port, struct sockaddr_storage *ret);

/* Whether a Host header calls this server by a number, or localhost. */
bool bl_http_host_is_ip(const char *header);

uint16_t bl_http_port(const struct sockaddr_storage *a);
/* "127.0.0.1:7443" */
void bl_http_address_text(const struct sockaddr_storage *a, uint16_t port,
			  char *ret, size_t size);

#endif
