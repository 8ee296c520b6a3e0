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

# The names of the images that are here, on one line.
present() {
    for one in base pytorch huggingface hub api proxy; do
        "$docker" image inspect "gpulab/$one:$tag" >/dev/null 2>&1 && echo "$one" || true
    done
}

# An image's own smoke and those of the images below it, and whether all packages fit each other.
all_smokes='for one in /srv/smoke/*.py; do python "$one" || exit; done; pip check'

smoke() {
    # shellcheck disable=SC2086 # one word or none
    "$docker" run --rm --network none --cap-drop ALL --shm-size 1g \
        --security-opt no-new-privileges:true $gpus "gpulab/$name:$tag" "$@"
}

names=${*:-$(present | xargs)}
[ -n "$names" ] || { echo "smoke: no image of the lab is here; make images" >&2; exit 1; }
# Whether an engine can give GPUs (a runtime of NVIDIA's, or CDI) shows when it is asked to.
gpus=
if [ "${names%% *}" != proxy ] && "$docker" run --rm --network none --gpus all \
    "gpulab/${names%% *}:$tag" true >/dev/null 2>&1; then
    gpus="--gpus all"
fi
status=0
for name in $names; do
    echo "== gpulab/$name:$tag"
    case $name in
        proxy) smoke configurable-http-proxy --version && echo "proxy: ok" || status=1 ;;
        *) smoke sh -c "$all_smokes" || status=1 ;;
    esac
done
exit $status
