#!/usr/bin/env bash
# Locks every dependency anew, with hashes: requirements/*.txt from *.in, and the locks of npm.
# Pass --upgrade for newer versions than the present ones.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

tool=$(mktemp -d)
trap 'rm -rf "$tool"' EXIT
say "Fetching uv"
.venv/bin/python -m pip install --quiet --target "$tool" uv
export UV_CUSTOM_COMPILE_COMMAND="make lock" PYTHONPATH="$tool"
# rfc3987-syntax builds its parser at import, three seconds at every start of hub and session, to
# check addresses in schemas that none of ours has; jsonschema does without it.
readonly slow=(--no-emit-package rfc3987-syntax --no-emit-package lark)

lock() {
    local file=$1
    shift
    say "Locking $file.txt"
    .venv/bin/python -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-emit-find-links "${slow[@]}" "$@" \
        --output-file "$file.txt" "$file.in"
}

for name in lab dev node; do
    lock "requirements/$name" "$@"
done
# An image's lock has what it adds to the images below, in versions that fit theirs and the hub's.
lower=()
lock_image() {
    local file=$1 below
    shift
    local -a options=()
    for below in "${lower[@]}"; do
        options+=(--constraint "$below")
        mapfile -t names < <(sed -n 's/^\([a-z0-9.-]*\)\(\[.*\]\)\?==.*/\1/p' "$below" | sort -u)
        options+=("${names[@]/#/--no-emit-package=}")
    done
    lock "$file" --constraint requirements/lab.txt "${options[@]}" "$@"
    lower+=("$file.txt")
}
for name in base/requirements pytorch/torch pytorch/requirements huggingface/requirements; do
    lock_image "images/$name" "$@"
done
lock images/labextension/requirements --constraint requirements/lab.txt "$@"
for folder in . images/labextension; do
    say "Locking $folder/package-lock.json"
    (cd "$folder" && npm install --package-lock-only >/dev/null)
    if grep -q '"resolved"' "$folder/package-lock.json"; then
        fail "$folder/package-lock.json names a download host; .npmrc should keep it from that"
    fi
done
