#!/usr/bin/env bash
# Start the lab in containers on this machine, or bring a running one to what is here now:
#   scripts/up.sh [--upgrade]
# Says again what it was told before (.env), else this. Variables:
#   ADDRESS  the name of the lab, as people type it (lab.localhost: for a try on this machine)
#   TLS      internal (Caddy's own certificates, for a try), files (site/tls/fullchain.pem and
#            privkey.pem, for the address and for *.ADDRESS), or a file of yours for Caddy
# --upgrade also takes the newest images of Caddy, PostgreSQL, Prometheus and Grafana.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/compose.sh"

readonly READY_S=300
# The tags that are looked up once; .env then says which image that was.
readonly -A THIRD=(
    [CADDY]=caddy:2 [POSTGRES]=postgres:17
    [PROMETHEUS]=prom/prometheus:latest [GRAFANA]=grafana/grafana:latest
)
upgrade=
case ${1:-} in
    "") ;;
    --upgrade) upgrade=1 ;;
    *) fail "usage: scripts/up.sh [--upgrade]" ;;
esac

# keep NAME VALUE: write a line of .env, in place of an older one; only its owner can read it.
keep() {
    local draft=$env_file.new
    (umask 077 && { grep -v "^$1=" "$env_file" 2>/dev/null || true; } >"$draft")
    printf '%s=%s\n' "$1" "$2" >>"$draft"
    mv "$draft" "$env_file"
}

# first NAME VALUE: the same, unless .env says something.
first() { [ -n "$(told "$1")" ] || keep "$1" "$2"; }

is_lab_here_otherwise() {
    [ -e .state/launcher.lock ] && command -v flock >/dev/null &&
        ! flock -n -s .state/launcher.lock true
}

