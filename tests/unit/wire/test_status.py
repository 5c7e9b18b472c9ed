import pytest

from wire.errors import EngineError, ErrorKind
from wire.status import error_for, grpc_code, http_status, kind_of
from wire.ttrpc.errors import from_status, to_status


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_every_kind_survives_the_wire(kind: ErrorKind) -> None:
    error = from_status(to_status(error_for(kind, "text")))
    assert isinstance(error, EngineError)
    assert (error.kind, error.message) == (kind, "text")


def test_an_unknown_code_becomes_unknown() -> None:
    assert kind_of(99) is ErrorKind.UNKNOWN


@pytest.mark.parametrize(
    ("kind", "code", "status"),
    [
        (ErrorKind.INVALID_ARGUMENT, 3, 400),
        (ErrorKind.NOT_FOUND, 5, 404),
        (ErrorKind.CONFLICT, 9, 409),
        (ErrorKind.NOT_MODIFIED, 9, 304),
        (ErrorKind.NOT_IMPLEMENTED, 12, 501),
        (ErrorKind.UNAVAILABLE, 14, 503),
    ],
)
def test_the_table_answers_what_clients_expect(kind: ErrorKind, code: int, status: int) -> None:
    assert (grpc_code(kind), http_status(kind)) == (code, status)
