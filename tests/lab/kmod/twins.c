/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel module and the eBPF sensor side by side, in a guest.
 *
 *	kmod_twins compare SENSOR.bpf.o MODULE.ko full|short	the same events?
 *	kmod_twins hostile MODULE.ko	bytes and readers that lie
 *	kmod_twins load MODULE.ko N	swapped and unloaded under load
 *	kmod_twins cycle MODULE.ko N	N rounds of load and unload
 *	kmod_twins insert MODULE.ko	why this kernel does not take it
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/base/file.h"
#include "loader/kern/slots/kern_bpf.h"
#include "tests/lab/kmod/twins.h"

#define GENERATION 7
#define LINES_MAX  512

unsigned failures;

void fail(const char *fmt, ...)
{
	va_list ap;

	fputs("FAIL: ", stdout);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	failures++;
}

void die(const char *fmt, ...)
{
	va_list ap;

	fputs("FAIL: ", stdout);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf(": %s\n", strerror(errno));
	exit(1);
}

static const char content[] =
	"{ \"contract\": 1,\n"
	"  \"default\": { \"exec\": \"emit\", \"open\": \"ignore\",\n"
	"               \"connect\": \"emit\" },\n"
	"  \"rules\": [\n"
	"    { \"id\": \"all\", \"event\": \"open\", \"prefix\": \"/t/\",\n"
	"      \"action\": \"emit\" },\n"
	"    { \"id\": \"one\", \"event\": \"open\", \"path\": \"/t/one\",\n"
	"      \"action\": \"emit\" },\n"
	"    { \"id\": \"quiet\", \"event\": \"open\", \"path\": \"/t/quiet\",\n"
	"      \"action\": \"ignore\" },\n"
	"    { \"id\": \"jail\", \"event\": \"open\", \"path\": \"/jailed\",\n"
	"      \"action\": \"emit\" },\n"
	"    { \"id\": \"marked\", \"event\": \"open\", \"name\": \"marked\",\n"
	"      \"action\": \"emit\" },\n"
	"    { \"id\": \"evil\", \"event\": \"dns\",\n"
	"      \"domain\": \"evil.example\", \"action\": \"emit\" },\n"
	"    { \"id\": \"good\", \"event\": \"dns\",\n"
	"      \"domain\": \"ok.evil.example\", \"action\": \"ignore\" },\n"
	"%s"
	"    { \"id\": \"ten\", \"event\": \"connect\",\n"
	"      \"address\": \"10.0.0.0/8\", \"action\": \"ignore\" },\n"
	"    { \"id\": \"six\", \"event\": \"connect\",\n"
	"      \"address\": \"2001:db8::/32\", \"action\": \"emit\" } ] }\n";
static const char denials[] =
	"    { \"id\": \"secret\", \"event\": \"open\", \"path\": \"/t/secret\",\n"
	"      \"action\": \"deny\" },\n"
	"    { \"id\": \"denied\", \"event\": \"exec\",\n"
	"      \"prefix\": \"/t/denied/\", \"action\": \"deny\" },\n";

struct bl_buf compiled(const char *json)
{
	struct bl_buf bin = { 0 };
	struct bl_err err = { 0 };

	if (bl_content_compile("content", json, strlen(json), &bin, NULL, &err))
		die("%s", err.text);
	return bin;
}

static struct bl_buf content_of(bool denies)
{
	bl_autobuf struct bl_buf json = { 0 };

	MUST(!bl_buf_printf(&json, content, denies ? denials : ""));
	return compiled(bl_buf_str(&json));
}

/* What one twin saw of what DOER did, a line each. */
struct seen {
	char *line[LINES_MAX];
	unsigned count;
	const void *bin;
};

static void seen_free(struct seen *s)
{
	for (unsigned i = 0; i < s->count; i++)
		free(s->line[i]);
}

