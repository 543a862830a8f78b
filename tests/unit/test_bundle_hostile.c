/* SPDX-License-Identifier: Apache-2.0 */
/* Bundles that a stranger sent. Each is refused with its reason, or is the
 * same bundle under another digest; nothing crashes, nothing grows. */
#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/base/json.h"
#include "loader/bundle/archive.h"
#include "loader/bundle/bundle.h"
#include "loader/bundle/content.h"
#include "tests/main.h"
#include "tests/support/hostile.h"

#define SAMPLES 200

static char *dir;
static struct bl_bundle good, out;
static struct bl_archive members; /* of good */
static struct bl_err err;

static void setup(void)
{
	bl_autofree char *path = NULL;

	dir = bl_test_tmpdir();
	hostile_write_inputs(dir);
	path = bl_path("%s/manifest.json", dir);
	ck_assert_int_eq(bl_bundle_build(path, &good, NULL), 0);
	ck_assert_int_eq(bl_archive_unpack("good", good.raw.data, good.raw.len,
					   &members, NULL),
			 0);
}

static void teardown(void)
{
	bl_archive_free(&members);
	bl_bundle_free(&good);
	bl_bundle_free(&out);
	ck_assert_int_eq(bl_file_rmtree(dir, NULL), 0);
	free(dir);
}

static int parse(const void *data, size_t len)
{
	int r;

	err = (struct bl_err){ 0 };
	bl_bundle_free(&out);
	r = bl_bundle_parse("evil", data, len, &out, &err);
	/* The contract of every refusal. */
	ck_assert_int_le(r, 0);
	ck_assert_int_eq(r < 0, err.text[0] != '\0');
	ck_assert_int_eq(r < 0, out.raw.data == NULL);
	return r;
}

static void assert_refused(const struct bl_buf *raw, int code, const char *why)
{
	ck_assert_int_eq(parse(bl_buf_str(raw), raw->len), code);
	ck_assert_msg(strstr(err.text, why), "\"%s\" lacks \"%s\"", err.text,
		      why);
}

/* Adds the good bundle's members from..to to a tar archive. */
static void add_good(struct bl_buf *tar, size_t from, size_t to)
{
	for (; from < to; from++) {
		const struct bl_member *m = &members.members[from];

		hostile_tar_add(tar,
				&(struct hostile_entry){ .name = m->name,
							 .data = m->data.data,
							 .len = m->data.len });
	}
}

static void refuse_tar(struct bl_buf *tar, const char *why)
{
	bl_autobuf struct bl_buf raw = { 0 };

	hostile_zstd(tar->data, tar->len, &raw);
	assert_refused(&raw, -EBADMSG, why);
}

static void assert_same(const struct bl_buf *a, const struct bl_buf *b)
{
	ck_assert_uint_eq(a->len, b->len);
	ck_assert_int_eq(memcmp(bl_buf_str(a), bl_buf_str(b), a->len), 0);
}

/* The tests below write archives by hand; this shows that what is refused
 * there is refused for its one fault and not for how it was written. */
START_TEST(a_right_archive_by_hand_is_accepted)
{
	bl_autobuf struct bl_buf tar = { 0 };
	bl_autobuf struct bl_buf raw = { 0 };

	add_good(&tar, 0, members.count);
	hostile_tar_end(&tar);
	hostile_zstd(tar.data, tar.len, &raw);
	ck_assert_int_eq(parse(raw.data, raw.len), 0);
	assert_same(&out.object, &good.object);
}
END_TEST

START_TEST(truncated_at_any_length)
{
	size_t step = good.raw.len / SAMPLES + 1, len;

	for (len = 0; len < good.raw.len; len += step)
		ck_assert_int_eq(parse(good.raw.data, len), -EBADMSG);
	for (len = good.raw.len - 16; len < good.raw.len; len++)
		ck_assert_int_eq(parse(good.raw.data, len), -EBADMSG);
	ck_assert_int_eq(parse(good.raw.data, good.raw.len), 0);
}
END_TEST

