/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/kern/kern_bpf.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "loader/base/buf.h"
#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/kern/exercise.h"
#include "loader/kern/instance.h"
#include "loader/kern/kmsg.h"
#include "loader/kern/messages.h"

#define LSM_LIST "/sys/kernel/security/lsm"
#define BOOT_ID	 "/proc/sys/kernel/random/boot_id"

/* What libbpf said while an object was opened and loaded. */
static struct bl_buf libbpf_log;

/* The last line before @end that says something; cuts the text there. */
static const char *last_line(char *text, char *end)
{
	static const char *const dull[] = { "-- ", "processed ", "libbpf: -- ",
					    "libbpf: failed to load object" };
	char *line;

	for (; end > text; end = line) {
		bool skip;

		end[-1] = 0; /* the line's end */
		line = strrchr(text, '\n');
		line = line ? line + 1 : text;
		skip = !*line || *line == ' ' || *line == '\t';
		for (size_t i = 0; i < BL_ARRAY_SIZE(dull); i++)
			skip |= !strncmp(line, dull[i], strlen(dull[i]));
		if (!skip)
			return strncmp(line, "libbpf: ", 8) ? line : line + 8;
	}
	return "";
}

static int load_error(int code, const struct bl_generation *gen,
		      const char *doing, struct bl_err *err)
{
	char *log = libbpf_log.data ? libbpf_log.data : (char[]){ "" };
	char *verifier = strstr(log, "-- END PROG LOAD LOG");
	char *prog = strstr(log, "prog '"), *advice, *end;
	const char *words;
	char who[BL_KERN_NAME_LEN + 32] = "";

	if (prog)
		snprintf(who, sizeof(who),
			 "program %.*s: ", (int)strcspn(prog + 6, "'"),
			 prog + 6);
	end = verifier ? verifier : log + strlen(log);
	/* 7.x explains at length what it said in one line before. */
	advice = strstr(log, "\nVerification failed: ");
	if (advice)
		end = advice + 1;
	words = last_line(log, end);
	bl_err_errno(err, code, "%s %s: %s%s", doing, gen->name,
		     verifier ? who : "",
		     *words ? words : "the kernel refused it");
	bl_err_hint(
		err,
		"'belay check' shows the verifier's words about every program");
	return code;
}

static int check(void *kern, const struct bl_generation *gen,
		 struct bl_err *err)
{
	const struct bl_kern_bpf *k = kern;
	bl_autobuf struct bl_buf list = { 0 };
	int r = bl_pin_check(k->pin_dir, err);
	char *save = NULL;

	if (r < 0 || !gen->denies)
		return r;
	if (bl_file_read(LSM_LIST, 4096, &list, NULL))
		return bl_err_set(
			err, -EOPNOTSUPP,
			"its content has deny rules, and " LSM_LIST
			" cannot be read, so whether this kernel can deny is not known");
	for (char *name = strtok_r(list.data, ",\n", &save); name;
	     name = strtok_r(NULL, ",\n", &save))
		if (!strcmp(name, "bpf"))
			return 0;
	return bl_err_set(
		err, -EOPNOTSUPP,
		"its content has deny rules, and this kernel runs without BPF LSM (no 'bpf' in " LSM_LIST
		"; boot with lsm=…,bpf)");
}

/* What a loader decides before the load. Deny rules need the LSM hooks. */
static int prepare(struct bpf_object *object, const struct bl_generation *gen,
		   struct bl_err *err)
{
	struct bpf_program *p;

	if (!gen->content)
		return bl_err_set(
			err, -EINVAL,
			"load %s: it is a belay sensor and its bundle has no content",
			gen->name);
	bpf_object__for_each_program (p, object)
		if (bpf_program__type(p) == BPF_PROG_TYPE_LSM)
			bpf_program__set_autoload(p, gen->denies);
	return bl_sensor_prepare(object, gen->name, gen->number, gen->content,
				 gen->content_len, err);
}

/* Maps that ask to be pinned by name would be shared by both slots, and with
 * strangers: here each slot has its own. */
static void keep_maps_apart(struct bpf_object *object)
{
	struct bpf_map *map;

	bpf_object__for_each_map (map, object)
		bpf_map__set_pin_path(map, NULL);
}

