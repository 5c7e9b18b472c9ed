"""What talks to a registry: pull, push, login, logout, search."""

from __future__ import annotations

import pytest
from tests.support.cli import Bench, Row, named, row
from tests.support.registry import Registry

_ERROR = "Error response from daemon: "
_PULLED = "docker pull -q $REGISTRY/app:1"
_ROWS = [
    row("docker pull $REGISTRY/app:1", "1: Pulling from app <*>Pull complete Digest: sha256:<id> Status: Downloaded newer image for $REGISTRY/app:1 $REGISTRY/app:1"),
    row("docker image pull -q $REGISTRY/app:1", "$REGISTRY/app:1"),
    row("docker pull $REGISTRY/app:1 | tail -2", "Status: Image is up to date for $REGISTRY/app:1 $REGISTRY/app:1", given=_PULLED),
    row("docker pull --platform linux/amd64 -q $REGISTRY/app:1", "$REGISTRY/app:1"),
    row("docker pull -a --disable-content-trust $REGISTRY/app | grep -E 'Status|Digest|^[12]:' | sort", "1: Pulling from app 2: Pulling from app Digest: sha256:<id> Digest: sha256:<id> Status: <*> $REGISTRY/app"),
    row("docker pull -a -q $REGISTRY/app; docker images --format '{{.Tag}}' $REGISTRY/app | sort", "$REGISTRY/app 1 2"),
    row("docker pull -a $REGISTRY/nope", "", _ERROR + "<*>$REGISTRY/nope<*>not found<*>", 1),
    row("docker pull -a $REGISTRY/app:1", "", "tag can't be used with --all-tags/-a", 1),
    row("docker pull --platform linux/arm64 -q $REGISTRY/app:1", "$REGISTRY/app:1", "<*>", original=""),
    row("docker pull $REGISTRY/nope:1", "", _ERROR + "<*>$REGISTRY/nope:1<*>not found<*>", 1),
    row("docker pull localhost:1/nope", "Using default tag: latest", _ERROR + "Get \"http<*>://localhost:1/v2/<*>\": dial tcp <*>: connect: connection refused", 1),
    row("docker pull UPPER", "", "invalid reference format: repository name (library/UPPER) must be lowercase", 1, since=28),
    row("docker run --rm $REGISTRY/app:1", "pulled", "Unable to find image '$REGISTRY/app:1' locally 1: Pulling from app <*>Status: Downloaded newer image for $REGISTRY/app:1"),
    row("docker run --rm -q $REGISTRY/app:1", "pulled", since=26),
    row("docker create -q --pull always --name pp $REGISTRY/app:1", "<id>", since=26),
    row("docker images --digests --format '{{.Tag}} {{.Digest}}' $REGISTRY/app", "1 sha256:<id>", given=_PULLED),
    row("docker push $REGISTRY/new:1 | grep -vE '^[0-9a-f]{12}: '", "The push refers to repository [$REGISTRY/new] 1: digest: sha256:<id> size: <n>", given="docker tag busybox $REGISTRY/new:1"),
    row("docker image push -q $REGISTRY/new:2", "$REGISTRY/new:2", given="docker tag busybox $REGISTRY/new:2"),
    row("docker push $REGISTRY/none:1", "The push refers to repository [$REGISTRY/none]", "<*>An image does not exist locally with the tag: $REGISTRY/none", 1, since=28),
    row("docker push -a $REGISTRY/many | grep -c digest:", "2", given="docker tag busybox $REGISTRY/many:1; docker tag busybox $REGISTRY/many:2"),
    row("docker push -q --platform linux/amd64 $REGISTRY/new:4 | tail -1", "$REGISTRY/new:4", "<*>", given="docker tag busybox $REGISTRY/new:4", since=28),
    row("docker push -q --platform linux/arm64 $REGISTRY/new:4", "<*>", "<*>image with reference $REGISTRY/new:4 was found but its platform (linux/amd64) does not match the specified platform (linux/arm64)",
        1, given="docker tag busybox $REGISTRY/new:4", since=28),
    row("docker push -q --disable-content-trust $REGISTRY/new:3", "$REGISTRY/new:3", given="docker tag busybox $REGISTRY/new:3"),
    row("docker push nope", "<*>", "<*>An image does not exist locally with the tag: nope<*>", 1),
    row("docker login -u who -p word $REGISTRY", "<*>Login Succeeded", "<*>--password via the CLI is insecure<*>"),
    row("echo word | docker login -u who --password-stdin $REGISTRY && docker logout $REGISTRY", "Login Succeeded Removing login credentials for $REGISTRY", "<*>"),
    row("docker login -u who -p word localhost:1", "", "<*>connection refused<*>", 1),
    row("docker login -p word", "", "<*>annot perform an interactive login from a non TTY device", 1, since=28),
    row("docker search localhost:1/thing", "", _ERROR + "<*>connection refused<*>", 1),
    row("docker search --limit 1 --no-trunc --format '{{.Name}}' -f bogus=1 localhost:1/thing", "", _ERROR + "<*>nvalid filter 'bogus'", 1),
    row("docker logout $REGISTRY", "<*>$REGISTRY", "<*>"),
]  # fmt: skip


@pytest.mark.parametrize(**named(_ROWS))
def test_registry(table: Bench, registry: Registry, each: Row) -> None:
    table.check(Row(*(_filled(value, registry) for value in vars(each).values())))


def _filled(value: object, registry: Registry) -> object:
    return value.replace("$REGISTRY", registry.address) if isinstance(value, str) else value
