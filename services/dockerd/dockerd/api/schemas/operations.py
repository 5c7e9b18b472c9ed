"""Every operation that is served: its query and headers, what it takes, and what it answers with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

TAR: Final = "application/x-tar"
JSON: Final = "application/json"
RAW: Final = "application/vnd.docker.raw-stream"
MULTIPLEXED: Final = "application/vnd.docker.multiplexed-stream"
OCTETS: Final = "application/octet-stream"
TEXT: Final = "text/plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """``answers`` maps statuses to types in the tables' notation, to media types (which have a slash), or to nothing.

    ``lines`` says that a JSON answer is a stream of such objects.
    """

    query: Mapping[str, str] = field(default_factory=dict)
    headers: tuple[str, ...] = ()
    body: str = ""
    optional_body: bool = False
    answers: Mapping[int, str] = field(default_factory=lambda: {200: ""})
    lines: bool = False


_CHANGE: Final = {204: ""}
_STREAM_FLAGS: Final = {
    "stdin": "bool", "stdout": "bool", "stderr": "bool", "logs": "bool", "stream": "bool", "detachKeys": "string",
}  # fmt: skip
_STREAMS: Final = {101: RAW, 200: f"{RAW} {MULTIPLEXED}"}
_AUTH: Final = ("X-Registry-Auth",)
_FILTERS: Final = {"filters": "string"}

OPERATIONS: Final[Mapping[tuple[str, str], Operation]] = {
    ("GET", "/_ping"): Operation(answers={200: TEXT}),
    ("HEAD", "/_ping"): Operation(),
    # -- containers
    ("GET", "/containers/json"): Operation(
        query={"all": "bool", "limit": "int", "size": "bool", **_FILTERS}, answers={200: "[ContainerSummary]"}
    ),
    ("POST", "/containers/create"): Operation(
        query={"name": "string", "platform": "string"}, body="ContainerCreate", answers={201: "ContainerCreated"}
    ),
    ("POST", "/containers/prune"): Operation(query=_FILTERS, answers={200: "ContainersPruned"}),
    ("GET", "/containers/{reference}/json"): Operation(query={"size": "bool"}, answers={200: "Container"}),
    ("POST", "/containers/{reference}/rename"): Operation(query={"name": "string"}, answers=_CHANGE),
    ("POST", "/containers/{reference}/update"): Operation(body="ContainerUpdate", answers={200: "ContainerUpdated"}),
    ("GET", "/containers/{reference}/top"): Operation(query={"ps_args": "string"}, answers={200: "ContainerTop"}),
    ("DELETE", "/containers/{reference}"): Operation(
        query={"force": "bool", "v": "bool", "link": "bool"}, answers=_CHANGE
    ),
    ("POST", "/containers/{reference}/start"): Operation(
        query={"detachKeys": "string", "checkpoint": "string", "checkpoint-dir": "string"}, answers={204: "", 304: ""}
    ),
    ("POST", "/containers/{reference}/stop"): Operation(query={"t": "int", "signal": "string"}, answers={204: "", 304: ""}),
    ("POST", "/containers/{reference}/restart"): Operation(query={"t": "int", "signal": "string"}, answers=_CHANGE),
    ("POST", "/containers/{reference}/kill"): Operation(query={"signal": "string"}, answers=_CHANGE),
    ("POST", "/containers/{reference}/pause"): Operation(answers=_CHANGE),
    ("POST", "/containers/{reference}/unpause"): Operation(answers=_CHANGE),
    ("POST", "/containers/{reference}/resize"): Operation(query={"h": "int", "w": "int"}),
    ("POST", "/containers/{reference}/wait"): Operation(query={"condition": "string"}, answers={200: "ContainerWaited"}),
    ("POST", "/containers/{reference}/attach"): Operation(query=_STREAM_FLAGS, answers=_STREAMS),
    ("GET", "/containers/{reference}/attach/ws"): Operation(query=_STREAM_FLAGS, answers={101: ""}),
    ("GET", "/containers/{reference}/logs"): Operation(
        query={
            "follow": "bool", "stdout": "bool", "stderr": "bool", "since": "string", "until": "string", "timestamps": "bool",
            "tail": "string", "details": "bool",
        },
        answers={200: f"{RAW} {MULTIPLEXED}"},
    ),
    ("GET", "/containers/{reference}/stats"): Operation(
        query={"stream": "bool", "one-shot": "bool"}, answers={200: "Stats"}, lines=True
    ),
    ("HEAD", "/containers/{reference}/archive"): Operation(query={"path": "string"}),
    ("GET", "/containers/{reference}/archive"): Operation(query={"path": "string"}, answers={200: TAR}),
    ("PUT", "/containers/{reference}/archive"): Operation(
        query={"path": "string", "noOverwriteDirNonDir": "bool", "copyUIDGID": "bool"}, body=TAR
    ),
    ("GET", "/containers/{reference}/export"): Operation(answers={200: OCTETS}),
    ("GET", "/containers/{reference}/changes"): Operation(answers={200: "[Change]?"}),
    ("POST", "/containers/{reference}/exec"): Operation(body="ExecCreate", answers={201: "IdResponse"}),
    ("POST", "/commit"): Operation(
        query={
            "container": "string", "repo": "string", "tag": "string", "comment": "string", "author": "string", "pause": "bool",
            "changes": "[string]",
        },
        body="CommitConfig",
        optional_body=True,
        answers={201: "IdResponse"},
    ),
    # -- execs
    ("POST", "/exec/{exec_id}/start"): Operation(body="ExecStart", optional_body=True, answers=_STREAMS),
    ("POST", "/exec/{exec_id}/resize"): Operation(query={"h": "int", "w": "int"}),
    ("GET", "/exec/{exec_id}/json"): Operation(answers={200: "Exec"}),
    # -- images
    ("GET", "/images/json"): Operation(
        query={**_FILTERS, "all": "bool", "filter": "string", "shared-size": "bool", "manifests": "bool"},
        answers={200: "[ImageSummary]"},
    ),
    ("POST", "/images/create"): Operation(
        query={
            "fromImage": "string", "fromSrc": "string", "repo": "string", "tag": "string", "message": "string",
            "changes": "[string]", "platform": "string",
        },
        headers=_AUTH,
        body=OCTETS,
        optional_body=True,
        answers={200: "Progress"},
        lines=True,
    ),
    ("POST", "/images/load"): Operation(
        query={"platform": "string"}, body=TAR, answers={200: "Progress"}, lines=True
    ),
    ("POST", "/images/prune"): Operation(query=_FILTERS, answers={200: "ImagesPruned"}),
    ("GET", "/images/search"): Operation(
        query={"term": "string", "limit": "int", **_FILTERS}, headers=_AUTH, answers={200: "[ImageSearched]"}
    ),
    ("GET", "/images/get"): Operation(query={"names": "[string]", "platform": "string"}, answers={200: TAR}),
    ("GET", "/images/{reference}/get"): Operation(query={"platform": "string"}, answers={200: TAR}),
    ("GET", "/images/{reference}/json"): Operation(
        query={"manifests": "bool", "platform": "string"}, answers={200: "Image"}
    ),
    ("GET", "/images/{reference}/history"): Operation(query={"platform": "string"}, answers={200: "[ImageHistory]"}),
    ("POST", "/images/{reference}/tag"): Operation(query={"repo": "string", "tag": "string"}, answers={201: ""}),
    ("POST", "/images/{reference}/push"): Operation(
        query={"tag": "string", "platform": "string"}, headers=_AUTH, answers={200: "Progress"}, lines=True
    ),
    ("DELETE", "/images/{reference}"): Operation(
        query={"force": "bool", "noprune": "bool", "platforms": "string"}, answers={200: "[ImageDeleted]"}
    ),
    ("GET", "/distribution/{reference}/json"): Operation(headers=_AUTH, answers={200: "DistributionInspect"}),
    ("POST", "/auth"): Operation(body="object", answers={200: "AuthResponse", 204: ""}),
    ("POST", "/build/prune"): Operation(
        answers={200: "BuildCachePruned"}
    ),
    # -- networks and volumes
    ("GET", "/networks"): Operation(query=_FILTERS, answers={200: "[Network]"}),
    ("GET", "/networks/{reference}"): Operation(answers={200: "Network"}),
    ("POST", "/networks/create"): Operation(body="NetworkCreate", answers={201: "NetworkCreated"}),
    ("POST", "/networks/prune"): Operation(query=_FILTERS, answers={200: "NetworksPruned"}),
    ("POST", "/networks/{reference}/connect"): Operation(body="NetworkConnect"),
    ("POST", "/networks/{reference}/disconnect"): Operation(body="NetworkDisconnect"),
    ("DELETE", "/networks/{reference}"): Operation(answers=_CHANGE),
    ("GET", "/volumes"): Operation(query=_FILTERS, answers={200: "VolumeList"}),
    ("POST", "/volumes/create"): Operation(body="VolumeCreate", answers={201: "Volume"}),
    ("POST", "/volumes/prune"): Operation(query=_FILTERS, answers={200: "VolumesPruned"}),
    ("GET", "/volumes/{name}"): Operation(answers={200: "Volume"}),
    ("DELETE", "/volumes/{name}"): Operation(query={"force": "bool"}, answers=_CHANGE),
    # -- the daemon
    ("GET", "/events"): Operation(
        query={"since": "string", "until": "string", **_FILTERS}, answers={200: "Event"}, lines=True
    ),
    ("GET", "/version"): Operation(answers={200: "Version"}),
    ("GET", "/info"): Operation(answers={200: "Info"}),
    ("GET", "/system/df"): Operation(query={"type": "[string]"}, answers={200: "DiskUsage"}),
    ("GET", "/plugins"): Operation(query=_FILTERS, answers={200: "[object]"}),
    ("GET", "/plugins/{name}/json"): Operation(answers={}),
    ("POST", "/swarm/init"): Operation(answers={}),
    ("POST", "/swarm/join"): Operation(answers={}),
    ("POST", "/swarm/leave"): Operation(answers={}),
    ("GET", "/debug/vars"): Operation(answers={200: "DebugVars"}),
    ("GET", "/debug/pprof/"): Operation(answers={200: TEXT}),
    ("GET", "/debug/pprof/cmdline"): Operation(answers={200: TEXT}),
    ("GET", "/debug/pprof/goroutine"): Operation(answers={200: TEXT}),
    ("GET", "/debug/pprof/{name}"): Operation(answers={}),
}  # fmt: skip
