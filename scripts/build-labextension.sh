#!/usr/bin/env bash
# Makes the notebook's part of the lab, for sessions that run as processes: what a browser loads,
# in images/labextension/built. Usage: scripts/build-labextension.sh [lab|dev]; dev installs what
# checks it, too. Does nothing when it is made from the same sources. Images make it for themselves.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd images/labextension
PATH="$PATH:$PWD/../../.venv/bin"

readonly kind=${1:-lab} log=../../.setup.log

is_done() { [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]; }

install_packages() {
    local now stamp=node_modules/.done-$kind only=(--omit=dev)
    now=$(cksum <package-lock.json)
    if is_done "$stamp" "$now" || is_done node_modules/.done-dev "$now"; then
        return
    fi
    [ "$kind" = dev ] && only=()
    say "Installing what makes the notebook's part of the lab"
    npm ci --ignore-scripts "${only[@]}" >"$log" 2>&1 || {
        tail -n 5 "$log" >&2
        fail "what makes the notebook's part could not be installed; what npm said is in .setup.log"
    }
    printf '%s\n' "$now" >"$stamp"
}

build() {
    local now
    now=$(cat package.json package-lock.json build.mjs src/* | cksum)
    is_done built/.done "$now" && return
    node build.mjs
    printf '%s\n' "$now" >built/.done
}

install_packages
build
