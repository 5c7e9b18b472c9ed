"""Which proxy stands on the way to a registry."""

from __future__ import annotations

import json

import pytest

from wire.errors import InvalidArgument
from wire.registry import proxies
from wire.registry.proxies import Proxy


def chosen(scheme: str, authority: str, **settings: str) -> Proxy | None:
    with proxies.bind([(proxies.HEADER, json.dumps(settings))]):
        return proxies.chosen(scheme, authority)


def test_each_scheme_has_its_own() -> None:
    both = {"http_proxy": "http://one:1", "https_proxy": "two:2"}
    assert chosen("http", "r.test", **both) == Proxy(host="one", port=1)
    assert chosen("https", "r.test", **both) == Proxy(host="two", port=2)
    assert chosen("https", "r.test", http_proxy="http://one:1") is None


def test_credentials() -> None:
    found = chosen("http", "r.test", http_proxy="http://us%40er:p%3Aw@one")
    assert found == Proxy(host="one", port=80, authorization="Basic dXNAZXI6cDp3")
    with pytest.raises(
        InvalidArgument, match="proxy socks5://xxxxx:xxxxx@h:1: only proxies at http"
    ):
        chosen("http", "r.test", http_proxy="socks5://a:b@h:1")


@pytest.mark.parametrize(
    ("excepted", "authority", "direct"),
    [
        ("", "r.test", False),
        ("", "localhost:5000", True),
        ("", "127.0.0.1:5000", True),
        ("", "[::1]:5000", True),
        ("*", "r.test", True),
        ("other, r.test", "r.test:5000", True),
        ("r.test", "deep.r.test", True),
        (".r.test", "deep.r.test", True),
        (".r.test", "r.test", False),
        ("*.r.test", "r.test", False),
        ("r.test", "other.test", False),
        ("r.test", "xr.test", False),
        ("r.test:5000", "r.test:5000", True),
        ("r.test:5000", "r.test:5001", False),
        ("r.test:80", "r.test", True),
        ("10.0.0.0/8", "10.1.2.3:5000", True),
        ("10.0.0.0/8", "11.1.2.3:5000", False),
        ("10.0.0.0/99", "10.1.2.3", False),
        ("10.1.2.3", "10.1.2.3:5000", True),
        ("[2001:db8::1]:5000", "[2001:db8::1]:5000", True),
        ("2001:db8::1", "[2001:db8::1]:5000", True),
    ],
)
def test_exceptions(excepted: str, authority: str, direct: bool) -> None:
    found = chosen("http", authority, http_proxy="http://one:1", no_proxy=excepted)
    assert (found is None) == direct


def test_environment() -> None:
    environment = {"http_proxy": "small", "HTTP_PROXY": "large", "no_proxy": "x", "OTHER": "y"}
    assert proxies.configured(environment) == {"http_proxy": "large", "no_proxy": "x"}


def test_what_is_no_setting_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for text in ("{", "[]", "7"):
        with proxies.bind([(proxies.HEADER, text)]):
            assert proxies.chosen("http", "r.test") is None
