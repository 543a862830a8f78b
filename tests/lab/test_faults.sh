#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The catalogue's faults, each in a guest that nothing protects: what a kernel
# does about the module, and what the verifier says about the eBPF object.
#
# usage: test_faults.sh BUILD_DIR [KERNEL…]   (default: 6.1)
# FAULTS: which ("all", or IDs); default: one of each kind
set -euo pipefail

# shellcheck source=tests/lab/lib.sh
. "$(dirname "$0")/lib.sh"
open_lab "$1" faults
shift
faults=$source/tests/faults
probe=$build/tests/lab/guest/fault_probe
few='oob-read wild-call unload-leaves-hook blind deny-all'
wanted=${FAULTS:-$few}
pick_kernels 6.1 "$@"

# ID, CONTENT, seconds, and what becomes of the guest: panic and the kernel's
# words, hang, breaks (either) and its words, starves, or lives and a condition on
# what the probe counted.
modules() {
	cat <<-'END'
		null-dereference sensor 3 panic NULL pointer dereference
		oob-read sensor 3 lives unusable==0 && read>0
		oob-read 21-rules 3 panic NULL pointer dereference
		oob-write sensor 3 panic stack-protector: Kernel stack is corrupted in: key_of
		use-after-free sensor 4 panic general protection fault|NULL pointer dereference|unable to handle page fault
		endless-loop sensor 4 hang
		stack-overflow sensor 3 panic stack guard page was hit
		division-by-zero sensor 3 panic divide error
		sleep-in-atomic sensor 4 breaks scheduling while atomic
		lock-twice sensor 4 hang
		wild-call sensor 3 panic general protection fault
		unbounded-allocation sensor 20 starves
		unload-leaves-hook sensor 3 panic unable to handle page fault
		stack-leak sensor 3 lives leaking==0
		over-complex sensor 3 lives unusable==0 && read>0
		other-structures sensor 3 panic NULL pointer dereference|general protection fault|unable to handle page fault
		event-flood sensor 3 lives dropped>0
		slow-path sensor 3 lives ns_per_open>3*healthy
		blind sensor 3 lives emitted>0 && read==0
		deny-all sensor 3 lives unusable==rounds
		network-cut sensor 3 lives unusable==rounds
		sensor deny-vital 3 lives unusable==rounds
		write-user sensor 3 lives unusable==rounds
		late sensor 14 panic NULL pointer dereference
		one-stratum sensor 3 lives unusable==0 && read>0
		hang-irqs-off sensor 4 hang
		map-memory sensor 4 starves
	END
}

# What becomes of it on one kernel.
case_of() { # case_of KERNEL ID CONTENT
	case $1:$2 in
	# No preemption is counted there: it sleeps, and is slow.
	5.10:sleep-in-atomic) echo 'lives ns_per_open>1000000' ;;
	5.10:stack-leak) echo 'lives leaking>0' ;;
	6.12:one-stratum) echo 'panic NULL pointer dereference' ;;
	*) modules | awk -v id="$2" -v content="$3" \
		'$1 == id && $2 == content { $1 = $2 = $3 = ""; sub(/^ +/, ""); print }' ;;
	esac
}

