#!/usr/bin/env bash
# Makes what the lab runs on: .venv with the locked Python packages, the locked proxy from npm, and
# the notebook's part of the lab.
# Usage: scripts/setup.sh [lab|dev]. Safe to run again and at the same time; later runs do nothing.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

readonly kind=${1:-lab}
case $kind in lab | dev) ;; *) fail "usage: scripts/setup.sh [lab|dev]" ;; esac
readonly python=.venv/bin/python

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    local candidate
    for candidate in "${PYTHON:-python3}" python3 python3.13 python3.12 python3.11; do
        if command -v "$candidate" >/dev/null && new_enough "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    fail "Python 3.11 or newer is needed; install it, or name it: make lab PYTHON=/path/to/python3"
}

# What an installed environment depends on; another value means that it has to be made again.
fingerprint() {
    { cat "$@" && "$python" --version && pwd; } | cksum
}

is_done() { [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]; }

make_venv() {
    if [ -x "$python" ] && new_enough "$python" && "$python" -m pip --version >/dev/null 2>&1; then
        return
    fi
    local base
    base=$(find_python)
    say "Making a virtual environment in .venv"
    rm -rf .venv
    "$base" -m venv .venv >.setup.log 2>&1 || {
        cat .setup.log >&2
        rm -rf .venv
        fail "the virtual environment could not be made; on Debian or Ubuntu: apt-get install python3-venv"
    }
}

# Show a moving count where somebody watches; keep everything in .setup.log for when it fails.
pip_install() {
    local total=$1
    shift
    "$python" -m pip install --disable-pip-version-check --no-input "$@" 2>&1 | tee .setup.log |
        awk -v total="$total" -v tty="$([ -t 1 ] && echo 1)" '
            /^ *Collecting|^Requirement already/ {
                if (tty && n < total) { printf "\r  %d of %d", ++n, total; fflush() }
            }
            /^Installing collected/ { if (tty) { printf "\r  unpacking ...   "; fflush() } }
            END { if (tty) printf "\r                   \r" }'
}

install_python_packages() {
    local lock=requirements/$kind.txt stamp=.venv/.done-$kind count now
    now=$(fingerprint "$lock" pyproject.toml)
    # What checks the lab includes what runs it.
    if is_done "$stamp" "$now" ||
        { [ "$kind" = lab ] && is_done .venv/.done-dev "$(fingerprint requirements/dev.txt pyproject.toml)"; }; then
        return
    fi
    count=$(grep -c '^[a-z].*==' "$lock")
    say "Installing $count Python packages (a minute or two)"
    rm -f .venv/.done-*
    # The lock names every package, so nothing has to be resolved; what is used is compiled then.
    pip_install "$count" --no-deps --no-compile --require-hashes -r "$lock" ||
        broken "the Python packages"
    pip_install 1 --no-deps --no-build-isolation -e . || broken "gpulab itself"
    printf '%s\n' "$now" >"$stamp"
}

broken() {
    grep -iE 'error|hash' .setup.log | head -n 5 >&2 || true
    fail "$1 could not be installed; what pip said is in .setup.log"
}

install_node() {
    if command -v node >/dev/null && command -v npm >/dev/null && good_node node >/dev/null; then
        return
    fi
    export PATH="$PWD/.venv/bin:$PATH"
    if good_node .venv/bin/node >/dev/null; then
        return
    fi
    say "Installing Node.js, since this machine has none of version 20 or newer"
    pip_install 2 --require-hashes -r requirements/node.txt || broken "Node.js"
}

install_proxy() {
    local now stamp=node_modules/.done-$kind only=(--omit=dev)
    now=$(fingerprint package-lock.json)
    # What checks the lab compares the scripts of its pages with where they came from.
    if is_done "$stamp" "$now" || is_done node_modules/.done-dev "$now"; then
        return
    fi
    [ "$kind" = dev ] && only=()
    say "Installing the proxy (configurable-http-proxy)"
    npm ci --ignore-scripts "${only[@]}" >.setup.log 2>&1 || {
        tail -n 5 .setup.log >&2
        fail "the proxy could not be installed; what npm said is in .setup.log"
    }
    printf '%s\n' "$now" >"$stamp"
}

# One at a time: two that install into the same folder break each other.
exec 9>.setup.lock
if command -v flock >/dev/null && ! flock -n 9; then
    say "Waiting for another set-up of this folder"
    flock 9
fi
make_venv
install_python_packages
install_node
install_proxy
scripts/build-labextension.sh "$kind"
