#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# scripts/check finds each sin that is planted into a tree in order, and nothing
# else there; and this repository, with what is built of it, is in order.
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
build=$1
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0
tree=$tmp/tree

not_ok() {
	echo "NOT OK: $*"
	sed 's/^/    /' "$tmp/out"
	failed=1
}

# A tree in order: sources that look worse than they are, a binary that is
# installed, a belay that runs.
make_tree() {
	rm -rf "$tree"
	mkdir -p "$tree/loader" "$tree/bpf" "$tree/build" "$tree/scripts"
	cat >"$tree/loader/good.c" <<-'END'
	/* SPDX-License-Identifier: Apache-2.0 */
	/* strcpy(a, b) is not called here, nor is system("x"). */
	#include <stdio.h>
	#include <string.h>
	int say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
	int read_one(char *line, char word[8], int *n)
	{
		puts("system(1)");
		return sscanf(line, "%7s %d %*d", word, n);
	}
	END
	cp "$tmp/good" "$tree/build/tool"
	printf '#!/bin/sh\nexec %s "$@"\n' "$build/belay" >"$tree/build/belay"
	chmod 755 "$tree/build/belay"
	: >"$tree/build/CMakeCache.txt"
	cat >"$tree/build/cmake_install.cmake" <<-END
	# SPDX-License-Identifier: Apache-2.0
	file(GLOB tools "$tree/build/tool*")
	file(INSTALL DESTINATION "\${CMAKE_INSTALL_PREFIX}/bin" TYPE EXECUTABLE
		FILES \${tools})
	END
	: >"$tmp/wanted"
}

# looks BUILD: what is found goes to found, one RULE FILE WHAT a line.
looks() {
	"$top/scripts/check" --source "$tree" --build "$1" >"$tmp/out" 2>&1
	local code=$?
	sed -nE 's/^([a-z]+ [^ ]+ [^ ]+): .*/\1/p' "$tmp/out" | sort -u >"$tmp/found"
	return $code
}

# finds WHAT BUILD: what was planted, and nothing else.
finds() {
	if looks "$2"; then not_ok "nothing of $1 was found"; fi
	sort -u "$tmp/wanted" | diff - "$tmp/found" >"$tmp/out" ||
		not_ok "$1: < was planted and not found, > was found and not planted"
}

# plant WANTED FILE TEXT: @TEXT at the end of FILE.
plant() {
	echo "$1" >>"$tmp/wanted"
	case $2 in
	*.c) [ -f "$tree/$2" ] || [ "$1" != "${1#licence}" ] ||
		echo "/* SPDX-License-Identifier: ${licence:-Apache-2.0} */" >"$tree/$2" ;;
	esac
	printf '%b\n' "$3" >>"$tree/$2"
}

# plant_mode WANTED NAME MODE
plant_mode() {
	echo "$1" >>"$tmp/wanted"
	chmod "$3" "$tree/$2"
}

# plant_binary WHAT FLAG…: a tool-WHAT linked with these is installed.
plant_binary() {
	echo "${rule:-hardening} install/usr/bin/tool-$1 $1" >>"$tmp/wanted"
	gcc "${good[@]}" "${@:2}" -o "$tree/build/tool-$1" "$tmp/tool.c" || exit 1
}

# shellcheck disable=SC2054  # these commas are the linker's
good=(-O2 -fPIE -pie -fstack-protector-strong -D_FORTIFY_SOURCE=2
	-Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)
cat >"$tmp/tool.c" <<'END'
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(int argc, char **argv)
{
	char text[64];

	snprintf(text, (size_t)argc + 40, "%s", argv[0]);
#ifdef SIN
	SIN;
#endif
	return puts(text);
}
END
gcc "${good[@]}" -o "$tmp/good" "$tmp/tool.c" || exit 1

make_tree
looks "$tree/build" || not_ok 'a tree in order is not'

