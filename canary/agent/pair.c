/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/agent/pair.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/text.h"
#include "loader/bundle/bundle.h"
#include "loader/trust/metadata.h"

/* Since Linux 6.16. */
#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif

#define ERRNO_MAX   4095
#define POLL_MAX_MS (3600 * INT64_C(1000))
#define YEAR_MS	    (365 * 24 * 3600 * INT64_C(1000))

enum type {
	NUMBER, /* of 4 or 8 bytes, signed if its least is below 0 */
	LINE,	/* printable, on one line */
	PEM,	/* ASCII, printable but for line feeds */
	DIGEST, /* or nothing */
	NAME,	/* as bl_name_valid, or nothing */
};

struct row {
	const char *name;
	enum type type;
	size_t offset, size;
	int64_t min, max; /* of a number; of a text's length */
};

#define ROW(kind, field, type, min, max)                                      \
	{                                                                     \
#field, type, offsetof(struct bl_pair_##kind, field),         \
			sizeof(((struct bl_pair_##kind *)0)->field), min, max \
	}

static const struct row heard_rows[] = {
	ROW(heard, result, NUMBER, -ERRNO_MAX, 0),
	ROW(heard, answer, NUMBER, 0, BL_PAIR_ANSWERS - 1),
	ROW(heard, begun_ms, NUMBER, 0, INT64_MAX),
	ROW(heard, probation_ms, NUMBER, 0, YEAR_MS),
	ROW(heard, poll_ms, NUMBER, 0, POLL_MAX_MS),
	ROW(heard, rollout, NAME, 0, BL_ROLLOUT_ID_LEN - 1),
	ROW(heard, digest, DIGEST, 0, BL_DIGEST_HEX - 1),
	ROW(heard, override_reason, LINE, 0, BL_REASON_MAX - 1),
	ROW(heard, reason, LINE, 0, BL_REASON_MAX - 1),
	ROW(heard, proof, LINE, 0, BL_PAIR_PROOF_LEN - 1),
};

static const struct row progress_rows[] = {
	ROW(progress, number, NUMBER, 1, INT64_MAX),
	ROW(progress, have, NUMBER, 0, BL_BUNDLE_MAX),
	ROW(progress, total, NUMBER, 0, BL_BUNDLE_MAX),
};

static const struct row fetched_rows[] = {
	ROW(fetched, number, NUMBER, 1, INT64_MAX),
	ROW(fetched, result, NUMBER, -ERRNO_MAX, 0),
	ROW(fetched, zero, NUMBER, 0, 0),
	ROW(fetched, retry_ms, NUMBER, 0, BL_PAIR_RETRY_MS),
	ROW(fetched, why, LINE, 0, BL_PAIR_WHY_LEN - 1),
	ROW(fetched, hint, LINE, 0, BL_PAIR_WHY_LEN - 1),
};

static const struct row certificate_rows[] = {
	ROW(certificate, pem, PEM, 1, BL_PKI_PEM_MAX - 1),
};

static const struct row note_rows[] = {
	ROW(note, text, LINE, 1, BL_PAIR_NOTE_LEN - 1),
};

static const struct row say_rows[] = {
	ROW(say, busy, NUMBER, 0, 1),
	ROW(say, zero, NUMBER, 0, 0),
	ROW(say, text, LINE, 1, BL_PAIR_TEXT_MAX - 1),
};

static const struct row fetch_rows[] = {
	ROW(fetch, number, NUMBER, 1, INT64_MAX),
	ROW(fetch, have, NUMBER, 0, BL_BUNDLE_MAX),
	ROW(fetch, digest, DIGEST, BL_DIGEST_HEX - 1, BL_DIGEST_HEX - 1),
};

static const struct row leave_rows[] = {
	ROW(fetch, number, NUMBER, 1, INT64_MAX),
	ROW(fetch, have, NUMBER, 0, 0),
	ROW(fetch, digest, DIGEST, 0, 0),
};

static const struct row want_rows[] = {
	ROW(want, number, NUMBER, 1, INT64_MAX),
	ROW(want, max, NUMBER, 0, BL_META_TARGETS_MAX),
	ROW(want, name, NAME, 1, BL_NAME_MAX),
};

static const struct row got_rows[] = {
	ROW(got, number, NUMBER, 1, INT64_MAX),
	ROW(got, result, NUMBER, -ERRNO_MAX, 0),
	ROW(got, zero, NUMBER, 0, 0),
	ROW(got, length, NUMBER, 0, BL_META_TARGETS_MAX),
	ROW(got, why, LINE, 0, BL_PAIR_WHY_LEN - 1),
	ROW(got, hint, LINE, 0, BL_PAIR_WHY_LEN - 1),
};

#define KIND(from, kind, rows)                                                 \
	{                                                                      \
		from, sizeof(struct bl_pair_##kind), rows, BL_ARRAY_SIZE(rows) \
	}

static const struct {
	enum bl_pair_side from;
	size_t size; /* of its body */
	const struct row *rows;
	size_t count;
} kinds[BL_PAIR_KINDS] = {
	[BL_PAIR_HELLO] = { BL_PAIR_TALKER, 0, NULL, 0 },
	[BL_PAIR_ASK] = { BL_PAIR_TALKER, 0, NULL, 0 },
	[BL_PAIR_HEARD] = KIND(BL_PAIR_TALKER, heard, heard_rows),
	[BL_PAIR_PROGRESS] = KIND(BL_PAIR_TALKER, progress, progress_rows),
	[BL_PAIR_FETCHED] = KIND(BL_PAIR_TALKER, fetched, fetched_rows),
	[BL_PAIR_CERTIFICATE] =
		KIND(BL_PAIR_TALKER, certificate, certificate_rows),
	[BL_PAIR_NOTE] = KIND(BL_PAIR_TALKER, note, note_rows),
	[BL_PAIR_SAY] = KIND(BL_PAIR_HOST, say, say_rows),
	[BL_PAIR_NEWS] = { BL_PAIR_HOST, 0, NULL, 0 },
	[BL_PAIR_FETCH] = KIND(BL_PAIR_HOST, fetch, fetch_rows),
	[BL_PAIR_LEAVE] = KIND(BL_PAIR_HOST, fetch, leave_rows),
	[BL_PAIR_WANT] = KIND(BL_PAIR_HOST, want, want_rows),
	[BL_PAIR_GOT] = KIND(BL_PAIR_TALKER, got, got_rows),
};

void bl_pair_begin(struct bl_pair_msg *m, enum bl_pair_kind kind)
{
	assert(kind > 0 && kind < BL_PAIR_KINDS);
	memset(m, 0, sizeof(*m));
	m->head.magic = BL_PAIR_MAGIC;
	m->head.version = BL_PAIR_VERSION;
	m->head.kind = (uint16_t)kind;
	m->head.size = (uint32_t)(sizeof(m->head) + kinds[kind].size);
}

void bl_pair_text(char *ret, size_t size, const char *text)
{
	memset(ret, 0, size);
	bl_text_copy(ret, size, text);
}

void bl_pair_from_order(const struct bl_order *o, struct bl_pair_heard *ret)
{
	ret->answer = BL_PAIR_NOTHING + (uint32_t)o->kind;
	ret->poll_ms = o->poll_ms;
	/* What has no meaning for its kind does not go over. */
	if (o->kind == BL_ORDER_NONE)
		return;
	bl_pair_text(ret->rollout, sizeof(ret->rollout), o->rollout);
	bl_pair_text(ret->digest, BL_DIGEST_HEX, o->digest);
	bl_pair_text(ret->reason, sizeof(ret->reason), o->reason);
	if (o->kind != BL_ORDER_APPLY)
		return;
	ret->probation_ms = o->probation_ms < YEAR_MS ? o->probation_ms
						      : YEAR_MS;
	bl_pair_text(ret->override_reason, sizeof(ret->override_reason),
		     o->override_reason);
}

void bl_pair_to_order(const struct bl_pair_heard *h, struct bl_order *ret)
{
	assert(h->answer >= BL_PAIR_NOTHING);
	*ret = (struct bl_order){
		.kind = (enum bl_order_kind)(h->answer - BL_PAIR_NOTHING),
		.probation_ms = h->probation_ms,
		.poll_ms = h->poll_ms,
	};
	memcpy(ret->rollout, h->rollout, sizeof(ret->rollout));
	memcpy(ret->digest, h->digest, sizeof(ret->digest));
	memcpy(ret->override_reason, h->override_reason,
	       sizeof(ret->override_reason));
	memcpy(ret->reason, h->reason, sizeof(ret->reason));
}

/* ----------------------------------------------------------------- decoding */

static bool number_fits(const struct row *row, const unsigned char *at)
{
	uint64_t wide;
	int64_t value;
	int32_t narrow;

	if (row->size == sizeof(wide)) {
		memcpy(&wide, at, sizeof(wide));
		/* Above what any of them may be, and no negative one. */
		value = wide > INT64_MAX ? -1 : (int64_t)wide;
		if (row->min < 0)
			memcpy(&value, at, sizeof(value));
	} else {
		memcpy(&narrow, at, sizeof(narrow));
		value = row->min < 0 ? (int64_t)narrow
				     : (int64_t)(uint32_t)narrow;
	}
	return value >= row->min && value <= row->max;
}

/* Ended within its place, and nothing behind the end. */
static bool text_ends(const struct row *row, const char *text, size_t *ret_len)
{
	size_t len = strnlen(text, row->size), i;

	if (len == row->size)
		return false;
	for (i = len; i < row->size; i++)
		if (text[i])
			return false;
	*ret_len = len;
	return (int64_t)len >= row->min && (int64_t)len <= row->max;
}

static bool pem_fits(const char *text)
{
	for (; *text; text++)
		if (*text != '\n' && (*text < ' ' || *text > '~'))
			return false;
	return true;
}

static bool line_fits(const char *text, size_t len)
{
	char copy[BL_PAIR_TEXT_MAX];

	assert(len < sizeof(copy));
	bl_text_copy(copy, sizeof(copy), text);
	return strcmp(copy, text) == 0;
}

static bool row_fits(const struct row *row, const unsigned char *body)
{
	const char *text = (const char *)body + row->offset;
	size_t len;

	if (row->type == NUMBER)
		return number_fits(row, body + row->offset);
	if (!text_ends(row, text, &len))
		return false;
	switch (row->type) {
	case PEM:
		return pem_fits(text);
	case DIGEST:
		return !len || bl_digest_valid(text);
	case NAME:
		return !len || bl_name_valid(text);
	default:
		return line_fits(text, len);
	}
}

/* What its fields mean together. NULL: it has a sense. */
static const char *nonsense_heard(const struct bl_pair_heard *h)
{
	bool order = h->answer >= BL_PAIR_APPLY;

	if ((h->answer == BL_PAIR_NO_ANSWER) != (h->result < 0))
		return "result";
	if (order != (*h->digest != '\0'))
		return "digest";
	if (order != (*h->rollout != '\0'))
		return "rollout";
	if (*h->override_reason && h->answer != BL_PAIR_APPLY)
		return "override_reason";
	if (h->probation_ms && h->answer != BL_PAIR_APPLY)
		return "probation_ms";
	if (*h->proof && !order)
		return "proof";
	return NULL;
}

static const char *nonsense(enum bl_pair_kind kind, const void *body)
{
	struct bl_pair_heard heard;
	struct bl_pair_got got;

	if (kind == BL_PAIR_HEARD) {
		memcpy(&heard, body, sizeof(heard));
		return nonsense_heard(&heard);
	}
	if (kind == BL_PAIR_GOT) {
		memcpy(&got, body, sizeof(got));
		return got.result && got.length ? "length" : NULL;
	}
	return NULL;
}

static int check_head(const struct bl_pair_head *h, size_t len,
		      enum bl_pair_side from, struct bl_err *err)
{
	if (h->magic != BL_PAIR_MAGIC)
		return bl_err_set(err, -EBADMSG, "it is no message");
	if (h->version != BL_PAIR_VERSION)
		return bl_err_set(err, -EBADMSG,
				  "its format is version %u, not %d",
				  h->version, BL_PAIR_VERSION);
	if (!h->kind || h->kind >= BL_PAIR_KINDS || kinds[h->kind].from != from)
		return bl_err_set(err, -EBADMSG,
				  "a message of kind %u is not its to send",
				  h->kind);
	if (h->size != len || len != sizeof(*h) + kinds[h->kind].size ||
	    h->zero)
		return bl_err_set(err, -EBADMSG,
				  "a message of kind %u has %zu bytes", h->kind,
				  len);
	return 0;
}

int bl_pair_decode(const void *data, size_t len, enum bl_pair_side from,
		   struct bl_pair_msg *ret, struct bl_err *err)
{
	const unsigned char *body =
		(const unsigned char *)data + sizeof(ret->head);
	struct bl_pair_head head;
	const char *wrong = NULL;
	size_t i;
	int r;

	if (len < sizeof(head) || len > sizeof(*ret))
		return bl_err_set(err, -EBADMSG, "a message of %zu bytes", len);
	memcpy(&head, data, sizeof(head));
	r = check_head(&head, len, from, err);
	if (r < 0)
		return r;
	for (i = 0; !wrong && i < kinds[head.kind].count; i++)
		if (!row_fits(&kinds[head.kind].rows[i], body))
			wrong = kinds[head.kind].rows[i].name;
	if (!wrong)
		wrong = nonsense((enum bl_pair_kind)head.kind, body);
	if (wrong)
		return bl_err_set(err, -EBADMSG,
				  "a message of kind %u: %s is out of order",
				  head.kind, wrong);
	memset(ret, 0, sizeof(*ret));
	memcpy(ret, data, len);
	return 0;
}

/* --------------------------------------------------------------- the socket */

int bl_pair_make(int *ret_host, int *ret_talker, struct bl_err *err)
{
	const int none = 0;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return bl_err_errno(err, -errno, "cannot make a socket");
	/* Who sends one is told so. Older kernels do not know this: there it is
	 * closed, unopened, by the kernel when its message is read. */
	setsockopt(fds[0], SOL_SOCKET, SO_PASSRIGHTS, &none, sizeof(none));
	*ret_host = fds[0];
	*ret_talker = fds[1];
	return 0;
}

int bl_pair_send(int sock, const struct bl_pair_msg *m, int fd, bool wait,
		 struct bl_err *err)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .room = { 0 } };
	struct iovec part = { .iov_base = (void *)m, .iov_len = m->head.size };
	struct msghdr h = { .msg_iov = &part, .msg_iovlen = 1 };
	ssize_t n;

	if (fd >= 0) {
		h.msg_control = &control;
		h.msg_controllen = sizeof(control.room);
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	}
	do
		n = sendmsg(sock, &h, MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT));
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return 0;
	return bl_err_errno(err, errno == ECONNRESET ? -EPIPE : -errno,
			    "cannot send a message of kind %u", m->head.kind);
}

/* The descriptor that came along; -1: none. There is room for one. */
static int take_fd(struct msghdr *h)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(h);
	int fd = -1;

	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

int bl_pair_receive(int sock, enum bl_pair_side from, struct bl_pair_msg *ret,
		    int *ret_fd, struct bl_err *err)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .room = { 0 } };
	struct bl_pair_msg m;
	struct iovec part = { .iov_base = &m, .iov_len = sizeof(m) };
	struct msghdr h = { .msg_iov = &part, .msg_iovlen = 1 };
	bl_autoclose int fd = -1;
	ssize_t n;
	int r;

	/* Without room for any, none is opened here. */
	if (ret_fd) {
		h.msg_control = &control;
		/* Not its padding, where another would fit. */
		h.msg_controllen = CMSG_LEN(sizeof(int));
	}
	do
		n = recvmsg(sock, &h, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno != ECONNRESET)
		return bl_err_errno(err, -errno, "cannot read a message");
	if (n <= 0)
		return bl_err_set(err, -EPIPE, "the other part is gone");
	fd = take_fd(&h);
	if (h.msg_flags & MSG_TRUNC)
		return bl_err_set(err, -EBADMSG, "a message that is too large");
	if (h.msg_flags & MSG_CTRUNC)
		return bl_err_set(
			err, -EBADMSG,
			"a message with a descriptor that nobody asked for");
	r = bl_pair_decode(&m, (size_t)n, from, ret, err);
	if (r < 0)
		return r;
	if (ret_fd)
		*ret_fd = BL_TAKE_FD(fd);
	return 0;
}

/* -------------------------------------------------------------------- rates */

uint64_t bl_pair_rate_take(struct bl_pair_rate *r, uint64_t now_ms)
{
	uint64_t each_ms = 1000 / r->per_s;
	uint64_t owed = r->full_ms > now_ms ? r->full_ms - now_ms : 0;

	if (owed + each_ms > each_ms * r->burst)
		return owed + each_ms - each_ms * r->burst;
	r->full_ms = now_ms + owed + each_ms;
	return 0;
}
