"""libnftables: one transaction of nft text commands per call, without a process."""

from __future__ import annotations

import ctypes
from typing import Final

_OUTPUT_STATELESS: Final = 1 << 2
_OUTPUT_JSON: Final = 1 << 4
_OUTPUT_TERSE: Final = 1 << 11
_SONAMES: Final = ("libnftables.so.1", "libnftables.so.2", "libnftables.so")


class NftablesError(Exception):
    """libnftables or the kernel refused a transaction; the text is libnftables' own."""


class Nftables:
    """A libnftables context; use it from one thread only."""

    def __init__(self) -> None:
        """Load the library; raises OSError where it is not installed."""
        self._library = _load()
        self._context = self._library.nft_ctx_new(0)
        if not self._context:
            raise OSError("libnftables gave no context")
        self._library.nft_ctx_buffer_output(self._context)
        self._library.nft_ctx_buffer_error(self._context)

    def run(self, commands: str, *, json: bool = False, terse: bool = False) -> str:
        """Run commands as one atomic transaction and return their output."""
        flags = _OUTPUT_STATELESS | (_OUTPUT_JSON if json else 0) | (_OUTPUT_TERSE if terse else 0)
        self._library.nft_ctx_output_set_flags(self._context, flags)
        code = self._library.nft_run_cmd_from_buffer(self._context, commands.encode())
        output: bytes = self._library.nft_ctx_get_output_buffer(self._context) or b""
        error: bytes = self._library.nft_ctx_get_error_buffer(self._context) or b""
        if code != 0:
            raise NftablesError(error.decode(errors="replace").strip() or f"nft failed with {code}")
        return output.decode(errors="replace")

    def close(self) -> None:
        """Free the context; harmless when called again."""
        if self._context:
            self._library.nft_ctx_free(self._context)
            self._context = None


def _load() -> ctypes.CDLL:
    failure: OSError | None = None
    for name in _SONAMES:
        try:
            library = ctypes.CDLL(name)
        except OSError as error:
            failure = error
            continue
        library.nft_ctx_new.restype = ctypes.c_void_p
        library.nft_ctx_new.argtypes = [ctypes.c_uint32]
        library.nft_ctx_free.argtypes = [ctypes.c_void_p]
        library.nft_ctx_buffer_output.argtypes = [ctypes.c_void_p]
        library.nft_ctx_buffer_error.argtypes = [ctypes.c_void_p]
        library.nft_ctx_output_set_flags.argtypes = [ctypes.c_void_p, ctypes.c_uint]
        library.nft_ctx_output_set_flags.restype = None
        library.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        for getter in (library.nft_ctx_get_output_buffer, library.nft_ctx_get_error_buffer):
            getter.argtypes = [ctypes.c_void_p]
            getter.restype = ctypes.c_char_p
        return library
    raise failure or OSError("libnftables is not installed")
