/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The part of sensor.bpf.c that knows the SHA-256 of what is executed; of that
 * file only.
 *
 * Hashing may sleep, and a program that may sleep cannot be tail-called: it has
 * no dispatcher and no lease. So those that hash decide nothing. They put what
 * they find into a map, under all that says which content it is of, and those
 * that decide look there, at a hook that comes later. What is not there was not
 * looked at: counted (unhashed), and never a match.
 *
 * What is kept is kept where the kernel says that a file has not been written
 * since: on file systems that count every change (i_version), mapped memory
 * included, once somebody has asked for the count, which hashing does. A clock
 * alone would not do: it stands still for 4 ms. Elsewhere (tmpfs, which does not
 * see what is written by way of a mapping; overlayfs, whose file has another
 * inode than its data; network) a file is hashed at every exec. On FUSE never:
 * who serves it is any user's process, may let a read wait for ever, with the
 * kernel's grace periods behind it (RCU tasks trace: no program that sleeps would
 * be freed again), and may have other bytes for the exec than for the hash.
 *
 * It is no measurement of integrity: who writes to the disk below a mounted file
 * system, as root can, is not seen.
 */
#ifndef BL_BPF_SENSOR_SUMS_H
#define BL_BPF_SENSOR_SUMS_H

#include "bpf/sums.h"

#define HASH_ALGO_SHA256 4 /* include/uapi/linux/hash_info.h; ima_hash= */

#define SB_I_VERSION (1UL << 23)
#define EXT4_MAGIC   0xef53
#define XFS_MAGIC    0x58465342
#define BTRFS_MAGIC  0x9123683e
#define FUSE_MAGIC   0x65735546 /* fuseblk and virtiofs, too */

/* One version of one file. The address is there so that two files of a stacked
 * file system, whose numbers may be the same, are two. */
struct sum_key {
	__u64 inode, ino, size, version;
	__s64 sec;
	__u32 nsec, dev, generation, reserved;
};

struct sum {
	__u64 words[BL_CONTENT_SUM_WORDS];
	__u64 kept; /* 0: for this exec alone */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1); /* the loader gives it more */
	__type(key, struct sum_key);
	__type(value, struct sum);
} bl_sums SEC(".maps");

static __always_inline int sums_wanted(const struct bl_content_hdr *hdr)
{
	return hdr && bl_content_has(hdr, BL_EVENT_EXEC, BL_CONTENT_SHA256);
}

/* When anything of it was last changed, which nobody can set back but with the
 * clock. */
static __always_inline void sum_time(struct inode *inode, struct sum_key *key)
{
	struct inode___hidden *hidden = (void *)inode;
	struct inode___split *split = (void *)inode;

	if (bpf_core_field_exists(inode->i_ctime)) {
		key->sec = BPF_CORE_READ(inode, i_ctime.tv_sec);
		key->nsec = BPF_CORE_READ(inode, i_ctime.tv_nsec);
	} else if (bpf_core_field_exists(hidden->__i_ctime)) {
		key->sec = BPF_CORE_READ(hidden, __i_ctime.tv_sec);
		key->nsec = BPF_CORE_READ(hidden, __i_ctime.tv_nsec);
	} else {
		key->sec = BPF_CORE_READ(split, i_ctime_sec);
		key->nsec = BPF_CORE_READ(split, i_ctime_nsec);
	}
}

/* The lowest bit of i_version says that somebody asked for it. */
static __always_inline void sum_key_of(struct file *file, struct sum_key *key)
{
	struct inode *inode = file->f_inode;

	key->inode = (__u64)BPF_CORE_READ(file, f_inode);
	key->ino = inode->i_ino;
	key->size = inode->i_size;
	key->version = (__u64)BPF_CORE_READ(inode, i_version.counter) >> 1;
	sum_time(inode, key);
	key->dev = inode->i_sb->s_dev;
	key->generation = inode->i_generation;
	key->reserved = 0;
}

/* Whether somebody has it open for writing, which may be by a page that is
 * writable already. Most kernels refuse to execute such a file; 6.11 and 6.12 do
 * not. */
static __always_inline int sum_written(struct file *file)
{
	struct inode *inode = file->f_inode;

	return BPF_CORE_READ(inode, i_writecount.counter) > 0;
}

