# Sourced by the other scripts: where the project is, and how a script speaks to people.

cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Where it is set, every start would compile all packages anew: some seconds for each program.
unset PYTHONDONTWRITEBYTECODE

say() { printf '%s\n' "$*"; }

fail() {
    printf 'gpulab: %s\n' "$*" >&2
    exit 1
}

# Print the version of Node.js when it is one that the proxy runs on (20 or newer).
good_node() {
    local version
    version=$("$1" --version 2>/dev/null) || return 1
    version=${version#v}
    [ "${version%%.*}" -ge 20 ] 2>/dev/null && printf '%s\n' "$version"
}
