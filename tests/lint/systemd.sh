#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# systemd.sh UNIT FOLDER: systemd's own judgement of the unit (exposure 2.0 at most, every line understood), of the group
# file and of the udev rules. Each judge is first shown something bad.
set -euo pipefail
unit=$1 folder=$2 most=20
if ! command -v systemd-analyze >/dev/null; then
    echo "Skipped: systemd-analyze is not installed (Debian package systemd)."
    exit 77
fi
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
fail() {
    echo "$1"
    exit 1
}

# exposed FILE: its exposure is above the limit.
exposed() {
    ! systemd-analyze security --offline=yes --no-pager --threshold="$most" "$1" >"$place/table" 2>&1
}
printf '[Service]\nExecStart=/bin/true\n' >"$place/bare.service"
exposed "$place/bare.service" || fail "The lint does not prove itself: a bare unit passes."
if exposed "$unit"; then
    grep -v '✓' "$place/table" || true
    fail "$unit: its exposure is above $((most / 10)).$((most % 10)); close what the lines above leave open."
fi
tail -n 1 "$place/table"

# complaints FILE: what systemd does not understand of it. The program is not installed here, so another one stands in.
complaints() {
    mkdir -p "$place/verify"
    sed 's,^ExecStart=.*,ExecStart=/bin/true,' "$1" >"$place/verify/yanhuo.service"
    systemd-analyze verify --man=no "$place/verify/yanhuo.service" 2>&1 | grep -F yanhuo.service || true
}
printf '[Service]\nExecStart=/bin/true\nDynamicUsr=yes\n' >"$place/bad.service"
[ -n "$(complaints "$place/bad.service")" ] || fail "The lint does not prove itself: a misspelt key passes."
said=$(complaints "$unit")
[ -z "$said" ] || fail "$said"

mkdir -p "$place/root/etc"
cp "$folder/yanhuo-sysusers.conf" "$place/sysusers.conf"
if command -v systemd-sysusers >/dev/null; then
    systemd-sysusers --root="$place/root" - <"$place/sysusers.conf" >"$place/said" 2>&1 || fail "yanhuo-sysusers.conf: $(cat "$place/said")"
    grep -q '^dialout:' "$place/root/etc/group" || fail "yanhuo-sysusers.conf: it made no group dialout. $(cat "$place/said")"
fi

# `udevadm verify` came with systemd 254.
if udevadm verify --help >/dev/null 2>&1; then
    echo 'SUBSYSTEM="tty", NONSENSE=="1"' >"$place/bad.rules"
    ! udevadm verify "$place/bad.rules" >/dev/null 2>&1 || fail "The lint does not prove itself: a bad udev rule passes."
    udevadm verify "$folder/70-yanhuo.rules" >"$place/said" 2>&1 || fail "$(cat "$place/said")"
else
    echo "70-yanhuo.rules was not judged: this udevadm cannot (systemd 254 and later can)."
fi
