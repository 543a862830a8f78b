/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An SQLite VFS whose writes and syncs are steps of a fake kernel, so that a
 * test fails the database, or dies in it, at every place where it touches the
 * disk. Register it once per process; it becomes SQLite's default.
 */
#ifndef FAKE_VFS_H
#define FAKE_VFS_H

#include "tests/support/fake_kern.h"

int fake_vfs_register(struct fake_kern *fake);

#endif
