"""The daemon's inside, for who debugs it: paths that exist with `--debug` alone."""

from __future__ import annotations

import gc
import resource
import sys
import threading

from fastapi import Request
from starlette.responses import PlainTextResponse, Response

from dockerd.api.errors import message
from dockerd.api.responses import JSONResponse
from dockerd.api.routing import Router
from wire.stacks import described

router = Router()

_NAMES = ("goroutine", "heap", "allocs", "block", "mutex", "threadcreate")


@router.get("/debug/vars")
async def variables() -> JSONResponse:
    """What this process is and has, where Go's expvar would say it."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return JSONResponse(
        {
            "cmdline": sys.orig_argv,
            "memstats": {"Sys": usage.ru_maxrss * 1024, "NumGC": gc.get_stats()[2]["collections"]},
            "threads": threading.active_count(),
        }
    )


@router.get("/debug/pprof/")
async def index() -> PlainTextResponse:
    """Which profiles there are."""
    return PlainTextResponse(
        "goroutine: what every task of the daemon waits for\ncmdline: the command line\n"
    )


@router.get("/debug/pprof/cmdline")
async def command_line() -> PlainTextResponse:
    """The command line, with NUL between its words."""
    return PlainTextResponse("\0".join(sys.orig_argv))


@router.get("/debug/pprof/goroutine")
async def tasks() -> PlainTextResponse:
    """What every task waits for: this daemon has tasks where the original has goroutines."""
    return PlainTextResponse("".join(f"{name}: {stack}\n" for name, stack in described()))


@router.get("/debug/pprof/{name}")
async def profile(name: str, request: Request) -> Response:
    """Profiles of the Go runtime."""
    if name in {*_NAMES, "profile", "symbol", "trace"}:
        return message(501, f"{request.url.path} is not implemented: there is no Go runtime here")
    return PlainTextResponse("Unknown profile\n", 404)
