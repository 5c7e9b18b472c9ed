"""Other people's clients: docker-py and testcontainers."""

from __future__ import annotations

import io
import socket
import tarfile
from collections.abc import Iterator

import docker
import pytest
from docker.errors import APIError, ContainerError, ImageNotFound, NotFound
from tests.support.stack import Stack


@pytest.fixture
def client(stack: Stack) -> Iterator[docker.DockerClient]:
    found = docker.DockerClient(base_url=stack.url)
    yield found
    found.close()


def test_run_and_errors(client: docker.DockerClient) -> None:
    assert client.ping()
    assert client.version()["ApiVersion"] == "1.51"
    assert client.containers.run("busybox", ["echo", "hi"], remove=True) == b"hi\n"
    with pytest.raises(ContainerError) as failed:
        client.containers.run("busybox", ["sh", "-c", "echo bad >&2; exit 3"], remove=True)
    assert failed.value.exit_status == 3
    with pytest.raises(ImageNotFound):
        client.containers.create("nope:1")
    with pytest.raises(NotFound):
        client.containers.get("nope")


def test_lifecycle(client: docker.DockerClient) -> None:
    box = client.containers.run(
        "busybox", ["sleep", "99"], detach=True, name="py", labels={"k": "v"}
    )
    assert client.containers.list(filters={"label": "k=v"}) == [box]
    code, output = box.exec_run(["sh", "-c", "echo out; exit 4"])
    assert (code, output) == (4, b"out\n")
    code, (out, err) = box.exec_run(["sh", "-c", "echo o; echo e >&2"], demux=True)
    assert (out, err) == (b"o\n", b"e\n")
    assert box.top()["Processes"]
    box.pause()
    box.reload()
    assert box.status == "paused"
    box.unpause()
    box.rename("py2")
    box.stop(timeout=0)
    assert box.wait()["StatusCode"] == 137
    box.restart(timeout=0)
    box.reload()
    assert box.status == "running"
    with pytest.raises(APIError):
        box.remove()
    box.remove(force=True)


def test_logs_attach_and_input(client: docker.DockerClient) -> None:
    box = client.containers.run("busybox", ["sh", "-c", "echo a; sleep 0.2; echo b"], detach=True)
    assert b"".join(box.logs(stream=True, follow=True)) == b"a\nb\n"
    box = client.containers.create("busybox", ["cat"], stdin_open=True)
    attached = box.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
    box.start()
    raw = attached._sock
    raw.sendall(b"hello")
    raw.shutdown(socket.SHUT_WR)
    data = b""
    while part := raw.recv(100):
        data += part
    assert data == b"\1\0\0\0\0\0\0\5hello"
    attached.close()
    raw.close()
    box.wait()
    # It reads past its own buffer: what came with the head of the answer would be lost.
    assert [box.attach(logs=True, stream=False) for _ in range(10)] == [b"hello"] * 10


def test_volumes_images_networks_events(client: docker.DockerClient) -> None:
    volume = client.volumes.create("pyvol", labels={"a": "b"})
    assert client.volumes.get("pyvol").attrs["Labels"] == {"a": "b"}
    volume.remove()
    assert "busybox:latest" in client.images.get("busybox").tags
    assert {network.name for network in client.networks.list()} == {"bridge", "host", "none"}
    events = client.events(decode=True)
    client.containers.run("busybox", ["true"], remove=True)
    seen = []
    for event in events:
        seen.append(event["Action"])
        if event["Action"] == "destroy":
            break
    events.close()
    assert seen[0] == "create"
    assert "die" in seen


def test_published_port(client: docker.DockerClient) -> None:
    script = "echo ok > /var/www/index.html; exec httpd -f -p 80 -h /var/www"
    box = client.containers.run(
        "busybox", ["sh", "-c", script], detach=True, ports={"80/tcp": None}
    )
    box.reload()
    assert int(box.ports["80/tcp"][0]["HostPort"]) > 0


def test_testcontainers(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", stack.url)
    monkeypatch.setenv("TESTCONTAINERS_RYUK_DISABLED", "true")
    from testcontainers.core.config import testcontainers_config
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.waiting_utils import wait_for_logs

    monkeypatch.setattr(testcontainers_config, "ryuk_disabled", True)
    script = (
        "echo served > /var/www/index.html; echo ready to serve; exec httpd -f -p 80 -h /var/www"
    )
    box = DockerContainer("busybox").with_command(["sh", "-c", script]).with_exposed_ports(80)
    with box as running:
        wait_for_logs(running, "ready to serve", timeout=20)
        address = running.get_container_host_ip()
        with socket.create_connection(
            (address, int(running.get_exposed_port(80))), 5
        ) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            found = b""
            while part := connection.recv(1000):
                found += part
        assert b"served" in found


def test_files_networks_and_images(client: docker.DockerClient) -> None:
    network = client.networks.create("spoken", labels={"a": "b"})
    web = client.containers.run(
        "busybox",
        "httpd -f -h /etc",
        detach=True,
        name="web",
        network="spoken",
        healthcheck={"test": ["CMD", "true"]},
    )
    try:
        assert client.networks.list(filters={"label": "a=b"}) == [network]
        fetched = client.containers.run(
            "busybox", "wget -qO- http://web/hostname", network="spoken", remove=True
        )
        assert fetched.decode().strip() == web.short_id
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            member = tarfile.TarInfo("given")
            member.size = 5
            archive.addfile(member, io.BytesIO(b"hello"))
        assert web.put_archive("/tmp", buffer.getvalue())
        chunks, stat = web.get_archive("/tmp/given")
        assert (stat["name"], stat["size"]) == ("given", 5)
        with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
            extracted = archive.extractfile("given")
            assert extracted is not None
            assert extracted.read() == b"hello"
        assert {"Path": "/tmp/given", "Kind": 1} in web.diff()
        assert web.stats(stream=False)["memory_stats"]["usage"] > 0
        assert b"httpd" in b"".join(web.export())
        image = web.commit("spoken", "1", changes="ENV SAID=yes")
        assert "SAID=yes" in image.attrs["Config"]["Env"]
        said = client.containers.run(image.id, "cat /tmp/given", remove=True)
        assert said == b"hello"
        client.images.remove("spoken:1", force=True)
        network.reload()
        assert network.containers == [web]
        network.disconnect(web)
        network.connect(web, aliases=["again"])
        assert web.update(mem_limit="64m", memswap_limit="128m") == {"Warnings": None}
        assert "httpd -f -h /etc" in web.top(ps_args="-o pid,args")["Processes"][0]
    finally:
        web.remove(force=True, v=True)
        network.remove()
