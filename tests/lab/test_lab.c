/* SPDX-License-Identifier: Apache-2.0 */
/* MicroVMs: what their commands say, how they end, what they can reach. */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/lab/catalog.h"
#include "loader/lab/vm.h"
#include "tests/main.h"

#define VMS_MAX	    16
#define DEADLINE_MS 800000
#define HANG_MS	    20000

static struct bl_catalog catalog;
static struct bl_err err;
static char *dir;

static void set_up(void)
{
	err = (struct bl_err){ 0 };
	dir = bl_test_tmpdir();
}

static void tear_down(void)
{
	bl_file_rmtree(dir, NULL);
	free(dir);
}

static struct bl_vm_spec spec_of(const struct bl_kernel *k, const char *name,
				 const char *const *argv)
{
	return (struct bl_vm_spec){ .kernel = k,
				    .name = name,
				    .log_dir = dir,
				    .argv = argv,
				    .deadline_ms = DEADLINE_MS };
}

static const struct bl_kernel *own_kernel(void)
{
	const struct bl_kernel *k = NULL;

	ck_assert_msg(bl_catalog_pick(&catalog, "6.1", &k, &err) == 0, "%s",
		      err.text);
	return k;
}

static struct bl_vm *boot(const struct bl_vm_spec *s)
{
	struct bl_vm *vm = NULL;

	ck_assert_msg(bl_vm_start(s, &vm, &err) == 0, "%s", err.text);
	return vm;
}

static void wait_all(struct bl_vm **vms, size_t count)
{
	size_t ended = 0;

	while (ended < count) {
		int r = bl_vm_poll(vms, count, -1, &err);

		ck_assert_msg(r > 0, "%s", err.text);
		ended += (size_t)r;
	}
}

static bool log_has(const struct bl_vm_result *res, const char *text)
{
	bl_autobuf struct bl_buf log = { 0 };

	ck_assert_int_eq(bl_file_read(res->log_path, 1 << 24, &log, &err), 0);
	return memmem(log.data, log.len, text, strlen(text)) != NULL;
}

/* Every kernel that is ready boots @n-th of them at once with @base. */
static size_t boot_every_kernel(struct bl_vm_spec base, struct bl_vm **vms)
{
	const char *const all = "all";
	bl_autofree const struct bl_kernel **list = NULL;
	size_t n = 0;

	ck_assert_int_eq(bl_catalog_select(&catalog, &all, 1, &list, &n, &err),
			 0);
	ck_assert_uint_le(n, VMS_MAX);
	for (size_t i = 0; i < n; i++) {
		base.kernel = list[i];
		base.name = list[i]->release;
		vms[i] = boot(&base);
	}
	wait_all(vms, n);
	return n;
}

/* --- output and status ---------------------------------------------------- */

START_TEST(status_and_output_are_the_commands_own_on_every_kernel)
{
	/* All bytes there are, in a file of some size, and no newline. */
	bl_autofree char *blob = bl_path("%s/blob", dir);
	bl_autobuf struct bl_buf want = { 0 };
	const char *const argv[] = { "sh", "-c",
				     "cat /data/blob; uname -r >&2; exit 37",
				     NULL };
	struct bl_vm_file file = { blob, "/data/blob" };
	struct bl_vm_spec s = spec_of(NULL, NULL, argv);
	struct bl_vm *vms[VMS_MAX];
	size_t n;

	for (unsigned i = 0; i < 64 * 1024; i++) {
		char c = (char)(i ^ i >> 8);

		ck_assert_int_eq(bl_buf_add(&want, &c, 1), 0);
	}
	ck_assert_int_eq(bl_file_write(blob, want.data, want.len, 0644, &err),
			 0);
	s.files = &file;
	s.file_count = 1;
	n = boot_every_kernel(s, vms);
	for (size_t i = 0; i < n; i++) {
		const struct bl_vm_result *res = bl_vm_result(vms[i]);
		bl_autofree char *release = NULL;

		ck_assert_msg(res->outcome == BL_VM_EXITED, "%s: %s",
			      res->log_path, res->reason);
		ck_assert_int_eq(res->exit_status, 37);
		ck_assert_uint_gt(res->output.len, want.len);
		ck_assert_mem_eq(res->output.data, want.data, want.len);
		release = strndup(res->output.data + want.len,
				  res->output.len - want.len - 1);
		ck_assert_ptr_nonnull(strstr(res->log_path, release));
		ck_assert_uint_gt(res->boot_ms, 0);
		ck_assert(log_has(res, "Linux version"));
		bl_vm_free(vms[i]);
	}
}
END_TEST

