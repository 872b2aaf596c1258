#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# install.sh CMAKE BUILD PREFIX SOURCE: what `cmake --install` puts where, tried in a temporary DESTDIR.
set -euo pipefail
cmake=$1 build=$2 prefix=$3 source=$4
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
failed=0
wrong() {
    echo "install: $1"
    failed=1
}

# judge ROOT: every line it prints is something wrong with the tree under ROOT.
judge() {
    local root=$1$prefix path unit file
    for path in bin/yanhuo lib/systemd/system/yanhuo.service lib/sysusers.d/yanhuo.conf lib/modules-load.d/yanhuo.conf \
        lib/udev/rules.d/70-yanhuo.rules share/yanhuo/examples/gateway.yaml; do
        [ -s "$root/$path" ] || echo "$prefix/$path is missing; see the install() rules of its folder"
    done
    [ -x "$root/bin/yanhuo" ] || echo "$prefix/bin/yanhuo cannot be executed"
    unit="$root/lib/systemd/system/yanhuo.service"
    if [ -f "$unit" ]; then
        path=$(sed -n 's/^ExecStart=\([^ ]*\) .*/\1/p' "$unit")
        [ -x "$1$path" ] || echo "the unit starts '$path', which is not installed"
        ! grep -n '@' "$unit" | grep -v 'SystemCallFilter=' || echo "the unit has a placeholder left, on the line above"
    fi
    for file in "$source"/sensors/profiles/*.yaml; do
        [ -e "$file" ] || continue
        cmp -s "$file" "$root/share/yanhuo/profiles/$(basename "$file")" || echo "the profile $(basename "$file") is missing from $prefix/share/yanhuo/profiles"
    done
    for file in "$source"/config/rules/*.yaml; do
        [ -e "$file" ] || continue
        cmp -s "$file" "$root/share/yanhuo/rules/$(basename "$file")" || echo "the rules $(basename "$file") are missing from $prefix/share/yanhuo/rules"
    done
    # Nothing for developers, and nothing outside the folders of a program.
    find "$1" -type f \( -name '*.a' -o -name '*.h' -o -name '*.cmake' \) -printf "%P has no place in an installation\n"
    find "$1" -type f -not -path "$root/bin/*" -not -path "$root/lib/*" -not -path "$root/share/*" -printf "%P is outside bin, lib and share\n"
    find "$1" -perm /022 -not -type l -printf "%P may be written by others\n"
}

umask 022
mkdir -p "$place/bad$prefix/include"
echo x >"$place/bad$prefix/include/yanhuo.h"
[ "$(judge "$place/bad" | wc -l)" -ge 9 ] || wrong "the lint does not prove itself: a bad tree passes"

DESTDIR="$place/good" "$cmake" --install "$build" >"$place/said" 2>&1 || wrong "$(cat "$place/said")"
while IFS= read -r line; do
    wrong "$line"
done < <(judge "$place/good")

# The program and the unit hold full paths, so another prefix than the configured one is refused rather than half right.
if DESTDIR="$place/other" "$cmake" --install "$build" --prefix "$prefix/elsewhere" >"$place/said" 2>&1; then
    wrong "a prefix that the build was not made for is accepted"
elif ! grep -q -- "-DCMAKE_INSTALL_PREFIX=$prefix/elsewhere" "$place/said" || [ -e "$place/other" ]; then
    wrong "refusing another prefix leaves files behind or does not say what to do: $(cat "$place/said")"
fi
exit "$failed"
