# SPDX-License-Identifier: Apache-2.0
# Packages of other Debian suites, from the mirror that this machine is
# configured with, through a private apt root: nothing is installed, the
# machine's own package lists stay as they are. Sourced by scripts/kernels and
# scripts/objects; they define say.
#
#	suites_open WORK           the private root, in a folder of the caller's
#	suites_reach SUITE…        reads their indices; SUITE+S: the security archive
#	suites_unpack DIR PACKAGE… downloads and unpacks into DIR
#	"${apt[@]}"                the options of apt-get and apt-cache
# shellcheck shell=bash

keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# shellcheck disable=SC2016 # the format is apt-get's to expand
suites_site() { # suites_site RELEASE…: address of the first that is configured
	local release
	for release; do
		apt-get indextargets --format '$(RELEASE) $(SITE)' \
			'Created-By: Packages' 'Component: main' 2>/dev/null |
			awk -v r="$release" '$1 == r && !n++ { print $2 }'
	done | sed -n 1p # not head: who writes to a closed pipe has failed
}

# False if this machine has no mirror configured.
suites_open() {
	local own
	suites_work=$1
	own=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
	suites_mirror=$(suites_site "$own" stable oldstable)
	suites_security=$(suites_site "$own-security" stable-security \
		oldstable-security)
	mkdir -p "$suites_work"/apt/{lists/partial,cache/archives/partial,parts}
	: >"$suites_work/apt/status"
	apt=(-o "Dir::Etc::sourcelist=$suites_work/apt/sources.list"
		-o "Dir::Etc::sourceparts=$suites_work/apt/parts"
		-o "Dir::State::lists=$suites_work/apt/lists"
		-o "Dir::State::status=$suites_work/apt/status"
		-o "Dir::Cache=$suites_work/apt/cache"
		-o APT::Sandbox::User=root -o Acquire::Languages=none
		-o Acquire::Retries=3 -o Acquire::http::Timeout=30)
	[[ $suites_mirror ]]
}

suites_source() { # suites_source SUITE: its line of sources.list, if it has one
	local by=
	[[ -f $keyring ]] && by="[signed-by=$keyring] "
	case $1 in
	*+S) [[ -z $suites_security ]] ||
		echo "deb $by$suites_security ${1%+S} main" ;;
	*) echo "deb $by$suites_mirror $1 main" ;;
	esac
}

# Reads the indices of each on its own, so that one that cannot be had leaves
# the others. False if there is none.
suites_reach() {
	local suite good=
	for suite; do
		suites_source "$suite" >"$suites_work/apt/sources.list"
		if [[ ! -s $suites_work/apt/sources.list ]]; then
			say "${suite%+S}: no mirror of it is configured"
		elif apt-get "${apt[@]}" -qq -o APT::Get::List-Cleanup=0 update \
			--error-on=any >"$suites_work/log" 2>&1; then
			good+=$(suites_source "$suite")$'\n'
		else
			say "${suite%+S} cannot be reached: $(grep -m1 '^[EW]:' "$suites_work/log" || echo 'apt-get update failed')"
		fi
	done
	printf '%s' "$good" >"$suites_work/apt/sources.list"
	[[ $good ]]
}

suites_unpack() {
	local to=$1 deb
	shift
	mkdir -p "$to" "$suites_work/debs"
	(cd "$suites_work/debs" &&
		apt-get "${apt[@]}" -qq download "$@" 2>"$suites_work/log") || {
		say "download of $* failed: $(tail -1 "$suites_work/log")"
		return 1
	}
	for deb in "$suites_work"/debs/*.deb; do
		dpkg-deb -x "$deb" "$to" || return 1
		rm -f "$deb"
	done
}
