"""The references of a JSON schema, and its `allOf`: both are merged into the schema that has them.

A definition may hold itself. It is expanded a few times inside itself, and then cut off.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import unquote

from aiostream_server.models.schema_parts import Schema, annotations, merge

_REFERENCES: Final = ("$ref", "$recursiveRef", "$dynamicRef")
_MAX_NESTED_REFS: Final = 2  # of one definition inside itself
_MAX_HOPS: Final = 20


class References:
    """The references in the schema `root`. `note` is told each change with its place, `problem` what leads nowhere."""

    def __init__(self, root: object, *, note: Callable[[str, str], object], problem: Callable[[str], object]) -> None:
        self._root = root
        self._note = note
        self._problem = problem
        self._expanded: list[str] = []

    @contextmanager
    def expanding(self) -> Iterator[None]:
        """What is expanded in this block is expanded inside what surrounds the block."""
        outside = len(self._expanded)
        try:
            yield
        finally:
            del self._expanded[outside:]

    def flat(self, schema: Mapping[str, Any], path: str) -> Schema | None:
        """The schema without `allOf` and references; None where it must count as any value."""
        flat, hops = dict(schema), 0
        while "allOf" in flat or any(key in flat for key in _REFERENCES):
            hops += 1
            if hops > _MAX_HOPS:
                self._problem(f"{path or 'the schema'}: its references lead nowhere")
                return None
            if "allOf" in flat:
                self._merge_all(flat, flat.pop("allOf"), path)
                continue
            ref = next(flat.pop(key) for key in _REFERENCES if key in flat)
            target = self._target(ref)
            if not isinstance(target, Mapping):
                self._problem(f"{path or 'the schema'}: {ref!r:.80} is not in the schema")
                return None
            self._note(path, "$ref is replaced by what it names")
            if self._expanded.count(str(ref)) >= _MAX_NESTED_REFS:
                self._note(path, "a definition that holds itself is cut off")
                is_object = target.get("type") == "object" or "properties" in target
                return {**annotations(flat), "type": "object"} if is_object else None
            self._expanded.append(str(ref))
            merge(flat, target)
        return flat

    def _merge_all(self, flat: Schema, parts: object, path: str) -> None:
        self._note(path, "allOf is merged")
        for part in parts if isinstance(parts, list) else ():
            if isinstance(part, Mapping):
                merge(flat, part)

    def _target(self, ref: object) -> object:
        if not isinstance(ref, str) or not ref.startswith("#"):
            return None
        found = self._root
        for step in filter(None, unquote(ref[1:]).split("/")):
            name = step.replace("~1", "/").replace("~0", "~")
            if isinstance(found, Mapping):
                found = found.get(name)
            elif isinstance(found, list) and name.isdigit() and int(name) < len(found):
                found = found[int(name)]
            else:
                return None
        return found