/* Whether the kernel will say when the content changes. */
static __always_inline int sum_keeps(struct file *file)
{
	struct inode *inode = file->f_inode;
	unsigned long magic = inode->i_sb->s_magic;

	return (magic == EXT4_MAGIC || magic == XFS_MAGIC ||
		magic == BTRFS_MAGIC) &&
	       inode->i_sb->s_flags & SB_I_VERSION &&
	       BPF_CORE_READ(inode, i_version.counter) & 1;
}

static __always_inline int sum_same(const struct sum_key *a,
				    const struct sum_key *b)
{
	return a->version == b->version && a->size == b->size &&
	       a->sec == b->sec && a->nsec == b->nsec;
}

/* Whether who executes it may be kept waiting for that. */
static __always_inline int sum_readable(struct file *file,
					const struct sum_key *key)
{
	return key->size <= BL_SUM_BYTES_MAX &&
	       file->f_inode->i_sb->s_magic != FUSE_MAGIC;
}

/* Hashes @file, unless that was done. May sleep. */
static __always_inline void sum_fill(struct file *file)
{
	struct sum_key key, after;
	struct sum sum, *old;
	int written;

	if (!sums_wanted(content()))
		return;
	sum_key_of(file, &key);
	old = bpf_map_lookup_elem(&bl_sums, &key);
	if (old && old->kept)
		return;
	/* And behind it: who opens it meanwhile changes a page of it unseen
	 * only if that was writable before. */
	written = sum_written(file);
	if (sum_readable(file, &key) &&
	    bpf_ima_file_hash(file, sum.words, sizeof(sum.words)) ==
		    HASH_ALGO_SHA256) {
		COUNT(hashed);
		sum_key_of(file, &after);
		if (sum_same(&key, &after)) {
			sum.kept = !written && !sum_written(file) &&
				   sum_keeps(file);
			bpf_map_update_elem(&bl_sums, &key, &sum, BPF_ANY);
			return;
		}
	}
	/* What was true of an exec before may not be of this one. */
	bpf_map_delete_elem(&bl_sums, &key);
}

/* The rule for the digest of @file into *match, if there is one. 0: the content
 * has digests, and that of this file is not known. */
static __always_inline int sum_match(const struct bl_content_hdr *hdr,
				     struct file *file, struct bl_match *match)
{
	struct sum_key key;
	struct sum *sum;

	if (!sums_wanted(hdr))
		return 1;
	sum_key_of(file, &key);
	sum = bpf_map_lookup_elem(&bl_sums, &key);
	if (!sum)
		return 0;
	bl_content_sum(NULL, hdr, sum->words, match);
	return 1;
}

/* What a process asked to execute; nobody may write to it from here on. */
SEC("?lsm.s/bprm_creds_for_exec")
int BPF_PROG(bl_sum_fill, struct linux_binprm *bprm)
{
	sum_fill(bprm->file);
	return 0;
}

/* And, of a script, its interpreter. */
SEC("?lsm.s/bprm_check_security")
int BPF_PROG(bl_sum_fill_in, struct linux_binprm *bprm)
{
	if (bprm->interp != bprm->filename)
		sum_fill(bprm->file);
	return 0;
}

/*
 * A script has no event of its own, its interpreter has; but its digest may have
 * a rule. One that denies is for the program that refuses, which comes next.
 */
SEC("?fentry/security_bprm_check")
int BPF_PROG(bl_sum_script, struct linux_binprm *bprm)
{
	const struct bl_content_hdr *hdr = content();
	struct bl_match match = { BL_RULE_NONE, BL_ACTION_IGNORE };
	struct scratch *s;

	if (bprm->interp != bprm->filename || bprm->buf[0] != '#' ||
	    bprm->buf[1] != '!')
		return 0;
	if (!sum_match(hdr, bprm->file, &match))
		COUNT(unhashed);
	if (match.action != BL_ACTION_EMIT)
		return 0;
	COUNT(seen);
	s = scratch_get();
	if (!s)
		return 0;
	path_walk(s, bprm->file);
	path_measure(s);
	s->match = match;
	report(s, BL_EVENT_EXEC, BL_ACTION_EMIT, path_size(s));
	scratch_put(s);
	return 0;
}

#endif
