#!/usr/bin/env bash
# Stop the lab in containers: nobody can start, sessions are ended and charged, programs are stopped.
# Books, homes, secrets and settings stay; make up goes on from there.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/compose.sh"

readonly GRACE_S=20 CHARGED_S=30

sessions() { "$docker" ps -q "$@" --filter "label=gpulab.hub=$(told LAB_HUB_ID)"; }

end_sessions() {
    local running waited=0
    running=$(sessions)
    if [ -n "$running" ]; then
        say "Ending $(wc -w <<<"$running") sessions"
        # Side by side: each may take its whole grace.
        xargs -P 16 -n 1 "$docker" stop -t "$GRACE_S" <<<"$running" >/dev/null
    fi
    # The worker removes a session when its end is in the books.
    while [ -n "$(sessions --all)" ] && [ "$waited" -lt "$CHARGED_S" ]; do
        sleep 1
        waited=$((waited + 1))
    done
    [ -z "$(sessions --all)" ] || say "What some sessions used is charged at the next start"
}

need_lab
say "Stopping the lab"
compose stop caddy hub
end_sessions
# Its keeper would write the rules again.
compose stop network
compose run --rm --no-deps network python -m lab.firewall remove || true
# A session that is not charged yet keeps its network; that is no reason to keep the rest.
compose down || compose rm --stop --force
say "The lab has stopped; its data stays."
