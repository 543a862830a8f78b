/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fleet in one process: the controller's real functions behind its real API,
 * the agent's real logic on simulated hosts, a clock that only moves when told,
 * and a seeded source of accidents.
 *
 * What is simulated: time, the network (requests and answers get lost, come
 * twice or late), hosts (a trial that ends well, badly, or with the host), and
 * a store whose process can die before or after a transaction, or let another
 * controller in just before it. Polls go to one of two controllers at random;
 * one that dies loses what it remembered.
 *
 * sim_step() asserts the invariants after every step, by name, through Check.
 */
#ifndef BL_TESTS_SIM_FLEET_H
#define BL_TESTS_SIM_FLEET_H

#include <stdbool.h>
#include <stdint.h>

#include "canary/agent/agent.h"
#include "canary/controller/polls.h"
#include "canary/ledger/fleet.h"

#define SIM_HOSTS_MAX 32
#define SIM_STEP_MS   100

enum sim_version {
	SIM_GOOD,
	SIM_FAILS,	/* its trial ends badly */
	SIM_UNDECIDED,	/* its trial cannot be judged where `only` says */
	SIM_REBOOTS,	/* takes the host down in its trial; it boots again */
	SIM_KILLS,	/* takes the host down for good */
	SIM_KILLS_LATE, /* commits, and takes the host down soon after */
};

/* Probabilities in 1/1000 per occasion. */
struct sim_chaos {
	unsigned lose_request, lose_answer, duplicate, late;
	unsigned agent_dies;			      /* per step and host */
	unsigned store_dies_before, store_dies_after; /* per transaction */
	unsigned other_controller; /* gets in before a transaction */
};

struct sim_host {
	char name[16];
	char role[16]; /* said at the next life of its agent */
	/* durable */
	char live[BL_DIGEST_HEX], previous[BL_DIGEST_HEX];
	char *record;
	char trial[BL_DIGEST_HEX]; /* in the kernel now; "" */
	bool trial_ends_here;	   /* its transaction was open at a crash */
	unsigned boots;
	/* gone with the process */
	struct bl_agent agent;
	bool up;	  /* the agent runs */
	bool dead;	  /* never comes back */
	bool mute;	  /* polls do not get through */
	int64_t up_at_ms; /* when it starts again */
	int64_t poll_at_ms;
	int64_t work_ends_ms;
	unsigned lives;
	/* the truth, for the assertions */
	unsigned trials;    /* of the version of the rollout */
	int64_t heard_ms;   /* a poll of it was handled */
	int64_t dies_ms;    /* SIM_KILLS_LATE */
	struct bl_buf late; /* a poll that is still under way */
};

struct sim {
	struct bl_store *store;	      /* with accidents */
	struct bl_store *store_under; /* without */
	struct bl_store *look;	      /* for the assertions; the same data */
	/* What controllers remember; the last is of those that get in. */
	struct bl_polls *polls[3];
	struct bl_fleet fleet;
	bool inside;	/* another controller got in */
	bool killed;	/* the controller that handles this */
	bool look_away; /* no assertions: it cannot be read */
	int64_t now_ms, tick_at_ms;
	uint64_t random;
	struct sim_host hosts[SIM_HOSTS_MAX];
	unsigned host_count;
	enum sim_version version; /* of what is rolled out */
	const char *only;	  /* hosts of this role; NULL: on all */
	double memory;		  /* bytes that hosts say they use; 0: none */
	double hungry;		  /* times that with the version; 0: as much */
	char digest[BL_DIGEST_HEX];
	char old[BL_DIGEST_HEX]; /* what hosts run before */
	char id[BL_ROLLOUT_ID_LEN];
	struct bl_plan plan;
	struct sim_chaos chaos;
	bool controller_down;
	bool no_ticks; /* it answers polls, and leaves decisions to the test */
	int64_t asserted;     /* the revision of the store that was looked at */
	unsigned interrupted; /* other controllers that got in */
	unsigned max_unconfirmed;
};

void sim_start(struct sim *s, uint64_t seed, unsigned hosts);
/* The same on an opened store, and a handle on it to look at it with. Both are
 * the simulation's from here on. */
void sim_start_on(struct sim *s, uint64_t seed, unsigned hosts,
		  struct bl_store *store, struct bl_store *look);
void sim_end(struct sim *s);
void sim_add_host(struct sim *s);

/* A digest that stands for @name. */
void sim_digest(const char *name, char ret[static BL_DIGEST_HEX]);

/* Stores the bundle of @version and starts a rollout by s->plan. */
void sim_rollout(struct sim *s, const char *name, enum sim_version version);

void sim_step(struct sim *s);
void sim_run_ms(struct sim *s, int64_t ms);
/* Runs until the rollout is over, at most @ms; its state then. */
enum bl_rollout_state sim_run_over(struct sim *s, int64_t ms);

void sim_abort(struct sim *s);
/* An operator, alice, acts on the rollout @id. */
int sim_act(struct sim *s, const char *id, enum bl_decision_kind kind);
struct bl_rollout sim_read(struct sim *s);
/* Hosts that run the version of the rollout; hosts that ever tried it. */
unsigned sim_running(const struct sim *s);
unsigned sim_tried(const struct sim *s);
enum bl_exposure_state sim_exposure(struct sim *s, const char *host);
void sim_kill_agent(struct sim *s, struct sim_host *h, bool reboot,
		    int64_t down_ms);
/* One request through the API; the status, and the body if asked for. */
unsigned sim_request(struct sim *s, const char *method, const char *path,
		     const char *body, struct bl_buf *ret_body);

#endif
