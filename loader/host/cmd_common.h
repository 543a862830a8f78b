/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs of this folder share: options, the host, JSON, printing. */
#ifndef BL_HOST_CMD_COMMON_H
#define BL_HOST_CMD_COMMON_H

#include <jansson.h>
#include <stdbool.h>

#include "loader/host/host.h"
#include "loader/host/trial/command.h"
#include "loader/host/words.h"
#include "loader/oci/source.h"

struct bl_host_args {
	const char *state_dir, *pin_dir, *module_dir;
	const char *trust_dir; /* NULL: not given */
	const char *reason;    /* --override, --reason */
	const char *operand;   /* "" if none was given */
	uint64_t probation_ms; /* 0: not given */
	enum bl_confirm confirm;
	uint64_t within_ms; /* 0: not given */
	uint64_t txn;	    /* 0: not given */
	const char *probes[BL_COMMANDS_MAX];
	size_t probe_count;
	uint64_t probe_timeout_ms; /* 0: not given */
	enum bl_watchdog_mode watchdog;
	uint64_t watchdog_ms; /* 0: not given */
	uint64_t count;	      /* --count, --limit; 0: not given */
	uint64_t seconds_ms;  /* --seconds; 0: not given */
	struct bl_source_options source;
	bool json, help, yes;
};

/* Which options a verb takes beside --json, --state-dir, --pin-dir,
 * --module-dir, --help. */
enum {
	BL_TAKES_OPERAND = 1,
	BL_TAKES_PROBATION = 2,
	BL_TAKES_OVERRIDE = 4,
	BL_TAKES_REASON = 8,
	BL_TAKES_COUNT = 16,
	BL_TAKES_SECONDS = 32,
	BL_TAKES_LIMIT = 64,
	BL_TAKES_CONFIRM = 128, /* --confirm, --within */
	BL_TAKES_TXN = 256,
	BL_TAKES_PROBES = 512,	  /* --probe, --probe-timeout */
	BL_TAKES_WATCHDOG = 1024, /* --watchdog, --watchdog-timeout */
	BL_TAKES_YES = 2048,
	BL_TAKES_TRUST = 4096,
	BL_TAKES_SOURCE = 8192, /* of loader/oci/cmd_source.h */
};

#define BL_HOST_USAGE_COMMON                                                        \
	"      --json             print the result as JSON\n"                       \
	"      --state-dir DIR    journal and bundles (default: " BL_HOST_STATE_DIR \
	")\n"                                                                       \
	"      --pin-dir DIR      pins, on a BPF file system\n"                     \
	"                         (default: " BL_HOST_PIN_DIR ")\n"                 \
	"      --module-dir DIR   kernel modules in use, on a tmpfs\n"              \
	"                         (default: " BL_HOST_MODULE_DIR ")\n"

/* 0, or BL_EXIT_USAGE with the error set. With ret->help only that counts. */
int bl_host_args(const char *verb, unsigned takes, int argc, char **argv,
		 struct bl_host_args *ret, struct bl_err *err);

int bl_host_args_open(const struct bl_host_args *args, struct bl_host **ret,
		      struct bl_err *err);

/* Prints @v as one document, or as one line, and drops it. An exit code. */
int bl_host_print_json(json_t *v, struct bl_err *err);

json_t *bl_host_sample_json(const struct bl_kern_sample *s);

/* {"name": "kept"} of "name:kept". */
json_t *bl_host_maps_json(const char *maps);

/* null for none. */
json_t *bl_host_generation_json(const struct bl_host_generation *g);

const char *bl_outcome_name(enum bl_apply_outcome outcome);
const char *bl_refusal_name(enum bl_refusal refusal);
const char *bl_recover_name(enum bl_recover_outcome outcome);

#endif
