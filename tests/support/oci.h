/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Archives of OCI layouts as an attacker writes them, member by member, around
 * a right bundle; and the rows of the attack table (test_oci_attacks.c,
 * test_oci_texts.c). Everything asserts that it worked. One kit in a test.
 */
#ifndef BL_TESTS_OCI_H
#define BL_TESTS_OCI_H

#include "loader/oci/layout.h"

extern struct oci_kit {
	char *dir;
	struct bl_bundle good;
	struct bl_buf manifest; /* of good, as it is written */
	struct bl_buf tar;	/* what the row makes */
} oci_kit;

/* Fixtures of a test case. */
void oci_setup(void);
void oci_teardown(void);

struct oci_attack {
	const char *name;
	void (*attack)(void); /* writes oci_kit.tar */
	int code;	      /* that opening it ends with */
	const char *words;    /* that the error has */
};
#define OCI_ROW(what, code, words)       \
	{                                \
#what, what, code, words \
	}

/* Whatever it is, no other bundle than the right one comes out, and nothing is
 * written. */
void oci_try(const struct oci_attack *row);

/* Members. A blob is called by its digest. */
void oci_add(const char *name, const void *data, size_t len);
void oci_add_text(const char *name, const char *text);
void oci_add_kind(const char *name, char type, const char *link);
void oci_add_blob(const void *data, size_t len);
void oci_add_marker(void);
void oci_add_index(const char *of);
void oci_add_config(void);
void oci_add_layer(void);
void oci_then_end(void);

/* The index of a manifest that claims @size. Caller frees. */
char *oci_index_of(const char *text, size_t size);

/* All of it around this manifest, and this index. */
void oci_wrap(const char *index, const char *text);
void oci_wrap_manifest(const char *text);

/* @text with the first @from replaced. Caller frees. */
char *oci_with(const char *text, const char *from, const char *to);

/* All of it with that in the manifest, or in the index. */
void oci_manifest_with(const char *from, const char *to);
void oci_index_with(const char *from, const char *to);

#endif