START_TEST(a_guest_is_what_the_loader_needs)
{
	/* Each line is what a part of belay relies on in a guest. */
	const char *const argv[] = {
		"sh", "-ec",
		"belay --help >/dev/null\n"
		"grep -q bpf /sys/kernel/security/lsm\n"
		"for fs in bpf cgroup2 debugfs tracefs securityfs tmpfs; do\n"
		"	grep -q \" $fs \" /proc/mounts\n"
		"done\n"
		"test -r /sys/kernel/btf/vmlinux\n"
		"test \"$(id -u)\" = 0\n"
		"test \"$(cat /proc/sys/kernel/hostname)\" = guest\n"
		"test \"$(ls /sys/class/net)\" = lo\n"
		"test ! -e /.belay/env\n"
		"read -r x && exit 1\n"
		"echo fine\n",
		NULL
	};
	struct bl_vm_spec s = spec_of(own_kernel(), "guest", argv);
	struct bl_vm_result res = { 0 };

	ck_assert_msg(bl_vm_run(&s, &res, &err) == 0, "%s", err.text);
	ck_assert_str_eq(bl_buf_str(&res.output), "fine\n");
	ck_assert_int_eq(res.outcome, BL_VM_EXITED);
	ck_assert_int_eq(res.exit_status, 0);
	bl_vm_result_free(&res);
}
END_TEST

START_TEST(output_beyond_the_limit_is_counted)
{
	const char *const argv[] = { "printf", "0123456789", NULL };
	struct bl_vm_spec s = spec_of(own_kernel(), "limit", argv);
	struct bl_vm_result res = { 0 };

	s.max_output = 4;
	ck_assert_msg(bl_vm_run(&s, &res, &err) == 0, "%s", err.text);
	ck_assert_str_eq(bl_buf_str(&res.output), "0123");
	ck_assert_uint_eq(res.output_lost, 6);
	ck_assert_int_eq(res.outcome, BL_VM_EXITED);
	bl_vm_result_free(&res);
}
END_TEST

/* --- ends ----------------------------------------------------------------- */

START_TEST(panic_hang_and_loss_are_told_apart)
{
	const char *const panic[] = { "sh", "-c",
				      "echo so far; sleep 1;"
				      "echo c >/proc/sysrq-trigger",
				      NULL };
	const char *const hang[] = { "sh", "-c", "echo so far; sleep 1000",
				     NULL };
	const char *const lost[] = { "sh", "-c",
				     "echo so far; sleep 1; poweroff -f",
				     NULL };
	const char *const killed[] = { "sh", "-c", "kill -9 $$", NULL };
	const struct bl_kernel *k = own_kernel();
	struct bl_vm_spec s[] = { spec_of(k, "panic", panic),
				  spec_of(k, "hang", hang),
				  spec_of(k, "lost", lost),
				  spec_of(k, "killed", killed) };
	const struct bl_vm_result *res[BL_ARRAY_SIZE(s)];
	struct bl_vm *vms[BL_ARRAY_SIZE(s)];

	s[1].deadline_ms = HANG_MS;
	for (size_t i = 0; i < BL_ARRAY_SIZE(s); i++)
		vms[i] = boot(&s[i]);
	wait_all(vms, BL_ARRAY_SIZE(s));
	/* Time enough to begin, wherever this runs. */
	while (!bl_vm_result(vms[1])->output.len &&
	       s[1].deadline_ms < DEADLINE_MS) {
		s[1].deadline_ms *= 2;
		bl_vm_free(vms[1]);
		vms[1] = boot(&s[1]);
		wait_all(&vms[1], 1);
	}
	for (size_t i = 0; i < BL_ARRAY_SIZE(s); i++) {
		res[i] = bl_vm_result(vms[i]);
		ck_assert_int_eq(access(res[i]->log_path, R_OK), 0);
		if (i < 3)
			ck_assert_str_eq(bl_buf_str(&res[i]->output),
					 "so far\n");
	}
	ck_assert_int_eq(res[0]->outcome, BL_VM_PANIC);
	ck_assert_ptr_nonnull(
		strstr(res[0]->reason, "Kernel panic - not syncing: sysrq"));
	ck_assert(log_has(res[0], "Kernel panic - not syncing: sysrq"));
	ck_assert_int_eq(res[1]->outcome, BL_VM_HANG);
	ck_assert_uint_ge(res[1]->total_ms, s[1].deadline_ms);
	ck_assert_int_eq(res[2]->outcome, BL_VM_LOST);
	ck_assert_ptr_nonnull(strstr(res[2]->reason, "went down"));
	/* The command's death is not the guest's. */
	ck_assert_int_eq(res[3]->outcome, BL_VM_EXITED);
	ck_assert_int_eq(res[3]->exit_status, 137);
	for (size_t i = 0; i < BL_ARRAY_SIZE(s); i++)
		bl_vm_free(vms[i]);
}
END_TEST

