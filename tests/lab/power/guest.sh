#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# One boot of tests/lab/test_power.c, in the guest: comes up, says what it finds,
# and then updates in a loop until the power goes. Each line that is for the test
# begins with @: a word, an exit status, JSON.
# usage: guest.sh TAG: makes the versions of this boot its own
tag=$1
cd /tmp || exit 1

say() { # say WORD COMMAND…
	word=$1
	shift
	out=$("$@" 2>/tmp/error)
	code=$?
	[ $code -eq 0 ] || cat /tmp/error
	echo "@$word $code" $out
}

manifest() { # manifest VERSION
	cat >manifest.json <<-END
		{ "name": "sensor", "version": "$1", "object": "object.bpf.o",
		  "content": "content.json", "trial": { "probation_ms": 300 } }
	END
}

content() { # content RULE: one in which /etc/shadow has this rule
	cat >content.json <<-END
		{ "contract": 1,
		  "default": { "exec": "emit", "open": "ignore",
		               "connect": "ignore" },
		  "rules": [ { "id": "$1", "event": "open",
		               "path": "/etc/shadow", "action": "emit" } ] }
	END
}

ln -s /b/object.bpf.o object.bpf.o
say recover belay recover --json
say again belay recover --json
: </etc/shadow
# Nothing is live at first, and nothing will be said.
case $(belay status --json) in
*'"live": null'*) seconds=1 ;;
*) seconds=600 ;;
esac
say event belay events --count 1 --seconds $seconds --json
say status belay status --json
say history belay history --limit 40 --json
n=0
while :; do
	n=$((n + 1))
	content "$tag.$n"
	manifest "$tag.$n"
	belay bundle build manifest.json -o new.bundle >/dev/null || exit 1
	echo "@apply 0"
	say applied belay apply new.bundle --json
	content "$tag.$n.content"
	echo "@apply 0"
	say applied belay apply content.json --json
done