START_TEST(truncated_inside_the_archive)
{
	bl_autobuf struct bl_buf tar = { 0 };
	size_t len, step;

	add_good(&tar, 0, members.count);
	hostile_tar_end(&tar);
	step = tar.len / SAMPLES + 1;
	for (len = 0; len < tar.len; len += step) {
		bl_autobuf struct bl_buf raw = { 0 };

		hostile_zstd(tar.data, len, &raw);
		ck_assert_int_eq(parse(raw.data, raw.len), -EBADMSG);
	}
}
END_TEST

/* A flipped bit in the file may leave what it unpacks to (zstd has spare
 * bits), but then it is another digest and not another sensor. */
START_TEST(flipped_bits_of_the_file)
{
	size_t bits = good.raw.len * 8, step = bits / (4 * SAMPLES) | 1, bit;
	unsigned refused = 0, tried = 0;

	for (bit = 0; bit < bits; bit += step) {
		bl_autobuf struct bl_buf raw = { 0 };

		ck_assert_int_eq(bl_buf_add(&raw, good.raw.data, good.raw.len),
				 0);
		raw.data[bit / 8] ^= (char)(1 << bit % 8);
		tried++;
		if (parse(raw.data, raw.len) < 0) {
			refused++;
			continue;
		}
		ck_assert_str_ne(out.digest, good.digest);
		assert_same(&out.object, &good.object);
		assert_same(&out.content_bin, &good.content_bin);
	}
	ck_assert_uint_gt(refused, tried * 9 / 10);
}
END_TEST

START_TEST(flipped_bits_inside_the_archive)
{
	bl_autobuf struct bl_buf tar = { 0 };
	size_t bits, bit;

	add_good(&tar, 0, members.count);
	hostile_tar_end(&tar);
	bits = tar.len * 8;
	for (bit = 0; bit < bits; bit += bits / (2 * SAMPLES) | 1) {
		bl_autobuf struct bl_buf raw = { 0 };

		tar.data[bit / 8] ^= (char)(1 << bit % 8);
		hostile_zstd(tar.data, tar.len, &raw);
		tar.data[bit / 8] ^= (char)(1 << bit % 8);
		ck_assert_msg(parse(raw.data, raw.len) == -EBADMSG,
			      "bit %zu of byte %zu", bit % 8, bit / 8);
	}
}
END_TEST

static const struct {
	struct hostile_entry entry;
	const char *why;
} strangers[] = {
	{ { .name = "extra.txt", .data = "x", .len = 1 },
	  "member 'extra.txt' is unknown" },
	{ { .name = "sensor.bpf.o", .data = "x", .len = 1 },
	  "'sensor.bpf.o' is there twice" },
	{ { .name = "manifest.json", .data = "{}", .len = 2 },
	  "'manifest.json' is there twice" },
	{ { .name = "link", .type = '1', .link = "sensor.bpf.o" }, "a link" },
	{ { .name = "link", .type = '2', .link = "/etc/shadow" }, "a link" },
	{ { .name = "tty", .type = '3' }, "not a regular file" },
	{ { .name = "disk", .type = '4' }, "not a regular file" },
	{ { .name = "dir", .type = '5', .mode = 0755 }, "not a regular file" },
	{ { .name = "fifo", .type = '6' }, "not a regular file" },
	{ { .name = "/etc/cron.d/x", .data = "x", .len = 1 }, "never a path" },
	{ { .name = "../x", .data = "x", .len = 1 }, "never a path" },
	{ { .name = "..", .data = "x", .len = 1 }, "never a path" },
	{ { .name = "a/../../x", .data = "x", .len = 1 }, "never a path" },
	{ { .name = "a\\b", .data = "x", .len = 1 }, "never a path" },
	{ { .name = "", .data = "x", .len = 1 }, "never a path" },
	{ { .name = "huge", .data = "x", .len = 1, .claim = 077777777777 },
	  "claims 8589934591 bytes" },
	{ { .name = "over", .data = "x", .len = 1, .claim = 6000 }, "intact" },
	{ { .name = "suid", .mode = 04755 }, "mode, owner or time" },
	{ { .name = "owned", .uid = 1000 }, "mode, owner or time" },
	{ { .name = "dated", .mtime = 1721361540 }, "mode, owner or time" },
	{ { .name = "pax", .type = 'x', .data = "12 uid=1000\n", .len = 12 },
	  "" },
	{ { .name = "pax", .type = 'g', .data = "12 comment=\n", .len = 12 },
	  "" },
	{ { .name = "pax", .type = 'x', .data = "x", .claim = 077777777777 },
	  "intact" },
	{ { .name = "long", .type = 'L', .data = "../x", .len = 5 }, "" },
	{ { .name = "sparse", .type = 'S', .data = "x", .len = 1 }, "" },
};

