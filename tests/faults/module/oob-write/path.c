// SPDX-License-Identifier: GPL-2.0-only
/* The size of the source where that of the target was meant. */
#define bl_path_take twin_path_take
#include "kmod/path.c"
#undef bl_path_take

#define KEY_BYTES 64

static u32 last_key;

/* Not inlined, or the compiler would see the mistake. */
static __attribute__((__noipa__)) void copy(char *to, const char *from,
					    size_t len)
{
	while (len--)
		*to++ = *from++;
}

static noinline u32 key_of(const struct bl_event_path *p)
{
	char key[KEY_BYTES];
	u32 sum = 0;
	size_t i;

	copy(key, p->path, sizeof(p->path));
	for (i = 0; i < sizeof(key); i++)
		sum = sum * 31 + key[i];
	return sum;
}

void bl_path_take(struct bl_cpu *c, struct file *file);
void bl_path_take(struct bl_cpu *c, struct file *file)
{
	twin_path_take(c, file);
	last_key = key_of(&c->event.path);
}
