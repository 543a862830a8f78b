#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs inside a lab VM (busybox sh): content updates. Says what does not hold
# and goes on; exit status 1 if anything did not.
# usage: content.sh DIGEST	(of secrets.json, its first 12 digits)
# shellcheck disable=SC1091
. /b/common.sh

step "content without a sensor"
expect 2 belay apply /b/secrets.json
says "nothing is live on this host that could take it"
says "belay apply BUNDLE"

step "content in the place of content"
expect 0 belay apply /b/v1.bundle
expect 0 belay apply /b/secrets.json
says "committed: sensor 1.0"
says "content $1, before"
expect 0 belay status
says "content $1"
says healthy
expect 0 belay history
says "$1"
expect 0 belay history --json --limit 1
says staged_to_live_ms
belay events --count 1000 --seconds 1 >/dev/null # of the trial
: </etc/shadow
expect 0 belay events --count 1 --seconds 5 --json
says '"rule":"secrets"'

step "what is live already, and what is no content"
expect 0 belay apply /b/secrets.json
says "live already"
expect 1 belay apply /b/mistake.json
says "mistake.json:1: rules[0]: required key 'action' is missing"
expect 0 belay status
says "content $1"

step "back"
expect 0 belay rollback
expect 0 belay status
says healthy
rm -rf /sys/fs/bpf/belay /var/lib/belay

step "back and forth under load"
/b/swapper /b/v1.bundle 10 0 || status=1
rm -rf /sys/fs/bpf/belay /var/lib/belay

step "a hundred thousand indicators"
/b/swapper /b/v1.bundle 1 100000 || status=1

step "done"
exit $status