START_TEST(a_strange_member_at_the_end)
{
	bl_autobuf struct bl_buf tar = { 0 };

	add_good(&tar, 0, members.count);
	hostile_tar_add(&tar, &strangers[_i].entry);
	hostile_tar_end(&tar);
	refuse_tar(&tar, strangers[_i].why);
}
END_TEST

START_TEST(a_strange_member_in_the_middle)
{
	bl_autobuf struct bl_buf tar = { 0 };

	add_good(&tar, 0, 2);
	hostile_tar_add(&tar, &strangers[_i].entry);
	add_good(&tar, 2, members.count);
	hostile_tar_end(&tar);
	refuse_tar(&tar, "");
}
END_TEST

START_TEST(more_members_than_any_bundle_has)
{
	bl_autobuf struct bl_buf tar = { 0 };
	char name[16];
	unsigned i;

	add_good(&tar, 0, members.count);
	for (i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "m%u", i);
		hostile_tar_add(&tar, &(struct hostile_entry){ .name = name });
	}
	hostile_tar_end(&tar);
	refuse_tar(&tar, "one more than a bundle has");
}
END_TEST

START_TEST(each_member_missing)
{
	size_t i;

	for (i = 0; i < members.count; i++) {
		bl_autobuf struct bl_buf tar = { 0 };

		add_good(&tar, 0, i);
		add_good(&tar, i + 1, members.count);
		hostile_tar_end(&tar);
		refuse_tar(&tar, members.members[i].name);
	}
}
END_TEST

START_TEST(members_in_another_order)
{
	bl_autobuf struct bl_buf tar = { 0 };

	add_good(&tar, 0, 1);
	add_good(&tar, 2, 3);
	add_good(&tar, 1, 2);
	add_good(&tar, 3, members.count);
	hostile_tar_end(&tar);
	refuse_tar(&tar, "member 2 is 'content.json'");
}
END_TEST

START_TEST(bytes_behind_the_end)
{
	bl_autobuf struct bl_buf tar = { 0 };

	add_good(&tar, 0, members.count);
	hostile_tar_end(&tar);
	ck_assert_int_eq(bl_buf_add(&tar, "hidden", 6), 0);
	refuse_tar(&tar, "belong to no member");
}
END_TEST

START_TEST(bytes_in_the_padding)
{
	bl_autobuf struct bl_buf tar = { 0 };

	add_good(&tar, 0, 1);
	tar.data[tar.len - 1] = 'h'; /* of the block after manifest.json */
	add_good(&tar, 1, members.count);
	hostile_tar_end(&tar);
	refuse_tar(&tar, "belong to no member");
}
END_TEST

START_TEST(compressed_twice)
{
	bl_autobuf struct bl_buf twice = { 0 };

	hostile_zstd(good.raw.data, good.raw.len, &twice);
	assert_refused(&twice, -EBADMSG, "evil");
}
END_TEST

