#!/usr/bin/env bash
# Style, types and import directions; all four run, so that one run shows everything.
set -uo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

status=0
check() {
    say "- $*"
    .venv/bin/"$@" || status=1
}

check ruff check --quiet
check ruff format --check --quiet
check mypy --no-error-summary
check lint-imports --no-logo
exit $status
