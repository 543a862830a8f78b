/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What became of one fault on one kernel in one way, as observed: the result
 * of a run of `belay compare`, and its JSON.
 *
 *	bl_autocompare_result struct bl_compare_result r = { 0 };
 *
 *	bl_text_copy(r.fault, sizeof(r.fault), "null-dereference");
 *	…
 *	e = bl_compare_say(&r, t_ms, "host-1", "reset by %s", "panic");
 *	e = bl_compare_log(&r, "host-1 console", console);
 *	text = bl_compare_result_text(&r);
 *
 * Invariants:
 *  - a number is a count of what was seen from outside a host. What could not
 *    be seen has no number: a run that could not be made says so in `failed`,
 *    and no report then shows its numbers;
 *  - `gate` is what the gate said. Everything else is of the part past it: the
 *    hosts got the version in spite of what it said. `stopped_by` is the first
 *    line that stopped the fault, the gate included;
 *  - what is read was checked: hosts lost or exposed are not more than there
 *    are, times ascend, words are those below.
 *
 * Pure: no file, no clock. The runner fills it in, reports read it.
 */
#ifndef BL_CANARY_COMPARE_RESULT_H
#define BL_CANARY_COMPARE_RESULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loader/base/json.h"

#define BL_COMPARE_NAME_MAX	64   /* fault, host, log, version; with NUL */
#define BL_COMPARE_KERNEL_MAX	128  /* a kernel's release; with NUL */
#define BL_COMPARE_HOSTS_MAX	64   /* in the fleet of a run */
#define BL_COMPARE_DOWN_MAX	4096 /* points of the curve */
#define BL_COMPARE_TIMELINE_MAX 1024
#define BL_COMPARE_LOGS_MAX	16
#define BL_COMPARE_EVIDENCE_MAX 64
#define BL_COMPARE_LINE_MAX	2048	      /* bytes of a line of text */
#define BL_COMPARE_TEXT_MAX	(16u << 10)   /* bytes of a log, as kept */
#define BL_COMPARE_COUNT_MAX	1000000	      /* crashes, reboots */
#define BL_COMPARE_TIME_MAX	604800000     /* ms: a week */
#define BL_COMPARE_RESULT_MAX	(2u << 20)    /* bytes of a result's JSON */
#define BL_COMPARE_NEVER	((int64_t)-1) /* recover_ms: it did not */

enum bl_compare_way {
	BL_COMPARE_A, /* the module on every host, loaded at boot, no belay */
	BL_COMPARE_B, /* the module under belay */
	BL_COMPARE_C, /* eBPF under belay */
	BL_COMPARE_WAYS,
};

/* Where a fault was stopped. */
enum bl_compare_stop {
	BL_COMPARE_NOWHERE, /* "never" */
	BL_COMPARE_GATE,
	BL_COMPARE_VERIFIER,
	BL_COMPARE_EXERCISE,
	BL_COMPARE_TRIAL,
	BL_COMPARE_CANARY,
	BL_COMPARE_LEASE,
	BL_COMPARE_WATCHDOG,
	BL_COMPARE_BOOT_LOOP,
	BL_COMPARE_UNAFFECTED, /* it did nothing that had to be stopped */
	BL_COMPARE_STOPS,
};

enum bl_compare_verdict {
	BL_COMPARE_NOT_ASKED,
	BL_COMPARE_REJECTED,
	BL_COMPARE_ACCEPTED,
	BL_COMPARE_UNDECIDED,
	BL_COMPARE_VERDICTS,
};

/* Whether the crashes were laid to the version that did it. */
enum bl_compare_blame {
	BL_COMPARE_NO_CRASH,
	BL_COMPARE_BLAMED, /* all of them */
	BL_COMPARE_NOT_BLAMED,
};

/* From @t_ms on so many hosts were down. */
struct bl_compare_point {
	int64_t t_ms;
	unsigned hosts;
};

struct bl_compare_line {
	int64_t t_ms;			/* 0 in evidence */
	char host[BL_COMPARE_NAME_MAX]; /* "" for the fleet */
	char *text;
};

