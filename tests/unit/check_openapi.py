#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Holds requests and answers against an OpenAPI document:
check_openapi.py OPENAPI ANSWERS

ANSWERS has a line for each: {"method", "path", "request"?, "status", "type",
"headers", "answer" or "text"}. Exit status 1 and a line for each mistake.

Answers may gain keys for their clients, not here: each object is closed before
it is held against, so that a key which the document does not know is a mistake.
"""
import copy
import json
import re
import sys

import jsonschema

METHODS = ("get", "put", "post", "delete", "patch", "head")
document = json.load(open(sys.argv[1], encoding="utf-8"))
lines = [json.loads(line) for line in open(sys.argv[2], encoding="utf-8")]
bad = 0


def fail(what):
    global bad
    bad += 1
    print(f"NOT OK: {what}")


def close(node):
    """An object with properties has no others."""
    if isinstance(node, dict):
        if "properties" in node:
            node.setdefault("additionalProperties", False)
        for value in node.values():
            close(value)
    elif isinstance(node, list):
        for value in node:
            close(value)


def walk(node, at="#"):
    yield at, node
    items = node.items() if isinstance(node, dict) else \
        enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        escaped = str(key).replace("~", "~0").replace("/", "~1")
        yield from walk(value, f"{at}/{escaped}")


def find(pointer):
    node = document
    for part in pointer[2:].split("/"):
        node = node[part.replace("~1", "/").replace("~0", "~")]
    return node


def resolve(node):
    return find(node["$ref"]) if "$ref" in node else node


# The document itself: what it refers to is there, what is there is used.
if not re.fullmatch(r"3\.1\.\d+", document["openapi"]):
    fail(f"openapi is {document['openapi']}")
known = {pointer for pointer, _ in walk(document)}
used = {node["$ref"] for _, node in walk(document)
        if isinstance(node, dict) and isinstance(node.get("$ref"), str)}
for ref in sorted(used - known):
    fail(f"{ref} is not there")
for kind in ("schemas", "responses", "parameters", "headers"):
    for name in document["components"][kind]:
        if f"#/components/{kind}/{name}" not in used:
            fail(f"nothing uses {kind}/{name}")
for name, schema in document["components"]["schemas"].items():
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        fail(f"schema {name}: {error.message}")
    for key in set(schema.get("required", ())) - set(schema.get("properties", ())):
        fail(f"schema {name} requires '{key}' and does not say what it is")

operations = {}
ids = set()
for template, item in document["paths"].items():
    parameters = [resolve(p) for p in item.get("parameters", ())]
    names = set(re.findall(r"{(\w+)}", template))
    if {p["name"] for p in parameters if p["in"] == "path"} != names:
        fail(f"{template}: its parameters are not those of the path")
    pattern = re.compile(re.sub(r"\\{\w+\\}", "([^/]+)", re.escape(template)))
    for method in METHODS:
        if method not in item:
            continue
        op = item[method]
        operations[method, template] = (op, pattern, parameters)
        for key in ("operationId", "summary", "tags", "security", "responses"):
            if key not in op:
                fail(f"{method} {template} has no {key}")
        if op["operationId"] in ids:
            fail(f"two operations are {op['operationId']}")
        ids.add(op["operationId"])
        for tag in set(op["tags"]) - {t["name"] for t in document["tags"]}:
            fail(f"{method} {template}: no tag {tag}")

closed = copy.deepcopy(document)
close(closed)


def validate(pointer, value, what):
    schema = {"$ref": pointer}
    store = jsonschema.RefResolver("", closed)
    validator = jsonschema.Draft202012Validator(schema, resolver=store)
    for error in validator.iter_errors(value):
        where = "/".join(str(part) for part in error.absolute_path)
        fail(f"{what}: {where}: {error.message[:200]}")
        break


def find_operation(line):
    # A path without a name in it before one with.
    for (method, template), (op, pattern, _) in sorted(
            operations.items(), key=lambda o: "{" in o[0][1]):
        if method == line["method"].lower() and pattern.fullmatch(line["path"]):
            return method, template, op
    return None, None, None


seen_events = set()


def check_events(place, text, what):
    """Blocks of "field: value" lines; one that begins with : is a comment."""
    media = f"{place}/content/text~1event-stream"
    for block in filter(None, text.split("\n\n")):
        fields = dict(row.split(": ", 1) for row in block.split("\n")
                      if not row.startswith(":"))
        if not fields:
            continue
        kind = fields["event"]
        seen_events.add(kind)
        if kind not in find(media)["x-events"]:
            fail(f"{what}: event {kind} is not described")
            continue
        validate(f"{media}/x-events/{kind}", json.loads(fields["data"]), what)
        if not re.fullmatch("[0-9]+", fields.get("id", "0")):
            fail(f"{what}: id {fields['id']}")


answered = set()
for line in lines:
    what = f"{line['method']} {line['path']} {line['status']}"
    method, template, op = find_operation(line)
    if op is None:
        fail(f"{what}: not described")
        continue
    at = "#/paths/" + template.replace("~", "~0").replace("/", "~1") + "/" + method
    responses = op["responses"]
    status = str(line["status"])
    if status.startswith("2") and status not in responses:
        fail(f"{what}: this status is not described")
        continue
    key = status if status in responses else "default"
    response = responses[key]
    place = f"{at}/responses/{key}"
    if "$ref" in response:
        place, response = response["$ref"], find(response["$ref"])
    if status.startswith("2"):
        answered.add((method, template))
    for name in set(line["headers"]) - set(response.get("headers", ())):
        fail(f"{what}: header {name} is not described")
    if "content" not in response and not line["type"]:
        continue
    if line["type"] not in response["content"]:
        fail(f"{what}: {line['type']} is not described")
    elif "answer" in line:
        media = line["type"].replace("/", "~1")
        validate(f"{place}/content/{media}/schema", line["answer"], what)
    elif line["type"] == "text/event-stream":
        check_events(place, line["text"], what)
    if "request" in line and status.startswith("2"):
        validate(f"{at}/requestBody/content/application~1json/schema",
                 line["request"], f"request of {what}")

for method, template in sorted(set(operations) - answered):
    fail(f"{method} {template}: no answer was held against it")

for _, node in walk(document):
    if isinstance(node, dict):
        for kind in set(node.get("x-events", ())) - seen_events:
            fail(f"event {kind}: none was held against it")

# A schema that takes anything holds nothing: each sample with a key more, one
# less, or another type in it is refused.
sample = {}
for line in lines:
    if str(line["status"]).startswith("2") and "answer" in line:
        sample.setdefault(find_operation(line)[:2], line["answer"])
for (method, template), answer in sample.items():
    if template == "/v1/openapi.json":
        continue
    op = operations[method, template][0]
    key = next(k for k in op["responses"] if k.startswith("2"))
    schema = op["responses"][key]["content"]["application/json"]["schema"]
    validator = jsonschema.Draft202012Validator(
        schema, resolver=jsonschema.RefResolver("", closed))
    wrong = [dict(answer, extra=1)]
    wrong += [{k: v for k, v in answer.items() if k != gone} for gone in answer]
    wrong += [dict(answer, **{k: {"not": "this"}}) for k in answer]
    for document_ in wrong:
        if validator.is_valid(document_):
            fail(f"{method} {template}: its schema takes {str(document_)[:80]}")
            break

print(f"{len(operations)} operations, {len(lines)} answers, {bad} mistakes")
sys.exit(1 if bad or not lines else 0)