static int load(struct bl_kern_bpf *k, enum bl_slot slot,
		const struct bl_generation *gen, bool *ret_sensor,
		struct bl_err *err)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = gen->name);
	struct bpf_object *object;
	bool sensor = false;
	int r = 0;

	bl_buf_free(&libbpf_log);
	bl_messages_into(&libbpf_log);
	object = bpf_object__open_mem(gen->object, gen->object_len, &opts);
	if (!object) {
		r = load_error(-errno, gen, "open", err);
	} else {
		sensor = bl_sensor_is(object);
		keep_maps_apart(object);
		if (sensor)
			r = prepare(object, gen, err);
		if (!r)
			r = bl_state_share(k->pin_dir, slot, object, gen->carry,
					   err);
		if (!r && (r = bpf_object__load(object)))
			load_error(r, gen, "load", err);
	}
	if (!r && sensor)
		r = bl_sensor_fill(object, gen->content, err);
	bl_messages_end();
	bl_buf_free(&libbpf_log);
	if (r) {
		bpf_object__close(object);
		return r;
	}
	k->held[slot].object = object;
	*ret_sensor = sensor;
	return 0;
}

static int pin_programs(struct bl_kern_bpf *k, enum bl_slot slot,
			struct bl_kern_staged *s, struct bl_err *err)
{
	struct bpf_program *p;
	int r = 0;

	bpf_object__for_each_program (p, k->held[slot].object) {
		const char *name = bpf_program__name(p);
		int fd = bpf_program__fd(p);

		if (!bpf_program__autoload(p))
			continue;
		if (s->count == BL_KERN_PROGRAMS_MAX)
			return bl_err_set(err, -E2BIG,
					  "it has more than %d programs",
					  BL_KERN_PROGRAMS_MAX);
		r = bl_kern_program_of(name, fd, &s->program[s->count], NULL,
				       err);
		if (!r)
			r = bl_pin_add(k->pin_dir, slot, BL_PIN_PROG, name, fd,
				       err);
		if (r)
			return r;
		s->count++;
	}
	if (!s->count)
		return bl_err_set(err, -EINVAL, "it has no program to run");
	return 0;
}

static int pin_maps(struct bl_kern_bpf *k, enum bl_slot slot,
		    struct bl_err *err)
{
	struct bpf_map *m;
	int r = 0;

	bpf_object__for_each_map (m, k->held[slot].object) {
		if (bpf_map__fd(m) < 0)
			continue;
		r = bl_pin_add(k->pin_dir, slot, BL_PIN_MAP, bpf_map__name(m),
			       bpf_map__fd(m), err);
		if (r)
			return r;
	}
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct bl_kern_program *)a)->name,
		      ((const struct bl_kern_program *)b)->name);
}

static int stage(void *kern, enum bl_slot slot, const struct bl_generation *gen,
		 struct bl_kern_staged *ret, struct bl_err *err)
{
	struct bl_kern_bpf *k = kern;
	struct bl_kern_staged s = { 0 };
	int r = bl_pin_make(k->pin_dir, slot, err);

	if (!r)
		r = load(k, slot, gen, &s.sensor, err);
	if (!r)
		r = pin_programs(k, slot, &s, err);
	if (!r)
		r = pin_maps(k, slot, err);
	if (!r)
		r = bl_state_copies_make(gen->carry, &k->held[slot].copies,
					 err);
	if (r)
		return r;
	/* As inspect will find them. */
	qsort(s.program, s.count, sizeof(*s.program), by_name);
	*ret = s;
	return 0;
}

/* What attach made must be a link that can be pinned. Before 5.15 kprobes and
 * tracepoints are perf events, which die with the process. */
static int check_link(const struct bpf_link *link, const char *name,
		      struct bl_err *err)
{
	struct bpf_link_info info = { 0 };
	__u32 len = sizeof(info);

	/* The kernel takes a perf event's descriptor for none of its own. */
	if (!bpf_obj_get_info_by_fd(bpf_link__fd(link), &info, &len))
		return 0;
	return bl_err_set(
		err, -EOPNOTSUPP,
		"attach %s: this kernel cannot keep it attached without its loader (no link for this kind of program)",
		name);
}

static int attach_one(struct bl_kern_held *held, const struct bpf_program *p,
		      struct bl_err *err)
{
	const char *name = bpf_program__name(p);
	struct bpf_link *link = bpf_program__attach(p);

	if (!link && errno == EOPNOTSUPP)
		return bl_err_set(
			err, -EOPNOTSUPP,
			"attach %s: its section '%s' does not say where; belay attaches only what names its hook",
			name, bpf_program__section_name(p));
	if (!link)
		return bl_err_errno(err, -errno, "attach %s (%s)", name,
				    bpf_program__section_name(p));
	held->names[held->link_count] = name;
	held->links[held->link_count++] = link;
	return check_link(link, name, err);
}

