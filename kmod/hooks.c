// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where the kernel calls us, and what becomes of it: the counterpart of the
 * programs in bpf/sensor.bpf.c, hook by hook. README.md says why these ways in.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/binfmts.h>
#include <linux/build_bug.h>
#include <linux/cgroup.h>
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/jump_label.h>
#include <linux/math64.h>
#include <linux/mutex.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/security.h>
#include <linux/skbuff.h>
#include <linux/string.h>
#include <linux/timekeeping.h>
#include <linux/tracepoint.h>
#include <linux/udp.h>
#include <linux/uidgid.h>
#include <net/ip.h>
#include <net/ipv6.h>
#include <net/sock.h>
#include <trace/events/sched.h>

#include "kmod/compat.h"
#include "kmod/sensor.h"

#define COUNT(member) this_cpu_inc(bl_stats.member)

unsigned int bl_generation;

/* --- the lease ------------------------------------------------------------ */

static u64 lease_end = U64_MAX; /* ktime_get_mono_fast_ns() */

void bl_lease_set(u64 ms)
{
	WRITE_ONCE(lease_end, ktime_get_mono_fast_ns() + ms * NSEC_PER_MSEC);
}

bool bl_lease_left(u64 *ret_ms)
{
	u64 end = READ_ONCE(lease_end), now = ktime_get_mono_fast_ns();

	*ret_ms = now < end ? div_u64(end - now, NSEC_PER_MSEC) : 0;
	return end != U64_MAX;
}

/* What content refuses is let through, and reported as anything else. */
static bool lapsed(void)
{
	return ktime_get_mono_fast_ns() >= READ_ONCE(lease_end);
}

/* --- one operation -------------------------------------------------------- */

DEFINE_STATIC_KEY_FALSE(bl_timed);
DEFINE_PER_CPU(struct bl_times, bl_times);

/* This CPU's things, or NULL if a hook is at work with them; that would be one
 * which an interrupt came into. Ended by leave(), in either case. */
static struct bl_cpu *enter(void)
{
	struct bl_cpu *c;

	preempt_disable_notrace();
	rcu_read_lock();
	c = __this_cpu_read(bl_cpu);
	if (READ_ONCE(c->users)) {
		COUNT(torn);
		return NULL;
	}
	WRITE_ONCE(c->users, 1);
	barrier();
	c->began_ns = 0;
	if (static_branch_unlikely(&bl_timed))
		c->began_ns = ktime_get_mono_fast_ns();
	return c;
}

static void count_time(const struct bl_cpu *c)
{
	/* It may have begun before anybody asked. */
	if (!c->began_ns)
		return;
	this_cpu_inc(bl_times.runs);
	this_cpu_add(bl_times.ns, ktime_get_mono_fast_ns() - c->began_ns);
}

static void leave(struct bl_cpu *c)
{
	if (static_branch_unlikely(&bl_timed) && c)
		count_time(c);
	barrier();
	if (c)
		WRITE_ONCE(c->users, 0);
	rcu_read_unlock();
	preempt_enable_notrace();
}

/* Fills in what is common to all events and sends the first @size bytes. */
static void report(struct bl_cpu *c, u32 kind, u32 action, u32 rule, u16 size)
{
	struct bl_event *e = &c->event;

	e->size = size;
	e->kind = kind;
	e->action = action;
	e->generation = bl_generation;
	e->version = BL_SENSOR_VERSION;
	e->pid = current->pid;
	e->tgid = current->tgid;
	e->uid = from_kuid(&init_user_ns, current_uid());
	e->rule = rule;
	e->reserved = 0;
	e->ts_ns = ktime_get_mono_fast_ns();
	e->cgroup_id = cgroup_id(task_dfl_cgroup(current));
	strscpy_pad(e->comm, current->comm, sizeof(e->comm));
	if (bl_ring_put(c))
		COUNT(emitted);
	else
		COUNT(dropped);
}

static void report_path(struct bl_cpu *c, u32 kind, u32 action, u32 rule)
{
	report(c, kind, action, rule, BL_EVENT_FIXED + 5 + c->event.path.len);
}

/* Whether nothing could make the content report this kind. */
static bool never(const struct bl_content *content, u32 kind)
{
	return !bl_content_reports(content, kind);
}

/* Takes the path of @file into the event and looks for its rule. */
static struct bl_match file_match(struct bl_cpu *c,
				  const struct bl_content *content,
				  struct file *file, u32 kind)
{
	bl_path_take(c, file);
	if (c->event.path.flags & BL_EVENT_PATH_PARTIAL)
		return (struct bl_match){ BL_RULE_NONE, BL_ACTION_EMIT };
	return bl_content_of_path(content, kind, &c->event.path, c->path_end,
				  &c->marks);
}

/* --- exec ----------------------------------------------------------------- */

