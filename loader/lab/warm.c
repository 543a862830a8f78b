/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/lab/warm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader/base/cleanup.h"
#include "loader/base/clock.h"
#include "loader/base/file.h"
#include "loader/base/proc.h"
#include "loader/lab/identity.h"
#include "loader/lab/image.h"
#include "loader/lab/job.h"
#include "loader/lab/lasting.h"
#include "loader/lab/qmp.h"
#include "loader/lab/state.h"

enum phase { WAKING, BOOTING, SAVING, GOING, GIVEN, OVER };

struct bl_warm {
	const struct bl_machine_spec *spec;
	char *root, *release, *identity;
	int job, ram;
	size_t job_len; /* of its archive */
	enum phase phase;
	bool woke, filled;
	struct bl_qmp qmp;
	struct bl_state_writer *writer;
	struct bl_state state;
};

static int no_memory(struct bl_err *err)
{
	return bl_err_set(err, -ENOMEM, "out of memory");
}

void bl_warm_free(struct bl_warm **w)
{
	struct bl_warm *s = *w;

	if (!s)
		return;
	bl_state_abort(&s->writer);
	bl_state_close(&s->state);
	bl_qmp_free(&s->qmp);
	if (s->job >= 0)
		close(s->job);
	if (s->ram >= 0)
		close(s->ram);
	free(s->root);
	free(s->release);
	free(s->identity);
	free(s);
	*w = NULL;
}

static struct bl_state_id id_of(const struct bl_warm *w)
{
	return (struct bl_state_id){ w->root, w->release, w->identity };
}

/* --- what it is made of --------------------------------------------------- */

/* "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)"; asked once. */
static const char *qemu_version(void)
{
	static char version[256];
	const char *const argv[] = { "qemu-system-x86_64", "--version", NULL };
	const struct bl_proc_opts opts = { .timeout_ms = 10000 };
	bl_autoproc struct bl_proc_result res = { 0 };

	if (!version[0] && bl_proc_run(argv, &opts, &res, NULL) == 0 &&
	    res.status == 0) {
		size_t n = strcspn(bl_buf_str(&res.out), "\n");

		if (n < sizeof(version))
			memcpy(version, res.out.data, n);
	}
	return version;
}

/* The machine, without what differs from run to run. */
static int add_machine(struct bl_buf *out, const struct bl_machine_spec *m)
{
	const struct bl_machine_warm warm = { 0 };
	struct bl_machine_spec same = *m;
	struct bl_argv argv = { 0 };
	int r;

	same.name = same.log = (char *)"";
	if (bl_machine_argv(&same, &warm, &argv) < 0)
		return -ENOMEM;
	r = bl_buf_printf(out, "machine");
	for (size_t i = 0; !r && i < argv.count; i++)
		r = bl_buf_printf(out, " %s", argv.words[i]);
	bl_argv_free(&argv);
	return r ? r : bl_buf_add(out, "\n", 1);
}

static int make_identity(const struct bl_machine_spec *m,
			 const struct bl_initramfs *survey, char **ret,
			 struct bl_err *err)
{
	bl_autobuf struct bl_buf out = { 0 };
	struct stat image;
	int r;

	if (stat(m->image, &image) < 0)
		return bl_err_errno(err, -errno, "cannot open %s", m->image);
	r = bl_buf_printf(&out, "belay state 1\n%s\nkernel", qemu_version());
	if (!r)
		r = bl_identity_stat(&out, &image);
	if (!r)
		r = bl_buf_add(&out, "\n", 1);
	if (!r)
		r = add_machine(&out, m);
	if (!r)
		r = bl_buf_printf(&out, "%s", bl_initramfs_identity(survey));
	if (r < 0)
		return no_memory(err);
	*ret = BL_TAKE(out.data);
	return 0;
}

/* 1: it fits, 0: it does not. */
static int make_job(struct bl_warm *w, const struct bl_vm_spec *spec,
		    const char *mark, const struct bl_initramfs *survey,
		    struct bl_err *err)
{
	char header[BL_JOB_HEADER];
	off_t end;
	int r;

	w->job = memfd_create("belay-job", MFD_CLOEXEC);
	if (w->job < 0 || lseek(w->job, BL_JOB_HEADER, SEEK_SET) < 0)
		return bl_err_errno(err, -errno, "cannot make a job");
	r = bl_image_job(spec, mark, survey, w->job, err);
	if (r < 0)
		return r;
	end = lseek(w->job, 0, SEEK_CUR);
	w->job_len = (size_t)(end - BL_JOB_HEADER);
	if (end < BL_JOB_HEADER || bl_job_header(header, w->job_len) < 0)
		return 0;
	if (pwrite(w->job, header, sizeof(header), 0) !=
		    (ssize_t)sizeof(header) ||
	    ftruncate(w->job, BL_JOB_BYTES) < 0)
		return bl_err_errno(err, -errno, "cannot make a job");
	return 1;
}

