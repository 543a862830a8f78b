// SPDX-License-Identifier: GPL-2.0-only
/*
 * Content: taken from user space, checked, swapped by RCU. A hook looks once
 * and works with what it got to its end, so an event is of the old content or
 * of the new one.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/err.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/printk.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

/* What the interpreter calls @src is the content. */
#define BL_CONTENT_AT(src, index) bucket_at(src, index)
struct bl_content_bucket;
static const struct bl_content_bucket *bucket_at(const void *src,
						 unsigned int index);
#include "bpf/content_check.h"
#include "kmod/sensor.h"

struct bl_content {
	struct bl_content_hdr hdr;
	/* buckets and names follow, as they came */
};

/* The largest that the checks would let through. */
#define BIN_MAX                                                              \
	(sizeof(struct bl_content_hdr) +                                     \
	 (size_t)BL_CONTENT_BUCKETS_MAX * sizeof(struct bl_content_bucket) + \
	 (size_t)BL_CONTENT_RULES_MAX * BL_CONTENT_NAME_MAX)

static struct bl_content __rcu *live;
static u32 loads;
static DEFINE_MUTEX(load_lock); /* writers of both */

static const struct bl_content_bucket *bucket_at(const void *src,
						 unsigned int index)
{
	const struct bl_content *content = src;

	/* Cannot be, after the checks; a wild read would be the end. */
	if (unlikely(index >= content->hdr.bucket_count))
		return NULL;
	return bl_content_table(&content->hdr) + index;
}

const struct bl_content *bl_content_get(void)
{
	return rcu_dereference(live);
}

const struct bl_content_hdr *bl_content_hdr(const struct bl_content *content)
{
	return &content->hdr;
}

bool bl_content_reports(const struct bl_content *content, u32 kind)
{
	return content &&
	       (content->hdr.kind_rules[kind] ||
		content->hdr.default_action[kind] != BL_ACTION_IGNORE);
}

struct bl_match bl_content_of_path(const struct bl_content *content, u32 kind,
				   const struct bl_event_path *path,
				   const char *end,
				   struct bl_content_marks *marks)
{
	return bl_content_path(content, &content->hdr, kind, path->path,
			       path->len, end, path->flags, marks);
}

struct bl_match bl_content_of_domain(const struct bl_content *content,
				     const struct bl_event_path *name,
				     struct bl_content_marks *marks)
{
	return bl_content_domain(content, &content->hdr, name->path + name->len,
				 name->len, marks);
}

struct bl_match bl_content_of_addr(const struct bl_content *content, bool v6,
				   u64 high, u64 low)
{
	return bl_content_addr(content, &content->hdr, v6, high, low);
}

/* A checked copy of the @len bytes at @from, or an ERR_PTR. */
static struct bl_content *content_copy(const char __user *from, size_t len,
				       bool deny)
{
	struct bl_content_tally tally;
	struct bl_content *content;
	const char *why;
	int err = -EFAULT;

	if (len < sizeof(*content))
		return ERR_PTR(-EBADMSG);
	if (len > BIN_MAX)
		return ERR_PTR(-EFBIG);
	content = kvmalloc(len, GFP_KERNEL_ACCOUNT);
	if (!content)
		return ERR_PTR(-ENOMEM);
	if (copy_from_user(content, from, len))
		goto free;
	err = -EBADMSG;
	why = bl_content_check(content, len, &tally);
	if (why) {
		pr_warn_ratelimited("content refused: %s\n", why);
		goto free;
	}
	/* Its hooks may not sleep, and what is not looked at is no match. */
	if (tally.type_rules[BL_CONTENT_SHA256]) {
		pr_warn_ratelimited(
			"content refused: it has digests of programs, and this module hashes none\n");
		goto free;
	}
	err = -EOPNOTSUPP;
	if (tally.denies && !deny) {
		pr_warn_ratelimited(
			"content refused: it denies, and the module was loaded without deny=1\n");
		goto free;
	}
	return content;
free:
	kvfree(content);
	return ERR_PTR(err);
}

/* Under load_lock. Hooks that only some content needs are there before it is,
 * and leave after it did. */
static int content_swap(struct bl_content **content)
{
	bool dns = bl_content_reports(*content, BL_EVENT_DNS);
	int err = dns ? bl_hooks_dns(true) : 0;

	if (err)
		return err;
	*content = rcu_replace_pointer(live, *content,
				       lockdep_is_held(&load_lock));
	loads++;
	if (!dns)
		bl_hooks_dns(false);
	return 0;
}

int bl_content_load(const char __user *from, size_t len, bool deny)
{
	struct bl_content *content = content_copy(from, len, deny);
	int err;

	if (IS_ERR(content))
		return PTR_ERR(content);
	mutex_lock(&load_lock);
	err = content_swap(&content);
	mutex_unlock(&load_lock);
	if (!err)
		synchronize_rcu();
	kvfree(content);
	return err;
}

void bl_content_drop(void)
{
	kvfree(rcu_replace_pointer(live, NULL, true));
}

u32 bl_content_rules(void)
{
	const struct bl_content *content;
	u32 rules;

	rcu_read_lock();
	content = rcu_dereference(live);
	rules = content ? content->hdr.rule_count : 0;
	rcu_read_unlock();
	return rules;
}

u32 bl_content_loads(void)
{
	return READ_ONCE(loads);
}
