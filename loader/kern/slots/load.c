/* SPDX-License-Identifier: Apache-2.0 */
/* An object into the kernel: what is decided before, and what libbpf says. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/buf.h"
#include "loader/base/cleanup.h"
#include "loader/kern/messages.h"
#include "loader/kern/slots/instance.h"

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

/* Deny rules need the LSM hooks of the sensor, what it says of DNS those at
 * every datagram and digests those that hash, which are dear to whoever says
 * nothing of it. Of the last, what can refuse is for deny rules alone. */
static void choose_programs(struct bpf_object *object,
			    const struct bl_generation *gen)
{
	bool dns = bl_sensor_wants(gen->content, BL_EVENT_DNS);
	bool sums = bl_sensor_sums(gen->content);
	struct bpf_program *p;

	bpf_object__for_each_program (p, object) {
		bool sum = bl_sensor_is_sum(bpf_program__name(p));
		bool lsm = bpf_program__type(p) == BPF_PROG_TYPE_LSM;

		if (sum && lsm && bl_hook_harmless(p))
			lsm = false;
		if (sum || lsm)
			bpf_program__set_autoload(
				p, (!sum || sums) && (!lsm || gen->denies));
		if (bl_sensor_is_dns(bpf_program__name(p)))
			bpf_program__set_autoload(p, dns);
	}
}

/* Whether its programs can be as the manifest wants them. What is wrong with
 * the object itself is for the load to say. */
int bl_kern_plan_check(const struct bl_generation *gen, struct bl_err *err)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = gen->name);
	bl_autofree struct bl_plan *plan = malloc(sizeof(*plan));
	struct bpf_object *object;
	int r = 0;

	if (!plan)
		return bl_err_errno(err, -ENOMEM, "check %s", gen->name);
	bl_messages_into(NULL);
	object = bpf_object__open_mem(gen->object, gen->object_len, &opts);
	if (object && bl_sensor_is(object))
		choose_programs(object, gen);
	if (object)
		r = bl_plan_make(object, gen, plan, err);
	bl_messages_end();
	bpf_object__close(object);
	return r ? -EOPNOTSUPP : 0;
}

/* What a loader decides before the load. */
static int prepare(struct bpf_object *object, const struct bl_generation *gen,
		   struct bl_err *err)
{
	if (!gen->content)
		return bl_err_set(
			err, -EINVAL,
			"load %s: it is a belay sensor and its bundle has no content",
			gen->name);
	choose_programs(object, gen);
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

int bl_kern_load(struct bl_kern_bpf *k, enum bl_slot slot,
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
		if (!r)
			r = bl_plan_make(object, gen, &k->held[slot].plan, err);
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
