"""The life of containers: start, stop, kill, restart, pause, wait, rename, update, rm, prune, attach, and their listings."""

from __future__ import annotations

import pytest
from tests.support.cli import Bench, Row, named, row

_ERROR = "Error response from daemon: "
_NONE = "Error<*>: No such container: nope"
_UP = "docker run -d --name up busybox sleep 99"
_FRESH = "docker create --name fresh busybox sh -c 'echo one; echo two >&2; exit 7'"
_ROWS = [
    # start
    row("docker start fresh", "fresh", given=_FRESH),
    row("docker start -a fresh", "one", "two", 7, given=_FRESH),
    row("docker container start -ai cat < passed", "given", given="echo given > passed; docker create -i --name cat busybox cat"),
    row("docker start nope", "", _NONE + "\nError: failed to start containers: nope", 1, since=28),
    row("docker start fresh nope", "fresh", _NONE + "\nError: failed to start containers: nope", 1, given=_FRESH, since=28),
    row("docker start -a box nope", "", "<*>cannot start and attach multiple containers at once", 1),
    row("docker start box", "box"),
    row("docker start --detach-keys ctrl-x,x -a fresh", "one", "two", 7, given=_FRESH),
    row("docker start --checkpoint c1 --checkpoint-dir /x fresh", "", "<*>\"--checkpoint\" is only supported on a Docker daemon with experimental features enabled<*>", 1, given=_FRESH),
    # stop
    row("docker stop -t 0 up", "up", given=_UP),
    row("docker container stop -s KILL -t 5 up; docker inspect -f '{{.State.ExitCode}}' up", "up 137", given=_UP, since=28, original="--signal needs API 1.42"),
    row("docker stop ended", "ended"),
    row("docker stop nope", "", _NONE, 1),
    row("docker stop", "", "<*>requires at least 1 argument<*>", 1),
    # kill
    row("docker kill up; docker inspect -f '{{.State.ExitCode}}' up", "up 137", given=_UP),
    row("docker container kill -s USR1 box; docker kill --signal SIGCONT box", "box box"),
    row("docker kill nope", "", "<*>annot kill container: nope: No such container: nope", 1),
    row("docker kill ended", "", "<*>annot kill container: ended: <*>ontainer <id> is not running", 1),
    row("docker kill -s BOGUS box", "", _ERROR + "<*>nvalid signal: BOGUS", 1),
    # restart
    row("docker restart -t 0 up; docker inspect -f '{{.State.Running}} {{.RestartCount}}' up", "up true 0", given=_UP),
    row("docker container restart -s KILL up", "up", given=_UP, since=28, original="--signal needs API 1.42"),
    row("docker restart nope", "", _NONE, 1),
    # pause
    row("docker pause up; docker ps --filter name=up --format '{{.Status}}'; docker pause up; docker exec up true; docker unpause up; docker unpause up",
        "up Up <ago> (Paused) up", "<*>ontainer <id> is already paused\n" + _ERROR + "Container up is paused, unpause the container before exec\n"
        + _ERROR + "Container <id> is not paused", 1, given=_UP),
    row("docker container pause up && docker container unpause up", "up up", given=_UP),
    row("docker pause ended", "", "<*>ontainer <id> is not running", 1),
    row("docker unpause nope", "", _NONE, 1),
    # wait
    row("docker wait ended box& sleep 0.3; kill $!", "7"),
    row("docker container wait ended", "7"),
    row("docker wait nope", "", _NONE, 1),
    # rename
    row("docker rename up other && docker container rename other up && docker inspect -f '{{.Name}}' up", "/up", given=_UP),
    row("docker rename up ended", "", _ERROR + "Error when allocating new name: Conflict. The container name \"/ended\" is already in use by container \"<id>\".<*>"
        "Error: failed to rename container named up", 1, given=_UP, since=28),
    row("docker rename up up", "", _ERROR + "Renaming a container with the same name as its current name<*>", 1, given=_UP),
    row("docker rename up 'x/y'", "", _ERROR + "Error when allocating new name: Invalid container name (/x/y), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed<*>", 1, given=_UP),
    row("docker rename nope other", "", _NONE + "<*>", 1),
    row("docker rename up ''", "", "<*>", 1, given=_UP),
    # update
    row("docker update --memory 32m --memory-swap 64m --memory-reservation 16m --cpus 0.5 --cpu-shares 512 --pids-limit 77 --restart on-failure:3 --cpuset-cpus 0"
        " --cpuset-mems 0 up; docker inspect -f '{{with .HostConfig}}{{.Memory}} {{.MemorySwap}} {{.MemoryReservation}} {{.CpuShares}} {{.PidsLimit}} {{.RestartPolicy.MaximumRetryCount}}"
        " {{.CpusetCpus}}{{end}}' up", "up 33554432 67108864 16777216 512 77 3 0", given=_UP),
    row("docker container update --cpu-period 50000 --cpu-quota 25000 up", "up", given=_UP),
    row("docker update --blkio-weight 100 up; docker inspect -f '{{.HostConfig.BlkioWeight}}' up", "up 100", given=_UP, original="drops the weight where the kernel has none"),
    row("docker update --cpu-rt-period 1000 --cpu-rt-runtime 2000 up", "", _ERROR + "<*>", 1, given=_UP, original="does not look at it"),
    row("docker update --memory 32m box", "", _ERROR + "Cannot update container <id>: Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time", 1),
    row("docker update --restart bogus box", "", _ERROR + "invalid restart policy<*>'bogus'<*>", 1),
    row("docker update nope --cpus 1", "", _NONE, 1),
    row("docker update box", "", "you must provide one or more flags when using this command", 1),
    # rm
    row("docker rm up", "", _ERROR + "<*>annot remove <*>container<*>top the container before<*>", 1, given=_UP),
    row("docker rm -f up && docker ps -aq --filter name=up", "up", given=_UP),
    row("docker container rm -fv up && docker volume ls -q", "up", given="docker run -d --name up -v /data busybox sleep 99"),
    row("docker container remove up nope", "up", _NONE, 1, given="docker create --name up busybox", since=23),
    row("docker rm nope", "", _NONE, 1),
    row("docker rm -f nope", "", _NONE, 0, since=28),
    row("docker rm -l box", "", _ERROR + "<*>", 1),
    # prune
    row("docker container prune -f --filter label=done", "Deleted Containers: <id> Total reclaimed space: <size>", given="docker run -l done busybox true"),
    row("docker container prune -f --filter until=24h", "Total reclaimed space: 0B"),
    row("docker container prune -f --filter bogus=1", "", _ERROR + "<*>nvalid filter 'bogus'", 1),
    # attach
    row("docker attach up", "tick", "", 3, given="docker run -d --name up busybox sh -c 'sleep 0.5; echo tick; exit 3'"),
    row("docker container attach --no-stdin --sig-proxy=false up", "tick", given="docker run -d --name up busybox sh -c 'sleep 0.5; echo tick'"),
    row("docker attach ended", "", "<*>annot attach to a stopped container, start it first", 1),
    row("docker attach nope", "", _NONE, 1),
    row("docker attach --detach-keys bogus-key box", "", "unable to upgrade to tcp, received 400", 1),
    row("docker container", "", "<*>Manage containers<*>Commands:<*>", since=28),
]  # fmt: skip

