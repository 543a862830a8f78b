#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The gate and kernel modules: the twin is accepted, with what nobody could ask
# of it said; one that dereferences a null pointer in its hook takes its guest
# down, and is rejected with the kernel's words; a kernel that the bundle has no
# module for rejects it.
#
# usage: test_gate_kmod.sh BUILD_DIR [KERNEL [ID…]]   ID: faults, see
#	tests/faults/module; default: 6.1 null-dereference. Each must be rejected
#	by the exercise.
set -euo pipefail

# shellcheck source=tests/lab/lib.sh
. "$(dirname "$0")/lib.sh"
open_lab "$1" gate-kmod
kernel=${2:-6.1}
faults=("${@:3}")
[[ ${#faults[@]} -gt 0 ]] || faults=(null-dereference)
other=6.12

known "$kernel" || skip "no kernel $kernel in the cache; run scripts/kernels"
mapfile -t built < <(BELAY=$belay "$source/tests/faults/build-module" \
	"$build/faults-kmod" "$kernel" sensor "${faults[@]}")
[[ ${#built[@]} -eq $((${#faults[@]} + 1)) ]] ||
	skip "the modules do not build; are there headers of $kernel in the cache?"

modules() { # modules NAME KO: $work/NAME.bundle
	mkdir -p "$work/$1"
	cp "$2" "$work/$1/a.ko"
	cp "$source/bpf/content.json" "$work/$1/"
	cat >"$work/$1/manifest.json" <<-END
		{"name": "twin", "version": "$1", "modules": ["a.ko"],
		 "content": "content.json"}
	END
	"$belay" bundle build "$work/$1/manifest.json" -o "$work/$1.bundle" \
		>/dev/null
}

# check NAME CODE KERNEL…: the report in $work/NAME.json
check() {
	local name=$1 want=$2 code=0 options=()
	shift 2
	for k in "$@"; do options+=(--kernel "$k"); done
	"$belay" check "$work/$name.bundle" "${options[@]}" --quiet \
		--deadline 1200 \
		--log-dir "$logs/gate-kmod-$name" --format "json=$work/$name.json" \
		--format text || code=$?
	[[ $code -eq $want ]] || fail "$name: ended with $code, not $want"
}

# finds NAME VERDICT CHECK WORDS: a finding in that report
finds() {
	jq -e --arg v "$2" --arg c "$3" --arg w "$4" '[.findings[] |
		select(.verdict == $v and .check == $c and
			(.message | contains($w)))] | length > 0' \
		"$work/$1.json" >/dev/null || fail "$1: no '$2 $3: $4'"
}

modules good "${built[0]}"
check good 0 "$kernel"
finds good pass module "is loaded, and takes its content"
finds good pass exercise "saw "
finds good pass exercise "unloaded under its hooks 3 times"
finds good warn verifier "not possible for a module"
finds good warn swap "a host sees nothing for some"

i=0
for fault in "${faults[@]}"; do
	i=$((i + 1))
	modules "$fault" "${built[$i]}"
	check "$fault" 1 "$kernel"
	jq -e '[.findings[] | select(.verdict == "reject" and
		.check == "exercise")] | length > 0' \
		"$work/$fault.json" >/dev/null ||
		fail "$fault: not rejected by the exercise"
done
[[ -n ${3:-} ]] ||
	finds null-dereference reject exercise "panicked while"

if known "$other" && [[ $other != "$kernel" ]]; then
	cp "$work/good.bundle" "$work/uncovered.bundle"
	check uncovered 1 "$other"
	finds uncovered reject module "the bundle has no module for $other."
fi
exit $failed
