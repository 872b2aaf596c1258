# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by tests/run and ./demo: the Debian packages each of them needs, and how the missing ones get installed.
# This is the only list. Every name exists in Debian 12 and in Debian 13.

# shellcheck disable=SC2034
packages_build="gcc libc6-dev cmake ninja-build pkg-config
libmodbus-dev libuv1-dev libsqlite3-dev libpaho-mqtt-dev libyaml-dev libcjson-dev libssl-dev libsystemd-dev libcmocka-dev"

# The demo plays through a real broker; its story is told by Python's standard library alone.
packages_demo="$packages_build mosquitto mosquitto-clients python3"

# The tests add a second compiler, a Modbus server and a client that are not ours, certificates made on the spot, and
# systemd's own judge of units.
# shellcheck disable=SC2034
packages_tests="$packages_demo clang openssl python3-pymodbus python3-serial python3-serial-asyncio sqlite3 systemd udev"

# packages_missing PACKAGE... prints those that are not installed.
packages_missing() {
    local package
    for package in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || printf '%s ' "$package"
    done
}

# packages_install PACKAGE... installs what is missing, with apt, as root or through sudo, and says so first. It does
# nothing, and needs no rights, when nothing is missing. It asks first when packages_ask=yes and the user is not root.
packages_install() {
    local missing sudo="" answer log
    if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
        echo "This is not a Debian system, so nothing is installed. What is needed, by its Debian names: $*" >&2
        return 0
    fi
    missing=$(packages_missing "$@")
    [ -n "$missing" ] || return 0
    echo "Missing packages: $missing"
    if [ "$(id -u)" != 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "They cannot be installed without root. Run this as root, then try again:" >&2
            echo "    apt-get update && apt-get install --no-install-recommends $missing" >&2
            return 1
        fi
        sudo=sudo
        if [ "${packages_ask:-no}" = yes ]; then
            printf 'Install them now with sudo apt-get? [y/N] '
            read -r answer || answer=no
            case $answer in
            y | Y | yes) ;;
            *)
                echo "Nothing was installed." >&2
                return 1
                ;;
            esac
        fi
    fi
    echo "Installing them with apt-get; this takes a minute or two ..."
    log=$(mktemp)
    # The lists are meant to be split into words.
    # shellcheck disable=SC2086
    if ! { $sudo apt-get -q -o DPkg::Lock::Timeout=300 update &&
        $sudo env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
            install --no-install-recommends $missing; } </dev/null >"$log" 2>&1; then
        tail -n 30 "$log"
        rm -f "$log"
        echo "apt-get could not install them; the end of what it said is above. Put it right and run this again." >&2
        return 1
    fi
    rm -f "$log"
    case " $missing " in
    *" mosquitto "*)
        echo "The package mosquitto also starts a broker of its own on port 1883 of this machine, for local clients only."
        echo "Nothing here uses that one; 'systemctl disable --now mosquitto' stops it."
        ;;
    esac
}
