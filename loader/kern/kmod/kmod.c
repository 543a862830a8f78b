/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/kern/kmod/kmod.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "kmod/abi.h"
#include "loader/base/cleanup.h"
#include "loader/base/file.h"
#include "loader/kern/kmod/kmod_refusal.h"

#define MODULE_MAX (16U << 20) /* bytes of a module's file */

/* The first @size - 1 bytes of a small file without the newline; "": none. */
static void word_of(const char *path, char *ret, size_t size)
{
	bl_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, ret, size - 1);

	if (n < 0)
		n = 0;
	while (n > 0 && isspace((unsigned char)ret[n - 1]))
		n--;
	ret[n] = 0;
}

static bool is_set(const char *path)
{
	char word[8];

	word_of(path, word, sizeof(word));
	return word[0] == 'Y' || word[0] == '1';
}

/* The one in brackets: "none [integrity] confidentiality". */
static void lockdown_of(char ret[static BL_KMOD_WORDS])
{
	char line[BL_KMOD_WORDS], *from, *to;

	word_of("/sys/kernel/security/lockdown", line, sizeof(line));
	from = strchr(line, '[');
	to = from ? strchr(from, ']') : NULL;
	if (!to)
		return;
	*to = 0;
	if (strcmp(from + 1, "none") != 0)
		snprintf(ret, BL_KMOD_WORDS, "%s", from + 1);
}

static void vermagic_of(const char *path, char ret[static BL_KMOD_WORDS])
{
	static const char key[] = "vermagic=";
	bl_autobuf struct bl_buf file = { 0 };
	const char *at;

	if (bl_file_read(path, MODULE_MAX, &file, NULL))
		return;
	at = memmem(file.data, file.len, key, sizeof(key) - 1);
	if (!at)
		return;
	at += sizeof(key) - 1;
	snprintf(ret, BL_KMOD_WORDS, "%.*s", (int)(file.data + file.len - at),
		 at);
}

void bl_kmod_facts_of(const char *path, struct bl_kmod_facts *ret)
{
	struct utsname u = { 0 };

	*ret = (struct bl_kmod_facts){
		.sig_enforced =
			is_set("/sys/module/module/parameters/sig_enforce"),
		.modules_disabled = is_set("/proc/sys/kernel/modules_disabled"),
		.privileged = geteuid() == 0,
	};
	uname(&u);
	snprintf(ret->release, sizeof(ret->release), "%s", u.release);
	if (path)
		vermagic_of(path, ret->vermagic);
	lockdown_of(ret->lockdown);
}

int bl_kmod_load(const char *path, const char *params, struct bl_err *err)
{
	bl_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct bl_kmod_facts facts;
	int code;

	if (fd < 0)
		return bl_err_errno(err, -errno, "module %s", path);
	if (!syscall(SYS_finit_module, fd, params, 0))
		return 0;
	code = -errno;
	bl_kmod_facts_of(path, &facts);
	return bl_kmod_explain(err, path, code, &facts);
}

int bl_kmod_unload(struct bl_err *err)
{
	char state[16];
	int code;

	if (!syscall(SYS_delete_module, BL_KMOD_NAME, O_NONBLOCK))
		return 0;
	code = -errno;
	/* The kernel's word for a module in use is EAGAIN. */
	if (code != -EWOULDBLOCK && code != -EBUSY)
		return bl_err_errno(err, code, "module %s: not unloaded",
				    BL_KMOD_NAME);
	/* One that crashed on its way in or out stays there for good. */
	word_of("/sys/module/" BL_KMOD_NAME "/initstate", state, sizeof(state));
	if (*state && strcmp(state, "live") != 0) {
		bl_err_set(
			err, -EIO,
			"module %s: not unloaded: it never came to the end of its load or unload (%s)",
			BL_KMOD_NAME, state);
		bl_err_hint(err, "only a reboot takes it out");
		return -EIO;
	}
	bl_err_set(err, -EBUSY,
		   "module %s: not unloaded: somebody reads its events",
		   BL_KMOD_NAME);
	bl_err_hint(err, "end who has %s open: fuser -v %s", BL_KMOD_DEVICE,
		    BL_KMOD_DEVICE);
	return -EBUSY;
}

bool bl_kmod_loaded(void)
{
	return !access("/sys/module/" BL_KMOD_NAME, F_OK);
}

