#!/bin/sh
# The machine's rules for the network of the sessions: network.sh keep | set | check | remove
#
# Sessions reach the hub's port, the name servers and the outside world. They do not reach each other,
# this machine, what clouds tell their machines, or any private network. Hub and proxy reach the
# sessions. Without these rules hub and sessions do not find each other: nothing works, and nothing
# is open.
#
# LAB_BRIDGE  the bridge of that network        LAB_HUB, LAB_PROXY  addresses of the two on it
set -eu

EVERY_S=10
HUB_PORT=8081
# Nobody's public addresses, and one at which a cloud tells its machines their secrets.
NO_PLACES="0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12
    192.0.0.0/24 192.168.0.0/16 198.18.0.0/15 224.0.0.0/4 240.0.0.0/4 168.63.129.16/32"
FORWARDED=$LAB_BRIDGE-out
RECEIVED=$LAB_BRIDGE-in

say() { echo "network: $1" >&2; }

# The engine keeps its rules by one of two programs; what the other one writes, nobody reads.
find_tables() {
    for one in iptables-nft iptables-legacy iptables; do
        if "$one" -w -n -L DOCKER-USER >/dev/null 2>&1; then
            echo "$one"
            return
        fi
    done
    say "the Docker engine has no chain DOCKER-USER; it has to manage iptables"
    exit 1
}

# In the order and the words in which iptables shows them, so that the two can be compared.
forwarded() {
    chain="-A $FORWARDED"
    known="-m conntrack --ctstate RELATED,ESTABLISHED"
    echo "$chain -s $LAB_HUB/32 -o $LAB_BRIDGE -j ACCEPT"
    echo "$chain -s $LAB_PROXY/32 -o $LAB_BRIDGE -j ACCEPT"
    echo "$chain -d $LAB_HUB/32 -o $LAB_BRIDGE -p tcp -m tcp --dport $HUB_PORT -j ACCEPT"
    echo "$chain -o $LAB_BRIDGE $known -j ACCEPT"
    echo "$chain -o $LAB_BRIDGE -j DROP"
    # The hub asks others who somebody is.
    echo "$chain -s $LAB_HUB/32 -j RETURN"
    to_name_servers "$chain"
    echo "$chain $known -j RETURN"
    for place in $NO_PLACES; do
        echo "$chain -d $place -j DROP"
    done
}

received() {
    chain="-A $RECEIVED"
    to_name_servers "$chain"
    echo "$chain -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN"
    echo "$chain -j DROP"
}

# A session's questions for names leave from its own address.
to_name_servers() {
    awk '$1 == "nameserver" && $2 !~ /:/ { print $2 }' /etc/resolv.conf |
        while read -r server; do
            for kind in udp tcp; do
                echo "$1 -d $server/32 -p $kind -m $kind --dport 53 -j RETURN"
            done
        done
}

rules() {
    printf '*filter\n:%s - [0:0]\n:%s - [0:0]\n' "$FORWARDED" "$RECEIVED"
    forwarded
    received
    echo COMMIT
}

# jump ACTION PLACE: -C looks for the way into our chain, -I writes it first, -D takes it away.
jump() {
    case $2 in INPUT) chain=$RECEIVED ;; *) chain=$FORWARDED ;; esac
    "$tables" -w "$1" "$2" -i "$LAB_BRIDGE" -j "$chain" 2>/dev/null
}

present() {
    { "$tables" -w -S "$FORWARDED" && "$tables" -w -S "$RECEIVED"; } 2>/dev/null | grep '^-A'
}

is_set() {
    [ "$(present)" = "$(forwarded; received)" ] && jump -C DOCKER-USER && jump -C INPUT
}

filters_bridges() {
    [ "$(cat /proc/sys/net/bridge/bridge-nf-call-iptables 2>/dev/null)" = 1 ] && return
    say "this machine does not filter between the ports of a bridge; load br_netfilter"
    return 1
}

set_rules() {
    is_set && return
    # All rules of a chain at once, so that there is no moment with half of them.
    rules | "$tables-restore" -w --noflush
    for place in DOCKER-USER INPUT; do
        while jump -D "$place"; do :; done
        jump -I "$place"
    done
    say "the rules of $LAB_BRIDGE are set"
}

remove() {
    for place in DOCKER-USER INPUT; do
        while jump -D "$place"; do :; done
    done
    for chain in "$FORWARDED" "$RECEIVED"; do
        "$tables" -w -F "$chain" 2>/dev/null && "$tables" -w -X "$chain" || true
    done
}

keep() {
    trap 'exit 0' TERM INT
    while :; do
        set_rules || say "the rules could not be set; trying again"
        filters_bridges || true
        sleep "$EVERY_S" &
        wait $!
    done
}

tables=$(find_tables)
case ${1:-} in
    keep) keep ;;
    set) set_rules ;;
    check) filters_bridges && is_set ;;
    remove) remove ;;
    *) say "network.sh keep | set | check | remove"; exit 2 ;;
esac
