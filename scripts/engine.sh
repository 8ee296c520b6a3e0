#!/bin/sh
# Make sure that a Docker engine answers: exit 0 if one does.
# As root, starts one when none does: scripts/engine.sh [FOLDER]; its log and process id go to FOLDER
# (default: a new folder among the temporary ones). Otherwise says what would help and exits 1.
set -eu

WAIT_S=60

answers() {
    timeout 10 docker version --format '{{.Server.Version}}' >/dev/null 2>&1
}

give_up() {
    echo "engine: $1" >&2
    exit 1
}

if ! command -v docker >/dev/null 2>&1; then
    give_up "Docker is not installed. On Debian or Ubuntu: sudo apt-get install -y docker.io"
fi
if answers; then
    echo "engine: a Docker engine answers"
    exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
    give_up "no Docker engine answers. Start it: sudo systemctl start docker (and: sudo usermod -aG docker $(id -un))"
fi
if ! command -v dockerd >/dev/null 2>&1; then
    give_up "the Docker engine is not installed. On Debian or Ubuntu: apt-get install -y docker.io"
fi

# What a killed engine left: its process id may be nobody's, another's, or a zombie's, and each
# would keep a new engine from starting.
forget() {
    [ -s "$1" ] || return 0
    case "$(readlink "/proc/$(cat "$1")/exe" 2>/dev/null)" in
        */"$2") ;;
        *) rm -f "$1" ;;
    esac
}
forget /var/run/docker.pid dockerd
forget /var/run/docker/containerd/containerd.pid containerd

folder=${1:-$(mktemp -d -t gpulab-engine-XXXXXX)}
mkdir -p "$folder"
echo "engine: starting dockerd (log: $folder/dockerd.log)"
# A session of its own, so that Ctrl-C in this terminal does not reach it.
setsid dockerd >"$folder/dockerd.log" 2>&1 </dev/null &
pid=$!
echo "$pid" >"$folder/dockerd.pid"

waited=0
while [ "$waited" -lt "$WAIT_S" ]; do
    if answers; then
        echo "engine: a Docker engine answers (process $pid)"
        exit 0
    fi
    if ! kill -0 "$pid" 2>/dev/null; then
        tail -n 3 "$folder/dockerd.log" >&2
        give_up "dockerd ended; its last lines are above"
    fi
    sleep 1
    waited=$((waited + 1))
done
tail -n 3 "$folder/dockerd.log" >&2
give_up "dockerd did not answer within $WAIT_S s; its last lines are above"
