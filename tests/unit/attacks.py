#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints tests/ATTACKS.md, which is made of the tests' own sources: a row is
there if and only if a test has it.

    tests/unit/attacks.py > tests/ATTACKS.md

The first table says where each attack that issue and design name is tried; a
name in it that no test has is an error. test_attacks.sh compares the page."""
import re
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent

# Rows of C tables: a macro with the attack's name first, or a text first.
MACRO = r"^\t(?:ROW|FETCHES|ORDERS|CARRIES|SERVES)\(\s*(\w+)"
OCI = r"^\t(?:OCI_)?ROW\(\s*(\w+),\s*-"
LIE = r"^\t\{ ([A-Z]{3,}), "
TEXT = r'^\t\{ "([^"\n]+)",'
MEMBER = r'^\t\{ \{ \.name = "([^"\n]*)"'
TEST = r"^START_TEST\((\w+)\)"

FILES = (
    ("unit/test_trust_attacks.c", (MACRO, TEXT), "signed metadata, on its way to a host",
     "an error of its own for each; the host's trusted files byte for byte, and with the right ones it goes on"),
    ("unit/test_trust_packages.c", (MACRO, TEST), "single bytes, packages, delegated roles, a stolen fleet key",
     "the same"),
    ("unit/test_trust_orders.c", (MACRO, TEST), "orders of a controller that is not to be believed",
     "the order is named and not carried out"),
    ("unit/test_trust_host.c", (TEST,), "a host that trusts a root, and whatever it is told to apply",
     "refused; kernel slots, journal, live version, trusted files and serials as they were"),
    ("sim/test_trust_refresh.c", (MACRO,), "a controller that was taken over, to an agent that asks by itself",
     "an error of its own for each in what status reads; trusted files byte for byte, what runs, and the agent as they were"),
    ("sim/test_talker_trust.c", (TEXT,), "such a controller, to the process that fetches from it",
     "a failure, not a byte more than there is room for, and the next one comes"),
    ("sim/test_trust_mirror.c", (LIE, TEST), "a mirror: endless, slow, elsewhere",
     "an answer of its own for each"),
    ("unit/test_bundle_hostile.c", (MEMBER, TEST), "a bundle's bytes",
     "refused with the reason, nothing handed on; or it is another digest, which nobody ordered"),
    ("unit/test_oci_attacks.c", (OCI, TEST), "archives of OCI and what is in them",
     "refused with the reason, nothing handed on"),
    ("unit/test_oci_texts.c", (OCI,), "what the index and the manifest of such an archive say",
     "the same"),
    ("sim/test_oci_pull.c", (OCI, TEST), "a registry that lies, breaks off, leads elsewhere or asks who we are",
     "an answer of its own for each, and no bundle"),
    ("unit/test_json_entries.c", (MACRO,), "JSON, at each of sixteen doors: manifest, content, profile, "
     "baseline, plan, report, order, timestamp, root, fault catalogue, comparison, feed, etcd, OCI manifest, "
     "OCI index, credentials",
     "refused with a reason; what the caller holds byte for byte"),
    ("sim/test_hostile.c", (TEXT, TEST), "requests to a controller",
     "an answer or an end; the ledger byte for byte, others are served"),
    ("sim/test_patience.c", (TEXT, TEST), "clients that are slow, or silent",
     "cut; others are served meanwhile"),
    ("sim/test_tls.c", (TEST,), "certificates and tokens", "refused, with the reason"),
    ("unit/test_parts.c", (MACRO, TEST), "a talker that somebody has taken over, and what it wants of its host",
     "refused by the kernel, as its error says; what it is there for works"),
    ("sim/test_revoke.c", (TEST,), "certificates that were taken back", "refused from the next request on"),
)

# No attacks: what goes through the rows, and what shows that none is refused
# for how it is written.
RUNNERS = [
    "nothing", "an attack is named and gives nothing",
    "an order that is not meant is named and changes nothing",
    "a registry gives the bundle or is refused", "what broke off goes on where it did",
    "a login is sent when it is asked for",
    "a right archive by hand is accepted", "a strange member at the end",
    "a strange member in the middle", "an archive is taken or refused with its reason",
    "who is not the host changes nothing of it", "a request that is none changes nothing",
    "a file comes whole and from below the url",
    "what a talker may not is refused", "what a talker is there for works",
    "status says who signed what is live", "without a root nothing is asked",
]

# What issue and design name, and the rows that try it.
NAMED = (
    ("tampered byte anywhere in metadata", "no byte can be another; no byte of a root can be another"),
    ("tampered byte anywhere in a bundle", "flipped bits of the file; flipped bits inside the archive"),
    ("tampered byte in an order", "no byte of an order can be another"),
    ("wrong key", "timestamp of a stranger; root of nobody; targets of every online key"),
    ("threshold not met", "targets of one release key twice; root of one key"),
    ("expired", "timestamp expired; served timestamp expired; targets expired; what was signed long ago is no word for today"),
    ("older version", "an older release is refused and the way back is not; fleet orders an old release"),
    ("replayed timestamp", "timestamp replayed; served timestamp of before"),
    ("frozen mirror", "a frozen mirror"),
    ("mix and match", "another snapshot of the same version; old targets under a new name; "
     "served targets of before"),
    ("endless data", "timestamp without end; served timestamp without end; package without end; blob without end; chunks without an end"),
    ("slow data", "blob that drips; slow clients are cut and others are served; what a mirror does has an answer of its own"),
    ("path traversal in archives", "path that leads out; path in an extended header; ../x; a/../../x; /etc/cron.d/x"),
    ("path traversal in metadata", "target above its folder; target at the root"),
    ("path traversal in requests", "a path of above; a name of dots in disguise"),
    ("symbolic links, devices", "link in the place of the index; link; disk; fifo"),
    ("zip bombs", "layer that is a bomb; a bomb; a bomb behind a right archive"),
    ("confused deputy between hosts", "another host's; host enrolls and speaks for itself only; "
     "fleet orders for another host; for another host"),
    ("stolen controller key", "fleet orders what is not released; what the fleets key lists is not signed; "
     "of what was never released; carried out before"),
    ("controller of somebody else", "controller of another fleet is not believed; "
     "host cannot stand in for the controller"),
    ("enrol token used twice", "token counts once"),
    ("enrol token shown to a stranger", "token is shown to its own controller only"),
    ("replayed report", "a report that comes again changes nothing"),
    ("report of 100 MB", "a report; a report in chunks"),
    ("1,000 connections that say nothing", "a thousand that say nothing keep nobody out"),
    ("taken-over talker", "all memory; threads without end; files without end; a file to write; a process; "
     "a protocol to be loaded; a lock"),
    ("JSON with duplicate keys", "a key twice; timestamp says a key twice"),
    ("JSON of depth 10,000", "lists in lists; objects in objects; timestamp is deep"),
)


def rows_of(path, patterns):
    text = (TESTS / path).read_text(encoding="utf-8")
    rows = []
    for pattern in patterns:
        found = re.findall(pattern, text, re.M)
        if not found:
            sys.exit("%s has no row as attacks.py looks for them: %s" % (path, pattern))
        for name in found:
            name = name if pattern == MEMBER else name.replace("_", " ")
            name = name.lower() if pattern == LIE else name
            if name and name not in rows + RUNNERS:
                rows.append(name)
    return rows


def main():
    parts, where, total = [], {}, 0
    for path, patterns, what, answers in FILES:
        rows = rows_of(path, patterns)
        total += len(rows)
        for row in rows:
            where.setdefault(row, path)
        parts.append("## %s\n\n`%s` (%d). What answers, and what must hold: %s.\n\n%s\n" % (
            what[0].upper() + what[1:], path, len(rows), answers,
            "\n".join("- %s" % ("`%s`" % r if "/" in r or "\\" in r else r) for r in rows)))
    lines = []
    for attack, names in NAMED:
        for name in names.split("; "):
            if name not in where:
                sys.exit("no test has '%s' (%s)" % (name, attack))
        lines.append("| %s | %s |" % (attack, "; ".join(
            "%s (`%s`)" % (n, Path(where[n]).stem.replace("test_", "")) for n in names.split("; "))))
    print("# Attacks, and the tests that try them\n\n"
          "Made by `tests/unit/attacks.py` of the tests' sources; `unit_attacks` fails when\n"
          "it is not what they say. %d rows; those of JSON are tried at sixteen doors each.\n\n"
          "| attack | tried by |\n| --- | --- |\n%s\n\n%s" % (total, "\n".join(lines), "\n".join(parts)), end="")


main()