static void on_exec(void *data, struct task_struct *task, pid_t old_pid,
		    struct linux_binprm *bprm)
{
	struct bl_cpu *c = enter();
	const struct bl_content *content = bl_content_get();
	struct bl_match m;

	COUNT(seen);
	if (!c)
		goto out;
	if (never(content, BL_EVENT_EXEC)) {
		COUNT(ignored);
		goto out;
	}
	m = file_match(c, content, bprm->file, BL_EVENT_EXEC);
	/* It was not refused, or we would not be here: a deny rule that came
	 * too late is worth a line. */
	if (m.action == BL_ACTION_IGNORE)
		COUNT(ignored);
	else
		report_path(c, BL_EVENT_EXEC, BL_ACTION_EMIT, m.rule);
out:
	leave(c);
}

/* Whether the content refuses this program; reported if so. */
static bool exec_refused(struct linux_binprm *bprm)
{
	struct bl_cpu *c = enter();
	const struct bl_content *content = bl_content_get();
	const struct bl_content_hdr *hdr;
	bool refused = false;
	struct bl_match m;

	if (!c) {
		COUNT(seen); /* torn ones are */
		goto out;
	}
	if (!content)
		goto out;
	hdr = bl_content_hdr(content);
	if (!hdr->deny_count || !hdr->kind_rules[BL_EVENT_EXEC])
		goto out;
	m = file_match(c, content, bprm->file, BL_EVENT_EXEC);
	refused = m.action == BL_ACTION_DENY && !lapsed();
	if (refused) {
		/* on_exec() will not come. */
		COUNT(seen);
		COUNT(denied);
		report_path(c, BL_EVENT_EXEC, BL_ACTION_DENY, m.rule);
	}
out:
	leave(c);
	return refused;
}

/* --- open ----------------------------------------------------------------- */

/* Whether the content refuses this file; reported as it wants. */
static bool open_refused(struct file *file)
{
	struct bl_cpu *c = enter();
	const struct bl_content *content = bl_content_get();
	struct bl_match m = {};

	COUNT(seen);
	if (!c)
		goto out;
	if (never(content, BL_EVENT_OPEN)) {
		COUNT(ignored);
		goto out;
	}
	m = file_match(c, content, file, BL_EVENT_OPEN);
	if (m.action == BL_ACTION_DENY && lapsed())
		m.action = BL_ACTION_EMIT;
	if (m.action == BL_ACTION_DENY)
		COUNT(denied);
	if (m.action == BL_ACTION_IGNORE)
		COUNT(ignored);
	else
		report_path(c, BL_EVENT_OPEN, m.action, m.rule);
out:
	leave(c);
	return m.action == BL_ACTION_DENY;
}

/* --- connect -------------------------------------------------------------- */

struct address {
	bool v6;
	u16 port;
	u64 high, low; /* as bl_content_addr() wants it */
};

/* From the kernel's copy of an address; its length was user space's. */
static bool address_read(const void *from, int len, struct address *ret)
{
	const struct sockaddr_in *v4 = from;
	const struct sockaddr_in6 *v6 = from;
	__be64 word[2];

	if (len < (int)sizeof(*v4))
		return false;
	*ret = (struct address){ .port = ntohs(v4->sin_port) };
	if (v4->sin_family == AF_INET) {
		ret->high = (u64)ntohl(v4->sin_addr.s_addr) << 32;
		return true;
	}
	if (v4->sin_family != AF_INET6 || len < SIN6_LEN_RFC2133)
		return false;
	ret->v6 = true;
	memcpy(word, &v6->sin6_addr, sizeof(word));
	ret->high = be64_to_cpu(word[0]);
	ret->low = be64_to_cpu(word[1]);
	if (!ret->high && ret->low >> 32 == 0xffff) {
		ret->v6 = false;
		ret->high = ret->low << 32;
		ret->low = 0;
	}
	return true;
}

static void report_address(struct bl_cpu *c, const struct address *from,
			   u32 rule)
{
	struct bl_event_addr *a = &c->event.addr;
	__be64 word[2] = { cpu_to_be64(from->high), cpu_to_be64(from->low) };

	a->family = from->v6 ? AF_INET6 : AF_INET;
	a->port = from->port;
	memcpy(a->addr, word, sizeof(word));
	report(c, BL_EVENT_CONNECT, BL_ACTION_EMIT, rule,
	       BL_EVENT_FIXED + sizeof(*a));
}

static void connect_seen(const void *sockaddr, int len)
{
	const struct bl_content *content;
	struct address address;
	struct bl_cpu *c;
	struct bl_match m;

	if (!address_read(sockaddr, len, &address))
		return;
	c = enter();
	content = bl_content_get();
	COUNT(seen);
	if (!c)
		goto out;
	if (never(content, BL_EVENT_CONNECT)) {
		COUNT(ignored);
		goto out;
	}
	m = bl_content_of_addr(content, address.v6, address.high, address.low);
	if (m.action == BL_ACTION_EMIT)
		report_address(c, &address, m.rule);
	else
		COUNT(ignored);
out:
	leave(c);
}