make_tree
for call in 'strcpy(a, b)' 'strcat(a, b)' 'stpcpy(a, b)' 'sprintf(a, "%d", 1)' \
	'vsprintf(a, b, c)' 'strncpy(a, b, 3)' 'strncat(a, b, 3)' 'gets(a)' \
	'strtok(a, b)' 'system(a)' 'popen(a, b)' 'mktemp(a)' 'tmpnam(a)' \
	'tempnam(a, b)' 'alloca(3)' 'atoi(a)' 'atol(a)' 'atoll(a)' 'rand()' \
	'srand(1)' 'random()' 'drand48()'; do
	name=${call%%(*}
	plant "function loader/$name.c $name" "loader/$name.c" "void x(void) { $call; }"
done
plant 'function loader/word.c scanf' loader/word.c 'int y = sscanf(a, "%s", b);'
plant 'function loader/set.c scanf' loader/set.c 'int y = fscanf(a, "%d %[a-z]", b, c);'
licence=GPL-2.0-only \
	plant 'function bpf/copy.c strcpy' bpf/copy.c 'int y = strcpy (a, b);'
plant 'format loader/tell.c tell' loader/tell.c 'void tell(int n, const char *fmt, ...);'
plant 'format loader/off.c pragma' loader/off.c \
	'#pragma GCC diagnostic ignored "-Wformat-nonliteral"'
# Put together here, so that this file has none in it.
dashes=-----
hex=0123456789abcdef0123456789abcdef
plant 'secret a.pem private-key' a.pem "${dashes}BEGIN PRIVATE KEY$dashes\nMC4CAQ"
plant 'secret b.c private-key' b.c "\"${dashes}BEGIN EC PRIVATE KEY$dashes\\\\nMC4CAQ\""
plant 'secret r.key private-key' r.key "{\"private\": \"$hex$hex\"}"
plant 'secret aws.txt token' aws.txt "AKIA""ABCDEFGHIJKLMNOP"
plant 'secret gh.txt token' gh.txt "ghp_""${hex}abcd"
plant 'secret host.txt enroll-token' host.txt "web-1.$hex.$hex$hex"
plant 'secret p.json password' p.json "\"pass""word\": \"correcthorse\""
plant 'secret url.txt password' url.txt "https://me:""hunter22@registry.example/"
plant 'licence loader/bare.c missing' loader/bare.c 'int x;'
plant 'licence bare.sh missing' bare.sh '#!/bin/sh'
plant 'licence loader/mit.c wrong' loader/mit.c '/* SPDX-License-Identifier: MIT */'
plant 'licence bpf/mine.c wrong' bpf/mine.c '/* SPDX-License-Identifier: Apache-2.0 */'
for name in anybody setuid setgid; do
	echo '/* SPDX-License-Identifier: Apache-2.0 */' >"$tree/loader/$name.c"
done
mkdir "$tree/open"
plant_mode 'mode loader/anybody.c world' loader/anybody.c 666
plant_mode 'mode loader/setuid.c special' loader/setuid.c 4755
plant_mode 'mode loader/setgid.c special' loader/setgid.c 2755
plant_mode 'mode open world' open 777
# A row with a reason is no finding; one that matches nothing is.
cat >"$tree/scripts/check.allow" <<'END'
format loader/allowed.c tell_nobody  it prints nothing
format loader/gone.c tell_nobody  it was right once
END
echo '/* SPDX-License-Identifier: Apache-2.0 */
void tell_nobody(const char *fmt, ...);' >"$tree/loader/allowed.c"
echo 'allow loader/gone.c tell_nobody' >>"$tmp/wanted"
finds 'the sins of sources' none

make_tree
plant_binary pie -fno-pie -no-pie
plant_binary now -Wl,-z,lazy
plant_binary relro -Wl,-z,norelro
plant_binary stack -Wl,-z,execstack
plant_binary rpath -Wl,-rpath,/opt
plant_binary protector -fno-stack-protector
plant_binary fortify -U_FORTIFY_SOURCE
plant_binary path "-DSIN=puts(\"$tree/loader/x.c\")"
rule=function
plant_binary system '-DSIN=return system(text)'
plant_binary strcat '-DSIN=strcat(text, argv[argc - 1])'
plant_binary rand '-DSIN=return rand()'
# After belay has done its work, this is done to what it left.
cat >"$tree/build/belay" <<END
#!/bin/sh
[ "\$1 \$2" = 'trust init' ] || exec $build/belay "\$@"
$build/belay "\$@" && cd "\${3%/repo}" && chmod 640 tls/ca.key &&
	chmod 644 fleet.db && chmod 755 host && chmod 602 host/lock
END
cat >>"$tmp/wanted" <<'END'
state state/tls/ca.key open
state state/fleet.db open
state state/host open
mode state/host/lock world
END
finds 'the sins of binaries and of what a run leaves' "$tree/build"

make_tree
chmod 4755 "$tree/build/tool"
sed -i 's/TYPE EXECUTABLE/TYPE FILE USE_SOURCE_PERMISSIONS/' \
	"$tree/build/cmake_install.cmake"
echo 'mode install/usr/bin/tool special' >"$tmp/wanted"
looks "$tree/build"
grep -qF 'mode install/usr/bin/tool special' "$tmp/found" || not_ok 'setuid was installed'

# A row without a reason does not count.
make_tree
echo 'format loader/good.c say' >"$tree/scripts/check.allow"
looks none && not_ok 'a row without a reason counts'
grep -qF 'a row is RULE FILE WHAT and a reason' "$tmp/out" || not_ok 'nobody said why'

# What could not be looked at is no pass.
"$top/scripts/check" --build "$tmp/nowhere" >"$tmp/out" 2>&1
[ $? = 2 ] || not_ok 'a build that is not there was looked at'

# The real one; sanitizers have no fortified functions.
if grep -q 'BELAY_SANITIZE:BOOL=ON' "$build/CMakeCache.txt"; then build=none; fi
"$top/scripts/check" --build "$build" >"$tmp/out" 2>&1 || not_ok 'this repository is not in order'
exit "$failed"
