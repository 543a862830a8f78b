/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The metrics of a host in a file, for the textfile collector of node_exporter.
 * An agent may do anything on its host; it listens to nobody for that.
 *
 * A thread of its own, with a handle of its own on the host, writes it every
 * BL_METRICS_FILE_MS: beside the file, then over its name, so that a reader sees
 * all of one or all of the other. It is not synced: what it says is old after a
 * power cut anyway. When the agent ends, the file goes; if it dies, the file
 * grows old, which node_textfile_mtime_seconds says.
 */
#ifndef BL_CANARY_METRICS_FILE_H
#define BL_CANARY_METRICS_FILE_H

#include "canary/agent/metrics.h"

#define BL_METRICS_FILE_MS 10000

struct bl_metrics_file_opts {
	const char *path; /* ends in .prom: the collector reads no other */
	const struct bl_host_config *config;
	struct bl_agent_counts *counts; /* NULL: no fleet */
	/* Something worth a line in a log. Called by the thread. */
	void (*note)(void *ctx, const char *text);
	void *note_ctx;
};

/* Whether a file of that name is read by the collector. */
bool bl_metrics_file_named(const char *path);

struct bl_metrics_file;
/* Writes the file once, so that what is wrong is said now, and then goes on
 * alone. @opts is copied, what it points to is not. */
int bl_metrics_file_start(const struct bl_metrics_file_opts *opts,
			  struct bl_metrics_file **ret, struct bl_err *err);
/* Ends it; the file is gone. NULL is fine. */
void bl_metrics_file_stop(struct bl_metrics_file *m);
static inline void bl_metrics_file_stopp(struct bl_metrics_file **m)
{
	bl_metrics_file_stop(*m);
}

#endif
