#!/usr/bin/env bash
# Style, types and import directions; all of them run, so that one run shows everything.
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
# What runs in the notebook's page.
cd images/labextension
PATH="$PATH:$PWD/../../.venv/bin"
for command in "biome check --error-on-warnings" tsc; do
    say "- $command"
    # shellcheck disable=SC2086 # a command and its arguments
    node_modules/.bin/$command || status=1
done
exit $status
