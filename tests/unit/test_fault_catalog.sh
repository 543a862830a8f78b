#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The catalogue of faults: against its schema, complete, and at one with the
# sources beside it.
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
/usr/bin/python3 -c 'import jsonschema' 2>/dev/null || {
	echo 'skipped: python3-jsonschema is not installed (scripts/setup)'
	exit 77
}
/usr/bin/python3 - "$top/tests/faults" <<'PY'
import json, pathlib, sys
import jsonschema

room = pathlib.Path(sys.argv[1])
bad = 0


def fail(what):
    global bad
    bad = 1
    print(f"NOT OK: {what}")


def strict(pairs):
    if len(dict(pairs)) != len(pairs):
        fail(f"a key stands twice: {[key for key, _ in pairs]}")
    return dict(pairs)


def load(name):
    text = (room / name).read_text(encoding="utf-8")
    return json.loads(text, object_pairs_hook=strict)


schema = load("catalog.schema.json")
jsonschema.Draft202012Validator.check_schema(schema)
catalog = load("catalog.json")
for error in jsonschema.Draft202012Validator(schema).iter_errors(catalog):
    where = "/".join(str(part) for part in error.path)
    fail(f"{where}: {error.message[:200]}")
if bad:
    sys.exit(1)

faults = catalog["faults"]
ids = [fault["id"] for fault in faults]
if len(set(ids)) != len(ids):
    fail("an id stands twice")
numbers = {fault["number"].rstrip("ab") for fault in faults}
for number in range(1, 31):
    if str(number) not in numbers:
        fail(f"no fault has the number {number}")

# The twin itself, with nothing wrong but what is done to it.
used = {"module": {"sensor"}, "ebpf": {"sensor"}, "content": set()}
for fault in faults:
    name, expect = fault["id"], fault["expect"]
    for twin, ways in ("module", "AB"), ("ebpf", "C"):
        variant = fault[twin].get("variant")
        if variant:
            used[twin].add(variant)
        if "before" in fault[twin]:
            used[twin].add(fault[twin]["before"])
        if "content" in fault[twin]:
            used["content"].add(fault[twin]["content"])
        for way in ways:
            if (way in expect) != bool(variant):
                fail(f"{name}: expect.{way} does not fit {twin}")
    for kind in "damage", "replay":
        if (kind in fault) != (fault["inject"] == kind):
            fail(f"{name}: {kind} does not fit inject")

# hang is a test's own: it decides when.
there = {
    "module": {path.name for path in (room / "module").iterdir()},
    "ebpf": {path.name[:-len(".bpf.c")] for path in room.glob("ebpf/*.bpf.c")},
    "content": {path.name for path in (room / "content").iterdir()},
}
for kind, names in there.items():
    names |= {"sensor"} & used[kind]
    for name in used[kind] - names:
        fail(f"{kind}/{name}: the catalogue names it, and it is not there")
    for name in names - used[kind] - {"hang"}:
        fail(f"{kind}/{name}: no fault of the catalogue is made of it")
for path in (room / "module").iterdir():
    units = [unit.name for unit in path.iterdir()]
    if len(units) != 1 or not (room.parents[1] / "kmod" / units[0]).is_file():
        fail(f"{path}: not one unit of the twin's")
sys.exit(bad)
PY
