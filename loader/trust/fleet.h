/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who runs which target: what an online key may say, and no more.
 *
 * A file for all hosts, by patterns: `belay trust assign` writes it, any TUF
 * client reads it, and what is signed is asked for A1. A controller, which decides
 * poll by poll, signs orders with the same key instead (order.h), and agents obey
 * these alone. A2 and A3 hold for who calls bl_fleet_find, as `belay trust status
 * --host` does.
 *
 * The release role ("targets") signs bundles offline and delegates the paths
 * "fleet/" + one component to the role "fleet". Its metadata lists for every
 * bundle that somebody shall run
 *
 *	"fleet/sensor-2.bundle": { "length": …, "hashes": { "sha256": … },
 *		"custom": { "belay": { "hosts": [ "web-1", "db-*" ] } } }
 *
 * with the length and hash that the release role lists for "sensor-2.bundle".
 * Any TUF client reads this, and none is led to another file by it: the role
 * may not speak of bundles by their own names. The release role gives each
 * target a serial number, which grows:
 *
 *	"sensor-2.bundle": { …, "custom": { "belay": { "serial": 7 } } }
 *
 * Invariants, for whoever has the fleet role's key:
 *  A1 Nothing is assigned that the release role does not list right now, with
 *     equal length and hash. One such entry spoils the whole file.
 *  A2 A host is never moved below the serial that it committed.
 *  A3 A host that two bundles are assigned to runs neither.
 */
#ifndef BL_TRUST_FLEET_H
#define BL_TRUST_FLEET_H

#include "loader/trust/metadata.h"

#define BL_FLEET_ROLE	   "fleet"
#define BL_FLEET_PREFIX	   "fleet/"
#define BL_FLEET_HOSTS_MAX 100000 /* names and patterns of one target */

/* The serial number of a target of the release role; 0: it has none. */
int64_t bl_fleet_serial(const struct bl_meta_target *target);

/* A1 of the whole file: whether any host can be told anything by it. Pure.
 * BL_TRUST_ASSIGNED. */
int bl_fleet_check(const struct bl_meta *release, const struct bl_meta *fleet,
		   struct bl_err *err);

/*
 * The bundle that @host shall run, as the release role lists it. Pure; both
 * were verified by the caller (tuf.h). @floor: the serial that the host
 * committed, 0 for none.
 *
 * -ENOENT: none is assigned to it; BL_TRUST_ASSIGNED: A1 or A3;
 * BL_TRUST_ROLLBACK: A2; BL_TRUST_MALFORMED.
 */
int bl_fleet_find(const struct bl_meta *release, const struct bl_meta *fleet,
		  const char *host, int64_t floor, struct bl_meta_target *ret,
		  struct bl_err *err);

#endif