/* --- dns ------------------------------------------------------------------ */

/* What a datagram asks of DNS, in front of its tail; false: nothing. */
static bool question_find(const struct sk_buff *skb, const u8 **ret,
			  u32 *ret_len)
{
	const u8 *tail = skb_tail_pointer(skb);
	const struct udphdr *udp;

	if (!skb->sk || skb->sk->sk_protocol != IPPROTO_UDP)
		return false;
	udp = (const void *)skb_transport_header(skb);
	if ((const u8 *)(udp + 1) + BL_DNS_HEADER > tail ||
	    udp->dest != htons(BL_DNS_PORT))
		return false;
	*ret = (const u8 *)(udp + 1);
	*ret_len = min_t(size_t, tail - *ret, BL_DNS_MESSAGE_MAX);
	return true;
}

/* Takes the name that is asked for into the event. */
static bool name_take(struct bl_cpu *c, const u8 *msg, u32 len)
{
	struct bl_event_path *p = &c->event.path;

	memcpy(c->walk, msg, len);
	if (!bl_dns_name((const u8 *)c->walk, len, p->path, &c->dns))
		return false;
	p->len = c->dns.len;
	p->flags = 0;
	p->path[p->len] = 0;
	return true;
}

static void datagram_seen(const struct sk_buff *skb)
{
	const struct bl_content *content;
	struct bl_cpu *c;
	struct bl_match m;
	const u8 *msg;
	u32 len;

	if (!question_find(skb, &msg, &len))
		return;
	c = enter();
	content = bl_content_get();
	if (!c) {
		COUNT(seen); /* torn ones are */
		goto out;
	}
	if (never(content, BL_EVENT_DNS) || !name_take(c, msg, len))
		goto out;
	COUNT(seen);
	m = bl_content_of_domain(content, &c->event.path, &c->marks);
	if (m.action == BL_ACTION_EMIT)
		report_path(c, BL_EVENT_DNS, BL_ACTION_EMIT, m.rule);
	else
		COUNT(ignored);
out:
	leave(c);
}

/* --- in and out of the kernel --------------------------------------------- */

/*
 * What a refused function becomes: ftrace returns to here instead, before one
 * instruction of it ran, and here it returns what it would have returned. That
 * is what FTRACE_OPS_FL_IPMODIFY is for; with it the kernel keeps others that
 * would do the same (live patches; before 6.0 also eBPF's fentry) away from the
 * function.
 */
static noinline __used int refuse(void)
{
	return -EPERM;
}

static void refuse_if(bool refused, struct pt_regs *regs)
{
	if (refused)
		instruction_pointer_set(regs, (unsigned long)refuse);
}

static void before_open(unsigned long ip, unsigned long parent,
			struct ftrace_ops *ops, struct bl_ftrace_regs *fregs)
{
	struct pt_regs *regs = bl_regs_of(fregs);

	refuse_if(open_refused((void *)regs_get_kernel_argument(regs, 0)),
		  regs);
}

static void before_bprm_check(unsigned long ip, unsigned long parent,
			      struct ftrace_ops *ops,
			      struct bl_ftrace_regs *fregs)
{
	struct pt_regs *regs = bl_regs_of(fregs);

	refuse_if(exec_refused((void *)regs_get_kernel_argument(regs, 0)),
		  regs);
}

static void before_connect(unsigned long ip, unsigned long parent,
			   struct ftrace_ops *ops, struct bl_ftrace_regs *fregs)
{
	struct pt_regs *regs = bl_regs_of(fregs);

	connect_seen((void *)regs_get_kernel_argument(regs, 1),
		     (int)regs_get_kernel_argument(regs, 2));
}

static void before_send4(unsigned long ip, unsigned long parent,
			 struct ftrace_ops *ops, struct bl_ftrace_regs *fregs)
{
	datagram_seen((void *)regs_get_kernel_argument(bl_regs_of(fregs), 1));
}

static void before_send6(unsigned long ip, unsigned long parent,
			 struct ftrace_ops *ops, struct bl_ftrace_regs *fregs)
{
	datagram_seen((void *)regs_get_kernel_argument(bl_regs_of(fregs), 0));
}

/* Nothing else would notice that one of these has another prototype. */
static_assert(__same_type(security_file_open, int(struct file *)));
static_assert(__same_type(security_bprm_check, int(struct linux_binprm *)));
static_assert(__same_type(security_socket_connect,
			  int(struct socket *, struct sockaddr *, int)));
