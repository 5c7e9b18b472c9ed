"""testcontainers with Postgres and Redis, whose images are made here of Debian's packages: `make test-databases`.

Ryuk, the helper that removes what a dead test leaves, is an image of its own that cannot be had here: it is switched off.
"""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.stack import Stack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
_PACKAGES = ("postgresql", "postgresql-client", "redis-server", "dash", "coreutils", "sed", "grep")
# Needed for just-in-time compilation, administration scripts and languages alone.
_UNUSED = ("libllvm", "libz3", "perl", "locales", "dpkg", "debconf", "libc-l10n")
_PASSWD = "root:x:0:0::/root:/bin/sh\npostgres:x:70:70::/var/lib/postgres:/bin/sh\nredis:x:71:71::/data:/bin/sh\n"
_START = r"""#!/bin/sh
set -e
export PGDATA=/var/lib/postgres/data
if ! test -e $PGDATA/PG_VERSION; then
  printf '%s' "$POSTGRES_PASSWORD" > /tmp/password
  initdb -U "$POSTGRES_USER" --pwfile /tmp/password --auth scram-sha-256 --locale C -E UTF8
  echo "CREATE DATABASE \"$POSTGRES_DB\"" | postgres --single postgres
  echo 'host all all all scram-sha-256' >> $PGDATA/pg_hba.conf
fi
exec postgres -c listen_addresses='*' -c unix_socket_directories=/tmp
"""


def _unpacked(folder: Path) -> Path:
    """A root file system of the packages and all that they need, as a tree of files."""
    archives, root = folder / "archives", folder / "root"
    (archives / "partial").mkdir(parents=True)
    # With an empty status everything counts as missing, whatever this machine has.
    (folder / "status").touch()
    subprocess.run(
        [
            *("apt-get", "-qq", "-y", "--download-only", "install", *_PACKAGES),
            *(
                "-o",
                f"Dir::State::status={folder}/status",
                "-o",
                f"Dir::Cache::archives={archives}",
            ),
            *("-o", "APT::Install-Recommends=0", "-o", "Debug::NoLocking=1"),
        ],
        check=True,
    )
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for package in sorted(archives.glob("*.deb")):
        if not package.name.startswith(_UNUSED):
            unpack = (
                f"dpkg-deb --fsys-tarfile '{package}' | tar x --keep-directory-symlink -C '{root}'"
            )
            subprocess.run(unpack, shell=True, check=True)
    for name, owner in (("var/lib/postgres", 70), ("data", 71)):
        (root / name).mkdir(parents=True)
        os.chown(root / name, owner, owner)
    (root / "tmp").mkdir(exist_ok=True)
    (root / "tmp").chmod(0o1777)
    (root / "etc/passwd").write_text(_PASSWD)
    (root / "start").write_text(_START)
    (root / "start").chmod(0o755)
    return root


@pytest.fixture(scope="module")
def images(session_stack: Stack) -> Iterator[None]:
    """`postgres:test` and `redis:test`."""
    with tempfile.TemporaryDirectory(prefix="dockyard-databases-") as folder:
        root = _unpacked(Path(folder))
        (programs,) = root.glob("usr/lib/postgresql/*/bin")
        path = f"/{programs.relative_to(root)}:/usr/bin:/bin"
        archive = Path(folder) / "root.tar"
        subprocess.run(["tar", "cf", archive, "-C", root, "."], check=True)
        common = ("-c", f"ENV PATH={path}", "-c", "ENV LANG=C.UTF-8")
        session_stack.docker(
            *("import", *common, "-c", "USER postgres", "-c", 'ENTRYPOINT ["/start"]'),
            *("-c", "VOLUME /var/lib/postgres", "-c", "EXPOSE 5432", str(archive), "postgres:bare"),
        )
        session_stack.docker(
            *("import", *common, "-c", "USER redis", "-c", "WORKDIR /data", "-c", "EXPOSE 6379"),
            *("-c", 'CMD ["redis-server", "--protected-mode", "no"]', str(archive), "redis:test"),
        )
    # What `import` has no instruction for.
    check = (
        "--health-cmd",
        "pg_isready -h 127.0.0.1",
        "--health-interval",
        "300ms",
        "--health-retries",
        "99",
    )
    session_stack.docker("create", "--name", "made", *check, "postgres:bare")
    session_stack.docker("commit", "made", "postgres:test")
    session_stack.docker("rm", "-v", "made")
    yield
    session_stack.remove_all()
    session_stack.docker("rmi", "postgres:test", "postgres:bare", "redis:test")


@pytest.fixture(autouse=True)
def _surroundings(stack: Stack, images: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from testcontainers.core.config import testcontainers_config

    monkeypatch.setenv("DOCKER_HOST", stack.url)
    monkeypatch.setenv("TESTCONTAINERS_RYUK_DISABLED", "true")
    monkeypatch.setattr(testcontainers_config, "ryuk_disabled", True)


def _asked(address: tuple[str, int], question: bytes) -> bytes:
    with socket.create_connection(address, 10) as connection:
        connection.sendall(question)
        return connection.recv(100)


@pytest.mark.parametrize("wait", ["query", "log", "port", "health"])
def test_postgres(wait: str) -> None:
    from testcontainers.community.postgres import PostgresContainer
    from testcontainers.core.wait_strategies import (
        HealthcheckWaitStrategy,
        LogMessageWaitStrategy,
        PortWaitStrategy,
    )

    box = PostgresContainer("postgres:test", username="who", password="pass'word", dbname="base")
    if wait == "log":
        box.waiting_for(LogMessageWaitStrategy("database system is ready to accept connections"))
    elif wait == "port":
        box.waiting_for(PortWaitStrategy(5432))
    elif wait == "health":
        box.waiting_for(HealthcheckWaitStrategy())
    with box as running:
        query = "create table t (n int); insert into t values (41), (1); select sum(n) from t"
        code, output = running.exec(
            [
                "sh",
                "-c",
                f'PGPASSWORD="$POSTGRES_PASSWORD" psql -h 127.0.0.1 -U who -At -c "{query}" base',
            ]
        )
        assert (code, output.decode().splitlines()[-1]) == (0, "42")
        address = running.get_container_host_ip(), int(running.get_exposed_port(5432))
        # A client asks whether it may speak TLS.
        assert _asked(address, b"\0\0\0\x08\x04\xd2\x16\x2f") in {b"N", b"S"}


@pytest.mark.parametrize("wait", ["log", "port", "both"])
def test_redis(wait: str) -> None:
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import (
        CompositeWaitStrategy,
        LogMessageWaitStrategy,
        PortWaitStrategy,
    )

    log, port = LogMessageWaitStrategy("Ready to accept connections"), PortWaitStrategy(6379)
    strategy = {"log": log, "port": port, "both": CompositeWaitStrategy(log, port)}[wait]
    box = DockerContainer("redis:test").with_exposed_ports(6379).waiting_for(strategy)
    with box as running:
        address = running.get_container_host_ip(), int(running.get_exposed_port(6379))
        assert _asked(address, b"SET key value\r\n") == b"+OK\r\n"
        assert _asked(address, b"GET key\r\n") == b"$5\r\nvalue\r\n"
        code, output = running.exec("redis-cli GET key")
        assert (code, output) == (0, b"value\n")
