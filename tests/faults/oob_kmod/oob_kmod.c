// SPDX-License-Identifier: GPL-2.0-only
/*
 * The mistake of ebpf/oob-read.bpf.c as a kernel module: content asks for
 * fields of an event, the sensor supplies 20, nobody checks the number. It
 * builds without a warning, loads and works. Then content that asks for the 21st arrives:
 *
 *	insmod oob_kmod.ko
 *	echo "3 /bin/sh" > /proc/belay_oob	# field 3 against a pattern
 *	echo "20 /bin/sh" > /proc/belay_oob	# field 20, the 21st: panic
 *
 * What lies behind the 20 pointers are the lengths of the strings, so the 21st
 * pointer is a small number, and reading through it a page fault in the kernel.
 */
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#define FIELDS 20

struct event {
	const char *field[FIELDS];
	size_t len[FIELDS];
};

static struct event event;
static struct proc_dir_entry *entry;

/* Whether field @wanted of the event begins with @pattern. */
static bool matches(const char *const *field, unsigned int wanted,
		    const char *pattern)
{
	return !strncmp(field[wanted], pattern, strlen(pattern));
}

static ssize_t content_write(struct file *file, const char __user *from,
			     size_t len, loff_t *pos)
{
	char rule[64], pattern[64];
	unsigned int wanted;

	if (len >= sizeof(rule))
		return -EINVAL;
	if (copy_from_user(rule, from, len))
		return -EFAULT;
	rule[len] = '\0';
	if (sscanf(rule, "%u %63s", &wanted, pattern) != 2)
		return -EINVAL;
	pr_info("belay_oob: field %u %s\n", wanted,
		matches(event.field, wanted, pattern) ? "matches" : "differs");
	return len;
}

static const struct proc_ops content_ops = {
	.proc_write = content_write,
};

static int __init oob_init(void)
{
	int i;

	for (i = 0; i < FIELDS; i++) {
		event.field[i] = "/bin/sh";
		event.len[i] = strlen(event.field[i]);
	}
	entry = proc_create("belay_oob", 0200, NULL, &content_ops);
	return entry ? 0 : -ENOMEM;
}

static void __exit oob_exit(void)
{
	proc_remove(entry);
}

module_init(oob_init);
module_exit(oob_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("belay's demonstration of content that kills a kernel");
