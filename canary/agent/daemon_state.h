/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the host part's threads share: the one that serves the talker
 * (daemon_talker.c), the worker (daemon_work.c), which works on the host, and the
 * one that keeps metadata fresh (daemon_trust.c).
 */
#ifndef BL_CANARY_DAEMON_STATE_H
#define BL_CANARY_DAEMON_STATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "canary/agent/agent.h"
#include "canary/agent/daemon.h"
#include "canary/agent/pair.h"
#include "canary/ledger/gauge.h"
#include "loader/trust/obey.h"

/* An apply that waits for its bundle. */
struct daemon_again {
	bool waits;
	uint64_t since_ms; /* without a byte of it */
	uint64_t due_ms;
	unsigned failures; /* in a row, of as many attempts */
	char told[BL_REASON_MAX];
};

/* A bundle that the worker wants of the talker. */
struct daemon_fetch {
	uint64_t number; /* of the newest */
	bool wanted;	 /* it waits for that one */
	bool sent;	 /* to the talker that runs */
	bool over;	 /* result is there */
	int pipe;	 /* the talker's end, until it is sent; else -1 */
	uint64_t have;	 /* what is behind so many bytes */
	uint64_t total;	 /* as the talker says; 0: it did not */
	char digest[BL_DIGEST_HEX];
	struct bl_pair_fetched result;
};

/* Metadata: who waits for news of it, and a file that is wanted of the talker. */
struct daemon_trust {
	pthread_cond_t turn; /* of the thread that refreshes */
	bool asked;	     /* somebody waits for one that begins now */
	bool runs;
	uint64_t ended, ended_ms; /* how many have, and the last one when */
	bool unheard;		  /* that one had no answer, good or bad */
	uint64_t number;	  /* of the newest file */
	bool wanted, sent, over;  /* as in daemon_fetch */
	int fd;
	size_t max;
	char name[BL_PAIR_FILE_LEN];
	struct bl_pair_got result;
};

/* An order that was refused by what is trusted now, until there is news. */
struct daemon_held {
	uint64_t which; /* as bl_daemon_refresh_ask; 0: none is */
	unsigned tries; /* that were unheard */
	struct bl_pair_heard heard;
};

/* Which files of a certificate there are: names of pki_dir.h. */
#define BL_DAEMON_IDENTITY 3
struct daemon_identity {
	struct {
		uint64_t inode;
		int64_t changed_s, changed_ns;
	} file[BL_DAEMON_IDENTITY];
};

struct daemon {
	const struct bl_daemon_opts *opts;
	char *record_path, *trust_dir;
	char refused[BL_REASON_MAX]; /* told last; daemon_order.c's */
	struct daemon_held held;     /* likewise */
	int wake; /* eventfd: the worker has something for the talker */

	pthread_mutex_t lock; /* of all below */
	pthread_cond_t work;  /* there is work for the worker; or its end */
	struct bl_agent agent;
	enum bl_agent_do task;
	struct bl_told told; /* agent.order, signed; version 0: nobody asked */
	bool quit;
	bool news;	   /* the talker is to poll at once */
	uint64_t heard_ms; /* when the last poll that was answered began */
	struct daemon_fetch fetch;
	struct daemon_trust trust;
	pid_t talker;			 /* 0: none runs */
	struct daemon_identity identity; /* what it began with */
	bool is_another;		 /* there is another one now */

	/* the worker's own */
	char *partial_dir;
	struct bl_told doing; /* what it carries out, as told above */
	struct daemon_again again;
	uint64_t status_ms;
	uint64_t trial_ms; /* when the trial went live */
	bool reader_told;
	struct bl_gauge gauge;
};

/* For people, as opts->note. */
void bl_daemon_note(struct daemon *d, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Any number. */
uint32_t bl_daemon_random(void);

/* Whether the worker is to leave what it does: told to end, or to go back. */
bool bl_daemon_must_stop(struct daemon *d);

/* The talker's processor time so far, in µs; 0: none runs. */
uint64_t bl_daemon_talker_cpu_us(struct daemon *d);

/*
 * Starts a talker: the host part's end of the pair, and of the pipe to which it
 * prints; both are the caller's. That thread has to live as long as the talker.
 */
int bl_daemon_spawn(const struct bl_daemon_opts *o, pid_t *ret_pid,
		    int *ret_sock, int *ret_prints, struct bl_err *err);

/* Its status, as of waitpid. The end of the pair is closed: it ends by itself, or is
 * made to, by this process or as @user. 0 for what does not die of that. */
int bl_daemon_reap(const struct bl_sandbox_user *user, pid_t pid);

/* Wakes the thread that serves the talker. */
void bl_daemon_wake(struct daemon *d);

/* How one piece of work ended; or that it goes on later. */
struct bl_outcome {
	enum bl_agent_end end;
	bool again;
	char reason[BL_REASON_MAX];
};
void bl_daemon_conclude(struct bl_outcome *o, enum bl_agent_end end,
			const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* What the talker heard: an order, or that there is none. True: an order that was
 * not known yet. From the thread that serves it. */
bool bl_daemon_take(struct daemon *d, const struct bl_pair_heard *h);
/* One that is held, when the refresh that it waits for has ended. */
void bl_daemon_take_held(struct daemon *d);

/* What is refused for want of news is asked for so often, if nobody answers. */
#define BL_DAEMON_TRIES 3
/* A refresh is to begin now, with its number; and whether that one has ended: 0,
 * not yet; 1; -EAGAIN: nobody answered, a moment later may be better. */
uint64_t bl_daemon_refresh_ask(struct daemon *d);
int bl_daemon_refresh_ended(struct daemon *d, uint64_t which);

/* The worker, before it applies: news of what is released, if what is here does
 * not list that bundle. */
void bl_daemon_freshen(struct daemon *d, const char *digest, size_t len);

/* What the talker is to be asked for; false: nothing. *ret_fd is the caller's. */
bool bl_daemon_want(struct daemon *d, struct bl_pair_msg *ret, int *ret_fd);
/* Its answer; that there will be none. */
void bl_daemon_got(struct daemon *d, const struct bl_pair_got *got);
void bl_daemon_want_over(struct daemon *d, const char *why);

/* What a talker begins with, or was given; whether it is another one now, by the
 * worker, who wakes the thread that serves it; and whether it was, once. */
void bl_daemon_identity_keep(struct daemon *d);
void bl_daemon_identity_look(struct daemon *d);
bool bl_daemon_identity_is_another(struct daemon *d);

/* The thread that keeps metadata fresh; @ctx is a struct daemon. */
void *bl_daemon_truster(void *ctx);

/* The bundle of @order to @ret; or false, and *o says how it goes on. */
bool bl_daemon_fetch(struct daemon *d, const struct bl_order *order,
		     struct bl_bundle *ret, struct bl_outcome *o);

/* Of the worker alone, while it waits for what others bring: the host goes on, and
 * its events and its certificate are looked at, ten times a second if it can be. The
 * second waits in between, with d->lock, which is given up meanwhile. */
void bl_daemon_look(struct daemon *d);
void bl_daemon_nap(struct daemon *d);

/* The worker's thread; @ctx is a struct daemon. */
void *bl_daemon_worker(void *ctx);

/* Starts the talker and serves it until a signal. From the thread that gets the
 * signals, and that lives as long as the process: the talker ends with it. */
void bl_daemon_serve(struct daemon *d);

#endif
