#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The rules of the house that a script can check: the seams to the kernel and to
# outside tools, licences, sizes, maps.
set -u
shopt -s nullglob
cd "$(dirname "$0")/../.." || exit 1
bad=0
rooms=()
for dir in loader canary bpf kmod tests scripts; do
	[ ! -d "$dir" ] || rooms+=("$dir")
done

fail() {
	echo "house: $*"
	bad=1
}

# sources TEST…: files of ours that pass find's TEST, build folders left out.
sources() {
	find "${rooms[@]}" CMakeLists.txt -type f \( "$@" \)
}

# seam PATTERN ALLOWED WHAT: PATTERN may stand only in files that match ALLOWED.
seam() {
	local hits
	hits=$(grep -rlE "$1" "${rooms[@]}" --include='*.[ch]' |
		grep -vE "$2|^tests/")
	[ -z "$hits" ] || fail "$3, but also: $(tr '\n' ' ' <<<"$hits")"
}

seam '#include <bpf/(libbpf|bpf|btf)\.h>' '^loader/kern/' \
	'only loader/kern/ talks to libbpf'
seam '\b(finit_module|init_module|delete_module)\b' '^(loader/kern/|canary/agent/parts\.c)' \
	'only loader/kern/ loads modules (and parts.c forbids it)'
seam 'qemu-system' '^loader/lab/' 'only loader/lab/ starts QEMU'
seam '#include <sqlite3\.h>' '^(loader/host/journal|canary/store/store_sqlite)' \
	'only the journal and the SQLite store know SQLite'
seam '#include <curl/' '^loader/net/' \
	'only loader/net/ knows libcurl'
seam '#include <microhttpd\.h>' '^canary/controller/http' \
	'only the HTTP server knows libmicrohttpd'
seam '#include <gnutls/' '^canary/wire/pki\.' \
	'only pki.c knows GnuTLS'
seam '#include <seccomp\.h>' '^loader/base/sandbox\.' \
	'only sandbox.c knows libseccomp'
seam '#include <sodium\.h>' '^(loader/bundle/digest|loader/trust/ed25519|canary/store/etcd_wire)' \
	'only digest.c, ed25519.c and base64 for etcd know libsodium'
seam '#include <archive' '^loader/(bundle|lab|oci)/' \
	'only bundles, their layouts and initramfs know libarchive'

while read -r file; do
	[ -f "$file" ] || continue
	lines=$(wc -l <"$file")
	[ "$lines" -le 600 ] || fail "$file has $lines lines, 600 is the limit"
	head -n 3 "$file" | grep -q 'SPDX-License-Identifier: ' ||
		fail "$file does not say its licence in its first lines"
done < <(sources -name '*.[ch]' -o -name '*.sh' -o -name CMakeLists.txt \
	-o -path 'scripts/*' ! -name '*.md')

for file in $(sources -path 'bpf/*.[ch]' -o -path 'kmod/*.[ch]'); do
	head -n 1 "$file" | grep -q 'GPL-2.0-only' ||
		fail "$file runs in the kernel and is not GPL-2.0-only"
done

for dir in "${rooms[@]}" loader/*/ loader/*/*/ canary/*/; do
	[ -f "$dir/README.md" ] || fail "$dir has no README.md"
done

# A room of canary/ includes from those before it (canary/README.md).
above=' '
for room in decide wire store ledger controller agent operator simulate compare; do
	above="$above$room "
	for other in $(grep -rhoE '^#include "canary/[a-z]+/' "canary/$room" |
		sed 's|.*canary/||; s|/$||' | sort -u); do
		case $above in
		*" $other "*) ;;
		*) fail "canary/$room includes from canary/$other, a room below it" ;;
		esac
	done
done

# Two limits of one name are one of them where both headers are seen.
for name in $(grep -rhoE '^#\s*define BL_[A-Z0-9_]+' loader canary --include='*.h' |
	awk '{print $NF}' | sort | uniq -d); do
	fail "$name is defined in two headers"
done

# Library code neither prints nor exits; verbs and the terminal layer may.
hits=$(grep -lE '\b(printf|puts|fputs|putchar|perror|exit)\(' loader/*/*.c loader/*/*/*.c canary/*/*.c 2>/dev/null |
	grep -vE '/(cmd_[a-z_]*|term|cli|report_[a-z]*|watch)\.c$')
for file in $hits; do
	grep -nE '(^|[^a-z_])(printf|puts|perror|exit)\(' "$file" /dev/null
done | grep -v '^\s*$' && fail "library code prints or exits"

# What a README links to, and what is named by its path, is there. (test_check.sh
# plants files in a tree of its own; NAME and LANE stand for whatever there is.)
while IFS=: read -r file link; do
	link=${link#*](}
	[ -e "$(dirname "$file")/${link%%#*}" ] || fail "$file links to $link, which is not there"
done < <(grep -roE '\]\([^):#][^):]*' "${rooms[@]}" ./*.md --include='*.md' |
	grep -v '](http')

while IFS=: read -r file path; do
	path=${path#[^a-z]}
	[ -e "$path" ] || [ -e "${file%/*}/$path" ] ||
		fail "$file names $path, which is not there"
done < <(grep -roE '(^|[^A-Za-z0-9_."/*-])(loader|canary|kmod|tests|scripts)/[A-Za-z0-9_./-]*\.(c|h|sh|py|md|json)\b' \
	"${rooms[@]}" ./*.md --include='*.[ch]' --include='*.sh' --include='*.py' --include='*.md' |
	grep -vE '^tests/unit/test_check\.sh:|NAME|LANE' | sort -u)

[ "$bad" = 0 ] && echo "house: in order"
exit "$bad"
