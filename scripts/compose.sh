# Sourced by up.sh, down.sh, backup.sh and restore.sh: the lab in containers, and how to speak to it.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

readonly env_file=${LAB_ENV_FILE:-.env}
readonly docker=${DOCKER:-docker}

# The plug-in of the docker command, or the same as a program of its own.
find_compose() {
    if "$docker" compose version >/dev/null 2>&1; then
        compose_words=("$docker" compose)
    elif docker-compose version 2>/dev/null | grep -q ' v\{0,1\}[2-9]'; then
        compose_words=(docker-compose)
    else
        fail "Docker Compose 2 is not here. On Debian 13: apt-get install docker-compose;" \
            "on Ubuntu: apt-get install docker-compose-v2"
    fi
}

compose() { "${compose_words[@]}" --env-file "$env_file" "$@"; }

need_engine() {
    "$docker" version >/dev/null 2>&1 || fail "no Docker engine answers; see docs/docker-host.md"
    find_compose
}

need_lab() {
    need_engine
    [ -f "$env_file" ] || fail "there is no lab here yet: make up"
}

# told NAME: what .env says; empty for nothing.
told() { sed -n "s/^$1=//p" "$env_file" 2>/dev/null | tail -n 1; }
