/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/raw_client.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void raw_dial(struct raw *r, unsigned port)
{
	const struct timeval limit = { .tv_sec = RAW_PATIENCE_MS / 1000 };
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons((uint16_t)port) };

	*r = (struct raw){ .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC,
					0) };
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_ge(r->fd, 0);
	ck_assert_int_eq(connect(r->fd, (struct sockaddr *)&a, sizeof(a)), 0);
	setsockopt(r->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(r->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
}

bool raw_shake(struct raw *r, const char *cert, const char *key)
{
	gnutls_certificate_credentials_t credentials;
	gnutls_session_t session;
	int code;

	ck_assert_int_eq(gnutls_certificate_allocate_credentials(&credentials),
			 0);
	if (cert)
		ck_assert_int_eq(gnutls_certificate_set_x509_key_file(
					 credentials, cert, key,
					 GNUTLS_X509_FMT_PEM),
				 0);
	ck_assert_int_eq(
		gnutls_init(&session, GNUTLS_CLIENT | GNUTLS_NO_SIGNAL), 0);
	gnutls_set_default_priority(session);
	gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials);
	gnutls_transport_set_int(session, r->fd);
	r->session = session;
	r->credentials = credentials;
	do {
		code = gnutls_handshake(session);
	} while (code < 0 && !gnutls_error_is_fatal(code) &&
		 code != GNUTLS_E_AGAIN);
	return code == 0;
}

void raw_close(struct raw *r)
{
	if (r->session)
		gnutls_deinit(r->session);
	if (r->credentials)
		gnutls_certificate_free_credentials(r->credentials);
	close(r->fd);
	*r = (struct raw){ .fd = -1 };
}

bool raw_send(struct raw *r, const void *data, size_t len)
{
	const char *at = data;

	while (len) {
		ssize_t n = r->session ? gnutls_record_send(r->session, at, len)
				       : send(r->fd, at, len, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

size_t raw_receive(struct raw *r, void *buf, size_t size)
{
	for (;;) {
		ssize_t n = r->session
				    ? gnutls_record_recv(r->session, buf, size)
				    : recv(r->fd, buf, size, 0);

		if (n > 0)
			return (size_t)n;
		/* Its limit of time, which is the test's. */
		ck_assert_msg(r->session ? n != GNUTLS_E_AGAIN
					 : n == 0 || errno != EAGAIN,
			      "the server neither answers nor ends it");
		if (n == GNUTLS_E_REHANDSHAKE || n == GNUTLS_E_INTERRUPTED)
			continue;
		return 0;
	}
}

unsigned raw_status(struct raw *r, char *answer, size_t size)
{
	size_t len = 0, n;
	unsigned status = 0;

	while (len + 1 < size &&
	       (n = raw_receive(r, answer + len, size - 1 - len)) > 0) {
		len += n;
		answer[len] = '\0';
		if (strstr(answer, "\r\n\r\n"))
			break;
	}
	answer[len] = '\0';
	if (sscanf(answer, "HTTP/1.%*1[01] %3u", &status) != 1)
		return 0;
	return status;
}

bool raw_ended(struct raw *r)
{
	char byte;
	ssize_t n = recv(r->fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK);

	return n == 0 || (n < 0 && errno != EAGAIN);
}
