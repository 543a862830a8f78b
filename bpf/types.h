/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The few kernel types that the sensor reads, and of each only the members it
 * reads. libbpf finds the members' real places on the running kernel (CO-RE),
 * so order, size and neighbours do not matter here; names do. With these no
 * vmlinux.h is needed, neither checked in nor made where belay is built.
 *
 * A member that is missing on one of the catalogue's kernels does not belong
 * here without bpf_core_field_exists() around its use.
 */
#ifndef BL_BPF_TYPES_H
#define BL_BPF_TYPES_H

#pragma clang attribute push(__attribute__((preserve_access_index)), \
			     apply_to = record)

struct qstr {
	unsigned int len;
	const unsigned char *name;
};

struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
};

struct vfsmount {
	struct dentry *mnt_root;
};

/* fs/mount.h; a vfsmount is always a member of one. */
struct mount {
	struct mount *mnt_parent; /* itself at the root of the namespace */
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct timespec64 {
	__s64 tv_sec;
	long tv_nsec;
};

typedef struct {
	int counter;
} atomic_t;

typedef struct {
	__s64 counter;
} atomic64_t;

struct super_block {
	__u32 s_dev;
	unsigned long s_flags;
	unsigned long s_magic;
};

struct inode {
	struct super_block *i_sb;
	unsigned long i_ino;
	__s64 i_size;
	struct timespec64 i_ctime; /* up to 6.5 */
	__u32 i_generation;
	atomic64_t i_version;
	atomic_t i_writecount;
};

/* 6.6 to 6.10. */
struct inode___hidden {
	struct timespec64 __i_ctime;
};

/* 6.11 on. */
struct inode___split {
	__s64 i_ctime_sec;
	__u32 i_ctime_nsec;
};

struct file {
	struct path f_path;
	struct inode *f_inode;
};

struct linux_binprm {
	char buf[256]; /* how the file begins */
	struct file *file;
	const char *filename, *interp; /* one pointer until a script is met */
};

struct sockaddr {
	unsigned short sa_family;
	char sa_data[14];
};

struct sock {
	__u16 sk_protocol;
};

struct sk_buff {
	struct sock *sk;
	unsigned char *head;
	unsigned int tail; /* from head, as the next */
	__u16 transport_header;
};

#pragma clang attribute pop

/* Types of arguments that are only passed on or compared. */
struct task_struct;
struct socket;
struct net;

/* User space's ABI, the same everywhere: read without CO-RE. */
#define AF_INET	 2
#define AF_INET6 10
#define EPERM	 1

#define IPPROTO_UDP 17

struct bl_sockaddr_in {
	__u16 family;
	__be16 port;
	__be32 addr;
};

struct bl_sockaddr_in6 {
	__u16 family;
	__be16 port;
	__be32 flowinfo;
	__be64 addr[2];
};

struct bl_udphdr {
	__be16 source, dest, len;
	__sum16 check;
};

#endif
