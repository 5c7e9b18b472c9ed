"""WebSockets (RFC 6455), as far as attaching needs them: the handshake, frames, and a tunnel to who serves a raw stream."""
