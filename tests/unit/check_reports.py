#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Holds reports against their schemas: check_reports.py SOURCE_DIR REPORT_DIR

Files end in .json (loader/gate/report/report.schema.json), .sarif (OASIS), .junit
(well-formed, its numbers add up). Exit status 1 and a line for each mistake.
"""
import copy
import json
import pathlib
import sys
import xml.etree.ElementTree as xml

import jsonschema

source, reports = (pathlib.Path(arg) for arg in sys.argv[1:3])
bad = 0


def fail(what):
    global bad
    bad += 1
    print(f"NOT OK: {what}")


def load(path):
    return json.loads(path.read_text(encoding="utf-8"))


schema = load(source / "loader/gate/report/report.schema.json")
jsonschema.Draft202012Validator.check_schema(schema)
ours = jsonschema.Draft202012Validator(schema)
theirs = jsonschema.Draft4Validator(
    load(source / "tests/unit/sarif/sarif-schema-2.1.0.json"))


def validate(validator, path, document):
    for error in validator.iter_errors(document):
        where = "/".join(str(part) for part in error.path)
        fail(f"{path.name}: {where}: {error.message[:200]}")


def check_junit(path):
    root = xml.fromstring(path.read_bytes())
    total = {"tests": 0, "failures": 0, "errors": 0}
    for suite in root:
        cases = suite.findall("testcase")
        counted = {
            "tests": len(cases),
            "failures": len(suite.findall("testcase/failure")),
            "errors": len(suite.findall("testcase/error")),
        }
        names = [(case.get("classname"), case.get("name")) for case in cases]
        if len(set(names)) != len(names):
            fail(f"{path.name}: {suite.get('name')}: two cases of one name")
        for key, number in counted.items():
            total[key] += number
            if int(suite.get(key)) != number:
                fail(f"{path.name}: {suite.get('name')}: {key} is {number}")
    for key, number in total.items():
        if int(root.get(key)) != number:
            fail(f"{path.name}: {key} of all suites is {number}")
    if root.findall(".//skipped"):
        fail(f"{path.name}: something is skipped, which reads as passed")
    return root


def check_same(stem):
    """The forms of one report agree with each other."""
    report = load(reports / f"{stem}.json")
    run = load(reports / f"{stem}.sarif")["runs"][0]
    junit = check_junit(reports / f"{stem}.junit")
    code = {"accepted": 0, "rejected": 1, "undecided": 2}[report["verdict"]]
    if run["invocations"][0]["exitCode"] != code:
        fail(f"{stem}.sarif: exit code is not that of {report['verdict']}")
    errors = [r for r in run["results"] if r["level"] == "error"]
    if bool(errors) != (code == 1):
        fail(f"{stem}.sarif: {len(errors)} errors of a report that is "
             f"{report['verdict']}")
    if code == 0 and int(junit.get("errors")) + int(junit.get("failures")):
        fail(f"{stem}.junit: problems of a report that is accepted")
    if code == 1 and junit.get("failures") == "0":
        fail(f"{stem}.junit: no failure of a report that is rejected")
    if code == 2 and junit.get("errors") == "0":
        fail(f"{stem}.junit: no error of a report that is undecided")
    prints = [r["partialFingerprints"]["belayFinding/v1"]
              for r in run["results"]]
    if len(set(prints)) != len(prints):
        fail(f"{stem}.sarif: two results of one fingerprint")
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    for result in run["results"]:
        if "ruleIndex" in result and \
                rules[result["ruleIndex"]] != result["ruleId"]:
            fail(f"{stem}.sarif: rule index of {result['ruleId']}")


def mutations(document):
    """Documents that a strict schema must not take."""
    def changed(change):
        other = copy.deepcopy(document)
        change(other)
        return other
    finding = document["findings"][0]
    yield "an unknown key", changed(lambda d: d.update(extra=1))
    yield "another version", changed(lambda d: d.update(schema=3))
    yield "no findings", changed(lambda d: d.pop("findings"))
    yield "a verdict that is none", changed(lambda d: d.update(verdict="ok"))
    yield "a digest cut short", changed(lambda d: d.update(digest="ab"))
    for key, value in (("extra", 1), ("verdict", "fine"), ("status", "yes"),
                       ("line", 0), ("insns", -1), ("insns", "1"),
                       ("optional", False), ("message", "")):
        yield f"finding with {key} {value!r}", changed(
            lambda d, k=key, v=value: d["findings"][0].update({k: v}))
    for key in ("check", "verdict"):
        if key in finding:
            yield f"finding without {key}", changed(
                lambda d, k=key: d["findings"][0].pop(k))
    if document["kernels"]:
        yield "kernel with an unknown key", changed(
            lambda d: d["kernels"][0].update(extra=1))


used = {"report": set(), "kernel": set(), "finding": set()}
stems = sorted(path.stem for path in reports.glob("*.json"))
for stem in stems:
    path = reports / f"{stem}.json"
    report = load(path)
    validate(ours, path, report)
    used["report"] |= set(report)
    for kind, key in (("kernel", "kernels"), ("finding", "findings")):
        for item in report[key]:
            used[kind] |= set(item)
    if report["findings"]:
        for what, document in mutations(report):
            if ours.is_valid(document):
                fail(f"the schema takes {stem}.json with {what}")
    path = reports / f"{stem}.sarif"
    validate(theirs, path, load(path))
    check_same(stem)

# What no sample has was not held against the schema either.
known = {"report": schema, "kernel": schema["$defs"]["kernel"],
         "finding": schema["$defs"]["finding"]}
for kind, keys in used.items():
    for key in set(known[kind]["properties"]) - keys:
        fail(f"no sample has '{key}' of a {kind}")
    for key, field in known[kind]["properties"].items():
        if not field.get("description"):
            fail(f"the schema does not describe '{key}' of a {kind}")
if not stems:
    fail("there is no report to check")
print(f"{len(stems)} reports, {bad} mistakes")
sys.exit(1 if bad else 0)
