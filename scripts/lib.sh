# SPDX-License-Identifier: Apache-2.0
# Shared by the scripts of this folder: where things are, how progress looks.
# shellcheck shell=bash
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${BELAY_BUILD:-$top/build}

# shellcheck disable=SC2034  # not every script uses every one
if [ -t 2 ] && [ -z "${NO_COLOR:-}" ]; then
	bold=$'\033[1m' good=$'\033[32m' bad=$'\033[31m' dim=$'\033[2m' off=$'\033[0m'
else
	bold='' good='' bad='' dim='' off=''
fi

# die WHAT [WHAT TO DO]: one clear sentence, and the end.
die() {
	printf '%s%s:%s %s\n' "$bad" "${0##*/}" "$off" "$1" >&2
	[ $# -lt 2 ] || printf '  %s\n' "$2" >&2
	exit "${DIE_CODE:-1}"
}

# step TITLE COMMAND…: runs it with its output in a log; shows that time passes
# (a redrawn line on a terminal, a line every ten seconds elsewhere); on failure
# shows the end of the log. A step under two seconds leaves no trace in a log.
step() {
	local title=$1 log start=$SECONDS pid code=0 shown=0 last
	shift
	mkdir -p "$build/log"
	log=$build/log/$(tr -cs 'a-z0-9' '-' <<<"${title,,}" | sed 's/-*$//').log
	"$@" </dev/null >"$log" 2>&1 &
	pid=$!
	# shellcheck disable=SC2064  # this pid, not a later one
	trap "kill $pid 2>/dev/null; wait $pid 2>/dev/null; exit 130" INT TERM
	while kill -0 "$pid" 2>/dev/null; do
		sleep 0.2
		[ $((SECONDS - start)) -ge 2 ] || continue
		if [ -t 2 ]; then
			last=$(tail -n 1 "$log" | tr -d '\r' | cut -c1-60)
			printf '\r\033[K%s… %ss %s%s%s' "$title" $((SECONDS - start)) \
				"$dim" "$last" "$off" >&2
			shown=1
		elif [ $((SECONDS - start)) -ge $((shown * 10 + 2)) ]; then
			printf '%s… %ss\n' "$title" $((SECONDS - start)) >&2
			shown=$((shown + 1))
		fi
	done
	wait "$pid" || code=$?
	trap - INT TERM
	if [ -t 2 ] && [ "$shown" -gt 0 ]; then printf '\r\033[K' >&2; fi
	if [ "$code" -ne 0 ]; then
		tail -n 15 "$log" >&2
		printf '%s%s failed%s (exit %s); the whole log: %s\n' \
			"$bad" "$title" "$off" "$code" "$log" >&2
		return "$code"
	fi
	if [ $((SECONDS - start)) -ge 2 ]; then
		printf '%s: done in %ss\n' "$title" $((SECONDS - start)) >&2
	fi
}
