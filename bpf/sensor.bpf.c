/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * belay's sensor: process exec, file open, outbound connect and questions to
 * DNS, filtered in the kernel by content, reported through a ring buffer.
 *
 * It observes. Only when its content has deny rules does the loader also load
 * the LSM programs which refuse with EPERM and report what they refused; only
 * when it says something of DNS, the two programs that see each datagram; only
 * when it has digests, those that hash what is executed.
 *
 * One object for every kernel of the catalogue, 5.10 to 7.x. What that forbids:
 *  - bpf_d_path() in LSM programs (5.10): paths are walked by hand, dentry by
 *    dentry and mount by mount;
 *  - atomics that return the old value, bpf_loop() (both after 5.10);
 *  - pointers as arguments of global functions (5.12): what is one gets numbers.
 *    It is global so that the verifier walks it once and not once per caller.
 *
 * What costs, counted by scripts/bench sensor: every call of a helper, sixty
 * instructions and more. So what the verifier knows the type of is read as a
 * plain load (a bad one yields 0, as the kernel catches its fault), and what
 * is needed twice is looked up once.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_tracing.h>

#include "bpf/types.h"

#define BL_CONTENT_AT(src, index) bl_content_at(index)
#define BL_CONTENT_LOOKUP(src, bucket_count, a, b, type, kind) \
	bl_slot_find(bucket_count, a, b, (type) << 8 | (kind))
static const struct bl_content_bucket *bl_content_at(unsigned int index);
__u64 bl_slot_find(__u32 bucket_count, __u64 a, __u64 b, __u32 type_kind);
#include "bpf/content.h"
#include "bpf/dns.h"

#ifndef BL_SENSOR_VERSION
#define BL_SENSOR_VERSION 1
#endif
#ifndef BL_RING_BYTES
#define BL_RING_BYTES (1 << 20)
#endif

/* Room for the path while it is walked, from its end to its beginning: what
 * PATH_MAX allows user space to name. A power of two. */
#define WALK_BYTES 4096
/* Folders and mounts on the way up. */
#define WALK_STEPS 64
/* Tasks that may be inside the sensor on one CPU, each preempting the next. */
#define SCRATCH_LEVELS 8

/* The loader's number for this load; every event carries it. */
const volatile __u32 bl_generation = 0;

struct scratch {
	__u64 users;
	__u32 walked; /* where in walk the path begins */
	__u32 partial;
	__u32 len, flags; /* of the path in walk, as the event has them */
	struct bl_match match;
	struct bl_dns_walk dns;
	struct bl_content_marks marks;
	/* Behind the marks: a name is read from its end, and for the verifier
	 * that may be 255 bytes before its beginning. */
	struct bl_event event;
	/* A component is written at any place before WALK_BYTES. */
	char walk[WALK_BYTES + 256];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_RDONLY_PROG);
	__type(key, __u32);
	__type(value, struct bl_content_hdr);
} bl_content_hdr SEC(".maps");

/* max_entries is set by the loader, to the content's bucket_count. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_RDONLY_PROG);
	__type(key, __u32);
	__type(value, struct bl_content_bucket);
} bl_content_slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, BL_RING_BYTES);
} bl_events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct bl_stats);
} bl_stats SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SCRATCH_LEVELS);
	__type(key, __u32);
	__type(value, struct scratch);
} bl_scratch SEC(".maps");

static __always_inline struct bl_stats *stats(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&bl_stats, &zero);
}

/* Preemption may come between load and store of a plain increment. */
#define ADD_ONE(counter) __sync_fetch_and_add(&(counter), 1)

/* For who has not looked them up. */
#define COUNT(member)                           \
	do {                                    \
		struct bl_stats *_st = stats(); \
                                                \
		if (_st)                        \
			ADD_ONE(_st->member);   \
	} while (0)

static __always_inline const struct bl_content_bucket *
bl_content_at(unsigned int index)
{
	return bpf_map_lookup_elem(&bl_content_slots, &index);
}

