/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The catalogue of lab kernels: what scripts/kernels put into the cache.
 *
 *	CACHE/kernels/RELEASE/vmlinuz       the image
 *	                      modules/      lib/modules/RELEASE, after depmod
 *	                      config        the kernel's build configuration
 *	                      kernel.json   the entry; written last
 *	                      headers/      to build modules against (some)
 *
 * Usage: load, select by what the person wrote, boot (vm.h), free. A kernel
 * that cannot boot is in the catalogue with ready == false and why.
 *
 * Invariants: kernels are sorted by version, oldest first, and no release is
 * there twice. Everything in struct bl_kernel belongs to its catalogue.
 */
#ifndef BL_LAB_CATALOG_H
#define BL_LAB_CATALOG_H

#include <stdbool.h>
#include <stddef.h>

#include "loader/base/err.h"

#define BL_CATALOG_MAX 256 /* kernels */

struct bl_kernel {
	char *release;	   /* "6.1.0-37-cloud-amd64", as uname -r says */
	char *suite;	   /* where it came from: "bookworm-security" */
	char *package;	   /* "linux-image-… (= version)" */
	char *dir;	   /* folder of this kernel in the cache */
	char *image;	   /* path of vmlinuz */
	char *modules_dir; /* the lib/modules/RELEASE folder, NULL if none */
	char *headers_dir; /* for make -C, NULL if none */
	bool btf, modules; /* has BTF; can load modules and has some */
	bool ready;	   /* can be booted */
	char *why;	   /* why not; NULL when ready */
};

struct bl_catalog {
	struct bl_kernel *kernels;
	size_t count;
};

#define bl_autocatalog __attribute__((cleanup(bl_catalog_free)))
void bl_catalog_free(struct bl_catalog *c);

/*
 * Reads the catalogue from bl_path_cache(). -ENOENT when there is none yet or
 * no kernel in it, with the hint to run scripts/kernels. A folder whose entry
 * cannot be read is listed as not ready.
 */
int bl_catalog_load(struct bl_catalog *ret, struct bl_err *err);

/* As bl_catalog_load, from the folder @root (…/kernels). */
int bl_catalog_load_from(const char *root, struct bl_catalog *ret,
			 struct bl_err *err);

/*
 * Picks kernels. Each of the @count @specs is a release, or leading components
 * of one ("6.1" is 6.1.x and never 6.12; "7" is every 7.x), or "all". The
 * result is in catalogue order, each kernel once. It may hold kernels that are
 * not ready when a spec names them; "all" picks only ready ones. The caller
 * frees *ret (not what it points to). -ENOENT names the spec that matches
 * nothing and the kernels there are.
 */
int bl_catalog_select(const struct bl_catalog *c, const char *const *specs,
		      size_t count, const struct bl_kernel ***ret,
		      size_t *ret_count, struct bl_err *err);

/*
 * Picks one kernel that is ready: the newest that @spec matches. -ENOENT as
 * above, -ENODEV (says why, and to run scripts/kernels) when none is ready.
 */
int bl_catalog_pick(const struct bl_catalog *c, const char *spec,
		    const struct bl_kernel **ret, struct bl_err *err);

/* Order of releases: by number where both have digits, else by byte. */
int bl_release_compare(const char *a, const char *b);

/* Whether @spec (not "all") names @release, as in bl_catalog_select. */
bool bl_release_matches(const char *release, const char *spec);

#endif
