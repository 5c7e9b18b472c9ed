"""containerd's progress in the words of `docker pull`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dockerd.images.reference import Reference
from wire.gen.containerd.types.transfer import progress_pb2


class PullProgress:
    """Translates the notices of one pull."""

    def __init__(self, reference: Reference) -> None:
        self._reference = reference
        self.digest = ""
        self.fetched = False
        self._layers: set[str] = set()
        self._seen: set[tuple[str, str]] = set()

    def translate(self, notice: progress_pb2.Progress) -> Iterator[dict[str, Any]]:
        """What the client should see, if anything."""
        short = notice.name[7:19]
        if notice.event == "resolved":
            self.digest = notice.name
            return
        layer = any(word in notice.desc.media_type for word in ("layer", "rootfs"))
        if notice.event in {"downloading", "downloaded"}:
            self.fetched = True
        if not layer:
            return
        words = {
            "waiting": "Pulling fs layer",
            "downloading": "Downloading",
            "downloaded": "Download complete",
            "extracting": "Extracting",
            "exists": "Download complete",
            "extracted": "Pull complete",
        }
        word = words.get(notice.event)
        if word is None:
            return
        if word not in {"Downloading", "Extracting"}:
            if (short, word) in self._seen:
                return
            self._seen.add((short, word))
        if word == "Pull complete" and (short, "Download complete") not in self._seen:
            # Unpacking follows the download so closely that its end may be told first.
            self._seen.add((short, "Download complete"))
            yield {"status": "Download complete", "progressDetail": {}, "id": short}
        detail: dict[str, Any] = {}
        if word in {"Downloading", "Extracting"}:
            detail = {"current": notice.progress, "total": notice.total}
        yield {"status": word, "progressDetail": detail, "id": short}