/* One lookup has many branches and stands in every loop of the interpreter. As
 * a global function it is walked by the verifier once, not once per round. */
__noinline __u64 bl_slot_find(__u32 bucket_count, __u64 a, __u64 b,
			      __u32 type_kind)
{
	return bl_content_lookup(NULL, bucket_count, a, b, type_kind >> 8,
				 type_kind & 0xff);
}

/* The content, or NULL as long as the loader has filled in none. */
static __always_inline const struct bl_content_hdr *content(void)
{
	const struct bl_content_hdr *hdr;
	__u32 zero = 0;

	hdr = bpf_map_lookup_elem(&bl_content_hdr, &zero);
	if (!hdr || hdr->magic != BL_CONTENT_MAGIC ||
	    hdr->contract != BL_CONTENT_CONTRACT)
		return NULL;
	return hdr;
}

/*
 * Scratch buffers belong to a CPU, and so to the task that runs on it, only as
 * long as nobody preempts it; on kernels with PREEMPT another task then enters
 * the sensor on the same CPU in the middle of our work. So a buffer is taken:
 * whoever counts itself in and then finds itself alone has it. Two that meet
 * between the two steps both leave and try the next buffer. Nobody else is
 * ever in a buffer that was taken, so what it holds is never torn.
 */
static __always_inline struct scratch *scratch_get(void)
{
	__u32 level;

	for (level = 0; level < SCRATCH_LEVELS; level++) {
		__u32 key = level;
		struct scratch *s = bpf_map_lookup_elem(&bl_scratch, &key);

		if (!s)
			return NULL;
		__sync_fetch_and_add(&s->users, 1);
		if (*(volatile __u64 *)&s->users == 1)
			return s;
		__sync_fetch_and_add(&s->users, -1);
	}
	COUNT(torn);
	return NULL;
}

static __always_inline void scratch_put(struct scratch *s)
{
	__sync_fetch_and_add(&s->users, -1);
}

/*
 * Puts the @len bytes of a name and the '/' before it in front of the path that
 * begins at @pos. Where it begins then; 0: it does not fit, or is not there.
 */
static __always_inline __u32 prepend(struct scratch *s, __u32 pos, __u32 len,
				     const void *name)
{
	pos &= WALK_BYTES - 1;
	if (len > 255 || len + 1 > pos)
		return 0;
	pos -= len + 1;
	if (bpf_probe_read_kernel(&s->walk[(pos + 1) & (WALK_BYTES - 1)],
				  len & 255, name))
		return 0;
	s->walk[pos & (WALK_BYTES - 1)] = '/';
	return pos;
}

/* The mount that @vfsmnt is part of. */
static __always_inline struct mount *mount_of(struct vfsmount *vfsmnt)
{
	return (void *)vfsmnt - bpf_core_field_offset(struct mount, mnt);
}

/*
 * From @dentry, in @mnt with the root @root, up to the root of the namespace. No
 * verifier before 6.2 can be told the type of a struct mount, so here every read
 * is a call. How far it came is kept in memory, for the reason given in
 * content.h.
 */
static __always_inline void walk_mounts(struct scratch *s,
					struct dentry *dentry,
					struct dentry *root, struct mount *mnt)
{
	struct dentry *parent;
	struct mount *above;
	__u32 i, pos;

	for (i = 0; i < WALK_STEPS; i++) {
		if (dentry == root) {
			above = BPF_CORE_READ(mnt, mnt_parent);
			if (above == mnt) {
				s->partial = 0;
				break;
			}
			dentry = BPF_CORE_READ(mnt, mnt_mountpoint);
			mnt = above;
			root = BPF_CORE_READ(mnt, mnt.mnt_root);
			continue;
		}
		parent = BPF_CORE_READ(dentry, d_parent);
		if (parent == dentry || !parent)
			break;
		pos = prepend(s, *(volatile __u32 *)&s->walked,
			      BPF_CORE_READ(dentry, d_name.len),
			      BPF_CORE_READ(dentry, d_name.name));
		if (!pos)
			break;
		*(volatile __u32 *)&s->walked = pos;
		dentry = parent;
	}
}

