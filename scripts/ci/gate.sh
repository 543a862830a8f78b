#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The gate as a step of any CI: one check, told in every form.
set -euo pipefail

usage="usage: scripts/ci/gate.sh FILE [OPTION of belay check]…
Checks FILE, prints the report and leaves it in BELAY_OUT (default: belay-report):
  report.json    all there is; for 'belay rollout start --checked'
  report.sarif   for a code scanning page
  report.xml     JUnit, for the test page of a CI server
  report.md      for a comment on the pull request
  logs/          consoles and whole verifier logs, for who looks into it
BELAY_BASELINE=FILE holds costs against a baseline that is in the repository; if
that file is not there yet it is written, to be committed. BELAY names the
command, else build/belay beside this script, else belay in PATH.
Exit status is belay's: 0 accepted, 1 rejected, 2 undecided (something could not
be checked), 64 wrong usage. Let the job fail unless it is 0.

example: BELAY_BASELINE=belay-baseline.json scripts/ci/gate.sh sensor.bpf.o -k 6.1 -k 6.12"

case ${1:-} in
-h | --help)
	echo "$usage"
	exit 0
	;;
'' | -*)
	echo "$usage" >&2
	exit 64
	;;
esac

belay=${BELAY:-}
if [ -z "$belay" ]; then
	belay=$(cd "$(dirname "$0")/../.." && pwd)/build/belay
	[ -x "$belay" ] || belay=belay
fi
out=${BELAY_OUT:-belay-report}
mkdir -p "$out"
# What an earlier run left must not be taken for the result of this one.
rm -f "$out"/report.{json,sarif,xml,md}

baseline=()
if [ -n "${BELAY_BASELINE:-}" ]; then
	baseline=(--baseline "$BELAY_BASELINE")
	[ -e "$BELAY_BASELINE" ] || baseline+=(--update-baseline)
fi

status=0
"$belay" check "$@" "${baseline[@]}" \
	--log-dir "$out/logs" \
	--format text \
	--format "json=$out/report.json" \
	--format "sarif=$out/report.sarif" \
	--format "junit=$out/report.xml" \
	--format "markdown=$out/report.md" || status=$?

# Where GitHub (and Forgejo and Gitea, which took it over) shows a job's summary.
if [ -n "${GITHUB_STEP_SUMMARY:-}" ] && [ -f "$out/report.md" ]; then
	cat "$out/report.md" >>"$GITHUB_STEP_SUMMARY"
fi
if [ -n "${GITHUB_OUTPUT:-}" ]; then
	case $status in
	0) verdict=accepted ;;
	1) verdict=rejected ;;
	*) verdict=undecided ;;
	esac
	printf 'verdict=%s\nreport=%s\n' "$verdict" "$out" >>"$GITHUB_OUTPUT"
fi
exit "$status"
