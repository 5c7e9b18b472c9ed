"""`docker version`, `info`, `events`, `system`, `builder prune`, and the refusals of what needs Swarm."""

from __future__ import annotations

import pytest
from tests.support.cli import Bench, Row, named, row

_ERROR = "Error response from daemon: "
_NO_MANAGER = 'Error response from daemon: This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.'
_ROWS = [
    row("docker version", "Client:<*>API version: <*>Server:<*>Engine: Version: <name> API version: 1.<n> (minimum version 1.<n>)<*>OS/Arch: linux/amd64 Experimental: false<*>containerd: Version: <*>"),
    row("docker version -f '{{.Server.Os}}/{{.Server.Arch}} {{.Server.Experimental}}'", "linux/amd64 false"),
    row("docker version --format json | tr ',' '\\n' | grep -c ApiVersion", "<n>", since=23),
    row("docker info", "Client:<*>Server: Containers: 2 Running: 1 Paused: 0 Stopped: 1 Images: <n> Server Version: <name> Storage Driver: <name><*>Logging Driver: json-file Cgroup Driver: <name>"
        " Cgroup Version: <n> Plugins: Volume: local<*> Network: bridge<*> Log: <*>Swarm: inactive Runtimes: <*>Default Runtime: <name> Init Binary: docker-init<*>Kernel Version: <*>OSType: linux"
        " Architecture: x86_64 CPUs: <n> Total Memory: <size><*>Docker Root Dir: /<*>Debug Mode: false<*>Live Restore Enabled: <*>", "<*>"),
    row("docker system info -f '{{.OSType}} {{.NCPU}} {{.Swarm.LocalNodeState}} {{.Containers}} {{.ContainersRunning}} {{.LoggingDriver}}'", "linux <n> inactive 2 1 json-file", "<*>"),
    row("docker info --format '{{json .}}' | tr ',' '\\n' | grep -c '\"ContainersRunning\":1'", "1", "<*>"),
    row("docker events --since 1h --until $(date +%s.%N) -f container=evt -f type=container --format '{{.Type}} {{.Action}} {{.Actor.Attributes.image}} {{.Actor.Attributes.name}}'",
        "container create busybox evt\ncontainer attach busybox evt\ncontainer start busybox evt\ncontainer die busybox evt", given="docker run --name evt busybox true"),
    row("docker system events --since 1h --until $(date +%s.%N) -f event=create -f container=evt2", "<time> container create <id> (image=busybox, made-by=tests, name=evt2)", given="docker create --name evt2 busybox"),
    row("docker system events --since 1h --until $(date +%s.%N) --filter label=mine --filter event=create --format '{{.Action}} {{.Actor.Attributes.name}}'", "create evt3", given="docker create --label mine --name evt3 busybox"),
    row("docker events --since 1h --until $(date +%s.%N) -f volume=evol --format '{{json .}}'", '{"Type":"volume","Action":"create","Actor":{"ID":"evol","Attributes":{"driver":"local"}},"scope":"local","time":<n>,"timeNano":<n>}',
        given="docker volume create evol", since=28),
    row("docker events --since 1h --until $(date +%s.%N) -f network=enet -f type=network --format '{{.Action}} {{.Actor.Attributes.type}}'", "create bridge", given="docker network create enet"),
    row("docker events --since 1h --until $(date +%s.%N) -f image=eimg:1 -f type=image --format '{{.Action}} {{.Actor.Attributes.name}}'", "tag eimg:1", given="docker tag busybox eimg:1"),
    row("docker events --since bogus", "", "<*>bogus<*>", 1),
    row("docker system df", "TYPE TOTAL ACTIVE SIZE RECLAIMABLE\nImages <n> 1 <size> <size> (<n>%)\nContainers 2 1 <size> <size><*>\nLocal Volumes 1 0 0B 0B<*>\nBuild Cache 0 0 0B 0B", given="docker volume create dvol"),
    row("docker system df --format '{{.Type}} {{.TotalCount}} {{.Active}}'", "Images <n> 1 Containers 2 1 Local Volumes 0 0 Build Cache 0 0"),
    row("docker system df -v", "Images space usage: <*>REPOSITORY TAG IMAGE ID CREATED SIZE SHARED SIZE UNIQUE SIZE CONTAINERS<*>busybox latest <short> <ago> <size> <size> <size> 2<*>"
        "Containers space usage: CONTAINER ID IMAGE COMMAND LOCAL VOLUMES SIZE CREATED STATUS NAMES <*>Local Volumes space usage: VOLUME NAME LINKS SIZE<*>Build cache usage: 0B<*>"),
    row("docker system prune -f --filter label=nope=1 | tail -1", "Total reclaimed space: 0B"),
    row("docker system prune -f --filter label=x; docker ps -aq -f label=x; docker network ls -q -f label=x", "Deleted Containers: <id> Deleted Networks: n1 Total reclaimed space: <size>",
        given="docker run -l x busybox true; docker network create --label x n1"),
    row("docker system prune -af --volumes --filter label=none-has-it", "Total reclaimed space: 0B"),
    row("docker system prune -f --filter bogus=1", "", _ERROR + "<*>nvalid filter 'bogus'", 1),
    row("docker builder prune -af --keep-storage 1g 2>/dev/null", "Total reclaimed space: 0B"),
    row("docker builder prune -f --filter until=24h 2>/dev/null", "Total reclaimed space: 0B"),
    row("docker builder 2>&1 | grep -c prune", "<n>"),
    row("printf 'GET /_ping HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n' | docker system dial-stdio | head -1 | tr -d '\\r'", "HTTP/1.1 200 OK", "<*>"),
    row("docker system", "", "<*>Manage Docker<*>"),
    row("docker -H unix:///no/such.sock ps", "", "<*>unix:///no/such.sock<*>", 1),
    row("docker --bogus", "", "unknown flag: --bogus<*>", 125),
    row("docker bogus", "", "docker: <*>bogus<*>", 1, since=28, original=""),
    *(row(f"docker {words}", "", _NO_MANAGER, 1) for words in ("node ls", "service ls", "secret ls", "config ls", "stack ls", "swarm join-token worker")),
    row("docker swarm leave", "", _ERROR + "This node is not part of a swarm", 1),
    row("docker swarm init", "", "<*>", 1),
    row("docker plugin ls", "ID NAME DESCRIPTION ENABLED"),
]  # fmt: skip


@pytest.mark.parametrize(**named(_ROWS))
def test_system(table: Bench, each: Row) -> None:
    table.check(each)
