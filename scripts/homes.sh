#!/usr/bin/env bash
# Tell when homes may grow until the disk is full: scripts/homes.sh GIB, what each person may keep.
# The engine says nowhere whether its storage keeps quotas; whether it makes a volume with an end does.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

readonly docker=${DOCKER:-docker} probe=gpulab-probe-$$-$RANDOM

if [ "$1" = 0 ]; then
    say "Homes may grow until the disk is full: LAB_HOME_GIB is 0"
elif "$docker" volume create -o size=1m "$probe" >/dev/null 2>&1; then
    "$docker" volume rm "$probe" >/dev/null
else
    say "Homes may grow beyond $1 GiB, until the disk is full: the engine's storage has no quotas." \
        "Put its data-root on XFS that is mounted with the option pquota"
fi
