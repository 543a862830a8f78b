# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: Apache-2.0
# What the lab's scripts have in common. Source it, then
#
#	open_lab BUILD_DIR NAME		$build $belay $here $source $work $logs
#	pick_kernels "WANTED…" [KERNEL…]	$kernels: those given, else those of
#					WANTED that there are; skips without any
#	modules_of KERNEL	the folder of its modules, or nothing
#	bundle FILE NAME VERSION OBJECT [CONTENT [MORE]]	$work/FILE.bundle
#	run_guest KERNEL NAME OPTION… -- COMMAND…	a microVM; what fails is said
#
# and end with `exit $failed`.
failed=0
bundles=() # --file FILE:/b/FILE, of each bundle

fail() {
	echo "FAIL: $*"
	failed=1
}

skip() {
	echo "skipped: $1"
	[[ ,${BELAY_MUST_RUN:-}, == *,lab,* ]] && exit 1
	exit 77
}

open_lab() {
	build=$(cd "$1" && pwd)
	here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
	source=$(cd "$here/../.." && pwd)
	belay=$build/belay
	logs=$build/tests/lab/logs
	work=$build/tests/lab/$2-work
	rm -rf "$work"
	mkdir -p "$work" "$logs"
	# What the sensor's content watches.
	echo 'root:!::' >"$work/shadow"
}

known() { # known KERNEL: it is in the catalogue
	"$belay" lab kernels --json | grep "\"release\": \"$1\." >/dev/null
}

modules_of() { # modules_of VERSION: their folder, "" without that kernel
	"$belay" lab kernels --json |
		sed -n 's/.*"modules_dir": "\(.*\)".*/\1/p' | grep "/$1\." |
		head -n 1 || true
}

pick_kernels() {
	local wanted=$1 k
	shift
	kernels=("$@")
	if [[ ${#kernels[@]} -eq 0 ]]; then
		for k in $wanted; do
			known "$k" && kernels+=("$k")
		done
	fi
	[[ ${#kernels[@]} -gt 0 ]] ||
		skip "none of $wanted is in the cache; run scripts/kernels"
}

# MORE: other members of the manifest, each followed by a comma.
bundle() {
	local dir=$work/$1 more=${6:-}
	mkdir -p "$dir"
	cp "$4" "$dir/object.bpf.o"
	if [[ -n ${5:-} ]]; then
		cp "$5" "$dir/content.json"
		more+='"content": "content.json",'
	fi
	printf '{"name": "%s", "version": "%s", %s "object": "object.bpf.o"}\n' \
		"$2" "$3" "$more" >"$dir/manifest.json"
	"$belay" bundle build "$dir/manifest.json" -o "$work/$1.bundle" >/dev/null
	bundles+=(--file "$work/$1.bundle:/b/$1.bundle")
}

run_guest() {
	local kernel=$1 name=$2
	shift 2
	"$belay" lab run "$kernel" --name "$name-$kernel" --log-dir "$logs" "$@" ||
		fail "$kernel: $name"
}
