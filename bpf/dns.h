/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The name that a message asks DNS for (RFC 1035, 4.1): one source for both
 * sensors and for tests in user space. Pure, no calls, bounded loops; what a
 * loop carries is kept in memory, for the reason given in content.h.
 */
#ifndef BL_BPF_DNS_H
#define BL_BPF_DNS_H

#include "bpf/content.h"

/* What the programs' names begin with that see datagrams; loaded only for
 * content that says something of DNS. */
#define BL_DNS_PROGRAM "bl_dns"

#define BL_DNS_PORT	   53
#define BL_DNS_HEADER	   12  /* bytes before the first question */
#define BL_DNS_NAME_MAX	   255 /* bytes of a name, as it is sent */
#define BL_DNS_MESSAGE_MAX (BL_DNS_HEADER + BL_DNS_NAME_MAX)
#define BL_DNS_LABEL_MAX   63 /* above: no label, but a pointer */

/* Room to work in. */
struct bl_dns_walk {
	__u32 left; /* bytes of the label that it is in */
	__u32 len;  /* what was found: bytes of the name */
};

/* As it is compared and shown: DNS knows no difference between A and a, and a
 * dot inside a label is none between two. */
BL_CONTENT_INLINE char bl_dns_char(__u8 byte)
{
	if (byte >= 'a' && byte <= 'z') /* most are: the short way */
		return (char)byte;
	if (byte >= 'A' && byte <= 'Z')
		return (char)(byte | 0x20);
	if (byte <= ' ' || byte >= 0x7f || byte == '.')
		return '?';
	return (char)byte;
}

/* Whether @msg, of which BL_DNS_HEADER bytes are there, asks something: a
 * query, no answer, with a question in it. */
BL_CONTENT_INLINE int bl_dns_asks(const __u8 *msg)
{
	return !(msg[2] & 0xf8) && (msg[4] | msg[5]);
}

/*
 * The name in the first question of a message of @len bytes (at most
 * BL_DNS_MESSAGE_MAX of them; as many must be readable): into @name, which has
 * BL_EVENT_PATH_MAX bytes, without a NUL behind it. @walk->len is its length;
 * 1 if there is one, 0 if the message is none that could be understood.
 */
BL_CONTENT_INLINE int bl_dns_name(const __u8 *msg, __u32 len, char *name,
				  struct bl_dns_walk *walk)
{
	volatile __u32 *left = &walk->left, *found = &walk->len;
	__u64 i;
	__u32 n;
	__u8 byte;

	if (len < BL_DNS_HEADER || !bl_dns_asks(msg))
		return 0;
	*left = 0;
	for (i = 0; i < BL_DNS_NAME_MAX; i++) {
		if (BL_DNS_HEADER + i >= len)
			return 0;
		byte = msg[BL_DNS_HEADER + i];
		n = *left;
		if (n) {
			*left = n - 1;
			name[i - 1] = bl_dns_char(byte);
			continue;
		}
		if (byte > BL_DNS_LABEL_MAX)
			return 0;
		if (!byte)
			break;
		*left = byte;
		if (i)
			name[i - 1] = '.';
	}
	if (i == BL_DNS_NAME_MAX)
		return 0;
	/* The root has no label at all. */
	if (!i)
		name[0] = '.';
	*found = i > 1 ? (__u32)i - 1 : 1;
	return 1;
}

#endif
