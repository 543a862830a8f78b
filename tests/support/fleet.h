/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fleet of processes: `belay controller` over a store, and agents that are the
 * real daemon (canary/agent/daemon.h) with mutual TLS, over one fake kernel
 * (fake_kern.h) each. A kernel lies in memory that the test shares, so that it
 * outlives its agent. Controllers and agents are killed (kill -9) and started
 * again by number. MicroVMs with a kernel, a sensor and an agent of their own may
 * be hosts of it, too.
 *
 *	fleet_start("sqlite:FILE", 1, 12);
 *	fleet_bundle(&version, digest, tag);
 *	fleet_rollout(digest, &plan, id);
 *	… fleet_look(id, &rollout) …		the ledger, and I7 of it
 *	fleet_end();
 *
 * One fleet for each process. What fails fails the running test.
 */
#ifndef BL_TESTS_FLEET_H
#define BL_TESTS_FLEET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "canary/ledger/fleet.h"
#include "canary/wire/pki_dir.h"
#include "tests/support/fake_kern.h"

#define FLEET_CONTROLLERS_MAX 2
#define FLEET_PATIENCE_MS     600000 /* only against a hang */
#define FLEET_POLL_MS	      250
#define FLEET_LARGE	      64 /* agents; then they poll as real ones do */
#define FLEET_LARGE_POLL_MS   2000
#define FLEET_STARTING_MAX    16 /* agents of such that are not heard of yet */
#define FLEET_BOOTING_MAX     2	 /* VMs likewise */
#define FLEET_VMS_MAX	      64
/* Half of it is what an initramfs may fill, and ICU alone is 30 (libarchive wants
 * it, by libxml2). */
#define FLEET_VM_MIB 256

struct fleet_agent {
	pid_t pid; /* 0: it does not run */
	char name[24];
	struct fake_kern *kern;
	/* A version whose object has this tag loses events here. */
	char bad_tag[BL_KERN_TAG_LEN];
};

struct fleet {
	char *dir, *store_url;
	struct bl_store *look;
	struct bl_pki_server server;
	struct {
		pid_t pid; /* 0: it does not run */
		unsigned port;
	} controllers[FLEET_CONTROLLERS_MAX];
	unsigned controller_count;
	struct fleet_agent *agents;
	unsigned agent_count;
	pid_t vms[FLEET_VMS_MAX]; /* `belay lab run` */
	unsigned vm_count;
	char *vm_log_dir;
	unsigned looks;		  /* that found the ledger standing still */
	unsigned max_unconfirmed; /* of all looks */
};
extern struct fleet fleet;

/* What controllers are started with beside; ends with NULL. */
#define FLEET_ARGS_MAX 8
extern const char *fleet_args[FLEET_ARGS_MAX + 1];

/* "sqlite:" is a file of the fleet's own. Agents are named agent-0 … and are
 * dealt to the controllers in turn; those from @held on are not started. */
void fleet_start(const char *store_url, unsigned controllers, unsigned agents,
		 unsigned held);
void fleet_end(void);

void fleet_start_controller(unsigned i);
void fleet_kill_controller(unsigned i);
void fleet_start_agent(unsigned i);
void fleet_kill_agent(unsigned i);

/* Waits until @count hosts have been heard of, or a VM has ended. */
void fleet_wait_heard(size_t count);

/* The VMs of a fleet (fleet_vms.c). */
struct fleet_vms {
	unsigned count;
	const char *kernel;
	const char *log_dir; /* consoles */
	/* A bundle's version: an agent that tries it is killed in that trial, and
	 * once after its host's first version was committed. NULL: no agent is. */
	const char *kill_in;
	unsigned delay_ms; /* from the trial that is seen to the kill */
};

/*
 * Starts microVMs vm-0 … with the real agent, which enrolls with a token and
 * talks to one of the controllers, as tests/lab/host/agent.sh says; a few at a
 * time. Waits until all hosts of the fleet have been heard of. What they say
 * goes to vm-N.log of the fleet's folder.
 */
void fleet_start_vms(const struct fleet_vms *vms);

/* Fails if a VM has ended. */
void fleet_vms_run(void);

/* A VM stands still: no instruction, no packet; and goes on. */
void fleet_freeze_vm(unsigned i);
void fleet_thaw_vm(unsigned i);

/* Of the VMs, how many say that @digest is live. */
unsigned fleet_vms_with(const char *digest);

/* How many VMs have said @words. */
unsigned fleet_vms_said(const char *words);

struct fleet_version {
	const char *version;
	const char *object; /* a file; NULL: made up, for fake kernels alone */
	unsigned probation_ms;
};
/* Builds and stores it; its object's tag, as fake kernels make it, to
 * @ret_tag. */
void fleet_bundle(const struct fleet_version *v,
		  char ret_digest[static BL_DIGEST_HEX],
		  char ret_tag[static BL_KERN_TAG_LEN]);
void fleet_rollout(const char *digest, const struct bl_plan *plan,
		   char ret_id[static BL_ROLLOUT_ID_LEN]);

/* Of what runs in the kernel of agent @i, whole and to stay: its tag; "": it
 * runs nothing. */
const char *fleet_runs(unsigned i);

/*
 * Reads the rollout, and asserts of its record that the cap holds and, if the
 * ledger stood still meanwhile, that its sums are what recounting gives (I7).
 */
void fleet_look(const char *id, struct bl_rollout *ret);

/* kB that controller @i has had in memory at most. */
unsigned long fleet_controller_peak_kb(unsigned i);

#endif