module() { # module KERNEL ID CONTENT SECONDS
	local kernel=$1 id=$2 content=$faults/content/$3.json what words status=0
	local name=fault-$id-$3-$kernel ko out=$work/$2-$3-$1
	what=$(case_of "$1" "$2" "$3")
	words=${what#* }
	[[ $3 != sensor ]] || content=$source/bpf/content.json
	ko=$(BELAY=$belay "$faults/build-module" "$build/faults" "$kernel" "$id") || {
		fail "$kernel: $id does not build"
		return
	}
	"$belay" lab run "$kernel" --name "$name" --log-dir "$logs" \
		--deadline 40 --file "$ko:/k/belay_sensor.ko" \
		--file "$probe:/usr/bin/fault_probe" \
		--file "$content:/k/content.json" \
		-- /usr/bin/fault_probe /k/belay_sensor.ko /k/content.json "$4" \
		unload >"$out" 2>&1 </dev/null || status=$?
	case $what in
	panic*)
		[[ $status = 2 ]] && grep -q '^belay: panic' "$out" &&
			grep -qE "$words" "$logs/$name.console.log"
		;;
	# A guest that did not come so far is slow, or did not boot.
	hang)
		[[ $status = 2 ]] && grep -q '^belay: hang' "$out" &&
			grep -qE '^loaded\r?$' "$out"
		;;
	breaks*)
		[[ $status = 2 ]] &&
			grep -qE "$words" "$logs/$name.console.log"
		;;
	starves)
		grep -qE 'Out of memory|deadlocked on memory' \
			"$logs/$name.console.log"
		;;
	lives*)
		awk -F'[ :]+' -v RS='\n' '
			$1 == "healthy" { print "healthy=" $2 }
			$1 == "result" { for (i = 2; i <= NF; i++) print $i }' "$out" |
			awk -F= -v OFS= "{ v[\$1] = \$2 } END { exit !(NR > 1 && ($(
				sed -E 's/\b([a-z_]+)\b/v["\1"]/g' <<<"$words"))) }"
		;;
	esac || {
		fail "$kernel: $id with $3: not '$what':"
		tail -n 5 "$out"
		return
	}
	echo "$kernel $id $3: $what"
}

# ID and what the verifier says: what it accepts is stopped later, or never.
objects() {
	cat <<-'END'
		null-dereference rejected map_value_or_null
		oob-read rejected outside of the allowed memory range
		oob-write rejected stack
		use-after-free rejected invalid mem access
		endless-loop rejected infinite loop
		stack-overflow rejected back-edge|frames is too deep
		division-by-zero accepted
		sleep-in-atomic rejected sleep|not allowed|unknown func
		lock-twice rejected lock
		wild-call rejected unknown opcode|unknown
		unbounded-allocation accepted
		stack-leak accepted
		over-complex rejected too large
		other-structures rejected CO-RE
		event-flood accepted
		slow-path accepted
		blind accepted
		deny-all accepted
		network-cut accepted
		write-user accepted
		late accepted
		one-stratum accepted
		hang-irqs-off accepted
		map-layout accepted
	END
}

verifier() { # verifier KERNEL: all that is wanted, in one guest
	local kernel=$1 id what words files=() paths=() out=$work/objects-$1
	while read -r id what words; do
		[[ $wanted == all || $id != over-complex ]] || continue
		files+=(--file "$build/tests/faults/ebpf/$id.bpf.o:/o/$id.bpf.o")
		paths+=("/o/$id.bpf.o")
	done < <(objects)
	"$belay" lab run "$kernel" --name "fault-objects-$kernel" \
		--log-dir "$logs" --deadline 1500 "${files[@]}" \
		-- belay probe "${paths[@]}" >"$out" || fail "$kernel: belay probe"
	jq -rs '[., .[1:]] | transpose | map(select(.[0].object)) | .[] |
		(.[0].object | ltrimstr("/o/") | rtrimstr(".bpf.o")) + " " +
		(.[1].programs | map(select(.load != "accepted")) |
			if length == 0 then "accepted" else
			"rejected " + .[0].name + ": " + .[0].why end)' \
		"$out" | tee "$out.said"
	while read -r id what words; do
		[[ $wanted == all || $id != over-complex ]] || continue
		case $kernel:$id in
		5.10:hang-irqs-off) what=rejected words=func ;;
		esac
		# Behind the program's name, which may be one of the words.
		[[ $what != rejected ]] || what='rejected [^:]*: '
		grep -qE "^$id $what.*($words)" "$out.said" ||
			fail "$kernel: $id is not $what: $words"
	done < <(objects)
}

for kernel in "${kernels[@]}"; do
	echo "== $kernel"
	verifier "$kernel"
	while read -r id content seconds _; do
		[[ $wanted == all || " $wanted " == *" $id "* ]] || continue
		module "$kernel" "$id" "$content" "$seconds"
	done < <(modules)
done

exit $failed
