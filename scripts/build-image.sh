#!/bin/sh
# Build one image of the lab: scripts/build-image.sh NAME  ->  gpulab/NAME:latest
# NAME: base, pytorch, huggingface (what sessions run in); hub, api, proxy (the lab's own programs).
#
# Does nothing when the image is already made from the same sources; builds what it rests on first.
# The public base image is pulled; where no registry can be reached, it is made with debootstrap from
# this machine's own apt sources. A certificate bundle and the configuration of pip and npm of this
# machine are passed as build secrets and are in no layer. Variables:
#   BASE_IMAGE   what base, hub, api and proxy rest on (debian:bookworm-slim)
#   TORCH_INDEX  address of the package index with PyTorch's CPU wheels: builds pytorch and
#                huggingface without CUDA, as gpulab/NAME:cpu
#   DOCKER       the client to use
set -eu

PULL_S=180
name=${1:-base}
root=$(cd "$(dirname "$0")/.." && pwd)
base=${BASE_IMAGE:-debian:bookworm-slim}
torch_index=${TORCH_INDEX:-}

say() { echo "image $name: $1"; }
give_up() { echo "image $name: $1" >&2; exit 1; }

tag_of() {
    case "$1${torch_index:+ cpu}" in
        "pytorch cpu" | "huggingface cpu") echo "gpulab/$1:cpu" ;;
        *) echo "gpulab/$1:latest" ;;
    esac
}

# What the image rests on, among the lab's own.
parent=
case $name in
    base) ;;
    pytorch) parent=base ;;
    huggingface) parent=pytorch ;;
    hub | api | proxy) ;;
    *) give_up "there is no such image; there are base, pytorch, huggingface, hub, api and proxy" ;;
esac

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

label_of() {
    "$client" image inspect -f "{{ index .Config.Labels \"$2\" }}" "$1" 2>/dev/null || true
}

# The files that the image is made from, one a line.
sources() {
    cd "$root"
    case $name in
        hub | api | proxy)
            find images/lab pyproject.toml README.md jupyterhub_config.py package.json \
                package-lock.json .npmrc requirements/lab.txt requirements/node.txt -type f
            # What a folder of Python programs has beside them is no source.
            find api gate hub lab quota -type f ! -path '*/__pycache__/*' 2>/dev/null || true
            ;;
        base)
            cd images
            find base labextension -type f ! -name '*.in' ! -path '*/__pycache__/*' \
                ! -path '*/node_modules/*' ! -path 'labextension/built/*' \
                ! -path 'labextension/build/*' ! -path 'labextension/tests/*' \
                ! -path '*.egg-info/*' | sed 's|^|images/|'
            ;;
        # Here and not in base: a new lab does not make the gigabytes above base anew.
        pytorch) find images/pytorch images/labs -type f ! -name '*.in' ! -path '*/.*' ;;
        *) find "images/$name" -type f ! -name '*.in' ! -path '*/__pycache__/*' ;;
    esac
}

source_hash() {
    {
        echo "$below $(label_of "$below" gpulab.source) $build_arguments"
        (sources | LC_ALL=C sort | (cd "$root" && xargs sha256sum))
    } | sha256sum | cut -d' ' -f1
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
    secret pipconf "${PIP_CONFIG_FILE:-}" "$HOME/.config/pip/pip.conf" /etc/pip.conf
    secret npmrc "${NPM_CONFIG_USERCONFIG:-}" "$HOME/.npmrc" /etc/npmrc
}

secret() {
    id=$1
    shift
    for file in "$@"; do
        if [ -n "$file" ] && [ -s "$file" ]; then
            printf '%s\n' --secret "id=$id,src=$file"
            return
        fi
    done
}

# Where an image comes from, for whoever finds it: https://specs.opencontainers.org/image-spec
labels() {
    version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$root/pyproject.toml")
    printf '%s\n' --label "org.opencontainers.image.version=$version"
    printf '%s\n' --label "org.opencontainers.image.created=$(date -u +%Y-%m-%dT%H:%M:%SZ)"
    revision=$(git -C "$root" rev-parse HEAD 2>/dev/null || true)
    [ -z "$revision" ] || printf '%s\n' --label "org.opencontainers.image.revision=$revision"
}

build() {
    case $name in
        hub | api | proxy) set -- --target "$name" -f "$root/images/lab/Dockerfile" "$root" ;;
        base) set -- -f "$root/images/base/Dockerfile" "$root" ;;
        pytorch) set -- -f "$root/images/pytorch/Dockerfile" "$root/images" ;;
        *) set -- "$root/images/$name" ;;
    esac
    # shellcheck disable=SC2046,SC2086 # one word a line, see above
    DOCKER_BUILDKIT=1 "$client" build --progress=plain $(secrets) $(labels) $build_arguments \
        --build-arg "BASE_IMAGE=$below" --label "org.opencontainers.image.base.name=$below" \
        --label "gpulab.source=$hash" -t "$tag" "$@"
}

client=$(find_client)
[ -n "$client" ] ||
    give_up "no docker client with BuildKit found. On Debian or Ubuntu: apt-get install -y docker.io"
"$client" version >/dev/null 2>&1 || give_up "no Docker engine answers; see scripts/engine.sh"

tag=$(tag_of "$name")
below=$base
build_arguments=
if [ "$name" = pytorch ] && [ -n "$torch_index" ]; then
    build_arguments="--build-arg TORCH_INDEX=$torch_index"
fi
if [ -n "$parent" ]; then
    "$0" "$parent"
    below=$(tag_of "$parent")
fi
hash=$(source_hash)
if [ "$(label_of "$tag" gpulab.source)" = "$hash" ]; then
    say "$tag is up to date"
    exit 0
fi
[ -n "$parent" ] || get_base
say "building $tag (minutes the first time)"
build || give_up "the build failed; the reason is above"
say "$tag is built"
