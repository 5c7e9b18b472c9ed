"""`docker network` and `docker volume`."""

from __future__ import annotations

import pytest
from tests.support.cli import Bench, Row, named, row

_ERROR = "Error response from daemon: "
_N1 = "docker network create n1"
_ROWS = [
    row("docker network create n1", "<id>"),
    row("docker network create -d bridge --subnet 10.123.8.0/24 --ip-range 10.123.8.128/25 --gateway 10.123.8.1 --aux-address router=10.123.8.2 --label a=b --internal --attachable"
        " --ipv4 -o com.docker.network.driver.mtu=1400 n1 >/dev/null; docker network inspect -f '{{.Driver}} {{.Internal}} {{.Attachable}} {{.Labels}} {{.Options}} {{json .IPAM.Config}}' n1",
        'bridge true true map[a:b] map[com.docker.network.driver.mtu:1400] [{"Subnet":"10.123.8.0/24","IPRange":"10.123.8.128/25","Gateway":"10.123.8.1","AuxiliaryAddresses":{"router":"10.123.8.2"}}]',
        since=28, original="knows no --ipv4"),
    row("docker network create n1", "", _ERROR + "network with name n1 already exists", 1, given=_N1),
    row("docker network create host", "", _ERROR + "operation is not permitted on predefined host network", 1),
    row("docker network create -d host n2", "", _ERROR + "only one instance of \"host\" network is allowed", 1),
    row("docker network create -d nope n2", "", _ERROR + "<*>plugin <*>not found", 1),
    row("docker network create --subnet bogus n2", "", _ERROR + "<*>nvalid subnet bogus<*>", 1),
    row("docker network create --subnet 10.123.8.0/24 --gateway 10.99.0.1 n2", "", "<*>", 1),
    row("docker network create --subnet 10.123.8.0/25 n2", "", _ERROR + "<*>ool overlaps with other one on this address space", 1, given="docker network create --subnet 10.123.8.0/24 n1"),
    row("docker network create --config-only --subnet 10.123.8.0/24 n1 >/dev/null; docker network create --config-from n1 n2 >/dev/null; docker network inspect -f '{{(index .IPAM.Config 0).Subnet}}"
        " {{.ConfigFrom.Network}} {{.ConfigOnly}}' n2; docker network rm n1; docker network rm n2 n1", "10.123.8.0/24 n1 false n2 n1",
        _ERROR + "<*>configuration network \"n1\" is in use<*>", original="tells of the link as an endpoint"),
    row("docker network create --ingress n1", "", _ERROR + "<*>", 1),
    row("docker network create --ipam-driver default --ipam-opt a=b n1 >/dev/null; docker network inspect -f '{{.IPAM.Driver}} {{.IPAM.Options}}' n1", "default map[a:b]"),
    row("docker network create --ipam-driver nope n1", "", _ERROR + "<*>plugin<*>not found", 1),
    row("docker network create --scope local n1", "<id>"),
    row("docker network create --scope swarm n1", "", _ERROR + "<*>", 1),
    row("docker network create --ipv6 --subnet fd00:7b::/64 n1 >/dev/null; docker network inspect -f '{{.EnableIPv6}}' n1", "true", original="the address pool of this machine"),
    row("docker network create", "", "<*>requires 1 argument<*>", 1, since=28),
    row("docker network ls", "NETWORK ID NAME DRIVER SCOPE\n<short> bridge bridge local\n<short> host host local\n<short> none null local"),
    row("docker network list -q --no-trunc --filter type=custom", "<id>", given=_N1),
    row("docker network ls --format '{{.Name}} {{.Internal}} {{.IPv6}} {{.Labels}}' --filter label=a", "n1 false false a=b", given="docker network create --label a=b n1"),
    *(
        row(f"docker network ls --format '{{{{.Name}}}}' {wanted}", found)
        for wanted, found in (
            ("-f driver=host", "host"), ("-f name=bri", "bridge"), ("-f type=builtin", "bridge host none"), ("-f scope=local", "bridge host none"), ("-f scope=swarm", ""),
            ("-f dangling=true", ""), ("-f driver=null -f driver=host", "host none"), ("-f id=nope", ""),
        )
    ),
    row("docker network ls --format json -f name=host", '{"CreatedAt":"<*>","Driver":"host","ID":"<short>","IPv4":"true","IPv6":"false","Internal":"false","Labels":"","Name":"host","Scope":"local"}', since=28, original="does not tell of IPv4"),
    row("docker network ls -f bogus=1", "", _ERROR + "<*>nvalid filter 'bogus'", 1),
    row("docker network ls -f type=bogus", "", _ERROR + "<*>invalid filter: 'type'='bogus'", 1),
    row("docker network inspect -f '{{.Name}} {{.Driver}} {{.Scope}} {{.EnableIPv6}} {{len .Containers}} {{(index .IPAM.Config 0).Subnet}}' bridge", "bridge bridge local false 1 <ip>/<n>"),
    row("docker network inspect -v -f '{{range .Containers}}{{.Name}} {{.IPv4Address}} {{.MacAddress}}{{end}}' bridge", "box <ip>/<n> <name>"),
    row("docker network inspect nope", "[]", "Error<*>etwork<*>nope<*>", 1),
    row("docker network connect --alias al --ip 10.123.8.9 --link ended:e n1 box && docker inspect -f '{{(index .NetworkSettings.Networks \"n1\").IPAddress}}' box; docker network disconnect n1 box",
        "10.123.8.9", given="docker network create --subnet 10.123.8.0/24 n1"),
    row("docker network connect n1 box; docker network connect n1 box; docker network rm n1; docker network disconnect -f n1 box; docker network rm n1", "n1",
        _ERROR + "endpoint with name box already exists in network n1\n" + _ERROR + "error while removing network: network n1 <*>has active endpoints<*>", given=_N1),
    row("docker network connect --ip6 fd00:7b::9 --link-local-ip 169.254.9.9 n1 up && docker exec up ip -o addr show eth1 | grep -oE '(fd00:7b::9|169.254.9.9)/[0-9]+'",
        "169.254.9.9/16 fd00:7b::9/64", given="docker network create --ipv6 --subnet fd00:7b::/64 n1; docker run -d --name up busybox sleep 99", original="the address pool of this machine"),
    row("docker network connect --driver-opt com.docker.network.endpoint.ifname=named0 --gw-priority 5 n1 up && docker exec up ls /sys/class/net; docker exec up ip route | grep -c default.*named0",
        "eth0 lo named0 1", given="docker network create n1; docker run -d --name up busybox sleep 99", since=28, original="came with API 1.48"),
    row("docker network connect n1 nope", "", _ERROR + "No such container: nope", 1, given=_N1),
    row("docker network connect nope box", "", _ERROR + "network nope not found", 1),
    row("docker network disconnect n1 box", "", _ERROR + "container <id> is not connected to network n1", 1, given=_N1),
    row("docker network disconnect nope box", "", _ERROR + "network nope not found", 1),
    row("docker network rm n1", "n1", given=_N1),
    row("docker network remove n1 nope", "n1", "Error<*>etwork<*>nope<*>", 1, given=_N1),
    row("docker network rm -f nope", "", "<*>", since=28),
    row("docker network rm bridge", "", _ERROR + "bridge is a pre-defined network and cannot be removed<*>", 1),
    row("docker network prune -f", "Deleted Networks: n1", given=_N1),
    row("docker network prune -f --filter label=x"),
    row("docker network prune -f --filter until=24h", "", given=_N1),
    row("docker network prune -f --filter bogus=1", "", _ERROR + "<*>nvalid filter 'bogus'", 1),
    row("docker network", "", "<*>Manage networks<*>"),
]  # fmt: skip

