"""Builds the argument model and the JSON schema of a function tool once, not once for each run.

AutoGen makes a pydantic class from the function's signature whenever a `FunctionTool` is made, and has pydantic write
its JSON schema before every model call: together a quarter of the CPU of the smallest run with a tool. The class is
also a reference cycle of some 60 KiB, which stays until a garbage collection. Factories make their tools anew for every
run, and a handoff makes one whenever it is asked for its tool. So signatures, models and schemas are cached here.

Signatures are cached for each function, with the models that were made of them. A model is shared by all signatures
that are equal in every part, if nothing in them can change later: defaults are immutable, and types are found by name
in their module.
"""

import functools
import inspect
import json
import sys
from collections.abc import Callable, Hashable
from enum import Enum
from types import FunctionType, NoneType
from typing import Annotated, Any, Final, TypeAlias, get_args, get_origin
from weakref import WeakKeyDictionary

from autogen_core.tools import BaseTool, FunctionTool, ToolSchema

_Read: TypeAlias = Callable[[Callable[..., Any]], inspect.Signature]
_Make: TypeAlias = Callable[[str, inspect.Signature], type[Any]]
_WriteSchema: TypeAlias = Callable[[BaseTool[Any, Any]], ToolSchema]

_READ: Final = "get_typed_signature"
_MAKE: Final = "args_base_model_from_signature"
_SCHEMA: Final = "schema"
_MAX_MODELS: Final = 256
_MAX_TOOLS: Final = 256
_IMMUTABLE: Final = (str, int, float, bool, bytes, NoneType, Enum)
_WRITES_SCHEMA: Final = "__get_pydantic_json_schema__"  # such a class of a user's may write another one each time
_WRAPPED: Final = "__wrapped__"
_LEADS_ELSEWHERE: Final = frozenset({_WRAPPED, "__signature__"})

_signatures: Final[WeakKeyDictionary[FunctionType, tuple[object, inspect.Signature]]] = WeakKeyDictionary()
_models: Final[dict[Hashable, type[Any]]] = {}
_tools: Final[dict[tuple[Callable[..., Any], str | None, str | None], FunctionTool]] = {}
_schemas: Final[WeakKeyDictionary[type[Any], dict[bool, str]]] = WeakKeyDictionary()


class _KnownSignature(inspect.Signature):
    """A function's signature, with the argument models that were made of it, by name."""

    __slots__ = ("models",)

    models: dict[str, type[Any]]

    @classmethod
    def of(cls, read: inspect.Signature) -> "_KnownSignature":
        known = cls([*read.parameters.values()], return_annotation=read.return_annotation)
        known.models = {}
        return known


def shared_tool(function: Callable[..., Any], name: str | None, description: str | None) -> FunctionTool:
    """A tool of the function, described by its docstring. The same one each time for a function of a module: it has no
    state. Another function would be held as long as the process lives, with what it refers to."""
    is_plain = type(function) is FunctionType
    if is_plain and (known := _tools.get((function, name, description))) is not None:
        return known
    told = inspect.getdoc(function) or "" if description is None else description
    tool = FunctionTool(function, name=name, description=told)
    if is_plain and _is_found_by_name(function) and len(_tools) < _MAX_TOOLS:
        _tools[function, name, description] = tool
    return tool


def share_function_tools() -> None:
    """Patch AutoGen's function tools, once for the whole process."""
    written = vars(BaseTool)[_SCHEMA].fget
    if hasattr(written, _WRAPPED):
        return
    module = sys.modules[FunctionTool.__module__]
    setattr(module, _READ, _read_once(getattr(module, _READ)))
    setattr(module, _MAKE, _made_once(getattr(module, _MAKE)))
    setattr(BaseTool, _SCHEMA, property(_written_once(written)))


def _read_once(read: _Read) -> _Read:
    @functools.wraps(read)
    def get_typed_signature(call: Callable[..., Any]) -> inspect.Signature:
        if type(call) is not FunctionType or not _LEADS_ELSEWHERE.isdisjoint(vars(call)):
            return read(call)
        state = id(call.__code__), id(call.__defaults__), dict(call.__kwdefaults__ or {}), dict(call.__annotations__)
        known = _signatures.get(call)
        if known is None or known[0] != state:
            known = _signatures[call] = state, _KnownSignature.of(read(call))
        return known[1]

    return get_typed_signature


def _made_once(make: _Make) -> _Make:
    @functools.wraps(make)
    def args_base_model_from_signature(name: str, sig: inspect.Signature) -> type[Any]:
        of_function = sig.models if isinstance(sig, _KnownSignature) else {}
        if (made := of_function.get(name)) is not None:
            return made
        if (key := _key(name, sig)) is None:
            return make(name, sig)
        if (known := _models.pop(key, None)) is None:
            known = make(name, sig)
            _schemas[known] = {}
            if len(_models) >= _MAX_MODELS:
                del _models[next(iter(_models))]
        _models[key] = of_function[name] = known  # in `_models` the latest one last
        return known

    return args_base_model_from_signature


def _written_once(write: _WriteSchema) -> _WriteSchema:
    @functools.wraps(write)
    def schema(self: BaseTool[Any, Any]) -> ToolSchema:
        """A copy for each caller, which may change it."""
        known = _schemas.get(self._args_type)
        if known is None:
            if not _is_fixed_model(self._args_type):
                return write(self)
            known = _schemas[self._args_type] = {}
        if (encoded := known.get(self._strict)) is not None:
            return ToolSchema(
                name=self.name,
                description=self.description,
                parameters=json.loads(encoded),
                strict=self._strict,
            )
        tool = write(self)  # raises for what `strict` forbids
        encoded = json.dumps(tool.get("parameters"))
        if json.loads(encoded) == tool.get("parameters"):
            known[self._strict] = encoded
        return tool

    return schema


def _key(name: str, signature: inspect.Signature) -> Hashable | None:
    """Equal for signatures that give the same model; None where the model may not be shared."""
    key: list[Hashable] = [name]
    for parameter in signature.parameters.values():
        default, hint = parameter.default, parameter.annotation
        if default is not parameter.empty and not isinstance(default, _IMMUTABLE):
            return None
        if not _is_fixed(hint):
            return None
        key.append((parameter.name, hint, repr(hint), type(default), default))  # `int | str` equals `str | int`
    return tuple(key)


def _is_fixed_model(arguments: type[Any]) -> bool:
    """Whether the argument model of a tool that is a class, such as an `AgentTool`, always has the same schema."""
    fields = getattr(arguments, "model_fields", {}).values()
    return _is_fixed(arguments) and all(_is_fixed(field.annotation) for field in fields)


def _is_fixed(hint: Any) -> bool:
    """Whether the type and all types in it are found by name, and pydantic writes their schemas."""
    if get_origin(hint) is Annotated:
        return all(isinstance(note, str) for note in hint.__metadata__) and _is_fixed(hint.__origin__)
    if get_origin(hint) is not None:
        return all(_is_fixed(part) for part in get_args(hint))
    if not isinstance(hint, type):
        return hint is Any or hint is ... or isinstance(hint, _IMMUTABLE)  # the latter in a `Literal`
    if hint is NoneType:
        return True
    writes = getattr(hint, _WRITES_SCHEMA, None)
    if writes is not None and writes.__module__.partition(".")[0] != "pydantic":
        return False
    return _is_found_by_name(hint)


def _is_found_by_name(thing: Any) -> bool:
    return getattr(sys.modules.get(thing.__module__), thing.__qualname__, None) is thing