START_TEST(a_bomb)
{
	bl_autobuf struct bl_buf bomb = { 0 };

	hostile_bomb((size_t)BL_BUNDLE_UNPACKED_MAX + 1, &bomb);
	ck_assert_uint_lt(bomb.len, 64 * 1024);
	assert_refused(&bomb, -EFBIG, "unpacks to more than the limit");
}
END_TEST

START_TEST(a_bomb_behind_a_right_archive)
{
	bl_autobuf struct bl_buf raw = { 0 };

	ck_assert_int_eq(bl_buf_add(&raw, good.raw.data, good.raw.len), 0);
	hostile_bomb((size_t)BL_BUNDLE_UNPACKED_MAX, &raw);
	assert_refused(&raw, -EFBIG, "unpacks to more than the limit");
}
END_TEST

START_TEST(a_file_beyond_the_limit)
{
	bl_autobuf struct bl_buf raw = { 0 };

	ck_assert_int_eq(bl_buf_reserve(&raw, BL_BUNDLE_MAX + 1), 0);
	memset(raw.data, 0, BL_BUNDLE_MAX + 1);
	memcpy(raw.data, good.raw.data, good.raw.len);
	raw.len = BL_BUNDLE_MAX + 1;
	assert_refused(&raw, -EFBIG, "limit");
}
END_TEST

/* Replaces a member's bytes; @digest: lets digests.json agree. */
static void swap_member(const char *name, const void *data, size_t len,
			bool digest)
{
	bl_autobuf struct bl_buf raw = { 0 };
	json_t *sums = json_object();
	bl_autofree char *text = NULL;
	char hex[BL_DIGEST_HEX];
	size_t i;

	for (i = 0; i < members.count; i++) {
		struct bl_member *m = &members.members[i];

		if (strcmp(m->name, name) == 0) {
			bl_buf_free(&m->data);
			ck_assert_int_eq(bl_buf_add(&m->data, data, len), 0);
		}
		ck_assert_int_eq(bl_digest(m->data.data, m->data.len, hex), 0);
		if (i + 1 < members.count)
			json_object_set_new(sums, m->name, json_string(hex));
	}
	text = bl_json_dump(
		json_pack("{s:i, s:o}", "format", 1, "sha256", sums));
	if (digest) {
		struct bl_member *m = &members.members[members.count - 1];

		bl_buf_free(&m->data);
		ck_assert_int_eq(bl_buf_add(&m->data, text, strlen(text)), 0);
	}
	ck_assert_int_eq(bl_archive_pack(&members, &raw, NULL), 0);
	parse(raw.data, raw.len);
}

START_TEST(member_with_another_digest)
{
	swap_member("sensor.bpf.o", "other", 5, false);
	ck_assert_str_eq(
		err.text,
		"evil: member 'sensor.bpf.o' does not have the digest that digests.json says");
}
END_TEST

START_TEST(member_swapped_with_its_digest_is_another_bundle)
{
	swap_member("sensor.bpf.o", "other", 5, true);
	ck_assert_str_eq(err.text, "");
	ck_assert_str_ne(out.digest, good.digest);
}
END_TEST

START_TEST(digests_with_more_to_say)
{
	static const char text[] = "{\"format\": 1, \"sha256\": {}, \"x\": 1}";

	swap_member("digests.json", text, sizeof(text) - 1, false);
	ck_assert_ptr_nonnull(strstr(err.text, "digests.json"));
	swap_member("digests.json", "garbage", 7, false);
	ck_assert_ptr_nonnull(strstr(err.text, "digests.json"));
	swap_member("digests.json", "", 0, false);
	ck_assert_ptr_nonnull(strstr(err.text, "digests.json"));
}
END_TEST

