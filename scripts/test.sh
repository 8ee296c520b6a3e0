#!/usr/bin/env bash
# The whole test suite. Usage: scripts/test.sh [pytest's arguments]; the exit status tells.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

scripts/setup.sh dev
scripts/system-packages.sh
scripts/compose-tools.sh

# Without an engine or its image the tests that need one are skipped; in CI that is a failure.
optional() { [ "${CI:-}" != true ] && say "Going on without: $*"; }
if scripts/engine.sh; then
    scripts/build-image.sh base || optional "the image for sessions" || fail "the image for sessions could not be built"
else
    optional "a Docker engine" || fail "no Docker engine answers"
fi

say "Checking style and types"
scripts/lint.sh

names_a_path() { for word in "$@"; do [ -e "${word%%::*}" ] && return; done; return 1; }
if names_a_path "$@"; then
    exec .venv/bin/python -m pytest -ra -q "$@"
fi

# First what only computes and asks databases, on two cores at once; then, alone on the machine,
# what starts whole labs, kills them, or measures time.
readonly timed=(tests/api/test_service_process.py tests/quota/test_durability.py
    tests/quota/test_concurrency.py tests/runtimes/test_docker_spawner.py tests/hub/test_process_spawner.py)
readonly kills=(tests/faults/test_p05_p06_kills.py tests/faults/test_p08_p09_trouble.py
    tests/faults/test_p20_p26_containers.py tests/faults/test_p24_engine_restarts.py)
readonly quiet=(tests/architecture tests/quota tests/simulation tests/hub tests/contract tests/api
    tests/session_side tests/session tests/pages tests/gpu tests/monitoring tests/faults)
status=0
say "Rules, books, service and hub"
.venv/bin/python -m pytest -ra -q -n 2 "${timed[@]/#/--ignore=}" "${kills[@]/#/--ignore=}" \
    "$@" "${quiet[@]}" || status=$?
say "Runtimes, faults, whole labs"
.venv/bin/python -m pytest -ra -q "$@" "${timed[@]}" tests/runtimes tests/images tests/gate tests/lab tests/labs \
    tests/compose "${kills[@]}" tests/integration tests/browser tests/crash || status=$?
exit "$status"
