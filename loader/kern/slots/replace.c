/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/kern/slots/replace.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/kern/slots/dispatch.h"
#include "loader/kern/slots/instance.h"
#include "loader/kern/slots/pins.h"

static enum bl_slot other(enum bl_slot slot)
{
	return slot == BL_SLOT_A ? BL_SLOT_B : BL_SLOT_A;
}

/* The id of the program on the link; 0: none, or its place is gone. */
static uint32_t linked_id(int link_fd)
{
	struct bpf_link_info info = { 0 };
	__u32 len = sizeof(info);

	if (!bl_dispatch_link_works(link_fd) ||
	    bpf_obj_get_info_by_fd(link_fd, &info, &len))
		return 0;
	return info.prog_id;
}

static uint32_t program_id(int prog_fd)
{
	struct bl_kern_program p = { 0 };

	return bl_kern_program_of("", prog_fd, &p, NULL, NULL) ? 0 : p.id;
}

static int get_link(const char *pin_dir, const char *hook)
{
	return bl_pin_get(pin_dir, BL_PIN_REPLACE, BL_PIN_LINK, hook, NULL);
}

int bl_replace_stage(const char *pin_dir, const struct bl_hook *hook,
		     enum bl_slot slot, int prog_fd, struct bl_err *err)
{
	return bl_pin_add(pin_dir, slot, BL_PIN_HOOK, hook->name, prog_fd, err);
}

/* @old_fd: what is expected there. The kernel refuses if it is another. */
static int update(int link_fd, int prog_fd, int old_fd, const char *hook,
		  struct bl_err *err)
{
	LIBBPF_OPTS(bpf_link_update_opts, opts, .flags = BPF_F_REPLACE,
		    .old_prog_fd = (__u32)old_fd);
	char words[BL_KERN_HOOK_LEN];

	if (!bpf_link_update(link_fd, prog_fd, &opts))
		return 0;
	bl_hook_words(hook, words);
	return bl_err_errno(err, -errno, "replace the program on %s", words);
}

int bl_replace_attach(const char *pin_dir, const struct bl_hook *hook,
		      enum bl_slot slot, int prog_fd, int *ret_fd,
		      struct bl_err *err)
{
	bl_autoclose int link = get_link(pin_dir, hook->name);
	bl_autoclose int old = -1;
	int r;

	if (link >= 0 && !linked_id(link)) {
		r = bl_pin_drop(pin_dir, BL_PIN_REPLACE, BL_PIN_LINK,
				hook->name, err);
		if (r)
			return r;
		close(BL_TAKE_FD(link));
	}
	if (link < 0) {
		r = bl_hook_link(hook, prog_fd, err);
		if (r >= 0)
			*ret_fd = r;
		return r < 0 ? r : 0;
	}
	old = bl_pin_get(pin_dir, other(slot), BL_PIN_HOOK, hook->name, err);
	if (old < 0)
		return old;
	*ret_fd = -1;
	return update(link, prog_fd, old, hook->name, err);
}

int bl_replace_persist(const char *pin_dir, const struct bl_hook *hook,
		       int link_fd, struct bl_err *err)
{
	int r = bl_pin_make(pin_dir, BL_PIN_REPLACE, err);

	if (!r)
		r = bl_pin_add(pin_dir, BL_PIN_REPLACE, BL_PIN_LINK, hook->name,
			       link_fd, err);
	return r;
}

struct back {
	const char *pin_dir;
	enum bl_slot slot;
	bool any; /* links that stay */
};

static int give_back(void *ctx, const char *hook, int link, struct bl_err *err)
{
	struct back *b = ctx;
	bl_autoclose int mine =
		bl_pin_get(b->pin_dir, b->slot, BL_PIN_HOOK, hook, NULL);
	bl_autoclose int theirs =
		bl_pin_get(b->pin_dir, other(b->slot), BL_PIN_HOOK, hook, NULL);
	uint32_t id = linked_id(link);

	if (id && (mine < 0 || program_id(mine) != id)) {
		b->any = true;
		return 0;
	}
	if (!id || theirs < 0)
		return bl_pin_drop(b->pin_dir, BL_PIN_REPLACE, BL_PIN_LINK,
				   hook, err);
	b->any = true;
	return update(link, theirs, mine, hook, err);
}

int bl_replace_back(const char *pin_dir, enum bl_slot slot, struct bl_err *err)
{
	struct back b = { .pin_dir = pin_dir, .slot = slot };
	int r = bl_pin_each(pin_dir, BL_PIN_REPLACE, BL_PIN_LINK, give_back, &b,
			    err);

	if (!r && !b.any)
		r = bl_pin_clear(pin_dir, BL_PIN_REPLACE, err);
	return r;
}

struct each {
	const char *pin_dir;
	bl_replace_fn fn;
	void *ctx;
};

static int see(void *ctx, const char *hook, int prog, struct bl_err *err)
{
	const struct each *e = ctx;
	bl_autoclose int link = get_link(e->pin_dir, hook);
	uint32_t id = program_id(prog);

	return e->fn(e->ctx, hook, id, link >= 0 && linked_id(link) == id,
		     link >= 0 && bl_dispatch_link_lost(link), err);
}

int bl_replace_each(const char *pin_dir, enum bl_slot slot, bl_replace_fn fn,
		    void *ctx, struct bl_err *err)
{
	struct each e = { pin_dir, fn, ctx };

	return bl_pin_each(pin_dir, slot, BL_PIN_HOOK, see, &e, err);
}
