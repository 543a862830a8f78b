/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why something was not trusted. Each way has a code of its own, so that a
 * caller, a test and a person can tell an attack from a typing mistake:
 *
 *	r = bl_tuf_refresh(&c, &fetcher, now_s, &err);
 *	if (r < 0 && bl_trust_fault_name(r))	… an attack, or a broken mirror
 *	else if (r < 0)				… a disk, a network, no memory
 *
 * Codes are negative errnos, as everywhere; which one stands for what means
 * nothing beyond that they differ, and that no file system or network answers
 * with them.
 */
#ifndef BL_TRUST_FAULT_H
#define BL_TRUST_FAULT_H

#include <errno.h>

enum bl_trust_fault {
	BL_TRUST_MALFORMED = -EBADMSG,	    /* not the JSON that it must be */
	BL_TRUST_KIND = -EPROTOTYPE,	    /* metadata of another role */
	BL_TRUST_SPEC = -EPROTONOSUPPORT,   /* of another specification */
	BL_TRUST_SIGNATURE = -EKEYREJECTED, /* fewer keys signed than must */
	BL_TRUST_EXPIRED = -EKEYEXPIRED,    /* freeze: it was good once */
	BL_TRUST_ROLLBACK = -EDOTDOT,	    /* older than what was seen */
	BL_TRUST_GAP = -ERANGE,		    /* a root that skips a version */
	BL_TRUST_MIX = -EXDEV, /* not the one that the role above speaks of */
	BL_TRUST_ENDLESS = -EFBIG,     /* more bytes than it may have */
	BL_TRUST_PACKAGE = -EUCLEAN,   /* target's bytes are not those signed */
	BL_TRUST_UNLISTED = -ENOKEY,   /* no role vouches for the target */
	BL_TRUST_NAME = -EISNAM,       /* a name that would leave its folder */
	BL_TRUST_ASSIGNED = -ENOTUNIQ, /* fleet assigns what is not released */
	BL_TRUST_SLOW = -ETIME,	       /* bytes that do not come in time */
	BL_TRUST_REDIRECT = -EREMCHG,  /* a mirror that sends elsewhere */
	BL_TRUST_DEPUTY = -EBADR,      /* an order for another host */
	BL_TRUST_REPLAY = -ESRMNT, /* an order that was carried out before */
	BL_TRUST_UNEXPECTED = -ENAVAIL, /* not what somebody means to sign */
};

/* "rollback", "signature", …: for JSON and tests. NULL: none of these. */
const char *bl_trust_fault_name(int code);

/* The attack in a person's words, to stand behind a message. NULL as above. */
const char *bl_trust_fault_words(int code);

#endif