START_TEST(an_image_that_is_no_kernel_is_lost_with_a_reason)
{
	bl_autofree char *image = bl_path("%s/vmlinuz", dir);
	const char *const argv[] = { "true", NULL };
	struct bl_kernel k = *own_kernel();
	struct bl_vm_spec s = spec_of(&k, "garbage", argv);
	struct bl_vm_result res = { 0 };

	ck_assert_int_eq(bl_file_write(image, "garbage", 7, 0644, &err), 0);
	k.image = image;
	k.dir = dir;
	ck_assert_msg(bl_vm_run(&s, &res, &err) == 0, "%s", err.text);
	ck_assert_int_eq(res.outcome, BL_VM_LOST);
	ck_assert_msg(strstr(res.reason, "QEMU ended"), "%s", res.reason);
	bl_vm_result_free(&res);
}
END_TEST

/* --- what outlives a guest ------------------------------------------------ */

/* One boot of a host with a disk, a pstore and a watchdog. */
static void boot_of(const char *name, const char *script,
		    enum bl_vm_outcome outcome, const char *reason,
		    const char *output)
{
	bl_autofree char *disk = bl_path("%s/disk", dir);
	bl_autofree char *pstore = bl_path("%s/pstore", dir);
	const struct bl_vm_disk disks[] = { { disk, "/var/lib/it" } };
	const char *const argv[] = { "sh", "-c", script, NULL };
	const struct bl_kernel *k = NULL;
	struct bl_vm_result res = { 0 };
	struct bl_vm_spec s;

	/* The first one whose cloud kernel has the watchdog's driver. */
	ck_assert_msg(bl_catalog_pick(&catalog, "6.12", &k, &err) == 0, "%s",
		      err.text);
	s = spec_of(k, name, argv);
	s.disks = disks;
	s.disk_count = 1;
	s.pstore = pstore;
	s.watchdog = BL_VM_WATCHDOG_HARD;
	s.warm = true; /* it must not be */
	ck_assert_msg(bl_vm_run(&s, &res, &err) == 0, "%s", err.text);
	ck_assert_msg(res.outcome == outcome, "%s: %s: %s: %s", name,
		      bl_vm_outcome_name(res.outcome), res.reason,
		      bl_buf_str(&res.output));
	ck_assert_msg(strstr(res.reason, reason), "%s", res.reason);
	ck_assert_str_eq(bl_buf_str(&res.output), output);
	ck_assert(!res.warm);
	bl_vm_result_free(&res);
}

START_TEST(a_host_goes_down_and_comes_up_with_what_it_had_flushed)
{
	boot_of("fed-to-the-dog",
		"cd /var/lib/it; echo kept >kept; sync; echo lost >lost\n"
		"exec watchdog -F -T 2 -t 600 /dev/watchdog",
		BL_VM_REBOOTED, "the watchdog reset the guest", "");
	boot_of("panics",
		"cd /var/lib/it; cat *t; ls /sys/fs/pstore; cat *t >/dev/null\n"
		"echo c >/proc/sysrq-trigger; sleep 100",
		BL_VM_PANIC, "sysrq triggered crash", "kept\n");
	boot_of("resets-itself",
		"grep -ho 'not syncing: sysrq.*' /sys/fs/pstore/dmesg-*\n"
		"rm /sys/fs/pstore/*; ls /var/lib/it/kept\n"
		"reboot -f; sleep 100",
		BL_VM_REBOOTED, "the guest was reset before its command",
		"not syncing: sysrq triggered crash\n/var/lib/it/kept\n");
	boot_of("ends", "ls /sys/fs/pstore; exit 0", BL_VM_EXITED, "", "");
}
END_TEST

/* --- the network ---------------------------------------------------------- */

struct server {
	int fd;
	uint16_t port;
	pthread_t thread;
	unsigned served;
};

/* Echoes one line per connection, until its socket is shut down. */
static void *serve(void *arg)
{
	struct server *s = arg;
	char line[64];
	int c;

	while ((c = accept(s->fd, NULL, NULL)) >= 0) {
		ssize_t n = read(c, line, sizeof(line));

		s->served++;
		if (n > 0 && write(c, line, (size_t)n) < 0)
			s->served = 0;
		close(c);
	}
	return NULL;
}

