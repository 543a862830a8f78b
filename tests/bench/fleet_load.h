/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Agents by the thousand, for bench_fleet: each has a connection of its own that
 * is kept, polls as its host, takes the order it gets and reports what a trial
 * that ends well (or badly) reports. One thread, over epoll, of this process.
 *
 *	fleet_load_open(&l, port, hosts) → fleet_load_run(…) → fleet_load_close
 *
 * So many polls are under way at any time, of all hosts in turn; the next one
 * begins when one is answered. Any answer that is no poll's ends the bench.
 */
#ifndef BL_TESTS_FLEET_LOAD_H
#define BL_TESTS_FLEET_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "canary/ledger/protocol.h"

struct fleet_agent {
	int fd; /* -1: not yet */
	int64_t seq;
	enum bl_order_kind order; /* the newest that it took */
	enum bl_work_state state;
	bool told; /* what became of it; nothing is left to say */
	char rollout[BL_ROLLOUT_ID_LEN];
	bool busy; /* a poll is under way */
	size_t got;
	char answer[2048];
};

struct fleet_load {
	int epoll; /* of the connections */
	unsigned port;
	struct fleet_agent *agents;
	unsigned count, window;
	char live[BL_DIGEST_HEX]; /* of the version that is rolled out */
	/* How often what was answered. */
	unsigned long same, full, orders, reports;
	uint64_t last_order_us; /* a new one, to go there */
	unsigned exposed, back;
	bool lingers;	    /* who is in its trial stays there, and polls */
	int fails;	    /* the agent whose trial ends badly; -1: none */
	uint64_t failed_us; /* when that was answered */
};

/* The monotonic clock. */
uint64_t fleet_now_us(void);

/* Each connects to that port of the loopback when it first polls. */
void fleet_load_open(struct fleet_load *l, unsigned port, unsigned count);
void fleet_load_close(struct fleet_load *l);

/* Polls until @done says so, looked at after every answer. */
void fleet_load_run(struct fleet_load *l,
		    bool (*done)(const struct fleet_load *l, void *ctx),
		    void *ctx);

/* All agents are as new for the next rollout, that of @digest. */
void fleet_load_rollout(struct fleet_load *l, const char *digest);

#endif