static bool possible(const struct bl_vm_spec *s,
		     const struct bl_machine_spec *m)
{
	const char *wanted = getenv("BELAY_LAB_WARM");

	return s->warm && !(wanted && strcmp(wanted, "0") == 0) &&
	       !s->forward_port && !bl_lasting_any(s) &&
	       !(s->append && *s->append) && !m->icount &&
	       m->cpus == BL_VM_CPUS_DEFAULT && strcmp(m->accel, "tcg") == 0 &&
	       *qemu_version();
}

int bl_warm_new(const struct bl_vm_spec *spec, const char *mark,
		const struct bl_machine_spec *m, struct bl_warm **ret,
		struct bl_err *err)
{
	bl_autoinitramfs struct bl_initramfs *survey = NULL;
	bl_autofree char *cache = bl_path_cache();
	bl_autowarm struct bl_warm *w = NULL;
	int r;

	if (!possible(spec, m)) {
		*ret = NULL;
		return 0;
	}
	w = calloc(1, sizeof(*w));
	if (!w || !cache)
		return no_memory(err);
	w->spec = m;
	w->job = w->ram = w->state.ram = w->state.device = -1;
	w->root = bl_path("%s/states", cache);
	w->release = strdup(spec->kernel->release);
	if (!w->root || !w->release)
		return no_memory(err);
	r = bl_image_survey(&survey, err);
	if (!r)
		r = make_identity(m, survey, &w->identity, err);
	if (!r)
		r = make_job(w, spec, mark, survey, err);
	if (r < 0)
		return r;
	*ret = r ? BL_TAKE(w) : NULL;
	return 0;
}

/* --- the monitor ---------------------------------------------------------- */

#define CAPABILITIES                                           \
	"\"capabilities\":["                                   \
	"{\"capability\":\"x-ignore-shared\",\"state\":true}," \
	"{\"capability\":\"events\",\"state\":true}]"

