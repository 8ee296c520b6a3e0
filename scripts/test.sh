#!/usr/bin/env bash
# The whole test suite. Usage: scripts/test.sh [pytest's arguments]; the exit status tells.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

scripts/setup.sh dev
scripts/system-packages.sh

# Without an engine or its image the tests that need one are skipped; in CI that is a failure.
optional() { [ "${CI:-}" != true ] && say "Going on without: $*"; }
if scripts/engine.sh; then
    scripts/build-image.sh base || optional "the image for sessions" || fail "the image for sessions could not be built"
else
    optional "a Docker engine" || fail "no Docker engine answers"
fi

say "Checking style and types"
scripts/lint.sh
exec .venv/bin/python -m pytest -ra -q "$@"
