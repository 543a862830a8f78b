/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Content for people (JSON) and for sensors (binary), and the compiler between
 * the two.
 *
 *	{ "contract": 1,
 *	  "default": { "exec": "emit", "open": "ignore", "connect": "emit",
 *	               "dns": "ignore" },
 *	  "rules": [
 *	    { "id": "shadow", "event": "open", "path": "/etc/shadow",
 *	      "action": "emit" },
 *	    { "event": "exec", "prefix": "/tmp/", "action": "deny" },
 *	    { "event": "exec", "name": "xmrig", "action": "deny" },
 *	    { "event": "exec", "sha256": "6ae8…64 digits", "action": "deny" },
 *	    { "event": "connect", "address": "10.0.0.0/8",
 *	      "action": "ignore" },
 *	    { "event": "dns", "domain": "evil.example", "action": "emit" } ] }
 *
 * The longest match wins; an exact path beats a name, a name beats every
 * prefix, a digest beats them all (but "emit" of a digest lifts no "deny"), and what no rule matches gets the default of its kind ("ignore" where
 * none is given). Paths are those that the kernel knows: absolute, of the mount
 * namespace's root, without symbolic links, "." and "..". A name is the last
 * component of a path, in any folder. A digest is that of the file that is
 * executed, script or program, in small hex digits. A domain is a name in DNS and all below
 * it, in small letters.
 *
 * The binary form is described by bpf/content.h. Compiling is deterministic:
 * the same JSON gives the same bytes, on every machine. It takes time in
 * proportion to the text, and beside the text twice the memory of its result.
 */
#ifndef BL_BUNDLE_CONTENT_H
#define BL_BUNDLE_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/content.h"
#include "loader/base/buf.h"
#include "loader/base/err.h"

/* The language of content.json, as written here. Words that came later (name,
 * domain, dns, sha256) changed the meaning of none that were there before, so the number
 * did not change: a belay that is older says which key it does not know. What
 * the text compiles to has a contract of its own: that with the sensor, in
 * bpf/content.h. */
#define BL_CONTENT_JSON_CONTRACT 1

#define BL_CONTENT_JSON_MAX (128U << 20) /* bytes of content.json */
#define BL_CONTENT_BIN_MAX  (96U << 20)	 /* bytes of content.bin */

struct bl_content_info {
	unsigned rules, denies;
	unsigned kinds[BL_EVENT_KINDS]; /* rules of each kind */
	unsigned paths, prefixes, addresses, names, domains, sums;
	unsigned buckets; /* entries that the map bl_content_slots needs */
};

/* Whether a file is meant as content in JSON, by its bytes: an object in JSON;
 * by its name, @path, only if they tell nothing (no object, no bundle). */
bool bl_content_is(const char *path, const void *data, size_t len);

/*
 * Compiles @len bytes of @json (called @name in messages) and adds the binary
 * form to *ret_bin. @ret may be NULL. -EBADMSG with "NAME:LINE: FIELD: why"
 * when it is not content; -EFBIG above BL_CONTENT_JSON_MAX; -ENOMEM.
 */
int bl_content_compile(const char *name, const char *json, size_t len,
		       struct bl_buf *ret_bin, struct bl_content_info *ret,
		       struct bl_err *err);

/*
 * Whether the @len bytes at @bin may be given to a sensor of this contract:
 * header, sizes, every slot. For hosts, which get the binary form from others.
 * @ret may be NULL. -EBADMSG when not. @bin needs the alignment of a uint64_t,
 * as memory from malloc and struct bl_buf has it.
 */
int bl_content_check_binary(const char *name, const void *bin, size_t len,
			    struct bl_content_info *ret, struct bl_err *err);

/* What the header of a binary that passed it counts. */
struct bl_content_info bl_content_info_of(const void *bin);

/* The parts of a binary that passed bl_content_check_binary: the value for the
 * map bl_content_hdr, and bucket_count values for the map bl_content_slots. */
const struct bl_content_hdr *bl_content_header(const void *bin);
const struct bl_content_bucket *bl_content_buckets(const void *bin);

/* The name of a rule (as in an event), "default" for BL_RULE_NONE, "?" for a
 * number that the content does not have. Points into @bin. */
const char *bl_content_rule_name(const void *bin, uint32_t rule);

/*
 * What a sensor with this (checked) content does with a path of @len bytes, or
 * with an address: @family AF_INET or AF_INET6, @addr in network byte order.
 */
struct bl_match bl_content_match_path(const void *bin, enum bl_event_kind kind,
				      const char *path, size_t len);
/* The same with a name in DNS as a sensor has it: of the root, "."; @len at most
 * BL_CONTENT_PATH_MAX. */
struct bl_match bl_content_match_domain(const void *bin, const char *name,
					size_t len);
/* Whether there is a rule for a program with this SHA-256. *m, what its path
 * says, is then what becomes of it. */
bool bl_content_match_sum(const void *bin,
			  const __u64 sum[static BL_CONTENT_SUM_WORDS],
			  struct bl_match *m);
struct bl_match bl_content_match_addr(const void *bin, int family,
				      const uint8_t addr[static 4]);

/* An address under a mask: its first and last 64 bits as numbers. */
struct bl_content_net {
	bool v6;
	unsigned bits;
	uint64_t high, low;
};

/* The longest rule that covers all of @net, in (checked) content; the default
 * if none does. */
struct bl_match bl_content_match_net(const void *bin,
				     const struct bl_content_net *net);

/* Whether a rule may have this, for those who write rules: NULL and *ret, or
 * why not. @path has @len bytes and a NUL behind them. */
const char *bl_content_net_read(const char *text, struct bl_content_net *ret);
const char *bl_content_path_mistake(const char *path, size_t len, bool prefix);
const char *bl_content_name_mistake(const char *name, size_t len);
const char *bl_content_domain_mistake(const char *name, size_t len);
/* 64 hex digits, small ones. */
const char *bl_content_sum_read(const char *text,
				__u64 ret[static BL_CONTENT_SUM_WORDS]);

/* "exec" … "dns" and "ignore" …; "?" for a value that is none. */
const char *bl_event_kind_name(unsigned kind);
const char *bl_action_name(unsigned action);

#endif
