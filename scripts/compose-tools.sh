#!/usr/bin/env bash
# Puts the programs that check compose.yaml and what belongs to it into .tools, without installing
# them: docker-compose (version 2), caddy, prometheus and promtool, from Debian's or
# Ubuntu's own packages.
# Debian 12 has no docker-compose 2; there the one of Debian 13 is taken, which runs as it is.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

readonly tools=$PWD/.tools keyring=/usr/share/keyrings/debian-archive-keyring.gpg
is_whole() {
    for one in docker-compose caddy prometheus promtool; do [ -x "$tools/$one" ] || return 1; done
}
is_whole && exit 0

give_up() {
    say "The checks of compose.yaml need docker-compose 2, caddy and prometheus: $1"
    [ "${CI:-}" = true ] && exit 1
    say "Tests that need them are skipped, and say so."
    exit 0
}
command -v apt-get >/dev/null && command -v dpkg >/dev/null || give_up "this is no Debian or Ubuntu"

readonly work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
mkdir -p "$work"/{lists,archives}/partial "$work/root"

# Lists and archives of our own, so that nobody has to be root and nothing of apt's is changed.
apt() {
    apt-get -qq -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work" \
        -o Dir::Cache::Archives="$work/archives" -o APT::Sandbox::User="$(id -un)" "$@" \
        >>"$work/log" 2>&1
}

fetch() { (cd "$work/archives" && apt "${from[@]}" download "$1"); }

# The first mirror that apt uses here, in either of its two file formats.
mirror() {
    cat /etc/apt/sources.list.d/*.sources /etc/apt/sources.list /etc/apt/sources.list.d/*.list \
        2>/dev/null | awk '/^URIs:/ { print $2; exit } /^deb / {
            for (i = 2; i <= NF; i++) if ($i ~ /^[a-z]+:\/\//) { print $i; exit } }'
}

from=()
apt update || give_up "$(tail -n 1 "$work/log")"
{ fetch caddy && fetch prometheus; } || give_up "$(tail -n 1 "$work/log")"
if ! fetch docker-compose-v2; then
    echo "deb [signed-by=$keyring] $(mirror) trixie main" >"$work/trixie.list"
    from=(-o Dir::Etc::SourceList="$work/trixie.list" -o Dir::Etc::SourceParts=-)
    { apt "${from[@]}" update && fetch docker-compose; } || give_up "$(tail -n 1 "$work/log")"
fi
for package in "$work"/archives/*.deb; do dpkg -x "$package" "$work/root"; done
mkdir -p "$tools"
for one in caddy prometheus promtool docker-compose; do
    found=$(find "$work/root/usr" -name "$one" -type f -perm -u+x -path '*/*bin/*' -o \
        -name "$one" -type f -perm -u+x -path '*/cli-plugins/*' | head -n 1)
    [ -n "$found" ] || give_up "no $one in its package"
    cp "$found" "$tools/$one"
done