/*
 * Walks from a file up to the root of its mount namespace and writes the path
 * into the scratch buffer, ending at WALK_BYTES - 1.
 */
static __always_inline void path_walk(struct scratch *s, struct file *file)
{
	struct dentry *dentry = file->f_path.dentry, *parent, *root;
	struct vfsmount *vfsmnt = file->f_path.mnt;
	__u32 i, pos;

	*(volatile __u32 *)&s->walked = WALK_BYTES - 1;
	s->partial = 1;
	root = vfsmnt->mnt_root;
	for (i = 0; i < WALK_STEPS; i++) {
		if (dentry == root) {
			walk_mounts(s, dentry, root, mount_of(vfsmnt));
			break;
		}
		/* The top without a mount: the source of a bind mount that was
		 * moved out of it. A failed read ends here, too. */
		parent = dentry->d_parent;
		if (parent == dentry || !parent)
			break;
		pos = prepend(s, *(volatile __u32 *)&s->walked,
			      dentry->d_name.len, dentry->d_name.name);
		if (!pos)
			break;
		*(volatile __u32 *)&s->walked = pos;
		dentry = parent;
	}
}

/* From the walked path, what the event says of it: s->len, s->flags. */
static __always_inline void path_measure(struct scratch *s)
{
	__u32 pos = s->walked & (WALK_BYTES - 1);
	__u32 len = WALK_BYTES - 1 - pos, flags = 0;

	if (s->partial) {
		/* The first '/' would make it look absolute. */
		flags = BL_EVENT_PATH_PARTIAL;
		if (len) {
			pos++;
			len--;
		}
	} else if (!len) {
		pos--;
		len++;
		s->walk[pos & (WALK_BYTES - 1)] = '/';
	}
	if (len > BL_CONTENT_PATH_MAX) {
		flags |= BL_EVENT_PATH_CUT;
		len = BL_CONTENT_PATH_MAX;
	}
	s->walked = pos;
	s->len = len;
	s->flags = flags;
}

/* Looks for its rule: s->match. What it begins with is read back, so that the
 * verifier forgets on how many ways it was found. */
static __always_inline void
path_match(struct scratch *s, const struct bl_content_hdr *hdr, __u32 kind)
{
	__u32 pos = *(volatile __u32 *)&s->walked & (WALK_BYTES - 1);
	__u32 len = *(volatile __u32 *)&s->len & 255;

	s->match.rule = BL_RULE_NONE;
	s->match.action = hdr ? BL_ACTION_EMIT : BL_ACTION_IGNORE;
	if (hdr && !*(volatile __u32 *)&s->partial)
		s->match = bl_content_path(NULL, hdr, kind, &s->walk[pos], len,
					   &s->walk[WALK_BYTES - 1],
					   *(volatile __u32 *)&s->flags,
					   &s->marks);
}

/* Fills in what is common to all events and sends the first @size bytes. */
static __always_inline void report(struct scratch *s, __u32 kind, __u32 action,
				   __u32 size)
{
	struct bl_event *e = &s->event;
	__u64 id = bpf_get_current_pid_tgid();

	e->size = size;
	e->kind = kind;
	e->action = action;
	e->generation = bl_generation;
	e->version = BL_SENSOR_VERSION;
	e->pid = id;
	e->tgid = id >> 32;
	e->uid = bpf_get_current_uid_gid();
	e->rule = s->match.rule;
	e->reserved = 0;
	e->ts_ns = bpf_ktime_get_ns();
	e->cgroup_id = bpf_get_current_cgroup_id();
	bpf_get_current_comm(e->comm, sizeof(e->comm));
	if (bpf_ringbuf_output(&bl_events, e, size, 0))
		COUNT(dropped);
	else
		COUNT(emitted);
}

