/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Check "map": how much kernel memory an object's maps take, each and in all,
 * by the number of CPUs. Read from the definitions alone; no kernel is asked.
 *
 *	struct bl_maps_limits limits = BL_MAPS_LIMITS;
 *	r = bl_maps_check(&object, &limits, report);
 *
 * The estimate is of a full map, on x86-64. By type, with n entries, r8() for
 * "rounded up to 8 bytes", and 512 bytes for the map itself:
 *
 *	array                     n × r8(value); whole pages if MMAPABLE
 *	percpu_array              n × (8 + r8(value) × CPUs)
 *	prog_array, cgroup_array, devmap, sockmap, xskmap, cpumap,
 *	array_of_maps, reuseport… n × 8: what they point to is not theirs
 *	perf_event_array          the same, n = CPUs if it is 0
 *	hash, lru_hash            (n + CPUs) × (48 + r8(key) + r8(value)), and
 *	                          16 for each bucket: n, up to a power of two
 *	percpu_hash, lru_percpu…  n × (48 + r8(key) + 8 + r8(value) × CPUs),
 *	                          and the buckets
 *	the same, NO_PREALLOC     each entry in the slab that it fits
 *	hash_of_maps              a hash with values of 8 bytes
 *	lpm_trie                  2 n nodes in the slab for 40 + key + value:
 *	                          every second one only a fork in the tree
 *	queue, stack              (n + 1) × value
 *	stack_trace               n × (16 + value), and 8 for each bucket
 *	bloom_filter              n × hashes × 7/5 bits, up to a power of two
 *	ringbuf, user_ringbuf     n, 3 pages, and 8 bytes for each page twice
 *	sockhash, devmap_hash     16 or 8 for each bucket, and n entries
 *	arena                     n pages
 *	struct_ops                two values, two pages of code
 *	…_storage                 a table of buckets; what they hold grows with
 *	                          the number of sockets, tasks, inodes or
 *	                          cgroups, and is said, not counted
 *
 * Not counted either: the maps that a map of maps gets later, the buffers that
 * readers of a perf_event_array bring along, and two values more for each entry
 * of a per-CPU map, whatever the number of CPUs, where the kernel accounts to
 * cgroups. tests/lab/test_maps.sh makes one map of each type on every kernel of
 * the lab: what is charged is within 2 % of the estimate wherever a kernel
 * charges all that it takes (before 5.11 and since 6.4).
 *
 * What is found:
 *
 *	in all more than max_bytes on so many CPUs    reject
 *	in all more than warn_bytes                   warn
 *	a map that its loader sizes                   warn: not in the sum
 *	a type that is not known here                 undecided
 *	definitions that cannot be read               undecided
 *	a "maps" section, which libbpf 1.0 refuses    reject
 *	anything else                                 pass
 *
 * Sums and products saturate: what overflows is beyond any limit.
 */
#ifndef BL_GATE_MAPS_H
#define BL_GATE_MAPS_H

#include "loader/gate/finding.h"
#include "loader/object/mapdef.h"

#define BL_MAPS_CPUS	   64u
#define BL_MAPS_CPUS_MAX   8192u /* CONFIG_NR_CPUS of x86-64 */
#define BL_MAPS_WARN_BYTES (UINT64_C(64) << 20)
#define BL_MAPS_MAX_BYTES  (UINT64_C(1) << 30)

struct bl_maps_limits {
	unsigned cpus; /* of the largest host; 0: the default */
	uint64_t warn_bytes, max_bytes;
};

#define BL_MAPS_LIMITS                                              \
	((struct bl_maps_limits){ BL_MAPS_CPUS, BL_MAPS_WARN_BYTES, \
				  BL_MAPS_MAX_BYTES })

/* Adds at least one finding to *report. 0 or as bl_report_add. */
int bl_maps_check(const struct bl_object *o,
		  const struct bl_maps_limits *limits,
		  struct bl_report *report);

/* The estimate by the table above; UINT64_MAX for what overflows. A type that
 * is not known, and a map without entries, take nothing. */
uint64_t bl_map_bytes(const struct bl_map_def *d, unsigned cpus);

#define BL_MAPS_SIZE_LEN 24

/* "640 B", "1.5 KiB", "12 MiB", "over 16 EiB" for UINT64_MAX. Returns @ret. */
const char *bl_maps_size(uint64_t bytes, char ret[static BL_MAPS_SIZE_LEN]);

#endif
