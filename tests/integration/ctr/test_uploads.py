"""Content.Write as clients use it: negotiation, resumption, locks, and what a killed daemon leaves."""

from __future__ import annotations

import hashlib
import queue
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from tests.support.containerd import Containerd
from tests.support.stack import wait_until

from wire.gen.containerd.services.content.v1 import content_pb2 as pb
from wire.gen.containerd.services.content.v1 import content_pb2_grpc

HERE = (("containerd-namespace", "default"),)
THERE = (("containerd-namespace", "there"),)
DATA = bytes(range(256)) * 2048
DIGEST = f"sha256:{hashlib.sha256(DATA).hexdigest()}"


class Upload:
    """One Write call, a message at a time."""

    def __init__(self, containerd: Containerd, where: Any = HERE) -> None:
        self._messages: queue.Queue[pb.WriteContentRequest | None] = queue.Queue()
        stub = content_pb2_grpc.ContentStub(containerd.channel)
        self._call = stub.Write(iter(self._messages.get, None), metadata=where, timeout=30)
        self._answers: Iterator[pb.WriteContentResponse] = iter(self._call)

    def send(self, **fields: Any) -> pb.WriteContentResponse:
        self._messages.put(pb.WriteContentRequest(**fields))
        return next(self._answers)

    def fails(self, **fields: Any) -> tuple[grpc.StatusCode, str]:
        with pytest.raises(grpc.RpcError) as raised:
            self.send(**fields)
        self._messages.put(None)
        return raised.value.code(), raised.value.details()

    def end(self) -> None:
        self._messages.put(None)
        # Whoever half-closes gets the end; by then the reference is free.
        for _ in iter(lambda: next(self._answers, None), None):
            pass

    def cancel(self) -> None:
        self._call.cancel()
        self._messages.put(None)


def _stub(containerd: Containerd) -> Any:
    return content_pb2_grpc.ContentStub(containerd.channel)


def _status(containerd: Containerd, ref: str) -> pb.Status:
    return _stub(containerd).Status(pb.StatusRequest(ref=ref), metadata=HERE).status


def _upload(containerd: Containerd, where: Any = HERE, **labels: str) -> None:
    upload = Upload(containerd, where)
    upload.send(action=pb.WRITE, ref="whole", data=DATA, total=len(DATA), expected=DIGEST)
    upload.send(action=pb.COMMIT, offset=len(DATA), labels=labels)


def test_stat_write_commit(containerd: Containerd) -> None:
    upload = Upload(containerd)
    stat = upload.send(action=pb.STAT, ref="steps", total=len(DATA), expected=DIGEST)
    assert (stat.offset, stat.total) == (0, len(DATA))
    assert stat.started_at.seconds
    assert upload.send(action=pb.WRITE, data=DATA[:1000]).offset == 1000
    wrote = upload.send(action=pb.WRITE, offset=1000, data=DATA[1000:5000])
    assert wrote.offset == 5000
    assert wrote.digest == f"sha256:{hashlib.sha256(DATA[:5000]).hexdigest()}"
    assert _status(containerd, "steps").offset == 5000
    done = upload.send(action=pb.COMMIT, offset=5000, data=DATA[5000:], labels={"a": "b"})
    assert (done.offset, done.digest) == (len(DATA), DIGEST)
    info = _stub(containerd).Info(pb.InfoRequest(digest=DIGEST), metadata=HERE).info
    assert (info.size, dict(info.labels)) == (len(DATA), {"a": "b"})
    read = _stub(containerd).Read(
        pb.ReadContentRequest(digest=DIGEST, offset=256, size=10), metadata=HERE
    )
    assert b"".join(part.data for part in read) == DATA[256:266]


def test_resumes_after_a_lost_client_and_a_killed_daemon(containerd: Containerd) -> None:
    upload = Upload(containerd)
    upload.send(action=pb.WRITE, ref="resumed", data=DATA[:4096], total=len(DATA))
    upload.cancel()
    wait_until(lambda: _free(containerd, "resumed"))
    assert _status(containerd, "resumed").offset == 4096
    containerd.kill()
    assert _status(containerd, "resumed").offset == 4096
    again = Upload(containerd)
    stat = again.send(action=pb.STAT, ref="resumed", total=len(DATA), expected=DIGEST)
    assert stat.offset == 4096
    assert stat.digest == f"sha256:{hashlib.sha256(DATA[:4096]).hexdigest()}"
    done = again.send(action=pb.COMMIT, offset=4096, data=DATA[4096:])
    assert done.digest == DIGEST


def _free(containerd: Containerd, ref: str) -> bool:
    upload = Upload(containerd)
    try:
        upload.send(action=pb.STAT, ref=ref)
    except grpc.RpcError as error:
        if error.code() is not grpc.StatusCode.UNAVAILABLE:
            raise
        return False
    upload.end()
    return True


def test_one_writer_a_reference(containerd: Containerd) -> None:
    first = Upload(containerd)
    first.send(action=pb.STAT, ref="locked")
    code, text = Upload(containerd).fails(action=pb.STAT, ref="locked")
    assert code is grpc.StatusCode.UNAVAILABLE
    assert "locked for" in text
    # The same name in another namespace is another upload.
    other = Upload(containerd, THERE)
    other.send(action=pb.STAT, ref="locked")
    other.end()
    first.end()
    assert _free(containerd, "locked")


