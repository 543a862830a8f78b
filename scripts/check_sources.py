#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The part of scripts/check that reads sources: one line for each finding, of
rule, file, what, sentence, with tabs between.

    scripts/check_sources.py SOURCE < names of files, one a line

Comments and strings are no code: a word in them is no call. Formats that are
not literals are the compiler's to find (-Wformat=2); here only what would keep
it from looking: a function that it does not know to take a format."""
import re
import sys

# What is built for hosts; tests may be careless with their own bytes.
SHIPPED = ("loader/", "canary/", "bpf/", "kmod/")

UNSAFE = {
    "snprintf()": "strcpy strcat stpcpy sprintf vsprintf",
    "bl_text_copy() or snprintf(): it leaves text without an end": "strncpy strncat stpncpy",
    "fgets()": "gets",
    "strtok_r()": "strtok",
    "bl_proc_run(), which has no shell and a deadline": "system popen",
    "mkdtemp() or mkostemp()": "mktemp tmpnam tempnam",
    "a buffer with a limit, or malloc()": "alloca",
    "strtol() with its errors": "atoi atol atoll atof",
    "getrandom()": "rand srand random srandom drand48 rand_r",
}
INSTEAD = {name: way for way, names in UNSAFE.items() for name in names.split()}
CALL = re.compile(r"(?<![\w.>])(%s)\s*\(" % "|".join(INSTEAD))
SCANF = re.compile(r"\b[fvs]*scanf\s*\(")
ENDLESS = re.compile(r"%l?(?:s|\[)")

SECRETS = (
    ("private-key", re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\s*[A-Za-z0-9+/=\\]"),
     "a private key"),
    ("private-key", re.compile(r'\\?"private\\?"\s*:\s*\\?"[0-9a-f]{64}'),
     "a private key as belay trust writes them"),
    ("token", re.compile(r"\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_\w{36}|\bgithub_pat_\w{22}"
                         r"|\bglpat-[\w-]{20}|\bxox[abprs]-[\w-]{10}"
                         r"|\beyJ[\w-]{16,}\.eyJ[\w-]{16,}\."),
     "a token of a service"),
    ("enroll-token", re.compile(r"\b[\w+-][\w.+-]*\.[0-9a-f]{32}\.[0-9a-f]{64}\b"),
     "a token of belay host token"),
    ("password", re.compile(r"(?i)\b(?:password|passwd|passphrase|api_?key|secret|auth_?token)\b"
                            r"[\"']?\s*(?:=|:)\s*[\"'][^\"'$%{}<>\s]{8,}[\"']"),
     "a password"),
    ("password", re.compile(r"\b[a-z]+://[^/\s:@\"']+:[^/\s@\"'$%<>{]{3,}@"),
     "a password in an address"),
)

LICENSED = re.compile(r"\.(c|h|sh|py|js|css|html|svg|yml|yaml|in|pml|cmake)$|(^|/)CMakeLists\.txt$")
KERNEL = ("bpf/", "kmod/", "tests/faults/ebpf/", "tests/faults/module/", "tests/faults/oob_kmod/")

TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
VARIADIC = re.compile(r"\b(\w+)\s*\((?:[^()]|\([^()]*\))*?\bchar\s*\*\s*"
                      r"(?:fmt|format)\s*,\s*(?:\.\.\.|va_list\s+\w+)\s*\)\s*([^;{]*)")


def report(rule, path, what, text):
    print(rule, path, what, text, sep="\t")


def blank(text, strings):
    """@text without comments and, if @strings, without what is in quotes; lines
    stay where they are."""
    def empty(match):
        s = match.group()
        if s[0] == "/":
            return re.sub(r"[^\n]", " ", s)
        return s[0] + " " * (len(s) - 2) + s[-1] if strings else s
    return TOKEN.sub(empty, text)


def line_of(text, at):
    return text.count("\n", 0, at) + 1


def close_of(code, at):
    """Where the parenthesis that was opened before @at is closed."""
    depth = 1
    while depth and at < len(code):
        depth += {"(": 1, ")": -1}.get(code[at], 0)
        at += 1
    return at


def check_calls(path, text, code):
    for m in CALL.finditer(code):
        report("function", path, m.group(1), "line %d calls %s(); use %s"
               % (line_of(code, m.start()), m.group(1), INSTEAD[m.group(1)]))
    if not SCANF.search(code):
        return
    said = blank(text, False)
    for m in SCANF.finditer(code):
        end = close_of(code, m.end())
        for literal in re.finditer(r'"(?:\\.|[^"\\])*"', said[m.start():end]):
            if ENDLESS.search(literal.group().replace("%%", "")):
                report("function", path, "scanf",
                       "line %d reads a text of any length; give it a width"
                       % line_of(code, m.start()))


def check_formats(files):
    """Functions that take a format and are declared without the attribute."""
    known, seen = set(), {}
    for path, code in files.items():
        for m in VARIADIC.finditer(code):
            before = max(code.rfind(end, 0, m.start()) for end in ";}")
            if re.search(r"format\s*\(\s*printf", code[before + 1:m.start()] + m.group(2)):
                known.add(m.group(1))
            seen.setdefault(m.group(1), (path, line_of(code, m.start())))
        for m in re.finditer(r"diagnostic\s+ignored\s+\"?\s*-?W?", code):
            report("format", path, "pragma",
                   "line %d turns a warning of the compiler off" % line_of(code, m.start()))
    for name, (path, line) in seen.items():
        if name not in known:
            report("format", path, name, "line %d: %s() takes a format, and no "
                   "__attribute__((format(printf, …))) says so" % (line, name))


def check_secrets(path, text):
    for what, pattern, name in SECRETS:
        m = pattern.search(text)
        if m:
            report("secret", path, what, "line %d has %s" % (line_of(text, m.start()), name))


def check_licence(path, text):
    if not LICENSED.search(path):
        return
    head = "\n".join(text.split("\n", 3)[:3])
    m = re.search(r"SPDX-License-Identifier: ([\w. ()-]+?)\s*(?:\*/|-->|$)", head, re.M)
    if not m:
        report("licence", path, "missing", "its first lines name no licence")
    elif path.startswith(KERNEL[:2]) and path.endswith((".c", ".h")) and "GPL-2.0-only" not in m.group(1):
        report("licence", path, "wrong", "it runs in the kernel and is %s" % m.group(1))
    elif not path.startswith(KERNEL) and not re.search("Apache-2.0|GPL-2.0-only", m.group(1)):
        report("licence", path, "wrong", "%s is no licence of this repository" % m.group(1))


def main():
    top, headers = sys.argv[1], {}
    for path in sys.stdin.read().splitlines():
        try:
            with open(top + "/" + path, encoding="utf-8", errors="surrogateescape") as f:
                text = f.read()
        except (OSError, ValueError):
            continue  # a link to nowhere, or gone meanwhile
        check_secrets(path, text)
        check_licence(path, text)
        if path.endswith((".c", ".h")) and path.startswith(SHIPPED):
            code = blank(text, True)
            check_calls(path, text, code)
            headers[path] = code
    check_formats(headers)


sys.stdout.reconfigure(errors="surrogateescape")
main()
