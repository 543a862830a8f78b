/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A feed of MISP (github.com/MISP/misp-rfc, core format and its feeds): a
 * manifest.json that lists events, and a UUID.json for each of them.
 *
 *	r = bl_misp_manifest_read("manifest.json", text, len, sha256, &m, err);
 *	for (i = 0; !r && i < m.count; i++)
 *		r = bl_misp_event_read(name, text, len, &m.events[i], &set, err);
 *
 * What the digest of the manifest, which the caller has by a way of his own,
 * vouches for: which events there are and how fresh each one is. An event that
 * is another one, or of another time than the manifest says, is refused, and
 * the import with it. The format has no digest of events: their bytes are as
 * good as the way by which they came (HTTPS, a folder), and what was imported
 * is to be looked at, and signed, like any content.
 *
 * Strict JSON as in loader/base/json.h, but keys of MISP that nobody here knows
 * are passed over: each release of it has more of them. Pure, no I/O.
 */
#ifndef BL_IMPORT_MISP_H
#define BL_IMPORT_MISP_H

#include <stddef.h>
#include <stdint.h>

#include "loader/base/err.h"
#include "loader/import/iocs.h"

#define BL_MISP_MANIFEST_MAX (16U << 20)  /* bytes */
#define BL_MISP_EVENT_MAX    (32U << 20)  /* bytes of one event */
#define BL_MISP_BYTES_MAX    (4ULL << 30) /* of all events */
#define BL_MISP_EVENTS_MAX   65536U
#define BL_MISP_UUID	     37 /* with its NUL */

struct bl_misp_event {
	char uuid[BL_MISP_UUID]; /* [0-9a-f-]: safe as a file's name */
	int64_t timestamp;	 /* seconds since 1970 */
};

struct bl_misp_manifest {
	struct bl_misp_event *events; /* the newest first, then by UUID */
	size_t count;
};

#define bl_automisp __attribute__((cleanup(bl_misp_manifest_free)))
void bl_misp_manifest_free(struct bl_misp_manifest *m);

/*
 * -EBADMSG: its SHA-256 is not @sha256 (nothing of it is looked at then), or it
 * is no manifest; -E2BIG: more than BL_MISP_EVENTS_MAX events; -EIO, -ENOMEM.
 */
int bl_misp_manifest_read(const char *name, const char *text, size_t len,
			  const char *sha256, struct bl_misp_manifest *ret,
			  struct bl_err *err);

/* Gives every attribute of an event, and of its objects, to @set. -EBADMSG: no
 * event, or not the one that the manifest means; or as bl_iocs_add. */
int bl_misp_event_read(const char *name, const char *text, size_t len,
		       const struct bl_misp_event *said, struct bl_iocs *set,
		       struct bl_err *err);

#endif