_V1 = "docker volume create v1"
_VOLUMES = [
    row("docker volume create v1; docker volume create v1", "v1 v1"),
    row("docker volume create", "<id>"),
    row("docker volume create -d local --label a=b v1 >/dev/null; docker volume inspect -f '{{.Name}} {{.Driver}} {{.Scope}} {{.Labels}} {{.Options}}' v1", "v1 local local map[a:b] map[]", original="has null for no options"),
    row("docker volume create a/b", "", _ERROR + "create a/b: \"a/b\" includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed."
        " If you intended to pass a host directory, use absolute path", 1),
    row("docker volume create x", "", _ERROR + "create x: volume name is too short, names should be at least two alphanumeric characters", 1),
    *(
        row(f"docker volume create {options} v1", "", _ERROR + "This node is not a swarm manager.<*>", 1, since=28, original="came with API 1.42")
        for options in (
            "--availability pause", "--type block", "--scope multi", "--sharing all", "--group g", "--limit-bytes 2m --required-bytes 1m --type mount",
        )
    ),
    row("docker volume create --secret a=b --topology-required a=b --topology-preferred c=d v1", "v1", since=28, original="came with API 1.42"),
    row("docker volume ls --cluster", "VOLUME NAME GROUP DRIVER AVAILABILITY STATUS", since=28, original="came with API 1.42"),
    row("docker volume create -d nope v1", "", _ERROR + "<*>error looking up volume plugin nope: plugin \"nope\" not found", 1),
    row("docker volume create -o bogus=1 v1", "", _ERROR + "<*>invalid option: \"bogus\"<*>", 1),
    row("docker volume ls", "DRIVER VOLUME NAME\nlocal v1", given=_V1),
    row("docker volume list -q", "v1", given=_V1),
    row("docker volume ls --format '{{.Driver}} {{.Name}} {{.Scope}} {{.Labels}}' -f label=a=b", "local v1 local a=b", given="docker volume create --label a=b v1"),
    *(
        row(f"docker volume ls -q {wanted}", found, given=_V1)
        for wanted, found in (("-f name=v", "v1"), ("-f name=x", ""), ("-f dangling=true", "v1"), ("-f dangling=false", ""), ("-f driver=local", "v1"), ("-f label=x", ""))
    ),
    row("docker volume ls --format json", '{"Availability":"N/A","Driver":"local","Group":"N/A","Labels":"","Links":"N/A","Mountpoint":"<name>","Name":"v1","Scope":"local","Size":"N/A","Status":"N/A"}', given=_V1, since=28),
    row("docker volume ls -f bogus=1", "", _ERROR + "<*>nvalid filter 'bogus'", 1),
    row("docker volume inspect v1 | tr -d ' \\n' | cut -c1-14", '[{"CreatedAt":', given=_V1),
    row("docker volume inspect nope", "[]", _ERROR + "get nope: no such volume", 1, since=28),
    row("docker volume rm v1", "v1", given=_V1),
    row("docker volume remove nope v1", "v1", _ERROR + "get nope: no such volume", 1, given=_V1, since=28),
    row("docker volume rm -f nope", "nope"),
    row("docker volume rm v1", "", _ERROR + "remove v1: volume is in use - [<id>]", 1, given="docker run -v v1:/x busybox true", since=28),
    row("docker volume prune -f", "Deleted Volumes: <id> Total reclaimed space: 0B", given="docker volume create >/dev/null"),
    row("docker volume prune -f --filter label=a; docker volume ls -q", "Total reclaimed space: 0B v1", given="docker volume create --label a=b v1", original="prunes named volumes, too", since=23),
    row("docker volume prune -f -a --filter label!=a", "Deleted Volumes: v1 Total reclaimed space: 0B", given=_V1, since=23, original="--all came with API 1.42"),
    row("docker volume prune -f --filter bogus=1", "", _ERROR + "<*>nvalid filter 'bogus'", 1),
    row("docker volume", "", "<*>Manage volumes<*>"),
]  # fmt: skip


@pytest.mark.parametrize(**named(_ROWS))
def test_networks(table: Bench, each: Row) -> None:
    table.check(each)


@pytest.mark.parametrize(**named(_VOLUMES))
def test_volumes(table: Bench, each: Row) -> None:
    table.check(each)