static_assert(__same_type(ip_send_skb, int(struct net *, struct sk_buff *)));
static_assert(__same_type(ip6_send_skb, int(struct sk_buff *)));

static struct hook {
	char *function;
	ftrace_func_t callback;
	bool refuses, only_refuses, dns;
	bool in;
	struct ftrace_ops ops;
} hooks[] = {
	{ "security_file_open", before_open, .refuses = true },
	{ "security_socket_connect", before_connect },
	{ "security_bprm_check", before_bprm_check, .refuses = true,
	  .only_refuses = true },
	{ "ip_send_skb", before_send4, .dns = true },
	{ "ip6_send_skb", before_send6, .dns = true },
};

static struct tracepoint *exec_tracepoint;
static bool exec_in;
static bool all_in;	/* those that any content needs */
static bool dns_wanted; /* by the content in force */
static DEFINE_MUTEX(hooks_lock);
static bool could_refuse; /* since the hooks are in */

static int hook_add(struct hook *h, bool deny)
{
	int err;

	h->ops = (struct ftrace_ops){
		.func = h->callback,
		/* PERMANENT: kernel.ftrace_enabled=0 cannot blind us. */
		.flags = FTRACE_OPS_FL_SAVE_REGS | FTRACE_OPS_FL_PERMANENT |
			 (h->refuses && deny ? FTRACE_OPS_FL_IPMODIFY : 0),
	};
	err = ftrace_set_filter(&h->ops, h->function, strlen(h->function), 1);
	if (!err)
		err = register_ftrace_function(&h->ops);
	h->in = !err;
	if (err) {
		pr_err("no hook at %s: %d\n", h->function, err);
		ftrace_set_filter(&h->ops, NULL, 0, 1);
	}
	return err;
}

/* Waits until no CPU is in the callback; so says ftrace of ops that are not in
 * the kernel's own image. */
static void hook_remove(struct hook *h)
{
	if (!h->in)
		return;
	unregister_ftrace_function(&h->ops);
	ftrace_set_filter(&h->ops, NULL, 0, 1); /* frees the filter */
	h->in = false;
}

static void tracepoint_find(struct tracepoint *tp, void *ret)
{
	if (!strcmp(tp->name, "sched_process_exec"))
		*(struct tracepoint **)ret = tp;
}

static int exec_add(void)
{
	int err;

	/* Does not compile where the arguments are others. */
	check_trace_callback_type_sched_process_exec(on_exec);
	/* The tracepoint itself is not exported. */
	for_each_kernel_tracepoint(tracepoint_find, &exec_tracepoint);
	if (!exec_tracepoint) {
		pr_err("no tracepoint sched_process_exec\n");
		return -ENOENT;
	}
	err = tracepoint_probe_register(exec_tracepoint, (void *)on_exec, NULL);
	exec_in = !err;
	return err;
}

/* Whether it belongs in. */
static bool wanted(const struct hook *h, bool deny)
{
	return h->dns ? dns_wanted : deny || !h->only_refuses;
}

static void remove_all(void)
{
	size_t i;

	if (exec_in)
		tracepoint_probe_unregister(exec_tracepoint, (void *)on_exec,
					    NULL);
	exec_in = false;
	all_in = false;
	for (i = 0; i < ARRAY_SIZE(hooks); i++)
		hook_remove(&hooks[i]);
	tracepoint_synchronize_unregister();
	/* A task may have been preempted in refuse(), outside of any callback.
	 * All have left it when each has slept, or been in user space. */
	if (could_refuse)
		synchronize_rcu_tasks();
	could_refuse = false;
}

int bl_hooks_add(bool deny)
{
	int err = 0;
	size_t i;

	mutex_lock(&hooks_lock);
	could_refuse = deny;
	for (i = 0; !err && i < ARRAY_SIZE(hooks); i++)
		if (wanted(&hooks[i], deny))
			err = hook_add(&hooks[i], deny);
	if (!err)
		err = exec_add();
	if (err)
		remove_all();
	all_in = !err;
	mutex_unlock(&hooks_lock);
	return err;
}

void bl_hooks_remove(void)
{
	mutex_lock(&hooks_lock);
	remove_all();
	mutex_unlock(&hooks_lock);
}

int bl_hooks_dns(bool in)
{
	int err = 0;
	size_t i;

	mutex_lock(&hooks_lock);
	dns_wanted = in;
	for (i = 0; !err && all_in && i < ARRAY_SIZE(hooks); i++)
		if (in && hooks[i].dns && !hooks[i].in)
			err = hook_add(&hooks[i], false);
	dns_wanted = in && !err;
	for (i = 0; !dns_wanted && i < ARRAY_SIZE(hooks); i++)
		if (hooks[i].dns)
			hook_remove(&hooks[i]);
	mutex_unlock(&hooks_lock);
	return err;
}
