#!/usr/bin/env bash
# Copy the books, the hub's database and the policy of a running lab: scripts/backup.sh [FOLDER]
# Each copy is a folder of its own, named after the moment, that only its owner can read; it has its
# name only when it is whole. Homes are not in it, secrets neither: see docs/docker-host.md.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/compose.sh"
umask 077

need_lab
into=${1:-$(told LAB_SITE)/backups}
target=$into/$(date -u +%Y-%m-%dT%H%M%SZ)
draft=$target.unfinished
mkdir -p "$draft"
trap 'rm -rf "$draft"' EXIT

compose exec -T postgres pg_dump -U gpulab_owner --format=custom --no-owner --no-privileges books \
    >"$draft/books.dump"
# A copy that cannot be listed is none.
listed=$(compose exec -T postgres pg_restore --list <"$draft/books.dump") &&
    grep -q 'TABLE DATA' <<<"$listed" || fail "the copy of the books cannot be read"
compose exec -T hub python -c '
import sqlite3, sys
with sqlite3.connect("file:/srv/gpulab/state/hub.sqlite?mode=ro", uri=True) as hub:
    hub.execute("VACUUM INTO ?", ("/tmp/hub.sqlite",))
with sqlite3.connect("/tmp/hub.sqlite") as copy:
    assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
sys.stdout.buffer.write(open("/tmp/hub.sqlite", "rb").read())
import os; os.unlink("/tmp/hub.sqlite")' >"$draft/hub.sqlite"
cp "$(told LAB_SITE)/config/lab.yaml" "$draft/lab.yaml"
cp "$env_file" "$draft/env"
mv "$draft" "$target"
trap - EXIT
say "The copy is $target"