START_TEST(member_beyond_its_own_limit)
{
	size_t len = (size_t)BL_OBJECT_MAX + 1;
	bl_autofree char *big = calloc(1, len);

	ck_assert_ptr_nonnull(big);
	swap_member("sensor.bpf.o", big, len, true);
	ck_assert_str_eq(
		err.text,
		"evil: member 'sensor.bpf.o' is larger than the limit of 16777216 bytes");
	swap_member("sensor.bpf.o", big, len - 1, true);
	ck_assert_str_eq(err.text, "");
}
END_TEST

/* The attack: JSON that reviewers read, another table for the kernel. */
START_TEST(compiled_content_that_is_not_of_its_json)
{
	bl_autobuf struct bl_buf bin = { 0 };

	ck_assert_int_eq(bl_buf_add(&bin, good.content_bin.data,
				    good.content_bin.len),
			 0);
	bin.data[bin.len - 1] ^= 1;
	swap_member("content.bin", bin.data, bin.len, true);
	ck_assert_str_eq(
		err.text,
		"evil: content.bin is not what content.json compiles to");
	swap_member("content.bin", "", 0, true);
	ck_assert_str_eq(err.text,
			 "evil: content.bin: not content in binary form");
}
END_TEST

START_TEST(content_of_another_contract)
{
	bl_autobuf struct bl_buf bin = { 0 };

	ck_assert_int_eq(bl_buf_add(&bin, good.content_bin.data,
				    good.content_bin.len),
			 0);
	bin.data[offsetof(struct bl_content_hdr, contract)] = 1;
	swap_member("content.bin", bin.data, bin.len, true);
	ck_assert_str_eq(
		err.text,
		"evil: content.bin: content of contract 1, this belay knows 4");
	ck_assert_str_ne(err.hint, "");
}
END_TEST

START_TEST(content_with_a_mistake)
{
	swap_member("content.json", "{\"contract\": 1,\n\"x\": 1}", 23, true);
	ck_assert_ptr_nonnull(strstr(err.text, "evil: content.json:2:"));
}
END_TEST

START_TEST(manifest_that_names_a_path)
{
	static const char text[] = "{\"name\":\"a\",\"version\":\"1\",\n"
				   "\"object\":\"../../etc/passwd\"}";

	swap_member("manifest.json", text, sizeof(text) - 1, true);
	ck_assert_ptr_nonnull(strstr(err.text, "manifest.json:2: object:"));
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("bundle_hostile");
	TCase *t = tcase_create("archive");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_right_archive_by_hand_is_accepted);
	tcase_add_test(t, truncated_at_any_length);
	tcase_add_test(t, truncated_inside_the_archive);
	tcase_add_test(t, flipped_bits_of_the_file);
	tcase_add_test(t, flipped_bits_inside_the_archive);
	tcase_add_loop_test(t, a_strange_member_at_the_end, 0,
			    (int)BL_ARRAY_SIZE(strangers));
	tcase_add_loop_test(t, a_strange_member_in_the_middle, 0,
			    (int)BL_ARRAY_SIZE(strangers));
	tcase_add_test(t, more_members_than_any_bundle_has);
	tcase_add_test(t, each_member_missing);
	tcase_add_test(t, members_in_another_order);
	tcase_add_test(t, bytes_behind_the_end);
	tcase_add_test(t, bytes_in_the_padding);
	tcase_add_test(t, compressed_twice);
	tcase_add_test(t, a_bomb);
	tcase_add_test(t, a_bomb_behind_a_right_archive);
	tcase_add_test(t, a_file_beyond_the_limit);
	tcase_add_test(t, member_with_another_digest);
	tcase_add_test(t, member_swapped_with_its_digest_is_another_bundle);
	tcase_add_test(t, member_beyond_its_own_limit);
	tcase_add_test(t, digests_with_more_to_say);
	tcase_add_test(t, compiled_content_that_is_not_of_its_json);
	tcase_add_test(t, content_of_another_contract);
	tcase_add_test(t, content_with_a_mistake);
	tcase_add_test(t, manifest_that_names_a_path);
	suite_add_tcase(s, t);
	return s;
}
