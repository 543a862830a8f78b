#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Holds a composite action against what GitHub documents: check_action.py FILE

Keys by "Metadata syntax for GitHub Actions". What users put in reaches a shell
only through its environment. Exit status 1 and a line for each mistake.
"""
import pathlib
import re
import sys

import yaml

TOP = {"name", "author", "description", "inputs", "outputs", "runs", "branding"}
STEP = {"name", "id", "if", "uses", "with", "run", "shell", "env",
        "working-directory", "continue-on-error"}

path = pathlib.Path(sys.argv[1])
action = yaml.safe_load(path.read_text(encoding="utf-8"))
bad = 0


def fail(what):
    global bad
    bad += 1
    print(f"NOT OK: {path.name}: {what}")


def keys(where, found, allowed, required=()):
    for key in set(found) - set(allowed):
        fail(f"{where}: unknown key '{key}'")
    for key in set(required) - set(found):
        fail(f"{where}: no '{key}'")


keys("action", action, TOP, ("name", "description", "runs"))
keys("runs", action["runs"], {"using", "steps"}, ("using", "steps"))
if action["runs"].get("using") != "composite":
    fail("it is not composite")
for name, field in action.get("inputs", {}).items():
    keys(f"input {name}", field, {"description", "required", "default",
                                  "deprecationMessage"}, ("description",))
    if not isinstance(field.get("default", ""), str):
        fail(f"input {name}: its default is not a string")
for name, field in action.get("outputs", {}).items():
    keys(f"output {name}", field, {"description", "value"},
         ("description", "value"))

ids = set()
for number, step in enumerate(action["runs"]["steps"]):
    where = f"step {number} ({step.get('name', '?')})"
    keys(where, step, STEP, ("name",))
    if ("run" in step) == ("uses" in step):
        fail(f"{where}: one of run and uses")
    if "run" in step:
        if "shell" not in step:
            fail(f"{where}: run without a shell")
        if "with" in step:
            fail(f"{where}: run takes no 'with'")
        if "${{" in step["run"]:
            fail(f"{where}: an expression becomes text of the script")
        for script in re.findall(r"\$GITHUB_ACTION_PATH(/[\w./-]+)",
                                 step["run"]):
            if not (path.parent / script.lstrip("/")).is_file():
                fail(f"{where}: {script} is not there")
    elif not re.fullmatch(r"[\w.-]+/[\w./-]+@[\w.-]+", step["uses"]):
        fail(f"{where}: uses '{step['uses']}'")
    # Steps may look back only.
    for other in re.findall(r"steps\.([\w-]+)\.outputs", str(step)):
        if other not in ids:
            fail(f"{where}: no earlier step has the id '{other}'")
    for name in re.findall(r"inputs\.([\w-]+)", str(step)):
        if name not in action.get("inputs", {}):
            fail(f"{where}: there is no input '{name}'")
    if "id" in step:
        ids.add(step["id"])
for name, field in action.get("outputs", {}).items():
    for other in re.findall(r"steps\.([\w-]+)\.outputs", field["value"]):
        if other not in ids:
            fail(f"output {name}: no step has the id '{other}'")
used = str(action["runs"])
for name in action.get("inputs", {}):
    if f"inputs.{name}" not in used:
        fail(f"input {name} is not used")
print(f"{path.name}: {len(action['runs']['steps'])} steps, {bad} mistakes")
sys.exit(1 if bad else 0)