static int attach(void *kern, enum bl_slot slot, struct bl_err *err)
{
	struct bl_kern_bpf *k = kern;
	struct bl_kern_held *held = &k->held[slot];
	struct bpf_program *p;
	int r = 0;

	if (!held->object)
		return bl_err_set(err, -EINVAL, "attach: nothing was staged");
	r = bl_state_copy(k->pin_dir, slot, &held->copies, err);
	if (r)
		return r;
	if (k->stats_fd < 0)
		k->stats_fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
	if (k->stats_fd < 0)
		return bl_err_errno(err, -errno, "measure run time");
	bl_messages_into(NULL);
	bpf_object__for_each_program (p, held->object)
		if (!r && bpf_program__autoload(p))
			r = attach_one(held, p, err);
	bl_messages_end();
	return r;
}

static void stop_stats(struct bl_kern_bpf *k)
{
	if (k->stats_fd >= 0)
		close(k->stats_fd);
	k->stats_fd = -1;
}

/* Lets go of what this process holds: what is not pinned detaches. */
static void let_go(struct bl_kern_held *held)
{
	for (unsigned i = 0; i < held->link_count; i++)
		bpf_link__destroy(held->links[i]);
	bpf_object__close(held->object);
	bl_state_copies_free(&held->copies);
	*held = (struct bl_kern_held){ 0 };
}

/*
 * What is pinned is the host's: an open link would keep it attached after
 * another process retired the slot. Destroying a libbpf link of a perf event
 * also disables the event, which would silence it, so these are only closed.
 */
static void hand_over(struct bl_kern_held *held)
{
	for (unsigned i = 0; i < held->link_count; i++) {
		bpf_link__disconnect(held->links[i]);
		close(bpf_link__fd(held->links[i]));
	}
	let_go(held);
}

static int persist(void *kern, enum bl_slot slot, struct bl_err *err)
{
	struct bl_kern_bpf *k = kern;
	struct bl_kern_held *held = &k->held[slot];
	int r = 0;

	for (unsigned i = 0; !r && i < held->link_count; i++)
		r = bl_pin_add(k->pin_dir, slot, BL_PIN_LINK, held->names[i],
			       bpf_link__fd(held->links[i]), err);
	if (r)
		return r;
	hand_over(held);
	stop_stats(k);
	return 0;
}

static int retire(void *kern, enum bl_slot slot, struct bl_err *err)
{
	struct bl_kern_bpf *k = kern;

	bl_kern_reader_close(&k->readers[slot]);
	let_go(&k->held[slot]);
	stop_stats(k);
	return bl_pin_clear(k->pin_dir, slot, err);
}

static int splats(void *kern, struct bl_kern_splats *state, struct bl_err *err)
{
	struct bl_kern_bpf *k = kern;

	return bl_kmsg_scan(&k->kmsg_fd, state, err);
}

static int exercise(void *kern, struct bl_err *err)
{
	(void)kern;
	return bl_exercise(err);
}

static int boot_id(void *kern, char ret[static BL_KERN_BOOT_ID_LEN],
		   struct bl_err *err)
{
	bl_autoclose int fd = open(BOOT_ID, O_RDONLY | O_CLOEXEC);
	char text[BL_KERN_BOOT_ID_LEN] = "";

	(void)kern;
	if (fd < 0)
		return bl_err_errno(err, -errno, "open " BOOT_ID);
	if (read(fd, text, sizeof(text) - 1) != sizeof(text) - 1)
		return bl_err_set(err, -EIO, "read " BOOT_ID);
	memcpy(ret, text, sizeof(text));
	return 0;
}

const struct bl_kern_ops bl_kern_bpf_ops = {
	.check = check,
	.stage = stage,
	.attach = attach,
	.persist = persist,
	.retire = retire,
	.map = bl_kern_map,
	.inspect = bl_kern_inspect,
	.sample = bl_kern_sample,
	.events = bl_kern_events,
	.splats = splats,
	.exercise = exercise,
	.boot_id = boot_id,
};

int bl_kern_bpf_new(const char *pin_dir, struct bl_kern_bpf **ret,
		    struct bl_err *err)
{
	struct bl_kern_bpf *k = calloc(1, sizeof(*k));

	if (!k || !(k->pin_dir = strdup(pin_dir))) {
		free(k);
		return bl_err_errno(err, -ENOMEM, "kernel");
	}
	k->stats_fd = k->kmsg_fd = -1;
	*ret = k;
	return 0;
}

void bl_kern_bpf_free(struct bl_kern_bpf *k)
{
	if (!k)
		return;
	for (int i = 0; i < BL_SLOT_COUNT; i++) {
		bl_kern_reader_close(&k->readers[i]);
		let_go(&k->held[i]);
	}
	stop_stats(k);
	if (k->kmsg_fd >= 0)
		close(k->kmsg_fd);
	free(k->pin_dir);
	free(k);
}
