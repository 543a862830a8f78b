/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who this host is may change while its agent runs: it is enrolled for the first
 * time, or again. A talker has the folder that was there when it began, and what
 * its user may read; so one is started that begins with what is there now.
 */
#include <string.h>
#include <sys/stat.h>

#include "canary/agent/daemon_state.h"
#include "canary/agent/parts.h"
#include "canary/wire/pki_dir.h"
#include "loader/base/cleanup.h"
#include "loader/base/file.h"

/* All zero where there is no such file. */
static struct daemon_identity look(const char *tls_dir)
{
	static const char *const names[BL_DAEMON_IDENTITY] = { "host.pem",
							       "host.key",
							       "ca.pem" };
	struct daemon_identity all;

	/* Compared as a whole. */
	memset(&all, 0, sizeof(all));
	for (int i = 0; i < BL_DAEMON_IDENTITY; i++) {
		bl_autofree char *path =
			bl_path("%s/%s", bl_pki_dir(tls_dir), names[i]);
		struct stat st;

		if (!path || stat(path, &st) < 0)
			continue;
		all.file[i].inode = st.st_ino;
		all.file[i].changed_s = st.st_mtim.tv_sec;
		all.file[i].changed_ns = st.st_mtim.tv_nsec;
	}
	return all;
}

void bl_daemon_identity_keep(struct daemon *d)
{
	struct daemon_identity now = look(d->opts->tls_dir);

	pthread_mutex_lock(&d->lock);
	d->identity = now;
	d->is_another = false;
	pthread_mutex_unlock(&d->lock);
}

void bl_daemon_identity_look(struct daemon *d)
{
	struct daemon_identity now = look(d->opts->tls_dir);
	bool another;

	pthread_mutex_lock(&d->lock);
	another = d->talker && memcmp(&now, &d->identity, sizeof(now)) != 0;
	d->is_another |= another;
	pthread_mutex_unlock(&d->lock);
	if (another)
		bl_daemon_wake(d);
}

bool bl_daemon_identity_is_another(struct daemon *d)
{
	struct bl_err e = { 0 };
	bool another;

	pthread_mutex_lock(&d->lock);
	another = d->is_another;
	d->is_another = false;
	pthread_mutex_unlock(&d->lock);
	if (!another)
		return false;
	bl_daemon_note(
		d,
		"this host has another certificate: a talker begins with it");
	/* 'belay host enroll' has let the usual user read it already. */
	if (d->opts->user.uid &&
	    bl_parts_share_key(d->opts->tls_dir, &d->opts->user, &e) < 0)
		bl_daemon_note(d, "%s%s%s", e.text, *e.hint ? "; " : "",
			       e.hint);
	return true;
}
