"""Field masks: which fields of a record an update changes."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence

from wire.errors import InvalidArgument


def change_map(known: MutableMapping[str, str], given: Mapping[str, str], key: str) -> None:
    """Replace a whole map, or with ``key`` one entry of it; an empty value removes an entry."""
    changes = {key: given.get(key, "")} if key else dict(given)
    if not key:
        known.clear()
    for name, value in changes.items():
        if value:
            known[name] = value
        else:
            known.pop(name, None)


def label_changes(
    paths: Sequence[str], given: Mapping[str, str], what: str
) -> tuple[Mapping[str, str], bool]:
    """The labels that a mask of ``labels`` and ``labels.KEY`` changes, and whether they replace all others.

    Raises InvalidArgument for any other path. No path means all labels.
    """
    changes: dict[str, str] = {}
    replace = not paths
    for path in paths:
        if path == "labels":
            replace = True
        elif path.startswith("labels."):
            key = path.removeprefix("labels.")
            changes[key] = given.get(key, "")
        else:
            raise InvalidArgument(f'cannot update "{path}" field on {what}: invalid argument')
    return (dict(given) if replace else changes), replace
