from wire.ttrpc import frame


def test_a_frame_comes_back_when_fed_byte_by_byte() -> None:
    reader = frame.Reader()
    encoded = frame.encode(7, frame.REQUEST, b"payload", frame.REMOTE_CLOSED)
    frames = [item for byte in encoded for item in reader.feed(bytes([byte]))]
    assert frames == [(7, frame.REQUEST, frame.REMOTE_CLOSED, b"payload")]


def test_an_oversized_frame_is_skipped_and_the_next_one_is_read() -> None:
    reader = frame.Reader()
    head = frame.HEADER.pack(frame.MAX_DATA + 1, 3, frame.REQUEST, 0)
    assert reader.feed(head) == [(3, frame.REQUEST, 0, None)]
    assert reader.feed(b"x" * frame.MAX_DATA) == []
    following = frame.encode(5, frame.REQUEST, b"ok")
    assert reader.feed(b"x" + following) == [(5, frame.REQUEST, 0, b"ok")]
