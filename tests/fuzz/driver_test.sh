#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The driver must notice what it is there for: a failing mutation is kept and fails again when it is run alone, a failing file and
# an input without end are told, and what passes passes.  driver_test.sh PROGRAM (fuzz_trap)
set -u
program=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1

fail() {
    echo "driver_test.sh: $1" >&2
    cat said >&2
    exit 1
}

YANHUO_FUZZ=0 "$program" >said 2>&1 || fail "the corpus alone must pass"
YANHUO_FUZZ=x "$program" >said 2>&1
[ $? = 2 ] || fail "a number of runs that is none must be refused"
YANHUO_FUZZ=100000 "$program" >said 2>&1 && fail "a hundred thousand mutations must find the '!'"
[ -f fuzz_trap.input ] || fail "the input was not written"
grep -q '!' fuzz_trap.input || fail "another input than the failing one was written"
again=$(tail -n 1 said)
cp fuzz_trap.input first
$again >said 2>&1 && fail "the printed command '$again' must fail like the run did"
grep -q 'the property does not hold' said || fail "the property is not named"
YANHUO_FUZZ=100000 "$program" >said 2>&1 && fail "the second run must fail like the first"
cmp -s first fuzz_trap.input || fail "two runs must try the same mutations"
printf '~' >endless
YANHUO_FUZZ_SECONDS=1 "$program" endless >said 2>&1 && fail "an input without end must fail"
grep -q 'took more than 1 s' said || fail "an input without end must be told as one"
"$program" missing >said 2>&1
[ $? = 2 ] || fail "a file that is not there must be refused"
exit 0
