/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/trust/fault.h"

#include <stddef.h>

#include "loader/base/cleanup.h"

static const struct {
	int code;
	const char *name, *words;
} faults[] = {
	{ BL_TRUST_MALFORMED, "malformed",
	  "this is no metadata that a repository writes" },
	{ BL_TRUST_KIND, "kind", "metadata of one role was put for another" },
	{ BL_TRUST_SPEC, "specification",
	  "this belay reads version 1 of the TUF specification" },
	{ BL_TRUST_SIGNATURE, "signature",
	  "who wrote this does not hold the keys" },
	{ BL_TRUST_EXPIRED, "expired",
	  "a freeze: somebody keeps newer metadata back, or nobody renewed it" },
	{ BL_TRUST_ROLLBACK, "rollback",
	  "a rollback: something older was put for what this host has seen" },
	{ BL_TRUST_GAP, "gap", "a root must be one version above the last" },
	{ BL_TRUST_MIX, "mix-and-match",
	  "mix and match: files of different releases were put together" },
	{ BL_TRUST_ENDLESS, "endless",
	  "endless data: more bytes came than there can be" },
	{ BL_TRUST_PACKAGE, "package",
	  "an arbitrary package: these bytes are not the ones signed" },
	{ BL_TRUST_UNLISTED, "unlisted",
	  "no role that may speak of this target lists it" },
	{ BL_TRUST_NAME, "name", "a name that leads out of its folder" },
	{ BL_TRUST_ASSIGNED, "assignment",
	  "the fleet role may only hand out what the release keys signed" },
	{ BL_TRUST_SLOW, "slow",
	  "slow data: a mirror that holds hosts up keeps them at what they have" },
	{ BL_TRUST_REDIRECT, "redirect",
	  "a redirect: name the address where the files are" },
	{ BL_TRUST_DEPUTY, "deputy",
	  "a confused deputy: what is meant for one host was shown to another" },
	{ BL_TRUST_REPLAY, "replay",
	  "a replay: an order that this host has had, or a newer one after it" },
	{ BL_TRUST_UNEXPECTED, "unexpected",
	  "what waits for a signature is not what was to be signed" },
};

const char *bl_trust_fault_name(int code)
{
	for (size_t i = 0; i < BL_ARRAY_SIZE(faults); i++)
		if (faults[i].code == code)
			return faults[i].name;
	return NULL;
}

const char *bl_trust_fault_words(int code)
{
	for (size_t i = 0; i < BL_ARRAY_SIZE(faults); i++)
		if (faults[i].code == code)
			return faults[i].words;
	return NULL;
}
