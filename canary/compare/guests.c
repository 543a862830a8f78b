/* SPDX-License-Identifier: Apache-2.0 */
#include "canary/compare/guests.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "canary/compare/line.h"
#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/lab/lasting.h"

#define MEM_MIB	   384
#define OUTPUT_MAX (32u << 20) /* of a boot; what is beyond is not heard */

/* The script, as it lies in canary/compare. BL_COMPARE_GUEST: its path, from
 * CMakeLists.txt. */
__asm__(".pushsection .rodata\n"
	"bl_compare_guest:\n"
	".incbin \"" BL_COMPARE_GUEST "\"\n"
	"bl_compare_guest_end:\n"
	".popsection\n"
	".global bl_compare_guest, bl_compare_guest_end\n");
extern const char bl_compare_guest[] __attribute__((visibility("hidden")));
extern const char bl_compare_guest_end[] __attribute__((visibility("hidden")));

struct guest {
	char name[32];
	struct bl_vm *vm; /* NULL: it is down */
	size_t read;	  /* bytes of its output that were looked at */
	unsigned boots;
};

struct bl_guests {
	struct bl_guests_spec spec; /* strings are in owned */
	char *dir, *life, *logs, *script;
	char *owned[2 * BL_GUESTS_FILES_MAX];
	struct bl_buf line;
	struct guest guest[BL_GUESTS_MAX];
};

size_t bl_guests_count(const struct bl_guests *g)
{
	return g->spec.count;
}

const char *bl_guests_name(const struct bl_guests *g, size_t i)
{
	return g->guest[i].name;
}

bool bl_guests_running(const struct bl_guests *g, size_t i)
{
	return g->guest[i].vm;
}

void bl_guests_tell(struct bl_guests *g, const struct bl_guests_sees *sees)
{
	g->spec.sees = *sees;
}

void bl_guests_free(struct bl_guests *g)
{
	if (!g)
		return;
	for (size_t i = 0; i < g->spec.count; i++)
		bl_vm_free(g->guest[i].vm);
	for (size_t i = 0; i < BL_ARRAY_SIZE(g->owned); i++)
		free(g->owned[i]);
	bl_buf_free(&g->line);
	free(g->script);
	free(g->logs);
	free(g->life);
	free(g->dir);
	free(g);
}

void bl_guests_cut(struct bl_guests *g, size_t i)
{
	bl_vm_free(g->guest[i].vm);
	g->guest[i].vm = NULL;
}

static int copy_spec(struct bl_guests *g, const struct bl_guests_spec *spec)
{
	g->spec = *spec;
	g->dir = strdup(spec->dir);
	g->life = strdup(spec->life ? spec->life : "");
	g->logs = bl_path("%s/consoles", spec->dir);
	g->script = bl_path("%s/guest.sh", spec->dir);
	for (size_t i = 0; i < spec->file_count; i++) {
		g->owned[2 * i] = strdup(spec->files[i].src);
		g->owned[2 * i + 1] = strdup(spec->files[i].dst);
		if (!g->owned[2 * i] || !g->owned[2 * i + 1])
			return -ENOMEM;
		g->spec.files[i] = (struct bl_vm_file){ g->owned[2 * i],
							g->owned[2 * i + 1] };
	}
	return g->dir && g->life && g->logs && g->script ? 0 : -ENOMEM;
}

static int prepare(struct bl_guests *g, const struct bl_guests_spec *spec,
		   struct bl_err *err)
{
	int r = copy_spec(g, spec);

	if (r)
		return bl_err_set(err, r, "out of memory");
	for (size_t i = 0; i < spec->count; i++)
		snprintf(g->guest[i].name, sizeof(g->guest[i].name), "host-%zu",
			 i + 1);
	r = bl_file_rmtree(g->dir, err);
	if (!r)
		r = bl_file_mkdirs(g->logs, 0755, err);
	if (!r)
		r = bl_file_write(
			g->script, bl_compare_guest,
			(size_t)(bl_compare_guest_end - bl_compare_guest), 0644,
			err);
	return r;
}

int bl_guests_boot(struct bl_guests *g, size_t i, struct bl_err *err)
{
	struct guest *h = &g->guest[i];
	bl_autofree char *disk = bl_path("%s/%s.disk", g->dir, h->name);
	bl_autofree char *pstore = bl_path("%s/%s.pstore", g->dir, h->name);
	struct bl_vm_disk disks[] = { { disk, "/var/lib/belay" } };
	struct bl_vm_file files[BL_GUESTS_FILES_MAX + 1];
	char name[48], port[8];
	const char *const argv[] = {
		"sh",	 "/c/guest.sh", bl_compare_way_name(g->spec.way),
		h->name, port,		g->life,
		NULL
	};
	struct bl_vm_spec spec = {
		.kernel = g->spec.kernel,
		.name = name,
		.log_dir = g->logs,
		.argv = argv,
		.files = files,
		.file_count = g->spec.file_count + 1,
		.mem_mib = MEM_MIB,
		.forward_port = g->spec.port,
		.disks = disks,
		.disk_count = 1,
		.pstore = pstore,
		.watchdog = bl_lasting_watchdog(g->spec.kernel),
		.max_output = OUTPUT_MAX,
	};

	if (!disk || !pstore)
		return bl_err_set(err, -ENOMEM, "out of memory");
	memcpy(files, g->spec.files, sizeof(g->spec.files));
	files[g->spec.file_count] =
		(struct bl_vm_file){ g->script, "/c/guest.sh" };
	snprintf(name, sizeof(name), "%s.boot-%u", h->name, ++h->boots);
	snprintf(port, sizeof(port), "%u", g->spec.port);
	h->read = 0;
	return bl_vm_start(&spec, &h->vm, err);
}

int bl_guests_start(const struct bl_guests_spec *spec, struct bl_guests **ret,
		    struct bl_err *err)
{
	BL_CLEANUP(bl_guests_freep) struct bl_guests *g = calloc(1, sizeof(*g));
	int r = g ? prepare(g, spec, err)
		  : bl_err_set(err, -ENOMEM, "out of memory");

	for (size_t i = 0; !r && i < spec->count; i++)
		r = bl_guests_boot(g, i, err);
	if (!r)
		*ret = BL_TAKE(g);
	return r;
}

/* What host @i has said since we last looked. */
static int hear(struct bl_guests *g, size_t i)
{
	struct guest *h = &g->guest[i];
	const struct bl_vm_result *res = bl_vm_result(h->vm);
	int r;

	while ((r = bl_line_next(res->output.data, res->output.len, &h->read,
				 &g->line)) > 0)
		g->spec.sees.line(g->spec.sees.ctx, i, bl_buf_str(&g->line));
	return r;
}

int bl_guests_poll(struct bl_guests *g, int timeout_ms, struct bl_err *err)
{
	struct bl_vm *vms[BL_GUESTS_MAX] = { 0 };
	int r;

	for (size_t i = 0; i < g->spec.count; i++)
		vms[i] = g->guest[i].vm;
	r = bl_vm_poll(vms, g->spec.count, timeout_ms, err);
	for (size_t i = 0; r >= 0 && i < g->spec.count; i++) {
		struct guest *h = &g->guest[i];

		if (!h->vm)
			continue;
		if (hear(g, i) < 0)
			return bl_err_set(err, -ENOMEM, "out of memory");
		if (bl_vm_state(h->vm) == BL_VM_RUNNING)
			continue;
		g->spec.sees.ended(g->spec.sees.ctx, i, bl_vm_result(h->vm));
		bl_guests_cut(g, i);
	}
	return r < 0 ? r : 0;
}