write_settings() {
    [ -z "${ADDRESS:-}" ] || keep LAB_ADDRESS "$ADDRESS"
    [ -z "${TLS:-}" ] || keep LAB_TLS "$TLS"
    first LAB_ADDRESS lab.localhost
    first LAB_TLS internal
    first LAB_SITE ./site
    first LAB_HUB_ID main
    first LAB_AUTHENTICATOR demo
    first COMPOSE_PROJECT_NAME gpulab
    first LAB_HTTPS_PORT 443
    local port
    port=$(told LAB_HTTPS_PORT)
    port=${port##*:}
    keep LAB_PUBLIC_PORT "$([ "$port" = 443 ] || echo ":$port")"
    first LAB_DOCKER_SOCKET "$(socket_of_engine)"
    keep LAB_DOCKER_GID "$(stat -Lc %g "$(told LAB_DOCKER_SOCKET)")"
    first LAB_MTU "$(outside_mtu)"
    files=compose.yaml
    ! can_give_gpus || files+=:deploy/compose.gpus.yaml
    share DATASETS
    share MODELS
    keep COMPOSE_FILE "$files"
}

# Folders that all sessions can read are shown to the gate, which lets no others through.
share() {
    local folder
    folder=$(told "LAB_$1_DIR")
    [ -n "$folder" ] || return 0
    [[ $folder = /* && $folder != *[:{}]* && -d $folder ]] ||
        fail "LAB_$1_DIR has to be a folder by its whole path, without : { } in it; it is $folder"
    files+=:deploy/compose.${1,,}.yaml
}

socket_of_engine() {
    case ${DOCKER_HOST:-} in unix://*) echo "${DOCKER_HOST#unix://}" ;; *) echo /var/run/docker.sock ;; esac
}

# Larger packets than the way out takes would be lost without a word.
outside_mtu() {
    local device
    device=$(awk '$2 == "00000000" { print $1; exit }' /proc/net/route)
    cat "/sys/class/net/${device:-none}/mtu" 2>/dev/null || echo 1500
}

# A driver with GPUs, and the toolkit by which the engine gives them to containers.
can_give_gpus() { [ -x /usr/bin/nvidia-ctk ] && nvidia-smi -L >/dev/null 2>&1; }

write_site() {
    local site tls
    site=$(told LAB_SITE)
    mkdir -p "$site/config" "$site/tls"
    chmod 711 "$site/tls"
    [ -f "$site/config/lab.yaml" ] || {
        cp lab.yaml "$site/config/lab.yaml"
        say "The lab's policy is in $site/config/lab.yaml; change it there"
    }
    tls=$(told LAB_TLS)
    case $tls in
        internal | files) tls=deploy/tls/$tls.caddy ;;
        *) [ -f "$tls" ] || fail "TLS is internal, files or a file for Caddy, not $tls" ;;
    esac
    # Through a container, since the folder's files belong to the programs that read them.
    in_site sh -c 'cat >/site/tls/tls.caddy && chmod 600 /site/tls/tls.caddy' <"$tls"
    if [ "$(told LAB_TLS)" = files ]; then
        for file in fullchain.pem privkey.pem; do
            in_site test -s "/site/tls/$file" || fail "put the certificate's $file into $site/tls"
        done
    fi
}

# Run a command as root on the site's folder, with no other right and no network.
in_site() {
    local site
    site=$(cd "$(told LAB_SITE)" && pwd)
    "$docker" run --rm -i --network none --user 0:0 --cap-drop ALL \
        --cap-add CHOWN --cap-add DAC_OVERRIDE --cap-add FOWNER \
        --security-opt no-new-privileges:true -e GPULAB_AUTHENTICATOR="$(told LAB_AUTHENTICATOR)" \
        -v "$site:/site" "$(told LAB_API_IMAGE)" "$@"
}

id_of() { "$docker" image inspect -f '{{.Id}}' "$1" 2>/dev/null; }

# The lab's own images by the id that they have now: a tag that moves later changes nothing here.
own_images() {
    local name
    for name in hub api proxy; do
        scripts/build-image.sh "$name"
        keep "LAB_${name^^}_IMAGE" "$(id_of "gpulab/$name:latest")"
    done
}

# Those of others by the digest that they have when they are fetched first.
third_images() {
    local name reference digest
    for name in CADDY POSTGRES PROMETHEUS GRAFANA; do
        reference=$(told "LAB_${name}_IMAGE")
        if [ -n "$reference" ] && [ -z "$upgrade" ]; then
            id_of "$reference" >/dev/null || pull "$reference"
            continue
        fi
        pull "${THIRD[$name]}"
        digest=$("$docker" image inspect -f '{{index .RepoDigests 0}}' "${THIRD[$name]}")
        keep "LAB_${name}_IMAGE" "$digest"
    done
}

pull() {
    say "Fetching $1"
    "$docker" pull -q "$1" >/dev/null || fail "the image $1 could not be fetched"
}

# What lab.yaml names for the sessions. Its stamps tell hub and gate that it is another one now.
session_images() {
    local image name
    keep LAB_POLICY_STAMP "$(sha256sum <"$(told LAB_SITE)/config/lab.yaml" | cut -c1-16)"
    for image in $(cat "$1"); do
        id_of "$image" >/dev/null && continue
        name=${image#gpulab/}
        name=${name%:latest}
        if [ "$image" = "gpulab/$name:latest" ]; then
            scripts/build-image.sh "$name"
        else
            pull "$image"
        fi
    done
    keep LAB_IMAGES_STAMP "$(for image in $(cat "$1"); do id_of "$image"; done | sha256sum | cut -c1-16)"
}

show_trouble() {
    compose ps --all --format 'table {{.Service}}\t{{.Status}}' >&2 || true
    local service
    for service in $(compose ps --all --services --status exited --status restarting 2>/dev/null); do
        compose logs --no-color --tail 5 "$service" >&2 || true
    done
    fail "the lab did not become ready; docker compose logs NAME says more"
}

need_engine
is_lab_here_otherwise && fail "make lab runs in this folder; stop it first"
write_settings
own_images
write_site
images=$(mktemp)
trap 'rm -f "$images"' EXIT
in_site python -m lab.site /site >"$images" || fail "nothing was started"
session_images "$images"
third_images
compose up -d --wait --wait-timeout "$READY_S" postgres || show_trouble
compose run --rm migrate
compose up -d --remove-orphans --wait --wait-timeout "$READY_S" || show_trouble
say
say "The lab is ready: https://$(told LAB_ADDRESS)$(told LAB_PUBLIC_PORT)"
[ "$(told LAB_AUTHENTICATOR)" != demo ] ||
    say "Passwords of the demo accounts, for root: $(told LAB_SITE)/secrets/demo-passwords.txt"
homes=$(told LAB_HOME_GIB)
scripts/homes.sh "${homes:-20}"
say "Stop it with: make down"
