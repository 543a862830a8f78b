/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the two parts of an agent say to each other over a socket pair: the
 * talker, which speaks to the controller and may nothing, and the host part,
 * which changes the kernel and speaks to nobody else.
 *
 *	talker				  host part
 *	HELLO		------------->	  the format; the first message
 *	ASK		------------->	  what is to be posted?
 *	       <--------------------- SAY the poll's body, word by word
 *	HEARD		------------->	  how that poll ended, and the order
 *	       <-------------------- NEWS of this host: poll at once
 *	       <------------------- FETCH a bundle, into the pipe with it
 *	       <------------------- LEAVE that bundle
 *	PROGRESS, FETCHED ----------->	  of it
 *	       <--------------------- WANT a file of metadata, into the memory
 *	GOT		------------->	  of it
 *	CERTIFICATE	------------->	  a new one, for host.pem
 *	NOTE		------------->	  a line for the log
 *
 * A message is one packet (SOCK_SEQPACKET) of a head and a body, whose size
 * follows from its kind. Both are the same program: no byte order, no older
 * format; another version is refused.
 *
 * Invariants:
 *  - what is taken keeps the table in pair.c to the last byte: numbers within
 *    their limits, texts printable, ended and followed by zeroes, digests and
 *    names as everywhere else, an order that has a sense;
 *  - each side takes what the other one may say, and nothing else;
 *  - a descriptor goes from the host part to the talker with FETCH and WANT, and
 *    never the other way. It is a pipe, or memory of a fixed size: nothing that
 *    the talker can keep takes room on a disk. What becomes of the bytes is
 *    decided by the host part, by their digest or the signatures on them.
 *
 * Who adds a message: a kind, a struct, rows in pair.c, a corpus file. What does
 * not fit into BL_PAIR_TEXT_MAX is written to a descriptor that the host part
 * gave. What only the host part can judge (a signature) goes over as the bytes
 * that were signed, never as what the talker has read in them.
 *
 * Pure but for bl_pair_make, bl_pair_send and bl_pair_receive.
 */
#ifndef BL_CANARY_PAIR_H
#define BL_CANARY_PAIR_H

#include "canary/ledger/protocol.h"
#include "canary/wire/pki.h"
#include "loader/base/err.h"

#define BL_PAIR_MAGIC	  0x70616972u /* "pair" */
#define BL_PAIR_VERSION	  1
#define BL_PAIR_TEXT_MAX  BL_POLL_BYTES_MAX
#define BL_PAIR_NOTE_LEN  1024
#define BL_PAIR_PROOF_LEN 4096
#define BL_PAIR_WHY_LEN	  512
#define BL_PAIR_RETRY_MS  (3600 * INT64_C(1000)) /* at most */
#define BL_PAIR_DIGEST	  72  /* BL_DIGEST_HEX, and on to the next 8 bytes */
#define BL_PAIR_FILE_LEN  136 /* BL_NAME_MAX, likewise */

enum bl_pair_kind {
	BL_PAIR_HELLO = 1,
	BL_PAIR_ASK,
	BL_PAIR_HEARD,
	BL_PAIR_PROGRESS,
	BL_PAIR_FETCHED,
	BL_PAIR_CERTIFICATE,
	BL_PAIR_NOTE,
	BL_PAIR_SAY,
	BL_PAIR_NEWS,
	BL_PAIR_FETCH,
	BL_PAIR_LEAVE,
	BL_PAIR_WANT,
	BL_PAIR_GOT,
	BL_PAIR_KINDS,
};

enum bl_pair_side { BL_PAIR_TALKER, BL_PAIR_HOST };

/* What a poll was answered with. */
enum bl_pair_answer {
	BL_PAIR_NO_ANSWER, /* it failed: result says how */
	BL_PAIR_SAME,	   /* 304 */
	BL_PAIR_NOTHING,   /* no order; from here on as bl_order_kind */
	BL_PAIR_APPLY,
	BL_PAIR_ROLLBACK,
	BL_PAIR_ANSWERS,
};

struct bl_pair_heard {
	int32_t result;	   /* of bl_client_ask: 0 or a negative errno */
	uint32_t answer;   /* enum bl_pair_answer */
	uint64_t begun_ms; /* when the poll began; the monotonic clock */
	int64_t probation_ms, poll_ms;
	char rollout[BL_ROLLOUT_ID_LEN];
	char digest[BL_PAIR_DIGEST];
	char override_reason[BL_REASON_MAX], reason[BL_REASON_MAX];
	char proof[BL_PAIR_PROOF_LEN]; /* of an order; "": it has none */
};

