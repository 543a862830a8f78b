/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the keeper of a host renews the lease of what can refuse (I8). Pure.
 *
 * It does as long as the host can be used. Once it cannot, the lease runs out,
 * and what refused allows. If the host can be used again from then on, the
 * generation may be to blame, or it was a coincidence: it gets one more chance.
 * If the host is lost again soon after, the lease is withheld: for ten minutes, and for
 * twice as long each time that it is lost again at once, up to a day. Two
 * standstills of a busy host must not switch a good generation off for ever,
 * and a bad one gets less and less of the host. Another generation begins anew.
 * A host that recovers while the lease still holds had
 * another reason.
 *
 *	each BL_HOST_KEEP_MS:	usable = self test
 *				do = bl_keep_next(&k, now, generation, usable)
 *				if (do == BL_KEEP_RENEW) renew
 */
#ifndef BL_HOST_KEEP_H
#define BL_HOST_KEEP_H

#include <stdbool.h>
#include <stdint.h>

#define BL_KEEP_STRIKES 2
#define BL_KEEP_SOON_MS 60000 /* a refusal shows at once, or nearly */

#define BL_KEEP_PAUSE_MS     600000
#define BL_KEEP_PAUSE_MAX_MS 86400000

enum bl_keep_do {
	BL_KEEP_RENEW,
	BL_KEEP_WAIT,	  /* it cannot be used */
	BL_KEEP_WITHHOLD, /* it can, since the lease is not renewed */
};

/* Zero-initialise. */
struct bl_keep {
	uint32_t generation;
	uint64_t since_ms;   /* renewed without a break since; 0: never */
	uint64_t renewed_ms; /* last time */
	bool unusable;	     /* at the last turn */
	unsigned strikes;
	uint64_t pause_ms; /* of the last withholding; 0: there was none */
	uint64_t until_ms; /* its end */
};

/* @lease_ms: how long a renewal lasts. @generation: what is live. */
enum bl_keep_do bl_keep_next(struct bl_keep *k, uint64_t now_ms,
			     uint64_t lease_ms, uint32_t generation,
			     bool usable);

#endif