def test_offset_must_be_where_the_upload_is(containerd: Containerd) -> None:
    upload = Upload(containerd)
    upload.send(action=pb.WRITE, ref="offset", data=b"12345")
    code, text = upload.fails(action=pb.WRITE, offset=3, data=b"x")
    assert code is grpc.StatusCode.OUT_OF_RANGE
    assert "write @3 must occur at current offset 5" in text


def test_offset_zero_begins_again(containerd: Containerd) -> None:
    upload = Upload(containerd)
    upload.send(action=pb.WRITE, ref="again", data=b"garbage")
    assert upload.send(action=pb.WRITE, data=DATA).offset == len(DATA)
    assert upload.send(action=pb.COMMIT, offset=len(DATA), expected=DIGEST).digest == DIGEST


def test_wrong_content_is_refused_and_the_upload_stays(containerd: Containerd) -> None:
    upload = Upload(containerd)
    upload.send(action=pb.WRITE, ref="wrong", data=b"12345")
    code, text = upload.fails(action=pb.COMMIT, offset=5, expected=DIGEST)
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert "unexpected commit digest" in text
    upload = Upload(containerd)
    upload.send(action=pb.STAT, ref="wrong")
    code, text = upload.fails(action=pb.COMMIT, offset=5, total=4)
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert '"wrong" failed size validation: 5 != 4' in text
    assert _status(containerd, "wrong").offset == 5
    _stub(containerd).Abort(pb.AbortRequest(ref="wrong"), metadata=HERE)
    with pytest.raises(grpc.RpcError) as raised:
        _status(containerd, "wrong")
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND
    assert containerd.uploads() == set()


def test_what_is_here_is_not_taken_again(containerd: Containerd) -> None:
    _upload(containerd, **{"containerd.io/gc.root": "1"})
    code, text = Upload(containerd).fails(action=pb.STAT, ref="twice", expected=DIGEST)
    assert code is grpc.StatusCode.ALREADY_EXISTS
    assert DIGEST in text
    upload = Upload(containerd)
    upload.send(action=pb.WRITE, ref="late", data=DATA)
    code, _ = upload.fails(action=pb.COMMIT, offset=len(DATA))
    assert code is grpc.StatusCode.ALREADY_EXISTS
    statuses = _stub(containerd).ListStatuses(pb.ListStatusesRequest(), metadata=HERE).statuses
    assert [each.ref for each in statuses] == []
    _stub(containerd).Delete(pb.DeleteContentRequest(digest=DIGEST), metadata=HERE)


def test_another_namespace_gets_it_without_sending_it(containerd: Containerd) -> None:
    _upload(containerd, **{"containerd.io/gc.root": "1"})
    upload = Upload(containerd, THERE)
    stat = upload.send(action=pb.STAT, ref="shared", total=len(DATA), expected=DIGEST)
    assert stat.offset == len(DATA)
    done = upload.send(action=pb.COMMIT, offset=len(DATA), total=len(DATA), expected=DIGEST)
    assert done.digest == DIGEST
    for where in (HERE, THERE):
        _stub(containerd).Delete(pb.DeleteContentRequest(digest=DIGEST), metadata=where)


def test_changed_shared_content_is_a_copy(containerd: Containerd) -> None:
    _upload(containerd, **{"containerd.io/gc.root": "1"})
    upload = Upload(containerd, THERE)
    upload.send(action=pb.STAT, ref="copy", expected=DIGEST)
    longer = f"sha256:{hashlib.sha256(DATA + b'more').hexdigest()}"
    done = upload.send(action=pb.COMMIT, offset=len(DATA), data=b"more", expected=longer)
    assert done.digest == longer
    path = containerd.root / "data/content/blobs/sha256" / DIGEST.removeprefix("sha256:")
    assert path.read_bytes() == DATA
    _stub(containerd).Delete(pb.DeleteContentRequest(digest=DIGEST), metadata=HERE)


def test_sha512(containerd: Containerd) -> None:
    digest = f"sha512:{hashlib.sha512(DATA).hexdigest()}"
    upload = Upload(containerd)
    upload.send(action=pb.WRITE, ref="long", data=DATA)
    assert upload.send(action=pb.COMMIT, offset=len(DATA), expected=digest).digest == digest
    assert _stub(containerd).Info(pb.InfoRequest(digest=digest), metadata=HERE).info.size


def test_malformed_requests(containerd: Containerd) -> None:
    assert Upload(containerd).fails(action=pb.STAT)[0] is grpc.StatusCode.INVALID_ARGUMENT
    code, _ = Upload(containerd).fails(action=pb.STAT, ref="x", expected="sha256:nope")
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    code, text = Upload(containerd, ()).fails(action=pb.STAT, ref="x")
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert "namespace is required" in text
    upload = Upload(containerd)
    upload.send(action=pb.WRITE, ref="labels", data=b"1")
    code, text = upload.fails(action=pb.COMMIT, offset=1, labels={"k": "v" * 5000})
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "maximum size" in text


def test_status_filters(containerd: Containerd) -> None:
    for ref in ("one", "two"):
        upload = Upload(containerd)
        upload.send(action=pb.STAT, ref=ref)
        upload.end()
    request = pb.ListStatusesRequest(filters=["ref==two"])
    found = _stub(containerd).ListStatuses(request, metadata=HERE).statuses
    assert [each.ref for each in found] == ["two"]


def test_a_large_message(containerd: Containerd) -> None:
    data = bytes(16 * 1024 * 1024 - 4096)
    upload = Upload(containerd)
    assert upload.send(action=pb.WRITE, ref="large", data=data).offset == len(data)
    upload.end()