/* Takes the walked path into the event; how many bytes it then has. */
static __always_inline __u32 path_size(struct scratch *s)
{
	struct bl_event_path *p = &s->event.path;
	__u32 len = s->len & 255;

	bpf_probe_read_kernel(p->path, len,
			      &s->walk[s->walked & (WALK_BYTES - 1)]);
	p->path[len] = 0;
	p->len = len;
	p->flags = s->flags;
	return BL_EVENT_FIXED + 5 + len;
}

#include "bpf/sensor_sums.h"

/* Finds the path and the rule of @file: s->match, and what path_size takes. 0 if
 * a digest of it was asked for and is not known. */
static __always_inline int file_match(struct scratch *s, struct file *file,
				      __u32 kind)
{
	const struct bl_content_hdr *hdr = content();

	path_walk(s, file);
	path_measure(s);
	path_match(s, hdr, kind);
	return kind != BL_EVENT_EXEC || sum_match(hdr, file, &s->match);
}

/* Whether no path at all could make the content report this kind. */
static __always_inline int never(const struct bl_content_hdr *hdr, __u32 kind)
{
	return !hdr || (!hdr->kind_rules[kind] &&
			hdr->default_action[kind] == BL_ACTION_IGNORE);
}

/* comm is already that of the new program, uid what it runs with. A script's
 * event names its interpreter: that is what runs. */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(bl_exec, struct task_struct *task, int old_pid,
	     struct linux_binprm *bprm)
{
	struct bl_stats *st = stats();
	struct scratch *s;

	if (!st)
		return 0;
	ADD_ONE(st->seen);
	if (never(content(), BL_EVENT_EXEC)) {
		ADD_ONE(st->ignored);
		return 0;
	}
	s = scratch_get();
	if (!s)
		return 0;
	if (!file_match(s, bprm->file, BL_EVENT_EXEC))
		ADD_ONE(st->unhashed);
	/* It was not refused, or we would not be here: a deny rule whose LSM
	 * program had no scratch buffer, or came too late, is worth a line. */
	if (s->match.action == BL_ACTION_IGNORE)
		ADD_ONE(st->ignored);
	else
		report(s, BL_EVENT_EXEC, BL_ACTION_EMIT, path_size(s));
	scratch_put(s);
	return 0;
}

/* What becomes of an open. */
static __always_inline int open_seen(struct file *file)
{
	struct bl_stats *st = stats();
	struct scratch *s;

	if (!st)
		return 0;
	ADD_ONE(st->seen);
	if (never(content(), BL_EVENT_OPEN)) {
		ADD_ONE(st->ignored);
		return 0;
	}
	s = scratch_get();
	if (!s)
		return 0;
	file_match(s, file, BL_EVENT_OPEN);
	/* A refusal is reported by the program that refuses, which runs next. */
	if (s->match.action == BL_ACTION_EMIT)
		report(s, BL_EVENT_OPEN, BL_ACTION_EMIT, path_size(s));
	else if (s->match.action == BL_ACTION_IGNORE)
		ADD_ONE(st->ignored);
	scratch_put(s);
	return 0;
}

SEC("fentry/security_file_open")
int BPF_PROG(bl_open, struct file *file)
{
	return open_seen(file);
}

/* Four bytes of a socket address, from @at on, as a number. */
#define SA_WORD(sa, at)                               \
	((__u32)(__u8)(sa)->sa_data[at] << 24 |       \
	 (__u32)(__u8)(sa)->sa_data[(at) + 1] << 16 | \
	 (__u32)(__u8)(sa)->sa_data[(at) + 2] << 8 |  \
	 (__u32)(__u8)(sa)->sa_data[(at) + 3])

