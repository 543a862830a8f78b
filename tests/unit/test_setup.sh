#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What scripts/setup installs starts no daemon on the machine: each package whose
# installation would start one is in its table of services, under the name of the
# unit. A package that is not installed here cannot be looked at, and is named.
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
command -v dpkg-query >/dev/null || { echo 'skipped: no dpkg here'; exit 77; }

mapfile -t packages < <(sed -n '/^packages=(/,/^)/p' "$top/scripts/setup" |
	tr -d '()=' | tr -s ' \t' '\n' | grep -v '^packages$' | grep .)
declare -A services
eval "$(grep '^declare -A services=' "$top/scripts/setup")"
failed=0 looked=0

# Units that the package's installation starts and that stay: not of one run.
started() {
	local script unit file
	script=$(dpkg-query --control-path "$1" postinst 2>/dev/null) || return 0
	[ -f "$script" ] || return 0
	# shellcheck disable=SC2016  # as it stands there
	grep -o 'deb-systemd-invoke \$_dh_action '"'[^']*'" "$script" |
		grep -o "[^' ]*\.service" | while read -r unit; do
		file=$(dpkg-query -L "$1" | grep "/systemd/system/$unit\$")
		grep -q '^Type=oneshot' "$file" || echo "${unit%.service}"
	done
}

[ ${#packages[@]} -gt 20 ] || { echo "NOT OK: ${#packages[@]} packages were read"; exit 1; }
for package in "${packages[@]}"; do
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
		{ echo "not here: $package"; continue; }
	looked=$((looked + 1))
	for unit in $(started "$package"); do
		[ "${services[$package]:-}" = "$unit" ] && continue
		echo "NOT OK: $package starts $unit, and scripts/setup does not mask it"
		failed=1
	done
done
[ "$looked" -gt 0 ] || { echo 'skipped: none of the packages is installed'; exit 77; }
echo "looked at $looked packages"
exit $failed
