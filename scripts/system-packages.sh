#!/usr/bin/env bash
# Sees to the system packages that the test suite needs. As root on Debian or Ubuntu it installs
# what is missing; elsewhere it prints the one command that would, and tests that need it are
# skipped and say so. With CI=true a missing package is a failure.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
PATH="$PATH:/usr/sbin:/sbin"

has() { command -v "$1" >/dev/null; }
has_file() { compgen -G "$1" >/dev/null; }

missing=()
need() {
    local package=$1
    shift
    "$@" || missing+=("$package")
}

has_browser() { has chromium || has chromium-browser || has google-chrome; }

need docker.io has dockerd
need debootstrap has debootstrap
need postgresql has_file '/usr/lib/postgresql/*/bin/initdb'
need chromium has_browser
need strace has strace
need libfaketime has_file '/usr/lib/*/faketime/libfaketime.so.1'
need iptables has iptables
need iproute2 has ip
need gcc has cc
need libc6-dev has_file '/usr/include/stdio.h'

if [ ${#missing[@]} -eq 0 ]; then
    exit 0
fi

readonly command="apt-get install -y --no-install-recommends ${missing[*]}"
if [ "$(id -u)" = 0 ] && has apt-get; then
    say "Installing system packages: ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    readonly log=.setup.log
    if apt-get update >"$log" 2>&1 && $command >>"$log" 2>&1; then
        exit 0
    fi
    tail -n 5 "$log" >&2
    fail "the system packages could not be installed; what apt-get said is in $log"
fi

say "The whole test suite needs packages that are not here. As root on Debian or Ubuntu:"
say "    apt-get update && $command"
if [ "${CI:-}" = true ]; then
    fail "packages are missing: ${missing[*]}"
fi
say "Tests that need them are skipped, and say so."
