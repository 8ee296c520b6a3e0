#!/bin/sh
# Install a lock of this image: install.sh LOCK
#
# With TORCH_INDEX in the environment, PyTorch's own packages come from the index of that address
# (its CPU wheels are on an index of their own, which no lock here can hash: pip then compares with
# the hashes of the index), in the locked versions, and the CUDA libraries are left out.
set -eu

lock=$1
if [ -s /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca; fi
if [ -s /run/secrets/pipconf ]; then export PIP_CONFIG_FILE=/run/secrets/pipconf; fi
# The cache is the build's, and in no layer: a changed Dockerfile downloads no gigabytes anew.
export PIP_NO_CACHE_DIR=false PIP_CACHE_DIR=/var/cache/pip

locked() { pip install --no-deps --no-compile --require-hashes -r "$1"; }

if [ -z "${TORCH_INDEX:-}" ]; then
    locked "$lock"
else
    # A package of the lock is a line that begins with its name, and the lines of its hashes.
    awk '/^[a-z]/ { cuda = /^(torch|torchvision|triton|nvidia-[a-z0-9-]*|cuda-[a-z]*)==/ && !/^nvidia-ml-py==/ }
        !cuda' "$lock" >/tmp/lock.txt
    locked /tmp/lock.txt
    rm /tmp/lock.txt
    for package in $(sed -n 's/^\(torch\(vision\)\?==[^ ;]*\).*/\1/p' "$lock"); do
        pip install --no-deps --no-compile --index-url "$TORCH_INDEX" "$package"
    done
fi
# Bytecode is made here, once. A few packages ship files that are no Python 3; nobody imports them.
python -m compileall -q -j 0 "$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" || true
