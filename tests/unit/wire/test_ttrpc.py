import asyncio
from pathlib import Path

import pytest

from wire import namespaces
from wire.errors import Conflict, DeadlineExceeded, NotImplementedYet, Unavailable
from wire.gen.shim.task.v3 import shim_pb2
from wire.gen.shim.ttrpc import request_pb2
from wire.ttrpc import frame
from wire.ttrpc.client import Client
from wire.ttrpc.connection import Connection
from wire.ttrpc.server import Method, Server

SERVICE = "containerd.task.v3.Task"


async def serve(tmp_path: Path, handler) -> tuple[Server, Client]:
    server = Server({(SERVICE, "State"): Method(shim_pb2.StateRequest, handler)})
    path = str(tmp_path / "s")
    await server.start(path)
    return server, await Client.connect(path)


async def test_calls_run_at_once_and_carry_the_namespace(tmp_path: Path) -> None:
    gate = asyncio.Event()

    async def handler(request) -> shim_pb2.StateResponse:
        if request.id == "first":
            await gate.wait()
        else:
            gate.set()
        return shim_pb2.StateResponse(id=request.id, bundle=namespaces.current())

    server, client = await serve(tmp_path, handler)
    with namespaces.bind("moby"):
        replies = await asyncio.gather(
            *(
                client.call(
                    SERVICE, "State", shim_pb2.StateRequest(id=name), shim_pb2.StateResponse
                )
                for name in ("first", "second")
            )
        )
    assert [(reply.id, reply.bundle) for reply in replies] == [
        ("first", "moby"),
        ("second", "moby"),
    ]
    client.close()
    await server.close()


async def test_an_error_keeps_kind_reason_and_details(tmp_path: Path) -> None:
    async def handler(request) -> shim_pb2.StateResponse:
        raise Conflict("in use", details={"container": "x"})

    server, client = await serve(tmp_path, handler)
    with pytest.raises(Conflict, match="in use") as caught:
        await client.call(SERVICE, "State", shim_pb2.StateRequest(), shim_pb2.StateResponse)
    assert caught.value.details == {"container": "x"}
    with pytest.raises(NotImplementedYet):
        await client.call(SERVICE, "Nope", shim_pb2.StateRequest(), shim_pb2.StateResponse)
    client.close()
    await server.close()


async def test_a_pending_call_fails_when_the_server_goes_and_when_time_is_up(
    tmp_path: Path,
) -> None:
    called = asyncio.Event()

    async def handler(request) -> shim_pb2.StateResponse:
        called.set()
        await asyncio.Event().wait()
        return shim_pb2.StateResponse()

    server, client = await serve(tmp_path, handler)
    with pytest.raises(DeadlineExceeded):
        await client.call(
            SERVICE, "State", shim_pb2.StateRequest(), shim_pb2.StateResponse, timeout=0.01
        )
    called.clear()
    pending = asyncio.ensure_future(
        client.call(SERVICE, "State", shim_pb2.StateRequest(), shim_pb2.StateResponse)
    )
    await called.wait()
    await server.close()
    with pytest.raises(Unavailable):
        await pending


@pytest.mark.parametrize(("stream_ids", "message"), [((2,), "is not odd"), ((5, 3), "not greater")])
def test_a_wrong_stream_id_is_refused(stream_ids: tuple[int, ...], message: str) -> None:
    connection = Connection()
    body = request_pb2.Request(service=SERVICE, method="State").SerializeToString()
    replies = b"".join(
        connection.feed(frame.encode(stream_id, frame.REQUEST, body))[1] for stream_id in stream_ids
    )
    ((_, kind, _, data),) = frame.Reader().feed(replies)
    assert kind == frame.RESPONSE
    assert data is not None
    status = request_pb2.Response.FromString(data).status
    assert status.code == 3
    assert message in status.message