struct bl_pair_progress {
	uint64_t number, have, total;
};

struct bl_pair_fetched {
	uint64_t number;
	int32_t result; /* of bl_download */
	uint32_t zero;
	int64_t retry_ms;
	char why[BL_PAIR_WHY_LEN], hint[BL_PAIR_WHY_LEN];
};

struct bl_pair_certificate {
	char pem[BL_PKI_PEM_MAX];
};

struct bl_pair_note {
	char text[BL_PAIR_NOTE_LEN];
};

struct bl_pair_say {
	uint32_t busy; /* something goes on here: the answer is not waited for */
	uint32_t zero;
	char text[BL_PAIR_TEXT_MAX];
};

struct bl_pair_fetch {	 /* and LEAVE, of nothing but its number */
	uint64_t number; /* rises with each */
	uint64_t have;	 /* what is behind so many bytes is wanted */
	char digest[BL_PAIR_DIGEST];
};

/* "2.root.json", of at most so many bytes. */
struct bl_pair_want {
	uint64_t number; /* rises with each */
	uint64_t max;
	char name[BL_PAIR_FILE_LEN];
};

struct bl_pair_got {
	uint64_t number;
	int32_t result; /* -ENOENT: the controller has none; 0: length bytes */
	uint32_t zero;
	uint64_t length;
	char why[BL_PAIR_WHY_LEN], hint[BL_PAIR_WHY_LEN];
};

struct bl_pair_head {
	uint32_t magic;
	uint16_t version, kind;
	uint32_t size; /* of all of it */
	uint32_t zero;
};

struct bl_pair_msg {
	struct bl_pair_head head;
	union {
		struct bl_pair_heard heard;
		struct bl_pair_progress progress;
		struct bl_pair_fetched fetched;
		struct bl_pair_certificate certificate;
		struct bl_pair_note note;
		struct bl_pair_say say;
		struct bl_pair_fetch fetch;
		struct bl_pair_want want;
		struct bl_pair_got got;
	};
};

/* Zeroes *@m and makes it a message of @kind without content. */
void bl_pair_begin(struct bl_pair_msg *m, enum bl_pair_kind kind);

/* As far as it goes on one line; what no terminal takes becomes '?'. */
void bl_pair_text(char *ret, size_t size, const char *text);

void bl_pair_from_order(const struct bl_order *o, struct bl_pair_heard *ret);
void bl_pair_to_order(const struct bl_pair_heard *h, struct bl_order *ret);

/*
 * Whether these bytes are a message that @from may send: 0 with *ret, or
 * -EBADMSG with the field.
 */
int bl_pair_decode(const void *data, size_t len, enum bl_pair_side from,
		   struct bl_pair_msg *ret, struct bl_err *err);

/*
 * Makes a pair, of which the caller closes both ends. From Linux 6.16 on the kernel
 * lets no descriptor pass to the host part's end.
 */
int bl_pair_make(int *ret_host, int *ret_talker, struct bl_err *err);

/*
 * Sends @m, which must decode; with @fd, unless it is -1. Waits if @wait, else
 * -EAGAIN when the other side does not read. -EPIPE: it is gone.
 */
int bl_pair_send(int sock, const struct bl_pair_msg *m, int fd, bool wait,
		 struct bl_err *err);

/*
 * The next message of the side @from; waits for it. *ret_fd is the caller's to
 * close, -1 for none; with NULL, one that comes is an error, and was never open
 * here. -EPIPE: the other
 * side is gone; -EBADMSG: it sends what is none.
 */
int bl_pair_receive(int sock, enum bl_pair_side from, struct bl_pair_msg *ret,
		    int *ret_fd, struct bl_err *err);

/*
 * So many a second, and a burst of so many: 0, and one less is left; or the
 * milliseconds until the next. Zero-initialise; pure.
 */
struct bl_pair_rate {
	unsigned per_s, burst;
	uint64_t full_ms; /* when none is owed any more */
};
uint64_t bl_pair_rate_take(struct bl_pair_rate *r, uint64_t now_ms);

#endif
