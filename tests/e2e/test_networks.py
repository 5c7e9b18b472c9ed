"""Networks and published ports, with the real CLI."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
from tests.support.stack import Stack, wait_until


def serve(stack: Stack, text: str, *flags: str) -> str:
    """A container with a web server that answers ``text`` at ``/``."""
    script = f"echo '{text}' > /var/www/index.html; exec httpd -f -p 80 -h /var/www"
    name = stack.docker("run", "-d", *flags, "busybox", "sh", "-c", script)
    wait_until(lambda: stack.call("exec", name, "wget", "-qO-", "http://127.0.0.1/").code == 0)
    return name


def fetch(address: str, port: int) -> bytes:
    with socket.create_connection((address, port), timeout=5) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        found = b""
        while data := connection.recv(4096):
            found += data
        return found


def published(stack: Stack, name: str, port: str = "80/tcp") -> int:
    return int(stack.docker("port", name, port).splitlines()[0].rpartition(":")[2])


def test_published_port_from_everywhere(stack: Stack) -> None:
    name = serve(stack, "hello", "-p", "80")
    port = published(stack, name)
    settings = stack.inspect(name)["NetworkSettings"]
    assert b"hello" in fetch("127.0.0.1", port)
    assert b"hello" in fetch(settings["IPAddress"], 80)
    assert b"hello" in fetch(settings["Gateway"], port)
    url = f"http://{settings['IPAddress']}/"
    assert stack.docker("run", "--rm", "busybox", "wget", "-qO-", url) == "hello"
    url = f"http://{settings['Gateway']}:{port}/"
    assert stack.docker("run", "--rm", "busybox", "wget", "-qO-", url) == "hello"
    assert stack.docker("exec", name, "wget", "-qO-", url) == "hello"


@pytest.fixture
def outside() -> Iterator[str]:
    """Another network namespace that reaches the host over a veth of its own."""
    name = f"out{os.getpid()}"

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True)

    ip("netns", "add", name)
    try:
        ip("link", "add", f"v{os.getpid()}", "type", "veth", "peer", "name", "e", "netns", name)
        ip("addr", "add", "10.255.7.1/24", "dev", f"v{os.getpid()}")
        ip("link", "set", f"v{os.getpid()}", "up")
        ip("-n", name, "addr", "add", "10.255.7.2/24", "dev", "e")
        ip("-n", name, "link", "set", "e", "up")
        yield name
    finally:
        ip("netns", "del", name)
        subprocess.run(["ip", "link", "del", f"v{os.getpid()}"], capture_output=True)


def test_published_port_from_another_host(stack: Stack, outside: str) -> None:
    name = serve(stack, "hello", "-p", "80")
    address = f"10.255.7.1:{published(stack, name)}"
    script = f"import urllib.request as u; print(u.urlopen('http://{address}/', timeout=5).read())"
    words = ["ip", "netns", "exec", outside, sys.executable, "-c", script]
    assert b"hello" in subprocess.run(words, capture_output=True, check=True).stdout


def test_udp(stack: Stack) -> None:
    """Datagrams both ways; the container joins a server of Python's by its network namespace."""
    name = stack.docker("run", "-d", "-p", "127.0.0.1::9/udp", "busybox", "sleep", "99")
    port = published(stack, name, "9/udp")
    script = (
        "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('0.0.0.0', 9));"
        "print('ready', flush=True); data, peer = s.recvfrom(99); s.sendto(data + b'!', peer)"
    )
    pid = str(stack.inspect(name)["State"]["Pid"])
    words = ["nsenter", "-t", pid, "-n", sys.executable, "-c", script]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(5)
            client.sendto(b"ping", ("127.0.0.1", port))
            assert client.recv(100) == b"ping!"


def test_port_in_use(stack: Stack) -> None:
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = taken.getsockname()[1]
        error = stack.fails("run", "-d", "-p", f"{port}:80", "busybox", "sleep", "9", code=125)
        assert "address already in use" in error
    name = serve(stack, "x", "-p", f"{port}:80")
    error = stack.fails("run", "-d", "-p", f"{port}:80", "busybox", "sleep", "9", code=125)
    assert "port is already allocated" in error
    stack.docker("rm", "-f", name)
    serve(stack, "y", "-p", f"{port}:80")
    assert b"y" in fetch("127.0.0.1", port)


def test_network_ls_and_inspect(stack: Stack) -> None:
    assert stack.docker("network", "ls", "--format", "{{.Name}} {{.Driver}}").splitlines() == [
        "bridge bridge",
        "host host",
        "none null",
    ]
    name = stack.docker("run", "-d", "--name", "box", "busybox", "sleep", "99")
    found = json.loads(stack.docker("network", "inspect", "bridge"))[0]
    container = found["Containers"][name]
    assert container["Name"] == "box"
    assert (
        container["IPv4Address"].partition("/")[0]
        == stack.inspect("box")["NetworkSettings"]["IPAddress"]
    )
    assert (
        found["IPAM"]["Config"][0]["Gateway"] == stack.inspect("box")["NetworkSettings"]["Gateway"]
    )


def test_hosts_and_resolver_files(stack: Stack) -> None:
    words = ("--add-host", "friend:10.1.2.3", "--dns", "10.9.9.9", "-h", "me", "busybox", "cat")
    out = stack.docker("run", "--rm", *words, "/etc/hosts", "/etc/resolv.conf", "/etc/hostname")
    assert "10.1.2.3\tfriend" in out
    assert "nameserver 10.9.9.9" in out
    assert out.splitlines()[-1] == "me"
    assert any(line.endswith("\tme") for line in out.splitlines())


def test_unknown_network(stack: Stack) -> None:
    error = stack.fails("run", "--network", "nonsense", "busybox", "true", code=125)
    assert "network nonsense not found" in error
