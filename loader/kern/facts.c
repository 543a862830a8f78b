/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/kern/facts.h"

#include <stdlib.h>

static void program_free(struct bl_facts_program *p)
{
	free(p->name);
	free(p->section);
	free(p->why);
	free(p->log);
	free(p->attach_why);
}

void bl_facts_free(struct bl_facts *f)
{
	size_t i;

	for (i = 0; i < f->program_count; i++)
		program_free(&f->programs[i]);
	for (i = 0; i < f->map_count; i++)
		free(f->maps[i].name);
	free(f->programs);
	free(f->maps);
	free(f->exercise.why_not);
	free(f->exercise.first_splat);
	free(f->exercise.broken);
	free(f->exercise.unseen);
	free(f->swap.why_not);
	free(f->swap.first_splat);
	free(f->swap.left_behind);
	free(f->swap.unseen);
	bl_buf_free(&f->notes);
	*f = (struct bl_facts){ 0 };
}

bool bl_facts_loads(const struct bl_facts *f)
{
	size_t i;

	for (i = 0; i < f->program_count; i++)
		if (f->programs[i].load != BL_LOAD_ACCEPTED &&
		    !f->programs[i].optional)
			return false;
	return f->program_count > 0;
}
