/* SPDX-License-Identifier: GPL-2.0-only */
/* Types that two "kernels" lay out differently: core-old.bpf.o as the object
 * of core.bpf.c has them, core-new.bpf.o as the next release does. */
#ifndef CORE_TYPES_H
#define CORE_TYPES_H

#ifdef CORE_NEW
#define INTO_NEW(old, new) new
#else
#define INTO_NEW(old, new) old
#endif

struct bt_inner {
	INTO_NEW(, long added;)
	int deep;
	long row[4];
};

struct bt_thing {
	INTO_NEW(int state, int __state);
	INTO_NEW(unsigned int, unsigned long) widened;
	INTO_NEW(int, long) widened_signed;
	struct bt_inner inner;
	union {
		int in_union;
		long beside;
	};
	unsigned int three : 3;
	INTO_NEW(, unsigned int four : 4;)
	signed int seven : 7;
	INTO_NEW(int, struct bt_inner *) retyped;
	char name[INTO_NEW(16, 8)];
	INTO_NEW(, char padding[40000];)
	int moved_far;
};

INTO_NEW(struct bt_gone, struct bt_come)
{
	int x;
};

enum bt_mode {
	BT_OFF,
	INTO_NEW(BT_ON = 5, BT_ON = 7),
	INTO_NEW(BT_GONE, BT_COME) = 9,
};

typedef struct bt_thing bt_thing_t;

#endif
