#!/usr/bin/env bash
# Locks every dependency anew, with hashes: requirements/*.txt from *.in, and package-lock.json.
# Pass --upgrade for newer versions than the present ones.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

tool=$(mktemp -d)
trap 'rm -rf "$tool"' EXIT
say "Fetching uv"
.venv/bin/python -m pip install --quiet --target "$tool" uv
export UV_CUSTOM_COMPILE_COMMAND="make lock" PYTHONPATH="$tool"
for name in lab dev node; do
    say "Locking requirements/$name.txt"
    .venv/bin/python -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-emit-find-links "$@" \
        --output-file "requirements/$name.txt" "requirements/$name.in"
done
say "Locking package-lock.json"
npm install --package-lock-only >/dev/null
if grep -q '"resolved"' package-lock.json; then
    fail "package-lock.json names a download host; .npmrc should keep it from that"
fi