SEC("fentry/security_socket_connect")
int BPF_PROG(bl_connect, struct socket *sock, struct sockaddr *address,
	     int addrlen)
{
	const struct bl_content_hdr *hdr = content();
	struct bl_stats *st = stats();
	struct bl_match match;
	struct scratch *s;
	__u64 high, low = 0;
	__u32 v6;

	/* The kernel's copy of the address; its length was user space's. */
	if (!st || addrlen < (int)sizeof(struct bl_sockaddr_in))
		return 0;
	v6 = address->sa_family == AF_INET6;
	if (v6 ? addrlen < (int)sizeof(struct bl_sockaddr_in6)
	       : address->sa_family != AF_INET)
		return 0;
	ADD_ONE(st->seen);
	if (never(hdr, BL_EVENT_CONNECT)) {
		ADD_ONE(st->ignored);
		return 0;
	}
	if (v6) {
		struct bl_sockaddr_in6 sa;

		bpf_probe_read_kernel(&sa, sizeof(sa), address);
		high = bpf_be64_to_cpu(sa.addr[0]);
		low = bpf_be64_to_cpu(sa.addr[1]);
		v6 = high || low >> 32 != 0xffff;
		if (!v6) {
			high = low << 32;
			low = 0;
		}
	} else {
		high = (__u64)SA_WORD(address, 2) << 32;
	}
	if (v6)
		match = bl_content_addr(NULL, hdr, 1, high, low);
	else
		match = bl_content_addr(NULL, hdr, 0, high, low);
	if (match.action != BL_ACTION_EMIT) {
		ADD_ONE(st->ignored);
		return 0;
	}
	s = scratch_get();
	if (s) {
		struct bl_event_addr *a = &s->event.addr;
		__be64 addr[2] = { bpf_cpu_to_be64(high),
				   bpf_cpu_to_be64(low) };

		a->family = v6 ? AF_INET6 : AF_INET;
		a->port = (__u16)(SA_WORD(address, 0) >> 16);
		__builtin_memcpy(a->addr, addr, sizeof(addr));
		s->match = match;
		report(s, BL_EVENT_CONNECT, BL_ACTION_EMIT,
		       BL_EVENT_FIXED + sizeof(*a));
		scratch_put(s);
	}
	return 0;
}

#include "bpf/sensor_dns.h"

/* -EPERM, reported, if the content denies @file to this kind. */
static __always_inline int refuse(struct file *file, __u32 kind)
{
	const struct bl_content_hdr *hdr = content();
	struct scratch *s;
	int r = 0;

	if (!hdr || !hdr->deny_count || !hdr->kind_rules[kind])
		return 0;
	s = scratch_get();
	if (!s) {
		/* Each torn one was seen, as with the observing programs. */
		COUNT(seen);
		return 0;
	}
	file_match(s, file, kind);
	if (s->match.action == BL_ACTION_DENY) {
		r = -EPERM;
		COUNT(denied);
		report(s, kind, BL_ACTION_DENY, path_size(s));
	}
	scratch_put(s);
	return r;
}

SEC("?lsm/file_open")
int BPF_PROG(bl_deny_open, struct file *file, int ret)
{
	if (ret)
		return ret;
	return refuse(file, BL_EVENT_OPEN);
}

/* Called for a script and again for its interpreter. */
SEC("?lsm/bprm_check_security")
int BPF_PROG(bl_deny_exec, struct linux_binprm *bprm, int ret)
{
	int r;

	if (ret)
		return ret;
	r = refuse(bprm->file, BL_EVENT_EXEC);
	/* The observing program only counts what went through. */
	if (r)
		COUNT(seen);
	return r;
}

/*
 * Of a script's interpreter, which is hashed where bl_deny_exec runs, before or
 * behind it. Not of the hook's own file, whose owner's rights it gets: to what
 * binfmt_misc runs with its flag C, that is the program and not the interpreter.
 */
SEC("?lsm/bprm_creds_from_file")
int BPF_PROG(bl_sum_deny, struct linux_binprm *bprm, struct file *file, int ret)
{
	int r;

	if (ret || bprm->interp == bprm->filename)
		return ret;
	r = refuse(bprm->file, BL_EVENT_EXEC);
	if (r)
		COUNT(seen);
	return r;
}

char LICENSE[] SEC("license") = "GPL";