_LIST = [
    row("docker ps", "CONTAINER ID IMAGE COMMAND CREATED STATUS PORTS NAMES\n<short> busybox \"sleep 1000\" <ago> Up <ago> 127.0.0.1:<port>->80/tcp box"),
    row("docker ps -a", "CONTAINER ID IMAGE COMMAND CREATED STATUS PORTS NAMES\n<short> busybox \"sh -c 'echo one; ec…\" <ago> Exited (7) <ago> ended\n<short> busybox <*> box"),
    row("docker container ls -q", "<short>"),
    row("docker container ps -aq --no-trunc", "<id> <id>"),
    row("docker container list --no-trunc --format '{{.ID}} {{.Command}}'", '<id> "sleep 1000"'),
    row("docker ps -a --format '{{.Names}} {{.Image}} {{.State}} {{.Labels}} {{.Networks}} {{.Mounts}} {{.RunningFor}}'", "ended busybox exited kind=ended,made-by=tests bridge <ago> box busybox running kind=box,made-by=tests bridge <ago>", since=28),
    row("docker ps --format json | tr ',' '\\n' | cut -d: -f1 | sort", '"CreatedAt" "ID" "Image" "Labels" "LocalVolumes" "Mounts" "Names" "Networks" "Platform" "Ports" "RunningFor" "Size" "State" "Status" <*>', since=28),
    row("docker ps --format 'table {{.Names}}\\t{{.Status}}'", "NAMES STATUS box Up <ago>"),
    row("docker ps -s --format '{{.Size}}'", "<size> (virtual <size>)"),
    row("docker ps -l --format '{{.Names}}'", "ended"),
    row("docker ps -n 1 --format '{{.Names}}'", "ended"),
    row("docker ps -a -n 5 --format '{{.Names}}'", "ended box"),
    *(
        row(f"docker ps -a --format '{{{{.Names}}}}' --filter {wanted}", found)
        for wanted, found in (
            ("exited=7", "ended"), ("exited=8", ""), ("status=exited", "ended"), ("status=running", "box"), ("status=exited --filter status=running", "ended box"),
            ("name=en", "ended"), ("name=^box$", "box"), ("label=kind", "ended box"), ("label=kind=box", "box"), ("ancestor=busybox", "ended box"), ("ancestor=hello", ""),
            ("before=ended", "box"), ("since=box", "ended"), ("publish=80", ""), ("publish=80 --filter expose=80", "box"), ("publish=1-65535", "box"), ("expose=80/tcp", "box"), ("network=bridge", "ended box"), ("network=none", ""),
            ("volume=/data", ""), ("health=none", "ended box"), ("is-task=false", "ended box"), ("id=0x", ""),
        )
    ),
    row("docker ps --filter bogus=1", "", _ERROR + "<*>nvalid filter 'bogus'", 1),
    row("docker ps --filter status=bogus", "", _ERROR + "<*>nvalid filter 'status=bogus'<*>", 1),
    row("docker ps --format '{{.Bogus}}'", "", "<*>template: <*>Bogus<*>", 1),
    # inspect
    row("docker inspect box | tr -d ' \\n' | cut -c1-8", '[{"Id":"'),
    row("docker inspect -f '{{.Name}} {{.State.Status}} {{.State.ExitCode}} {{.Path}} {{.Config.Image}} {{.Driver}} {{.Platform}}' ended", "/ended exited 7 sh busybox <name> linux"),
    row("docker container inspect -s --format '{{.SizeRootFs}}' box", "<n>"),
    row("docker inspect --format '{{json .Config.Labels}}' box ended", '{"kind":"box","made-by":"tests"} {"kind":"ended","made-by":"tests"}'),
    row("docker inspect nope", "[]", "Error: No such object: nope", 1, since=28, original="says it in lower case"),
    row("docker inspect -f '{{.Name}}' box nope", "/box", "<*>o such object: nope", 1),
    row("docker inspect --type container busybox", "[]", "<*>o such container: busybox", 1),
    row("docker inspect --type image --size=false -f '{{.Os}}' busybox", "linux"),
    row("docker inspect --type bogus box", "", "<*>bogus<*>", 1),
    row("docker inspect -f '{{.Bogus}}' box", "", "<*>template<*>Bogus<*>", 1),
    row("docker container inspect nope", "[]", "<*>o such container: nope", 1),
    # logs
    row("docker logs ended", "one", "two"),
    row("docker container logs -n 1 ended", "", "two"),
    row("docker logs --tail all -t ended", "<time> one", "<time> two"),
    row("docker logs -f --since 1h ended", "one", "two"),
    row("docker logs --until 1h ended"),
    row("docker logs --details ended | cat -A", " one$", " two"),
    row("docker logs -n 0 ended"),
    row("docker logs --since bogus ended", "", "<*>invalid <*>since<*>bogus<*>", 1),
    row("docker logs nope", "", _NONE, 1),
    row("docker logs silent", "", _ERROR + "configured logging driver does not support reading", 1, given="docker run -d --name silent --log-driver none busybox true"),
    # top, stats, port, diff
    row("docker top box", "UID PID PPID C STIME TTY TIME CMD root <n> <n> <n> <name> ? <name> sleep 1000"),
    row("docker container top box -o pid,args", "PID COMMAND <n> sleep 1000"),
    row("docker top ended", "", "<*>ontainer <id> is not running", 1),
    row("docker top nope", "", _NONE, 1),
    row("docker top box --bogus", "", "<*>ps: <*>", 1),
    row("docker stats --no-stream box", "CONTAINER ID NAME CPU % MEM USAGE / LIMIT MEM % NET I/O BLOCK I/O PIDS <short> box <n>% <size> / <size> <n>% <size> / <size> <size> / <size> 1"),
    row("docker container stats --no-stream -a --no-trunc --format '{{.ID}} {{.Name}} {{.PIDs}}'", "<id> <name> <n> <id> <name> <n>"),
    row("docker stats --no-stream --format json box | tr ',' '\\n' | cut -d: -f1", '{"BlockIO" "CPUPerc" "Container" "ID" "MemPerc" "MemUsage" "Name" "NetIO" "PIDs"', since=28),
    row("docker stats --no-stream nope", "", _NONE, 1),
    row("docker port box", "80/tcp -> 127.0.0.1:<port>"),
    row("docker container port box 80/tcp", "127.0.0.1:<port>"),
    row("docker port box 81", "", "<*>o public port '81<*>' published for box", 1),
    row("docker port nope", "", _NONE, 1),
    row("docker diff dd | sort", "A /tmp/new C /data C /tmp D /data/seed", given="docker run --name dd busybox sh -c 'touch /tmp/new; rm /data/seed'"),
    row("docker container diff nope", "", _NONE, 1),
]  # fmt: skip


@pytest.mark.parametrize(**named(_ROWS))
def test_life(table: Bench, each: Row) -> None:
    table.check(each)


@pytest.mark.parametrize(**named(_LIST))
def test_look(table: Bench, each: Row) -> None:
    table.check(each)