int bl_kmod_content(const void *bin, size_t len, struct bl_err *err)
{
	bl_autoclose int fd = open(BL_KMOD_DEVICE, O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return bl_err_errno(err, -errno, BL_KMOD_DEVICE);
	n = write(fd, bin, len);
	if (n == (ssize_t)len)
		return 0;
	if (n >= 0)
		return bl_err_set(err, -EIO, "content: %zd of %zu bytes taken",
				  n, len);
	if (errno == EOPNOTSUPP) {
		bl_err_set(
			err, -EOPNOTSUPP,
			"content: it denies, and the module %s was loaded without deny=1",
			BL_KMOD_NAME);
		bl_err_hint(err, "load the module anew with deny=1");
		return -EOPNOTSUPP;
	}
	if (errno == EBADMSG)
		return bl_err_set(
			err, -EBADMSG,
			"content: the module %s does not take it; dmesg says why",
			BL_KMOD_NAME);
	return bl_err_errno(err, -errno, "content: not given to %s",
			    BL_KMOD_DEVICE);
}

static int write_attr(const char *name, const char *text, struct bl_err *err)
{
	bl_autofree char *path = bl_path(BL_KMOD_SYSFS "/%s", name);
	bl_autoclose int fd = path ? open(path, O_WRONLY | O_CLOEXEC) : -ENOMEM;

	if (fd < 0)
		return bl_err_errno(err, path ? -errno : fd, "module %s: %s",
				    BL_KMOD_NAME, name);
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		return bl_err_errno(err, -errno, "module %s: %s not set to %s",
				    BL_KMOD_NAME, name, text);
	return 0;
}

int bl_kmod_arm(bool armed, struct bl_err *err)
{
	struct bl_err why = { 0 };
	int r = write_attr("armed", armed ? "1" : "0", &why);

	if (r)
		bl_err_set(err, r, "its hooks are not %s: %s",
			   armed ? "in" : "out", why.text);
	return r;
}

int bl_kmod_lease(uint64_t ms, struct bl_err *err)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)ms);
	return write_attr("lease_ms", text, err);
}

int bl_kmod_time(bool on, struct bl_err *err)
{
	return write_attr("timed", on ? "1" : "0", err);
}

static int number_of(const char *name, uint64_t *ret, struct bl_err *err)
{
	bl_autofree char *path = bl_path(BL_KMOD_SYSFS "/%s", name);
	bl_autobuf struct bl_buf text = { 0 };
	unsigned long long v;
	int r = path ? bl_file_read(path, 64, &text, err) : -ENOMEM;

	if (r)
		return bl_err_wrap(err, r, "module %s", BL_KMOD_NAME);
	if (!strcmp(bl_buf_str(&text), "none\n"))
		v = UINT64_MAX;
	else if (sscanf(bl_buf_str(&text), "%llu", &v) != 1)
		return bl_err_set(err, -EBADMSG, "%s: not a number", path);
	*ret = v;
	return 0;
}

int bl_kmod_stats(struct bl_stats *ret, struct bl_err *err)
{
	struct bl_stats s = { 0 };
	const struct {
		const char *name;
		__u64 *to;
	} counters[] = {
		{ "seen", &s.seen },	   { "emitted", &s.emitted },
		{ "ignored", &s.ignored }, { "dropped", &s.dropped },
		{ "denied", &s.denied },   { "torn", &s.torn },
	};
	int r = 0;

	for (size_t i = 0; !r && i < BL_ARRAY_SIZE(counters); i++) {
		uint64_t v = 0;

		r = number_of(counters[i].name, &v, err);
		*counters[i].to = v;
	}
	if (r)
		return r;
	*ret = s;
	return 0;
}

int bl_kmod_lease_left(uint64_t *ret_ms, struct bl_err *err)
{
	return number_of("lease_ms", ret_ms, err);
}

int bl_kmod_times(uint64_t *ret_runs, uint64_t *ret_ns, struct bl_err *err)
{
	uint64_t runs = 0, ns = 0;
	int r = number_of("runs", &runs, err);

	if (!r)
		r = number_of("run_ns", &ns, err);
	if (r)
		return r;
	*ret_runs = runs;
	*ret_ns = ns;
	return 0;
}