/* Asks, and gives @fd along unless it is -1. */
static int ask(struct bl_warm *w, int monitor, const char *name,
	       const char *arguments, int fd, struct bl_err *err)
{
	bl_autobuf struct bl_buf out = { 0 };
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov;
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (bl_qmp_ask(&w->qmp, name, arguments, &out) < 0)
		return no_memory(err);
	iov = (struct iovec){ out.data, out.len };
	if (fd >= 0) {
		struct cmsghdr *c = &control.align;

		msg.msg_control = control.space;
		msg.msg_controllen = sizeof(control.space);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	if (sendmsg(monitor, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) !=
	    (ssize_t)out.len)
		return bl_err_errno(err, -errno, "cannot ask QEMU's monitor");
	return 0;
}

static int ask_to_begin(struct bl_warm *w, int monitor, struct bl_err *err)
{
	int r = ask(w, monitor, "qmp_capabilities", NULL, -1, err);

	return r ? r
		 : ask(w, monitor, "migrate-set-capabilities", CAPABILITIES, -1,
		       err);
}

static int ask_to_move(struct bl_warm *w, int monitor, const char *how, int fd,
		       struct bl_err *err)
{
	int r = ask(w, monitor, "getfd", "\"fdname\":\"state\"", fd, err);

	return r ? r : ask(w, monitor, how, "\"uri\":\"fd:state\"", -1, err);
}

static int read_monitor(struct bl_warm *w, const struct bl_machine *m,
			struct bl_err *err)
{
	char chunk[4096];
	ssize_t n;
	int r = 0;

	while (!r &&
	       (n = recv(m->monitor, chunk, sizeof(chunk), MSG_DONTWAIT)) > 0)
		r = bl_qmp_feed(&w->qmp, chunk, (size_t)n, err);
	return r; /* that it is closed, the port says too */
}

/* --- starting ------------------------------------------------------------- */

static int wake(struct bl_warm *w, struct bl_machine *m, struct bl_err *err)
{
	const struct bl_machine_warm warm = { .ram = w->state.ram,
					      .job = w->job,
					      .wake = true };
	int r = bl_machine_start(w->spec, -1, &warm, m, err);

	w->phase = WAKING;
	w->woke = true;
	if (!r)
		r = ask_to_begin(w, m->monitor, err);
	return r ? r
		 : ask_to_move(w, m->monitor, "migrate-incoming",
			       w->state.device, err);
}

static int boot(struct bl_warm *w, struct bl_machine *m, struct bl_err *err)
{
	bl_autoinitramfs struct bl_initramfs *base = NULL;
	bl_autoclose int initrd = -1;
	int r = bl_image_base(&base, err);

	if (!r)
		r = bl_initramfs_finish(base, &initrd, err);
	if (r < 0)
		return r;
	w->phase = BOOTING;
	w->ram = memfd_create("belay-ram", MFD_CLOEXEC);
	if (w->ram < 0 || ftruncate(w->ram, (off_t)w->spec->mem_mib << 20) < 0)
		return bl_err_errno(err, -errno, "no memory for a guest");
	r = bl_machine_start(w->spec, initrd,
			     &(struct bl_machine_warm){ .ram = w->ram,
							.job = w->job },
			     m, err);
	return r ? r : ask_to_begin(w, m->monitor, err);
}

int bl_warm_start(struct bl_warm *w, struct bl_machine *ret, struct bl_err *err)
{
	const struct bl_state_id id = id_of(w);

	if (bl_state_open(&id, w->spec->log, &w->state, NULL) == 0)
		return wake(w, ret, err);
	return boot(w, ret, err);
}

/* --- going on ------------------------------------------------------------- */

static int go_on(struct bl_warm *w, int monitor, struct bl_err *err)
{
	w->phase = GOING;
	return ask(w, monitor, "cont", NULL, -1, err);
}

static bool is_sound(const struct bl_warm *w)
{
	bl_autobuf struct bl_buf said = { 0 };

	return bl_file_read(w->spec->log, BL_STATE_CONSOLE_MAX, &said, NULL) ==
		       0 &&
	       bl_guest_sound(bl_buf_str(&said), said.len);
}

/* Where it cannot be saved it goes on at once. */
static int save(struct bl_warm *w, const struct bl_machine *m,
		struct bl_err *err)
{
	const struct bl_state_id id = id_of(w);
	int device, r = ask(w, m->monitor, "stop", NULL, -1, err);

	if (r < 0)
		return r;
	if (bl_state_begin(&id, &w->writer, &device, NULL) < 0)
		return go_on(w, m->monitor, err);
	w->phase = SAVING;
	return ask_to_move(w, m->monitor, "migrate", device, err);
}

static int saved(struct bl_warm *w, const struct bl_machine *m,
		 struct bl_err *err)
{
	if (w->qmp.migration == BL_QMP_MIGRATED &&
	    bl_state_fill(w->writer, w->ram, (size_t)w->spec->mem_mib << 20,
			  w->spec->log, NULL) == 0)
		w->filled = true;
	else
		bl_state_abort(&w->writer);
	return go_on(w, m->monitor, err);
}

static int give(struct bl_warm *w, const struct bl_machine *m,
		struct bl_err *err)
{
	unsigned char seed[BL_JOB_SEED];
	char go[BL_JOB_GO_MAX];
	size_t len;

	if (getrandom(seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
		return bl_err_errno(err, -errno, "no random bytes");
	bl_job_go(go, bl_clock_wall_ms(), seed);
	len = strlen(go);
	if (send(m->port, go, len, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)len)
		return bl_err_errno(err, -errno, "cannot give the job");
	w->phase = GIVEN;
	return 0;
}

int bl_warm_step(struct bl_warm *w, struct bl_machine *m, bool ready,
		 struct bl_err *err)
{
	int r = read_monitor(w, m, err);

	if (r < 0 || !bl_qmp_idle(&w->qmp))
		return r;
	switch (w->phase) {
	case WAKING:
		if (w->qmp.migration == BL_QMP_MIGRATION_FAILED)
			return bl_err_set(err, -EIO, "the state is no good");
		return w->qmp.migration == BL_QMP_MIGRATED
			       ? go_on(w, m->monitor, err)
			       : 0;
	case BOOTING:
		if (!ready)
			return 0;
		return is_sound(w) ? save(w, m, err) : give(w, m, err);
	case SAVING:
		return w->qmp.migration ? saved(w, m, err) : 0;
	case GOING:
		return give(w, m, err);
	default:
		return 0;
	}
}

bool bl_warm_woke(const struct bl_warm *w)
{
	return w->woke;
}

bool bl_warm_over(const struct bl_warm *w)
{
	return w->phase == OVER;
}

void bl_warm_started(struct bl_warm *w)
{
	w->phase = OVER;
}

/* --- the end -------------------------------------------------------------- */

void bl_warm_distrust(struct bl_warm *w)
{
	const struct bl_state_id id = id_of(w);

	if (w->woke)
		bl_state_forget(&id);
	bl_state_abort(&w->writer);
	w->woke = w->filled = false;
	w->phase = OVER;
}

int bl_warm_cold(struct bl_warm *w, int *ret_initrd, struct bl_err *err)
{
	bl_autoinitramfs struct bl_initramfs *base = NULL;
	bl_autoclose int fd = -1;
	off_t at = BL_JOB_HEADER, end = at + (off_t)w->job_len;
	int r = bl_image_base(&base, err);

	if (!r)
		r = bl_initramfs_finish(base, &fd, err);
	while (!r && at < end)
		if (sendfile(fd, w->job, &at, (size_t)(end - at)) <= 0)
			r = bl_err_errno(err, -errno, "cannot copy the job");
	if (!r)
		*ret_initrd = BL_TAKE_FD(fd);
	return r;
}

void bl_warm_keep(struct bl_warm *w)
{
	if (w->filled)
		bl_state_commit(&w->writer, NULL);
	w->filled = false;
}
