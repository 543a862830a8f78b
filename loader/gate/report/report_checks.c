/* SPDX-License-Identifier: Apache-2.0 */
#include "loader/gate/report/report_checks.h"

#include <string.h>

#include "loader/base/cleanup.h"

const struct bl_report_check bl_report_checks[] = {
	{ "object", "Is the file a whole BPF object for this kind of host",
	  "The ELF file is read byte by byte before anything else touches it: sections, symbols, relocations and BTF must lie inside the file and fit each other, and there must be at least one program.",
	  "Build the object again with clang -target bpf -g -O2; do not ship what a linker for another machine has touched." },
	{ "bundle", "Is the bundle complete and what its digests say",
	  "The archive, its manifest, and the digest and form of each file in it.",
	  "Build it again with 'belay bundle build'; the message names the file and the field." },
	{ "license", "Does the object say its licence",
	  "Kernels give many helpers only to programs under a GPL-compatible licence, and the programs say which theirs is.",
	  "Add  char LICENSE[] SEC(\"license\") = \"GPL\";  or stay with helpers that any licence may call." },
	{ "policy", "Does each program keep to what its profile allows",
	  "Program types, attach points, helpers and kernel functions, sleepable programs, map types and pinning, found in the bytecode itself, functions that are called included.",
	  "Do without what is denied, or name it with a reason in a profile (--profile FILE) that your reviewers agree to." },
	{ "core", "Does every CO-RE relocation resolve on every kernel",
	  "Each field, type and enumerator that the object looks up is looked up in the BTF of each kernel. What is neither there nor guarded stops the program from loading.",
	  "Guard the access with bpf_core_field_exists(), bpf_core_type_exists() or bpf_core_enum_value_exists(), or follow the field's new name with a ___suffix of the structure." },
	{ "map", "Do the maps fit into memory, by the number of processors",
	  "Memory of each map and of all together; per-CPU maps cost their size once per processor.",
	  "Lower max_entries, share one map, or let the loader size it for the machine it is on." },
	{ "abi", "Can data of the previous version's maps go on being used",
	  "Keys, values, types and BTF of maps of the same name, in this object and in the previous one.",
	  "Only add at the end of a value, or give the map another name so that both can exist for a while." },
	{ "state", "What becomes of what the previous version's maps hold",
	  "The decision that a host will make, by the forms of the maps and the words of the manifest: kept, migrated, reset, or refused before anything is touched.",
	  "Say \"keep\", \"migrate\" or \"reset\" for the map under \"state\" in the manifest; the message names it and the hint says which can be done." },
	{ "verifier",
	  "Does every program load on every kernel, by its own verifier",
	  "Each program is loaded into each kernel, in a microVM of its own. A refusal by the verifier rejects, and so does a hook that is not there unless the program is optional.",
	  "The message is the verifier's own and the line is the instruction that it stopped at; the log has the states that led there." },
	{ "module", "Is there a module for every kernel, and does it load",
	  "A sensor that is a kernel module: each file is read, each chosen kernel must have one that was built for it, and takes it in a microVM of its own.",
	  "Build it for the kernel that has none (kmod/build) and name it under \"modules\", or do not choose that kernel." },
	{ "budget", "Does each program stay within its verification cost",
	  "Instructions that the verifier processed, against an absolute limit and against a baseline. What grows now is what some later kernel or compiler refuses as too complex.",
	  "Find what grew: an unrolled loop, an inlined function, a branch inside a loop. If it is meant, write a new baseline and have its diff reviewed." },
	{ "attach", "Does every accepted program attach",
	  "Each program that loads is attached to its hook and detached again. A hook that is missing, or that refuses, rejects.",
	  "Attach to what every kernel of the fleet has, or make the program optional: SEC(\"?…\")." },
	{ "exercise", "Does the sensor see what happens, within its limits",
	  "With the programs attached a workload runs: exec, open, connect and fork. Events must arrive; losses, time per event, memory and the kernel's log are held against limits.",
	  "A sensor that loads and sees nothing is worse than one that does not load: look for a filter that lets nothing through, or a buffer that is too small." },
	{ "swap", "Can the previous version be exchanged without a gap",
	  "Previous to new and back under numbered operations: each must have its event from one version or the other.",
	  "Keep attach types and hooks as they are, or roll out as a new sensor beside the old one." },
	{ "content",
	  "Does the content compile, and does it do what it is meant to",
	  "Schema, number and bounds of fields, against the contract of the sensor and by the same interpreter that runs in the kernel; rules that match everything, or would shut out what a host needs to live.",
	  "The message names the file, the line and the field." },
	{ "replay", "Do the rules leave recorded everyday work alone",
	  "The rules run over recorded activity of a healthy host: a boot, an installation, a compilation.",
	  "A rule that denies any of it would have broken that host: narrow it." },
	{ "kernel", "Did every kernel boot, survive and answer",
	  "A kernel that panics over an object rejects it. One that cannot be booted, hangs or does not answer leaves the check undecided.",
	  "Open the console's log. What was not checked is never a pass: run it again, with a longer --deadline if it was slow." },
};

const size_t bl_report_check_count = BL_ARRAY_SIZE(bl_report_checks);

size_t bl_report_check_rank(const char *name)
{
	size_t i;

	for (i = 0; i < bl_report_check_count; i++)
		if (strcmp(bl_report_checks[i].name, name) == 0)
			break;
	return i;
}