/* All that must be equal; not the pid and the time. */
static int on_event(void *ctx, const struct bl_event *e, size_t len)
{
	char addr[INET6_ADDRSTRLEN] = "";
	struct seen *s = ctx;
	int n;

	(void)len;
	if (e->uid != DOER)
		return 0;
	MUST(s->count < LINES_MAX);
	CHECK(e->generation == GENERATION && e->ts_ns && e->tgid);
	if (e->kind == BL_EVENT_CONNECT) {
		inet_ntop(e->addr.family, e->addr.addr, addr, sizeof(addr));
		n = asprintf(&s->line[s->count], "%s %s %s %s %u [%s] %lu",
			     bl_event_kind_name(e->kind),
			     bl_action_name(e->action),
			     bl_content_rule_name(s->bin, e->rule), addr,
			     e->addr.port, e->comm,
			     (unsigned long)e->cgroup_id);
	} else {
		n = asprintf(&s->line[s->count], "%s %s %s '%s' %u %x [%s] %lu",
			     bl_event_kind_name(e->kind),
			     bl_action_name(e->action),
			     bl_content_rule_name(s->bin, e->rule),
			     e->path.path, e->path.len, e->path.flags, e->comm,
			     (unsigned long)e->cgroup_id);
	}
	MUST(n > 0);
	s->count++;
	return 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The lines that only one of them has, each as often as it has it more. */
static unsigned differences(struct seen *a, struct seen *b)
{
	unsigned i = 0, j = 0, n = 0;

	qsort(a->line, a->count, sizeof(a->line[0]), by_text);
	qsort(b->line, b->count, sizeof(b->line[0]), by_text);
	while (i < a->count || j < b->count) {
		int order = i == a->count   ? 1
			    : j == b->count ? -1
					    : strcmp(a->line[i], b->line[j]);

		if (order < 0)
			printf("  only eBPF:   %s\n", a->line[i]);
		else if (order > 0)
			printf("  only module: %s\n", b->line[j]);
		n += order != 0;
		i += order <= 0;
		j += order >= 0;
	}
	return n;
}

/* --- each twin watches the same ------------------------------------------- */

static void by_ebpf(const char *object, const struct bl_buf *bin, bool denies,
		    void (*deeds)(struct bl_buf *), struct bl_buf *said,
		    struct seen *ret)
{
	const struct bl_kern_ops *ops = &bl_kern_bpf_ops;
	struct bl_kern_staged staged;
	struct bl_kern_bpf *k = NULL;
	bl_autobuf struct bl_buf o = { 0 };
	struct bl_err err = { 0 };
	struct bl_generation gen;

	MUST(!bl_file_read(object, 16U << 20, &o, &err));
	gen = (struct bl_generation){ .name = "sensor",
				      .number = GENERATION,
				      .object = o.data,
				      .object_len = o.len,
				      .content = bin->data,
				      .content_len = bin->len,
				      .denies = denies };
	if (bl_kern_bpf_new("/sys/fs/bpf/belay", &k, &err) ||
	    ops->stage(k, BL_SLOT_A, &gen, &staged, &err) ||
	    ops->attach(k, BL_SLOT_A, &err))
		die("eBPF: %s", err.text);
	ret->bin = bin->data;
	deeds(said);
	while (ops->events(k, BL_SLOT_A, 0, on_event, ret, &err) > 0)
		;
	if (ops->retire(k, BL_SLOT_A, &err))
		die("eBPF: %s", err.text);
	bl_kern_bpf_free(k);
}

static void by_module(const char *ko, const struct bl_buf *bin, bool denies,
		      void (*deeds)(struct bl_buf *), struct bl_buf *said,
		      struct seen *ret)
{
	struct bl_kmod_reader *reader = NULL;
	struct bl_stats before, after;
	struct bl_err err = { 0 };
	char params[64];

	snprintf(params, sizeof(params), "arm=0 generation=%d deny=%d",
		 GENERATION, denies);
	if (bl_kmod_load(ko, params, &err) ||
	    bl_kmod_content(bin->data, bin->len, &err) ||
	    bl_kmod_reader_open(&reader, &err) ||
	    bl_kmod_stats(&before, &err) || bl_kmod_arm(true, &err))
		die("module: %s", err.text);
	CHECK(!before.seen && bl_kmod_loaded());
	ret->bin = bin->data;
	deeds(said);
	while (bl_kmod_reader_events(reader, 0, on_event, ret, &err) > 0)
		;
	if (bl_kmod_arm(false, &err) || bl_kmod_stats(&after, &err))
		die("module: %s", err.text);
	CHECK(after.seen ==
	      after.ignored + after.emitted + after.dropped + after.torn);
	CHECK(!after.dropped && !after.torn);
	CHECK(!bl_kmod_reader_lost(reader));
	bl_kmod_reader_close(reader);
	if (bl_kmod_unload(&err))
		die("module: %s", err.text);
	CHECK(!bl_kmod_loaded());
}

/* How many of its lines begin so: what both were blind to would be equal, too. */
static unsigned lines(const struct seen *s, const char *start)
{
	unsigned n = 0;

	for (unsigned i = 0; i < s->count; i++)
		n += !strncmp(s->line[i], start, strlen(start));
	return n;
}

static void same(const char *object, const char *ko, bool denies)
{
	bl_autobuf struct bl_buf bin = content_of(denies);
	bl_autobuf struct bl_buf said_a = { 0 }, said_b = { 0 };
	struct seen a = { 0 }, b = { 0 };

	by_ebpf(object, &bin, denies, deeds_do, &said_a, &a);
	by_module(ko, &bin, denies, deeds_do, &said_b, &b);
	printf("%s: %u events by eBPF, %u by the module\n",
	       denies ? "refusing" : "observing", a.count, b.count);
	if (a.count < 20 || differences(&a, &b))
		fail("they do not see the same");
	if (lines(&a, "dns emit evil ") != 4 || lines(&a, "dns ") != 4 ||
	    lines(&a, "open emit marked ") != 2)
		fail("names: %u and %u questions, %u files",
		     lines(&a, "dns emit evil "), lines(&a, "dns "),
		     lines(&a, "open emit marked "));
	if (strcmp(bl_buf_str(&said_a), bl_buf_str(&said_b)) != 0)
		fail("they do not allow the same: eBPF\n%s, module\n%s",
		     bl_buf_str(&said_a), bl_buf_str(&said_b));
	if (!!strstr(bl_buf_str(&said_b), "secret: Operation") != denies ||
	    !!strstr(bl_buf_str(&said_b), "denied/program: Operation") !=
		    denies)
		fail("refused what it should not, or not what it should:\n%s",
		     bl_buf_str(&said_b));
	seen_free(&a);
	seen_free(&b);
}

static void jailed(struct bl_buf *said)
{
	(void)said;
	deeds_jailed();
}

/* The difference that kmod/README.md owns up to, as long as it is there. */
static void differ(const char *object, const char *ko)
{
	bl_autobuf struct bl_buf bin = content_of(false);
	bl_autobuf struct bl_buf said = { 0 };
	struct seen a = { 0 }, b = { 0 };

	by_ebpf(object, &bin, false, jailed, &said, &a);
	by_module(ko, &bin, false, jailed, &said, &b);
	if (a.count != 1 || !strstr(a.line[0], "all '/t/m/jailed'"))
		fail("eBPF in a chroot: %s", a.count ? a.line[0] : "nothing");
	if (b.count != 1 || !strstr(b.line[0], "jail '/jailed'"))
		fail("module in a chroot: %s", b.count ? b.line[0] : "nothing");
	seen_free(&a);
	seen_free(&b);
}

static int compare_mode(const char *object, const char *ko, bool full)
{
	deeds_prepare();
	same(object, ko, true);
	if (!full)
		return 0;
	same(object, ko, false);
	differ(object, ko);
	return 0;
}

/* Says why not, as a person would read it; 3: not loaded. */
static int insert_mode(const char *ko)
{
	struct bl_err err = { 0 };

	if (!bl_kmod_load(ko, "", &err))
		return 0;
	printf("%s\n  %s\n", err.text, err.hint);
	return 3;
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";
	int r = 64;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!strcmp(mode, "exit"))
		return 0;
	if (argc == 5 && !strcmp(mode, "compare"))
		r = compare_mode(argv[2], argv[3], !strcmp(argv[4], "full"));
	else if (argc == 3 && !strcmp(mode, "hostile"))
		r = hostile_mode(argv[2]);
	else if (argc == 4 && !strcmp(mode, "load"))
		r = load_mode(argv[2], atoi(argv[3]));
	else if (argc == 3 && !strcmp(mode, "insert"))
		r = insert_mode(argv[2]);
	else if (argc == 4 && !strcmp(mode, "cycle"))
		r = cycle_mode(argv[2], atoi(argv[3]));
	return failures ? 1 : r;
}
