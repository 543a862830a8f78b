/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What makes an object belay's sensor (bpf/sensor.bpf.c), and how it gets its
 * generation and its content. For loader/kern only.
 *
 *	open → bl_sensor_prepare → load → bl_sensor_fill → attach
 */
#ifndef BL_KERN_SENSOR_H
#define BL_KERN_SENSOR_H

#include <bpf/libbpf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/event.h"
#include "loader/base/err.h"

#define BL_MAP_HDR    "bl_content_hdr"
#define BL_MAP_SLOTS  "bl_content_slots"
#define BL_MAP_EVENTS "bl_events"
#define BL_MAP_STATS  "bl_stats"

/* Whether it has all of belay's maps. */
bool bl_sensor_is(const struct bpf_object *object);

/* Whether content (binary form; NULL: none) could have a sensor report this
 * kind at all. */
bool bl_sensor_wants(const void *content, unsigned kind);

/* Whether content (as above) has rules for digests of programs. */
bool bl_sensor_sums(const void *content);

/* Whether a program of this name sees what is asked of DNS; is there for
 * digests. */
bool bl_sensor_is_dns(const char *program);
bool bl_sensor_is_sum(const char *program);
/* Whether a program of this name hashes files, so that how long it runs says
 * nothing: in a belay sensor alone, and if it may sleep, which hashing takes.
 * All others with the name are measured. */
bool bl_sensor_is_fill(const char *program, bool sensor, bool sleeps);

/*
 * Before the load: the number that every event carries, and room for the
 * @len bytes of @content (binary form), NULL: none yet. @name is for messages.
 * -EBADMSG when the content is cut off.
 */
int bl_sensor_prepare(struct bpf_object *object, const char *name,
		      uint32_t generation, const void *content, size_t len,
		      struct bl_err *err);

/*
 * After the load: gives it the content that it was prepared for. The header
 * goes last: as long as it is empty the sensor says nothing. -EBADMSG when the
 * values of its maps have another size than those of this belay's contract.
 */
int bl_sensor_fill(const struct bpf_object *object, const void *content,
		   struct bl_err *err);

/*
 * After the load, at any time: from here on it reports every operation of
 * @kinds (1 << kind), none of the others, and denies nothing, whatever its
 * content was. -EBADMSG as above.
 */
int bl_sensor_report(const struct bpf_object *object, unsigned kinds,
		     struct bl_err *err);

/* The sum over all CPUs of the counters in the map BL_MAP_STATS at @fd. */
int bl_sensor_stats(int fd, struct bl_stats *ret, struct bl_err *err);

#endif
