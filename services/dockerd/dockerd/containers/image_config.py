"""The image's configuration under the user's."""

from __future__ import annotations

from typing import Any


def merged_config(config: dict[str, Any], image: dict[str, Any]) -> dict[str, Any]:
    """What a container gets: the user's settings win, one by one; labels, environment, ports and volumes add up."""
    merged = dict(config)
    merged["Labels"] = {**(image.get("Labels") or {}), **(config.get("Labels") or {})}
    own = {each.partition("=")[0] for each in config.get("Env") or []}
    merged["Env"] = [
        *(config.get("Env") or []),
        *(each for each in image.get("Env") or [] if each.partition("=")[0] not in own),
    ]
    for key in ("User", "WorkingDir", "StopSignal"):
        if not merged.get(key) and image.get(key):
            merged[key] = image[key]
    for key in ("ExposedPorts", "Volumes"):
        merged[key] = {**(image.get(key) or {}), **(config.get(key) or {})} or None
    _merge_command(merged, image)
    _merge_health(merged, image.get("Healthcheck") or {})
    return merged


def _merge_health(merged: dict[str, Any], image: dict[str, Any]) -> None:
    own = merged.get("Healthcheck")
    if own is None:
        if image:
            merged["Healthcheck"] = image
    elif (own.get("Test") or [""])[0] != "NONE":
        merged["Healthcheck"] = {**image, **{key: value for key, value in own.items() if value}}


def _merge_command(merged: dict[str, Any], image: dict[str, Any]) -> None:
    if not merged.get("Entrypoint"):
        if not merged.get("Cmd"):
            merged["Cmd"] = image.get("Cmd")
        if merged.get("Entrypoint") is None:
            merged["Entrypoint"] = image.get("Entrypoint")
    elif merged["Entrypoint"] == [""]:
        # `--entrypoint ""`: neither the image's entry point nor its command.
        merged["Entrypoint"] = None
    for key in ("Cmd", "Entrypoint"):
        if isinstance(merged.get(key), str):
            merged[key] = [merged[key]]
