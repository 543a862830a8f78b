/* SPDX-License-Identifier: Apache-2.0 */
/* Definitions of maps that are accepted have names of their own and types that
 * are there; they can be asked for their memory, and each is the same as
 * itself. The bytes are BTF, or a length and two of them: two versions. */
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/gate/maps/abi.h"
#include "loader/gate/maps/maps.h"
#include "loader/object/carry.h"
#include "tests/fuzz/fuzz.h"

unsigned fuzz_accepted;

/* An object of a stranger, as far as its maps go. */
struct input {
	struct bl_object_section sections[6];
	struct bl_object object;
};

static void make(struct input *in, const uint8_t *data, size_t size)
{
	static const unsigned char room[64];
	static const char *const names[] = { ".maps", ".bss", ".data.x",
					     ".struct_ops" };
	static const uint32_t types[] = { 1, 8, 1, 1 }; /* PROGBITS, NOBITS */
	size_t i;

	*in = (struct input){ .object = { .sections = in->sections,
					  .section_count = 6 } };
	in->sections[0].name = "";
	for (i = 0; i < 4; i++)
		in->sections[i + 1] = (struct bl_object_section){
			.name = names[i],
			.data = types[i] == 1 ? room : NULL,
			.size = sizeof(room),
			.type = types[i],
		};
	in->sections[5] = (struct bl_object_section){
		.name = ".BTF", .data = data, .size = size, .type = 1
	};
}

static void check_def(const struct bl_map_list *l, const struct bl_map_def *d)
{
	FUZZ_CHECK(*d->name && *d->section);
	FUZZ_CHECK(d->type != 0);
	FUZZ_CHECK(d->key_type < l->btf.count || !d->key_type);
	FUZZ_CHECK(d->value_type < l->btf.count || !d->value_type);
	FUZZ_CHECK(!d->sized_by_loader || !d->max_entries);
	FUZZ_CHECK(!d->inner || !d->inner->inner);
	FUZZ_CHECK(bl_map_bytes(d, 1) <= bl_map_bytes(d, 8192));
	FUZZ_CHECK(d->implicit || bl_map_list_find(l, d->name) == d);
}

static void check_memory(const struct bl_object *o)
{
	struct bl_maps_limits limits = BL_MAPS_LIMITS;
	bl_autoreport struct bl_report report = { 0 };

	FUZZ_CHECK(bl_report_init(&report, "in", "object") == 0);
	FUZZ_CHECK(bl_maps_check(o, &limits, &report) == 0);
	FUZZ_CHECK(report.count > 0);
}

/* Whether no finding rejects. */
static bool check_abi(const struct bl_object *now, const struct bl_object *prev)
{
	bl_autoreport struct bl_report report = { 0 };
	bool good = true;
	size_t i;

	FUZZ_CHECK(bl_report_init(&report, "in", "object") == 0);
	FUZZ_CHECK(bl_abi_check(now, prev, NULL, &report) == 0);
	FUZZ_CHECK(report.count > 0);
	for (i = 0; i < report.count; i++)
		good = good && report.findings[i].verdict != BL_VERDICT_REJECT;
	return good;
}

/* Any two versions have an answer, and no way back is refused. */
static void check_carry(const struct bl_object *live,
			const struct bl_object *now, bool back)
{
	bl_automaps struct bl_map_list a = { 0 };
	bl_automaps struct bl_map_list b = { 0 };
	BL_CLEANUP(bl_carry_free) struct bl_carry carry = { 0 };
	struct bl_carry_ask ask = { .live = &a, .now = &b, .back = back };
	size_t more = 0;

	if (bl_map_list_read(live, &a, NULL) || bl_map_list_read(now, &b, NULL))
		return;
	FUZZ_CHECK(bl_carry_decide(&ask, &carry, NULL) == 0);
	FUZZ_CHECK(carry.count <= b.count);
	FUZZ_CHECK(!back || !bl_carry_refused(&carry, &more));
}

static void run(const struct bl_object *o)
{
	bl_automaps struct bl_map_list list = { 0 };
	struct bl_err err = { 0 };
	int r = bl_map_list_read(o, &list, &err);
	size_t i;

	FUZZ_CHECK_ERR(r, &err);
	FUZZ_CHECK(r == 0 || !list.defs);
	check_memory(o);
	if (r)
		return;
	fuzz_accepted++;
	FUZZ_CHECK(list.count <= BL_MAPS_MAX);
	for (i = 0; i < list.count; i++)
		check_def(&list, &list.defs[i]);
	FUZZ_CHECK(check_abi(o, o));
	check_carry(o, o, false);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input one, two;
	size_t len;

	if (size < 2 || (data[0] == 0x9f && data[1] == 0xeb)) {
		make(&one, data, size);
		run(&one.object);
		return 0;
	}
	len = data[0] | (size_t)data[1] << 8;
	if (len > size - 2)
		len = size - 2;
	make(&one, data + 2, len);
	make(&two, data + 2 + len, size - 2 - len);
	run(&one.object);
	run(&two.object);
	check_abi(&one.object, &two.object);
	check_abi(&two.object, &one.object);
	check_carry(&one.object, &two.object, false);
	check_carry(&two.object, &one.object, true);
	return 0;
}
