/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/kern/kmod/kmod_choose.h"

#include <errno.h>

#include "loader/base/buf.h"

static int no_fit(const struct bl_generation *gen, const char *release,
		  struct bl_err *err)
{
	bl_autobuf struct bl_buf list = { 0 };
	struct bl_modfile m;

	for (size_t i = 0; i < gen->module_count; i++)
		if (!bl_modfile_read(gen->modules[i].file, gen->modules[i].data,
				     gen->modules[i].len, &m, NULL))
			bl_buf_printf(&list, "%s%s", i ? ", " : "", m.release);
	bl_err_set(
		err, -EOPNOTSUPP,
		"none of its modules was built for this kernel, %s (but for %s)",
		release, bl_buf_str(&list));
	bl_err_hint(err, "build it for the kernel that runs: kmod/build");
	return -EOPNOTSUPP;
}

int bl_kmod_choose(const struct bl_generation *gen, const char *release,
		   const struct bl_kern_module **ret, struct bl_modfile *ret_is,
		   struct bl_err *err)
{
	for (size_t i = 0; i < gen->module_count; i++) {
		const struct bl_kern_module *ko = &gen->modules[i];
		struct bl_modfile m;
		int r = bl_modfile_read(ko->file, ko->data, ko->len, &m, err);

		if (r)
			return r;
		if (!bl_modfile_fits(&m, release))
			continue;
		*ret = ko;
		*ret_is = m;
		return 0;
	}
	return no_fit(gen, release, err);
}

int bl_kmod_foresee(const struct bl_kmod_facts *f, const struct bl_modfile *m,
		    const char *file, struct bl_err *err)
{
	struct bl_err why = { 0 };
	int code = 0;

	if (!f->privileged || f->modules_disabled ||
	    (*f->lockdown && !m->has_signature))
		code = -EPERM;
	else if (f->sig_enforced && !m->has_signature)
		code = -EKEYREJECTED;
	if (!code)
		return 0;
	bl_kmod_explain(&why, file, code, f);
	bl_err_set(err, -EOPNOTSUPP, "%s", why.text);
	bl_err_hint(err, "%s", why.hint);
	return -EOPNOTSUPP;
}
