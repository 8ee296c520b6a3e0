#!/usr/bin/env bash
# Replace the books of a running lab by those of a copy: scripts/restore.sh FOLDER
# FOLDER is one that make backup made. The books of now are copied first. Sessions go on meanwhile;
# what they used is charged when the worker looks again (docs/backups.md).
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/compose.sh"

readonly READY_S=300

need_lab
dump=${1:-}/books.dump
[ -f "$dump" ] || fail "usage: make restore FROM=FOLDER, one that make backup made"
say "Keeping the books of now"
scripts/backup.sh
compose stop service worker
restored=
compose exec -T postgres pg_restore -U gpulab_owner --dbname books --clean --if-exists \
    --no-owner --no-privileges --single-transaction --exit-on-error <"$dump" && restored=1
# They also start again when nothing was replaced.
[ -z "$restored" ] || compose run --rm migrate
compose up -d --wait --wait-timeout "$READY_S" service worker
[ -n "$restored" ] || fail "the books could not be replaced; nothing was changed"
compose exec -T service gpulab check