static void server_start(struct server *s)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof(a);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(s->fd, 0);
	ck_assert_int_eq(bind(s->fd, (struct sockaddr *)&a, len), 0);
	ck_assert_int_eq(listen(s->fd, 16), 0);
	ck_assert_int_eq(getsockname(s->fd, (struct sockaddr *)&a, &len), 0);
	s->port = ntohs(a.sin_port);
	ck_assert_int_eq(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void server_stop(struct server *s)
{
	shutdown(s->fd, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	close(s->fd);
}

START_TEST(a_guest_reaches_one_port_of_the_host_and_nothing_else)
{
	struct server wanted = { 0 }, other = { 0 };
	struct bl_vm *vms[VMS_MAX];
	bl_autofree char *script = NULL;
	size_t n;

	server_start(&wanted);
	server_start(&other);
	script = bl_path("ask() { echo $1 | timeout ${4:-3} nc $2 $3; }\n"
			 "ask one 10.0.2.100 %u 600\n"
			 "ask two 10.0.2.100 %u 600\n"
			 "ask other-port 10.0.2.100 %u 2>/dev/null\n"
			 "ask gateway 10.0.2.2 %u 2>/dev/null\n"
			 "ask world 192.0.2.1 80 2>/dev/null\n"
			 "echo end\n",
			 wanted.port, wanted.port, other.port, other.port);
	{
		const char *const argv[] = { "sh", "-c", script, NULL };
		struct bl_vm_spec s = spec_of(NULL, NULL, argv);

		s.forward_port = wanted.port;
		n = boot_every_kernel(s, vms);
	}
	for (size_t i = 0; i < n; i++) {
		const struct bl_vm_result *res = bl_vm_result(vms[i]);

		ck_assert_msg(res->outcome == BL_VM_EXITED, "%s: %s",
			      res->log_path, res->reason);
		ck_assert_str_eq(bl_buf_str(&res->output), "one\ntwo\nend\n");
		bl_vm_free(vms[i]);
	}
	server_stop(&wanted);
	server_stop(&other);
	ck_assert_uint_eq(wanted.served, 2 * n);
	ck_assert_uint_eq(other.served, 0);
}
END_TEST

/* --- refusals ------------------------------------------------------------- */

START_TEST(a_spec_out_of_its_limits_starts_nothing)
{
	const char *const argv[] = { "true", NULL };
	const char *const empty[] = { NULL };
	struct bl_vm_file missing = { "/nonexistent", "/x" };
	struct bl_kernel broken = { .release = "x", .why = "why not" };
	struct bl_vm_spec good = spec_of(own_kernel(), "refused", argv), s;
	struct bl_vm *vm = NULL;

	s = good;
	s.argv = empty;
	ck_assert_int_eq(bl_vm_start(&s, &vm, &err), -EINVAL);
	s = good;
	s.name = "../escape";
	ck_assert_int_eq(bl_vm_start(&s, &vm, &err), -EINVAL);
	s = good;
	s.mem_mib = 1;
	ck_assert_int_eq(bl_vm_start(&s, &vm, &err), -EINVAL);
	s = good;
	s.kernel = &broken;
	ck_assert_int_eq(bl_vm_start(&s, &vm, &err), -ENODEV);
	ck_assert_ptr_nonnull(strstr(err.text, "why not"));
	s = good;
	s.files = &missing;
	s.file_count = 1;
	ck_assert_int_eq(bl_vm_start(&s, &vm, &err), -ENOENT);
	ck_assert_ptr_nonnull(strstr(err.text, "/nonexistent"));
	ck_assert_ptr_null(vm);
}
END_TEST

Suite *bl_test_suite(void)
{
	Suite *s = suite_create("lab");
	TCase *t = tcase_create("lab");

	if (bl_catalog_load(&catalog, &err) < 0) {
		fprintf(stderr, "skipped: %s; %s\n", err.text, err.hint);
		exit(77);
	}
	/* This program is not belay; the guest gets the one built with it. */
	setenv("BELAY_GUEST_BINARY", BL_TEST_BUILD_DIR "/belay", 1);
	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t,
		       status_and_output_are_the_commands_own_on_every_kernel);
	tcase_add_test(t, a_guest_is_what_the_loader_needs);
	tcase_add_test(t, output_beyond_the_limit_is_counted);
	tcase_add_test(t, panic_hang_and_loss_are_told_apart);
	tcase_add_test(t, an_image_that_is_no_kernel_is_lost_with_a_reason);
	tcase_add_test(t,
		       a_host_goes_down_and_comes_up_with_what_it_had_flushed);
	tcase_add_test(t,
		       a_guest_reaches_one_port_of_the_host_and_nothing_else);
	tcase_add_test(t, a_spec_out_of_its_limits_starts_nothing);
	suite_add_tcase(s, t);
	return s;
}
