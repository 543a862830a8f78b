/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/trust/fleet.h"

#include <string.h>

static const json_t *of_belay(const struct bl_meta_target *t)
{
	return json_object_get(t->custom, "belay");
}

int64_t bl_fleet_serial(const struct bl_meta_target *target)
{
	int64_t n =
		json_integer_value(json_object_get(of_belay(target), "serial"));

	return n > 0 ? n : 0;
}

/* A1 of one entry; *ret is the release role's. */
static int check_entry(const struct bl_meta *release,
		       const struct bl_meta_target *entry,
		       struct bl_meta_target *ret, struct bl_err *err)
{
	const char *name = entry->path + strlen(BL_FLEET_PREFIX);

	if (strncmp(entry->path, BL_FLEET_PREFIX, strlen(BL_FLEET_PREFIX)) != 0)
		return bl_err_set(err, BL_TRUST_ASSIGNED,
				  "%s: not below " BL_FLEET_PREFIX,
				  entry->path);
	if (!bl_meta_target(release, name, ret))
		return bl_err_set(err, BL_TRUST_ASSIGNED,
				  "%s: the release role lists no '%s'",
				  entry->path, name);
	if (ret->length != entry->length ||
	    strcmp(ret->sha256, entry->sha256) != 0)
		return bl_err_set(
			err, BL_TRUST_ASSIGNED,
			"%s: these are not the bytes that the release role lists as '%s'",
			entry->path, name);
	return 0;
}

int bl_fleet_check(const struct bl_meta *release, const struct bl_meta *fleet,
		   struct bl_err *err)
{
	struct bl_meta_target entry, listed;
	const char *path;
	json_t *v;
	int r = 0;

	json_object_foreach (json_object_get(fleet->body, "targets"), path, v) {
		bl_meta_target(fleet, path, &entry);
		r = check_entry(release, &entry, &listed, err);
		if (r < 0)
			break;
	}
	return r;
}

/* 1: @host is named, 0: it is not. */
static int names_host(const struct bl_meta_target *entry, const char *host,
		      struct bl_err *err)
{
	const json_t *hosts = json_object_get(of_belay(entry), "hosts"), *one;
	int found = 0;
	size_t i;

	if (!json_is_array(hosts) ||
	    json_array_size(hosts) > BL_FLEET_HOSTS_MAX)
		return bl_err_set(
			err, BL_TRUST_MALFORMED,
			"%s: custom.belay.hosts must be a list of at most %d",
			entry->path, BL_FLEET_HOSTS_MAX);
	json_array_foreach (hosts, i, one) {
		const char *pattern = json_string_value(one);

		if (!pattern || !*pattern || strlen(pattern) > BL_META_NAME_MAX)
			return bl_err_set(
				err, BL_TRUST_MALFORMED,
				"%s: custom.belay.hosts[%zu] is no name of a host",
				entry->path, i);
		if (bl_meta_pattern_matches(pattern, host))
			found = 1;
	}
	return found;
}

int bl_fleet_find(const struct bl_meta *release, const struct bl_meta *fleet,
		  const char *host, int64_t floor, struct bl_meta_target *ret,
		  struct bl_err *err)
{
	struct bl_meta_target entry, listed, chosen = { .path = NULL };
	const char *path;
	json_t *v;
	int r;

	json_object_foreach (json_object_get(fleet->body, "targets"), path, v) {
		bl_meta_target(fleet, path, &entry);
		r = check_entry(release, &entry, &listed, err);
		if (!r)
			r = names_host(&entry, host, err);
		if (r < 0)
			return r;
		if (r && chosen.path)
			return bl_err_set(err, BL_TRUST_ASSIGNED,
					  "%s is assigned both %s and %s", host,
					  chosen.path, listed.path);
		if (r)
			chosen = listed;
	}
	if (!chosen.path)
		return bl_err_set(err, -ENOENT, "nothing is assigned to %s",
				  host);
	if (bl_fleet_serial(&chosen) < floor)
		return bl_err_set(err, BL_TRUST_ROLLBACK,
				  "%s has serial %lld, and %s committed %lld",
				  chosen.path,
				  (long long)bl_fleet_serial(&chosen), host,
				  (long long)floor);
	*ret = chosen;
	return 0;
}
