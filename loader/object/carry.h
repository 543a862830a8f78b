/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is carried over from the maps of one version to those of the next.
 * Decides, and does nothing: the host acts on it, the gate foretells it, and
 * both ask here, so that they cannot disagree.
 *
 *	struct bl_carry_ask ask = { .live = &old, .now = &new,
 *				    .facts = facts, .rules = &manifest.state };
 *	BL_CLEANUP(bl_carry_free) struct bl_carry carry = { 0 };
 *
 *	r = bl_carry_decide(&ask, &carry, err);
 *	refused = bl_carry_refused(&carry, &more);
 *
 * By the nature of a map, what happens to it without a word, and what a word
 * may ask for:
 *
 *	state that can be listed	kept	    keep, migrate, reset
 *	  hash, lru_hash, their per-CPU forms, array, percpu_array, lpm_trie
 *	state that cannot		kept	    keep, reset
 *	  sk_, inode_, task_ and cgrp_storage, queue, stack, bloom_filter,
 *	  sockmap, sockhash
 *	filled from outside		reset	    keep, reset
 *	  devmap, devmap_hash, cpumap, xskmap, cgroup_array,
 *	  reuseport_sockarray, stack_trace
 *	the version's own		reset	    reset
 *	  ring buffers, perf event and prog arrays, maps of maps, struct_ops,
 *	  what programs can only read (BPF_F_RDONLY_PROG), global variables
 *	  (.data, .bss, .rodata, .kconfig), and all named bl_…, which are
 *	  belay's: content is never shared (I4)
 *
 *	keep	 one kernel map for both versions, from the load of the new one
 *		 on. What the new one writes on trial stays if it goes back.
 *		 Only if the judge (mapdiff.h) finds the old entries valid, and
 *		 sizes, flags and entries are equal.
 *	migrate	 the new version has a map of its own, and the entries of the
 *		 old one are copied into it just before it is attached: what
 *		 the old one writes after that is not in it. Values may have
 *		 grown at their end (zeros), and the map may have more entries.
 *		 Going back finds the old map as it was left.
 *	reset	 it begins empty.
 *
 * What was kept by default and cannot be any more is refused: nobody loses
 * state, or has it read as something else, without having said so. Also when
 * the kernel's map is not what the live version defines, or was not readable.
 *
 * Two sensors that happen to have a map of one name mean different things by
 * it: between manifests with different names nothing is carried over, and
 * nothing is refused.
 *
 * A word counts wherever the object changes. Where it does not (new content, a
 * restore) nothing about the maps does, and they are kept as without a word.
 *
 * On the way back (a rollback, a restore) nothing is refused: what would be,
 * begins empty, and the text says so. The words of the version that is left
 * count, since they told the two apart: what it reset is reset again, and what
 * it migrated is kept where it can be, or migrated, or begins empty.
 */
#ifndef BL_OBJECT_CARRY_H
#define BL_OBJECT_CARRY_H

#include "loader/base/buf.h"
#include "loader/object/mapdef.h"

#define BL_CARRY_RULES_MAX 64
#define BL_CARRY_NAME_MAX  63 /* bytes of a map's name in a manifest */

/* What the manifest says about a map. */
enum bl_carry_word {
	BL_CARRY_UNSAID,
	BL_CARRY_KEEP,
	BL_CARRY_RESET,
	BL_CARRY_MIGRATE,
};

struct bl_carry_rule {
	char map[BL_CARRY_NAME_MAX + 1];
	enum bl_carry_word word;
};

struct bl_carry_rules {
	struct bl_carry_rule rules[BL_CARRY_RULES_MAX];
	size_t count;
};

/* "keep", "reset", "migrate"; the other way round -ENOENT for another word. */
const char *bl_carry_word_name(enum bl_carry_word word);
int bl_carry_word_find(const char *name, enum bl_carry_word *ret);

/* What @rules (NULL: none) say about that map. */
enum bl_carry_word bl_carry_word_of(const struct bl_carry_rules *rules,
				    const char *name);

/* Letters, digits, _ and ., as the kernel has it; not too long, not "". */
bool bl_carry_name_valid(const char *name);

/* Whether every rule is about a map that is there and asks what can be done
 * with it. -EBADMSG with the map's name and the reason; -ENOMEM. */
int bl_carry_check(const struct bl_map_list *maps,
		   const struct bl_carry_rules *rules, struct bl_err *err);

/* What the kernel shows of a map of the live version. */
struct bl_map_fact {
	enum {
		BL_MAP_UNREADABLE,
		BL_MAP_GONE,
		BL_MAP_THERE,
	} state;
	uint32_t type, key_size, value_size;
};

enum bl_carry_way {
	BL_CARRY_FRESH, /* empty, and there was one of that name */
	BL_CARRY_SHARE, /* the kernel's map is one for both versions */
	BL_CARRY_COPY,	/* a map of its own, with the entries of the old one */
	BL_CARRY_REFUSE,
};

struct bl_carry_map {
	char *name;
	enum bl_carry_way way;
	char *why;  /* what differs, or why it begins empty; "" */
	char *hint; /* what to write, if refused; "" */
};

/* Maps that both versions have and that hold state, in the new one's order.
 * Any other map begins empty as a matter of course and is not in here. */
struct bl_carry {
	struct bl_carry_map *maps;
	size_t count;
	bool back; /* the way back: what fails begins empty */
};

struct bl_carry_ask {
	const struct bl_map_list *live, *now;
	const struct bl_map_fact *facts; /* of live->defs, in their order; NULL:
					    no kernel was asked */
	/* Of the version that is applied; on the way back, of the one that is
	 * left. NULL: none. */
	const struct bl_carry_rules *rules;
	bool same_object;  /* byte for byte: no word counts */
	bool other_sensor; /* by their manifests' names */
	bool back;
};

void bl_carry_free(struct bl_carry *c);

/* Whether something could be carried over from a map that is defined so. */
bool bl_carry_is_state(const struct bl_map_def *d);

/* 0 or -ENOMEM. *ret is to be freed, and untouched on failure. */
int bl_carry_decide(const struct bl_carry_ask *ask, struct bl_carry *ret,
		    struct bl_err *err);

/* The first map that is refused, and how many there are besides; NULL: none. */
const struct bl_carry_map *bl_carry_refused(const struct bl_carry *c,
					    size_t *ret_more);

/* "kept", "migrated", "reset", "refused" */
const char *bl_carry_way_name(enum bl_carry_way way);

/* "counts:kept peers:migrated", as the journal has it. 0 or -ENOMEM. */
int bl_carry_text(const struct bl_carry *c, struct bl_buf *ret);

#endif
