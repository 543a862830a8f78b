/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/fake_vfs.h"

#include <errno.h>
#include <sqlite3.h>
#include <string.h>

static struct fake_kern *fake;
static sqlite3_vfs vfs, *real;

/* The real file follows in the same allocation. */
struct file {
	sqlite3_file base;
	sqlite3_file real[];
};

static sqlite3_file *real_of(sqlite3_file *f)
{
	return ((struct file *)f)->real;
}

#define REAL(f) real_of(f)->pMethods

static int on_close(sqlite3_file *f)
{
	return REAL(f)->xClose(real_of(f));
}

static int on_read(sqlite3_file *f, void *data, int len, sqlite3_int64 at)
{
	return REAL(f)->xRead(real_of(f), data, len, at);
}

static int on_write(sqlite3_file *f, const void *data, int len,
		    sqlite3_int64 at)
{
	if (fake_kern_step(fake, "database write"))
		return SQLITE_IOERR_WRITE;
	return REAL(f)->xWrite(real_of(f), data, len, at);
}

static int on_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	return REAL(f)->xTruncate(real_of(f), size);
}

static int on_sync(sqlite3_file *f, int flags)
{
	if (fake_kern_step(fake, "database sync"))
		return SQLITE_IOERR_FSYNC;
	return REAL(f)->xSync(real_of(f), flags);
}

static int on_size(sqlite3_file *f, sqlite3_int64 *ret)
{
	return REAL(f)->xFileSize(real_of(f), ret);
}

static int on_lock(sqlite3_file *f, int level)
{
	return REAL(f)->xLock(real_of(f), level);
}

static int on_unlock(sqlite3_file *f, int level)
{
	return REAL(f)->xUnlock(real_of(f), level);
}

static int on_reserved(sqlite3_file *f, int *ret)
{
	return REAL(f)->xCheckReservedLock(real_of(f), ret);
}

static int on_control(sqlite3_file *f, int op, void *arg)
{
	return REAL(f)->xFileControl(real_of(f), op, arg);
}

static int on_sector(sqlite3_file *f)
{
	return REAL(f)->xSectorSize(real_of(f));
}

static int on_device(sqlite3_file *f)
{
	return REAL(f)->xDeviceCharacteristics(real_of(f));
}

static int on_shm_map(sqlite3_file *f, int page, int size, int extend,
		      void volatile **ret)
{
	return REAL(f)->xShmMap(real_of(f), page, size, extend, ret);
}

static int on_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
	return REAL(f)->xShmLock(real_of(f), offset, n, flags);
}

static void on_shm_barrier(sqlite3_file *f)
{
	REAL(f)->xShmBarrier(real_of(f));
}

static int on_shm_unmap(sqlite3_file *f, int remove)
{
	return REAL(f)->xShmUnmap(real_of(f), remove);
}

static const sqlite3_io_methods methods = {
	.iVersion = 2, /* without memory-mapped reading, which needs no steps */
	.xClose = on_close,
	.xRead = on_read,
	.xWrite = on_write,
	.xTruncate = on_truncate,
	.xSync = on_sync,
	.xFileSize = on_size,
	.xLock = on_lock,
	.xUnlock = on_unlock,
	.xCheckReservedLock = on_reserved,
	.xFileControl = on_control,
	.xSectorSize = on_sector,
	.xDeviceCharacteristics = on_device,
	.xShmMap = on_shm_map,
	.xShmLock = on_shm_lock,
	.xShmBarrier = on_shm_barrier,
	.xShmUnmap = on_shm_unmap,
};

static int on_open(sqlite3_vfs *v, sqlite3_filename name, sqlite3_file *f,
		   int flags, int *ret_flags)
{
	int r;

	(void)v;
	r = real->xOpen(real, name, real_of(f), flags, ret_flags);
	f->pMethods = real_of(f)->pMethods ? &methods : NULL;
	return r;
}

int fake_vfs_register(struct fake_kern *fake_kern)
{
	fake = fake_kern;
	if (real)
		return 0;
	real = sqlite3_vfs_find(NULL);
	vfs = *real;
	vfs.pNext = NULL;
	vfs.zName = "fake";
	vfs.szOsFile = (int)sizeof(struct file) + real->szOsFile;
	vfs.xOpen = on_open;
	return sqlite3_vfs_register(&vfs, 1) ? -EIO : 0;
}
