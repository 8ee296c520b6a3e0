#!/bin/sh
# Build one image of the lab: scripts/build-image.sh base  ->  gpulab/base:latest
#
# Does nothing when the image is already made from what is in images/NAME. The public base image is
# pulled; where no registry can be reached, it is made with debootstrap from this machine's own apt
# sources. A certificate bundle or pip configuration of this machine is passed as a build secret and
# is in no layer. Variables: BASE_IMAGE, DOCKER (the client to use).
set -eu

PULL_S=180
name=${1:-base}
root=$(cd "$(dirname "$0")/.." && pwd)
context="$root/images/$name"
tag="gpulab/$name:latest"
base=${BASE_IMAGE:-debian:bookworm-slim}

say() { echo "image $name: $1"; }
give_up() { echo "image $name: $1" >&2; exit 1; }

# Of two clients on a machine only one may have BuildKit, which build secrets need.
find_client() {
    for client in ${DOCKER:-/usr/bin/docker docker}; do
        if command -v "$client" >/dev/null 2>&1 &&
            DOCKER_BUILDKIT=1 "$client" build --help 2>/dev/null | grep -q -- '--secret'; then
            echo "$client"
            return
        fi
    done
}

source_hash() {
    (
        cd "$context"
        echo "$base"
        find . -type f ! -name '*.in' | LC_ALL=C sort | xargs sha256sum
    ) | sha256sum | cut -d' ' -f1
}

# The first Debian mirror that apt uses here, in either of its two file formats.
apt_mirror() {
    cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources \
        2>/dev/null | awk '/^URIs:/ { print $2; exit } /^deb / {
            for (i = 2; i <= NF; i++) if ($i ~ /^[a-z]+:\/\//) { print $i; exit } }'
}

make_base() {
    suite=$(echo "$base" | sed -n 's/^debian:\([a-z]*\)-slim$/\1/p')
    [ -n "$suite" ] || give_up "the base image $base cannot be pulled"
    command -v debootstrap >/dev/null 2>&1 && [ "$(id -u)" -eq 0 ] ||
        give_up "the base image $base cannot be pulled; with debootstrap installed, and as root, it can be made here: apt-get install -y debootstrap"
    mirror=$(apt_mirror)
    [ -n "$mirror" ] || give_up "no Debian mirror found in this machine's apt sources"
    say "making $base with debootstrap (about a minute)"
    folder=$(mktemp -d -t gpulab-base-XXXXXX)
    trap 'rm -rf --one-file-system "$folder"' EXIT
    if ! debootstrap --variant=minbase "$suite" "$folder/root" "$mirror" >"$folder/log" 2>&1; then
        tail -n 5 "$folder/log" >&2
        give_up "debootstrap failed; its last lines are above"
    fi
    rm -rf "$folder/root/var/cache/apt/archives" "$folder/root/var/lib/apt/lists"
    mkdir -p "$folder/root/var/cache/apt/archives/partial" "$folder/root/var/lib/apt/lists/partial"
    tar -C "$folder/root" --one-file-system -c . | "$client" import --change 'CMD ["bash"]' \
        --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
        - "$base" >/dev/null
}

get_base() {
    "$client" image inspect "$base" >/dev/null 2>&1 && return
    say "pulling $base"
    timeout "$PULL_S" "$client" pull -q "$base" >/dev/null 2>&1 || make_base
}

# Options for the secrets that exist, one word a line (paths have no spaces on sane machines).
secrets() {
    ca=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}
    [ -s "$ca" ] && printf '%s\n' --secret "id=ca,src=$ca"
    for pipconf in "${PIP_CONFIG_FILE:-}" "$HOME/.config/pip/pip.conf" /etc/pip.conf; do
        if [ -n "$pipconf" ] && [ -s "$pipconf" ]; then
            printf '%s\n' --secret "id=pipconf,src=$pipconf"
            return
        fi
    done
}

[ -f "$context/Dockerfile" ] || give_up "there is no such image: $context/Dockerfile"
client=$(find_client)
[ -n "$client" ] ||
    give_up "no docker client with BuildKit found. On Debian or Ubuntu: apt-get install -y docker.io"
"$client" version >/dev/null 2>&1 || give_up "no Docker engine answers; see scripts/engine.sh"

hash=$(source_hash)
label=$("$client" image inspect -f '{{ index .Config.Labels "gpulab.source" }}' "$tag" 2>/dev/null || true)
if [ "$label" = "$hash" ]; then
    say "$tag is up to date"
    exit 0
fi

get_base
say "building $tag (two to three minutes the first time)"
# shellcheck disable=SC2046 # one word a line, see above
DOCKER_BUILDKIT=1 "$client" build --progress=plain $(secrets) \
    --build-arg "BASE_IMAGE=$base" --label "gpulab.source=$hash" -t "$tag" "$context" ||
    give_up "the build failed; the reason is above"
say "$tag is built"
