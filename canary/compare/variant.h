/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is given to hosts: a version of either twin, made of what was built
 * beforehand (scripts/compare-all) in one folder:
 *
 *	DIR/ebpf/NAME.bpf.o			the eBPF sensor and its faults
 *	DIR/RELEASE/NAME/belay_sensor.ko	the module and its, for a kernel
 *	DIR/content/NAME.json			content; sensor.json is the twin's own
 *
 *	BL_CLEANUP(bl_variant_free) struct bl_variant v = { 0 };
 *	r = bl_variant_make(&spec, &v, err);
 *
 * For way A it is v.ko and v.bin, for B and C the bundle in v.path.
 */
#ifndef BL_CANARY_COMPARE_VARIANT_H
#define BL_CANARY_COMPARE_VARIANT_H

#include "canary/compare/catalog.h"
#include "loader/base/buf.h"
#include "loader/bundle/digest.h"

#define BL_VARIANT_NAME "belay-sensor" /* of the sensor, in every manifest */

struct bl_variant_spec {
	const char *dir;     /* of what was built */
	const char *work;    /* a folder for its files; is made */
	const char *release; /* the kernel's */
	enum bl_compare_way way;
	const char *version; /* what people see: "2-null-dereference" */
	const char *variant, *content; /* of struct bl_fault_twin */
	enum bl_fault_inject inject;   /* TRUNCATED, FLIPPED: damaged */
};

struct bl_variant {
	char *ko, *bin, *path;
	char version[BL_COMPARE_NAME_MAX];
	struct bl_buf raw;	    /* the bundle's bytes */
	char digest[BL_DIGEST_HEX]; /* of all that a host gets */
};

void bl_variant_free(struct bl_variant *v);

/* -ENOENT names what was not built; else as bl_bundle_build. */
int bl_variant_make(const struct bl_variant_spec *spec, struct bl_variant *ret,
		    struct bl_err *err);

/* Damage that is the same every time: cut at three fifths; or one bit of the
 * byte in the middle of the ELF section .text (of the file, if it has none).
 * Pure. */
void bl_variant_damage(struct bl_buf *data, enum bl_fault_inject how);

#endif
