/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/kern/kmod/kmod_refusal.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "loader/base/cleanup.h"

/* Whether a module's vermagic ("6.1.0-56-cloud-amd64 SMP …") is of a release */
static bool built_for(const char *vermagic, const char *release)
{
	size_t len = strlen(release);

	return !strncmp(vermagic, release, len) &&
	       (vermagic[len] == ' ' || !vermagic[len]);
}

static bool locked_down(const struct bl_kmod_facts *f)
{
	return f->lockdown[0];
}

static bool sig_enforced(const struct bl_kmod_facts *f)
{
	return f->sig_enforced;
}

static bool disabled(const struct bl_kmod_facts *f)
{
	return f->modules_disabled;
}

static bool not_root(const struct bl_kmod_facts *f)
{
	return !f->privileged;
}

static bool foreign(const struct bl_kmod_facts *f)
{
	return f->vermagic[0] && !built_for(f->vermagic, f->release);
}

/* The first that fits an errno, most telling first. */
static const struct {
	int code;
	bool (*when)(const struct bl_kmod_facts *f);
	const char *why, *hint;
} reasons[] = {
	{ -EPERM, not_root, "only root can load modules", "run it as root" },
	{ -EPERM, disabled,
	  "this kernel takes no more modules (kernel.modules_disabled is 1)",
	  "it can be undone only by a reboot; use the eBPF sensor" },
	{ -EPERM, locked_down,
	  "this kernel is locked down and takes signed modules only",
	  "sign it with a key that the kernel trusts, or use the eBPF sensor, which needs none" },
	{ -EPERM, NULL, "this kernel, or this container, does not allow it",
	  "look for CAP_SYS_MODULE, a security module, or lockdown in dmesg" },
	{ -EKEYREJECTED, sig_enforced,
	  "this kernel takes signed modules only (module.sig_enforce), and this one is not signed",
	  "sign it with a key that the kernel trusts, or use the eBPF sensor, which needs none" },
	{ -EKEYREJECTED, NULL, "this kernel refuses its signature",
	  "sign it with a key that the kernel trusts, or use the eBPF sensor, which needs none" },
	{ -ENOKEY, NULL,
	  "it is signed with a key that this kernel does not know",
	  "enrol the key (mokutil --import), or sign it with one that is" },
	{ -EBADMSG, NULL, "its signature does not fit what it holds",
	  "it was changed after it was signed, or cut off: get it again" },
	{ -ENOEXEC, foreign, "it was built for another kernel",
	  "build it for the kernel that runs: kmod/build" },
	{ -ENOEXEC, NULL, "this is not a module of this machine",
	  "dmesg says what it lacks" },
	{ -ENOENT, NULL, "this kernel has no function that it needs",
	  "dmesg names it; build it for the kernel that runs: kmod/build" },
	{ -EINVAL, NULL,
	  "a parameter is wrong, or a function that it needs is another one in this kernel",
	  "dmesg names it; build it for the kernel that runs: kmod/build" },
	{ -EEXIST, NULL, "a module of its name is loaded already",
	  "rmmod it first" },
	{ -EOPNOTSUPP, NULL, "this kernel cannot run it as it is meant",
	  "dmesg says which hook it could not have" },
};

int bl_kmod_explain(struct bl_err *err, const char *name, int code,
		    const struct bl_kmod_facts *f)
{
	size_t i;

	for (i = 0; i < BL_ARRAY_SIZE(reasons); i++)
		if (reasons[i].code == code &&
		    (!reasons[i].when || reasons[i].when(f)))
			break;
	if (i == BL_ARRAY_SIZE(reasons))
		return bl_err_errno(err, code, "module %s: not loaded", name);
	if (reasons[i].when == foreign)
		bl_err_set(err, code, "module %s: not loaded: %s (%s, not %s)",
			   name, reasons[i].why, f->vermagic, f->release);
	else if (reasons[i].when == locked_down)
		bl_err_set(err, code, "module %s: not loaded: %s (%s)", name,
			   reasons[i].why, f->lockdown);
	else
		bl_err_set(err, code, "module %s: not loaded: %s", name,
			   reasons[i].why);
	bl_err_hint(err, "%s", reasons[i].hint);
	return code;
}
