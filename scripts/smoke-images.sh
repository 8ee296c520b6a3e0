#!/bin/sh
# Run the smoke of images that are here: scripts/smoke-images.sh [NAME ...]
# Without names: of every image of the lab on this engine. Each runs without network, as a session
# would: no capabilities, no way to more rights; with the GPUs where the engine can give them.
# Variables: TAG (latest; cpu for the builds without CUDA), DOCKER (the client to use).
set -eu

cd "$(dirname "$0")/.."
docker=${DOCKER:-docker}
tag=${TAG:-latest}

"$docker" version >/dev/null 2>&1 || { echo "smoke: no Docker engine answers" >&2; exit 1; }

present() {
    for one in base pytorch huggingface hub api proxy; do
        "$docker" image inspect "gpulab/$one:$tag" >/dev/null 2>&1 && echo "$one" || true
    done
}

# Only an engine with NVIDIA's toolkit has a runtime of that name.
gpus=
if "$docker" info --format '{{range $name, $_ := .Runtimes}}{{$name}} {{end}}' | grep -qw nvidia; then
    gpus="--gpus all"
fi

smoke() {
    # shellcheck disable=SC2086 # one word or none
    "$docker" run --rm --network none --cap-drop ALL --shm-size 1g \
        --security-opt no-new-privileges:true $gpus "gpulab/$name:$tag" "$@"
}

names=${*:-$(present)}
[ -n "$names" ] || { echo "smoke: no image of the lab is here; make images" >&2; exit 1; }
status=0
for name in $names; do
    echo "== gpulab/$name:$tag"
    case $name in
        proxy) smoke configurable-http-proxy --version && echo "proxy: ok" || status=1 ;;
        # Its own smoke and those of the images below it, and whether all packages fit each other.
        *) smoke sh -c 'for one in /srv/smoke/*.py; do python "$one" || exit; done; pip check' || status=1 ;;
    esac
done
exit $status