struct bl_compare_log {
	char name[BL_COMPARE_NAME_MAX];
	char *text;
};

/* Times are in ms from the moment at which the fault reached the fleet. */
struct bl_compare_result {
	char fault[BL_COMPARE_NAME_MAX];
	char kernel[BL_COMPARE_KERNEL_MAX];
	enum bl_compare_way way;
	char *failed; /* why there is no result; NULL: there is one */
	struct {
		enum bl_compare_verdict verdict;
		char check[BL_COMPARE_NAME_MAX]; /* that rejected; may be "" */
		char *words;			 /* what it said; may be NULL */
	} gate;
	enum bl_compare_stop stopped_by, past_gate;
	unsigned hosts;
	unsigned exposed; /* hosts that the faulty version reached */
	unsigned lost;	  /* not usable, or not on last-good, at the end */
	unsigned crashes, reboots;
	int64_t outage_ms;  /* summed over the hosts */
	int64_t recover_ms; /* until every host was well for good; or never */
	enum bl_compare_blame attributed;
	char (*live_after)[BL_COMPARE_NAME_MAX]; /* of each host; "" if none */
	size_t live_count;
	/* Begins at 0 and ends when the watch ended. */
	struct bl_compare_point *down;
	size_t down_count;
	struct bl_compare_line *timeline;
	size_t timeline_count;
	struct bl_compare_log *logs;
	size_t log_count;
	struct bl_compare_line *evidence; /* kept by a host */
	size_t evidence_count;
	bool as_expected;		   /* by the catalogue */
	int64_t took_ms;		   /* the whole run */
	char belay[BL_COMPARE_NAME_MAX];   /* what ran it: version or digest */
	char variant[BL_COMPARE_NAME_MAX]; /* digest of what was rolled out */
};

void bl_compare_result_free(struct bl_compare_result *r);
#define bl_autocompare_result __attribute__((cleanup(bl_compare_result_free)))

/* "A", "boot-loop", "not asked". */
const char *bl_compare_way_name(enum bl_compare_way way);
const char *bl_compare_stop_name(enum bl_compare_stop stop);
const char *bl_compare_verdict_name(enum bl_compare_verdict verdict);

/* The other way round; false if there is none of that name. */
bool bl_compare_way_find(const char *name, enum bl_compare_way *ret);
bool bl_compare_stop_find(const char *name, enum bl_compare_stop *ret);

/*
 * These add to a result; 0 or -ENOMEM with *r unchanged. What is more than the
 * limits above allow is not kept, and its last line or point says so. Text is
 * made printable (loader/base/text.h); of a long log the middle goes.
 */
int bl_compare_down(struct bl_compare_result *r, int64_t t_ms, unsigned hosts);
int bl_compare_say(struct bl_compare_result *r, int64_t t_ms, const char *host,
		   const char *fmt, ...) __attribute__((format(printf, 4, 5)));
int bl_compare_evidence(struct bl_compare_result *r, const char *host,
			const char *text);
int bl_compare_log(struct bl_compare_result *r, const char *name,
		   const char *text);
int bl_compare_live(struct bl_compare_result *r, const char *version);

/* Sets gate.words or failed to a printable copy of @text, cut as a log is. */
int bl_compare_set(char **ret, const char *text);

/* NULL when out of memory. */
json_t *bl_compare_result_json(const struct bl_compare_result *r);

/* The JSON as text with its keys in order of importance. Drops @v; NULL when
 * that is NULL or memory is out. Caller frees. */
char *bl_compare_dump(json_t *v);

/*
 * Reads the object at @path of @doc ("" for its root). Strict; -EBADMSG with
 * file, line and field, *ret untouched.
 */
int bl_compare_result_read(const struct bl_json_doc *doc, const json_t *obj,
			   const char *path, struct bl_compare_result *ret,
			   struct bl_err *err);

/* The same of a file that holds one result. -ENOENT if there is none. */
int bl_compare_result_load(const char *path, struct bl_compare_result *ret,
			   struct bl_err *err);

#endif
