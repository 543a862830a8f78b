/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A profile: what an object may be and do. Three are built in, each allows what
 * the one before it does (profile_table.c is the list):
 *
 *   observe   programs that only watch: kprobes, tracepoints, fentry, perf
 *             events, iterators, USDT
 *   enforce   and those whose verdict counts: LSM, cgroups, packets, sockets
 *   trusted   everything. What can hurt a host whatever its verdict is (writing
 *             into processes, forging return values, signals, scheduling) is a
 *             warning there and denied in the other two
 *
 * A file changes one of them, in strict JSON:
 *
 *	{
 *	  "base": "observe",
 *	  "types": [
 *	    { "allow": "lsm", "reason": "it blocks executables by digest" },
 *	    { "deny": "kprobe", "reason": "they broke with 6.12; use fentry" }
 *	  ],
 *	  "attach": [
 *	    { "deny": "raw_tp/sys_*", "reason": "too hot" },
 *	    { "warn": "fentry/tcp_*", "reason": "ask the network team" }
 *	  ],
 *	  "helpers": [
 *	    { "allow": "bpf_send_signal", "reason": "ends ransomware, SEC-12" }
 *	  ],
 *	  "kfuncs": [
 *	    { "allow": "bpf_ct_*", "reason": "reads conntrack entries" }
 *	  ],
 *	  "sleepable": [
 *	    { "deny": "*", "reason": "5.10 has none that we need" }
 *	  ],
 *	  "maps": [
 *	    { "deny": "arena", "reason": "not reviewed" }
 *	  ],
 *	  "pinning": [
 *	    { "allow": "counts", "reason": "bpftool reads it" }
 *	  ]
 *	}
 *
 * Every key may be left out; without "base" it is observe. In a pattern, '*'
 * stands for any characters, also '/', and '?' for one. What is matched:
 *
 *   types, sleepable   kinds of programs (hook.h), and "unknown"
 *   attach             names of sections, without "?"
 *   helpers            "bpf_…"
 *   kfuncs             names as the kernel has them
 *   maps               types of maps, as bpftool prints them
 *   pinning            names of maps that pin themselves
 *
 * The last rule that matches counts, those of the file after those of its base.
 * Each needs a reason: a finding quotes it.
 */
#ifndef BL_GATE_PROFILE_H
#define BL_GATE_PROFILE_H

#include "loader/base/file.h"
#include "loader/gate/finding.h"

#define BL_PROFILE_BYTES_MAX   (256u << 10)
#define BL_PROFILE_RULES_MAX   256 /* of one subject */
#define BL_PROFILE_PATTERN_MAX 128
#define BL_PROFILE_REASON_MAX  400

enum bl_profile_base {
	BL_PROFILE_OBSERVE,
	BL_PROFILE_ENFORCE,
	BL_PROFILE_TRUSTED,
	BL_PROFILE_BASES,
};

enum bl_subject {
	BL_SUBJECT_TYPES,
	BL_SUBJECT_ATTACH,
	BL_SUBJECT_HELPERS,
	BL_SUBJECT_KFUNCS,
	BL_SUBJECT_SLEEPABLE,
	BL_SUBJECT_MAPS,
	BL_SUBJECT_PINNING,
	BL_SUBJECTS,
};

struct bl_profile_rule {
	enum bl_verdict verdict; /* PASS, WARN or REJECT */
	char *pattern, *reason;
};

struct bl_profile_rules {
	struct bl_profile_rule *list;
	size_t count;
};

struct bl_profile {
	char name[BL_NAME_MAX + 1]; /* "observe", or the file's */
	enum bl_profile_base base;
	struct bl_profile_rules rules[BL_SUBJECTS]; /* the file's own */
};

/* What a profile says of one name. Strings belong to it, or are constants. */
struct bl_ruling {
	enum bl_verdict verdict; /* UNDECIDED: nobody can tell */
	const char *what; /* "sends signals to …", as belay knows it; or "" */
	const char *reason; /* of the file's rule; "" when there was none */
};

#define bl_autoprofile __attribute__((cleanup(bl_profile_free)))
void bl_profile_free(struct bl_profile *p);

/*
 * The built-in profile of that name, or a file. -ENOENT when it is neither (the
 * hint has what it may be meant), -EBADMSG for a mistake in the file, which is
 * named with its line, -EFBIG, -ENOMEM or an error of reading it. *ret is
 * untouched on failure.
 */
int bl_profile_load(const char *name_or_path, struct bl_profile *ret,
		    struct bl_err *err);

/* A file's text; @name is for messages. Errors as above. */
int bl_profile_parse(const char *name, const char *text, size_t len,
		     struct bl_profile *ret, struct bl_err *err);

/* "observe", "enforce", "trusted". */
const char *bl_profile_base_name(enum bl_profile_base base);

/* "types", "attach", …: the key in a file. */
const char *bl_subject_name(enum bl_subject subject);

struct bl_ruling bl_profile_judge(const struct bl_profile *p,
				  enum bl_subject subject, const char *name);

/* What a built-in profile says, whatever a file adds to it. */
struct bl_ruling bl_profile_judge_base(enum bl_profile_base base,
				       enum bl_subject subject,
				       const char *name);

/* The worst that it says of any name that begins with @prefix. */
enum bl_verdict bl_profile_worst(const struct bl_profile *p,
				 enum bl_subject subject, const char *prefix);

/* '*' and '?' only; linear but for the last '*'. */
bool bl_profile_match(const char *pattern, const char *name);

#endif
