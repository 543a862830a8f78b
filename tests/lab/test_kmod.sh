#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The kernel module on real kernels: built for each, the same events as the
# eBPF sensor, content and readers that lie, swapped and unloaded under load;
# and what a kernel says that does not take it. One processor: kmod/README.md.
#
# usage: test_kmod.sh BUILD_DIR [KERNEL…]   (default: 6.1, 5.10, 6.12)
# ROUNDS: how often each of load, swap and unload is done (default: 1)
set -euo pipefail

# shellcheck source=tests/lab/lib.sh
. "$(dirname "$0")/lib.sh"
open_lab "$1" kmod
shift
twins=$build/tests/lab/kmod/kmod_twins
kernels=("$@")

# Every kernel of the catalogue that there are headers of, of those wanted.
headers() {
	"$belay" lab kernels --json | awk -F'"' '
		$2 == "headers_dir" { there = NF > 3 }
		$2 == "release" && there { print $4 }'
}

module() { # module KERNEL: built, and where it is
	BELAY=$belay "$here/../../kmod/build" "$build/kmod" "$1"
}

if [[ ${#kernels[@]} -eq 0 ]]; then
	there=$(headers)
	for k in 6.1 5.10 6.12; do
		grep -q "^$k\." <<<"$there" && kernels+=("$k")
	done
fi
[[ ${#kernels[@]} -gt 0 ]] || skip "no headers of kernels in the cache; run scripts/kernels"

first=${kernels[0]}
last=${kernels[-1]}
how=full
for kernel in "${kernels[@]}"; do
	echo "== $kernel"
	foreign=$first
	[[ $kernel != "$first" ]] || foreign=$last # of one, its own: not tried
	if ! ko=$(module "$kernel") || ! other=$(module "$foreign"); then
		fail "$kernel: the module does not build"
		continue
	fi
	run_guest "$kernel" test-kmod --deadline 1500 --append slub_debug=FZPU \
		--file "$ko:/k/belay_sensor.ko" \
		--file "$twins:/usr/bin/kmod_twins" \
		--file "$other:/k/foreign.ko" \
		--file "$build/bpf/sensor.bpf.o:/o/sensor.bpf.o" \
		--file "$here/kmod/guest.sh:/k/guest.sh" \
		-- sh /k/guest.sh "${ROUNDS:-1}" "$how"
	how=short # what differs from kernel to kernel
done

exit $failed
