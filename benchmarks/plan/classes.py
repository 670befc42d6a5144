"""Classes that the configuration names: of the kind that is wanted, and given arguments of the types they ask for."""

import importlib
import inspect
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from benchmarks.errors import BadInput, unknown

Kind = TypeVar("Kind")


def named_class(key: str, target: object, *bases: type[Kind]) -> type[Kind]:
    """The class `target` (package.module.Class), which the configuration has under `key`.

    Nothing but a subclass of one of `bases` is ever called. Raises BadInput for what cannot be imported or is none.
    """
    wanted = " or ".join(f"{base.__module__}.{base.__qualname__}" for base in bases)
    wanted = f"expected a subclass of {wanted}, as package.module.Class"
    if not isinstance(target, str) or not target.rpartition(".")[0]:
        raise BadInput(f"{key}={target}: {wanted}.")
    module, _, name = target.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (Exception, SystemExit) as error:  # importing a user's module can raise anything
        raise BadInput(f"{key}={target}: cannot be imported ({error}); {wanted}.") from error
    if not isinstance(found, type) or not issubclass(found, bases):
        raise BadInput(f"{key}={target}: is no such class; {wanted}.")
    if found in bases:
        raise BadInput(f"{key}={target}: is the base of all such classes and does nothing; {wanted}.")
    return found


def check_arguments(key: str, kind: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
    """Raises BadInput, naming `key`.NAME, for an argument that the constructor of `kind` does not have, and for a value
    that is not of the type it is annotated with."""
    parameters = inspect.signature(kind).parameters
    if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values()):
        known = None
    else:
        known = list(parameters)
    hints = _hints(kind)
    for name, value in arguments.items():
        if known is not None and name not in known:
            raise unknown(key, str(name), known)
        if name in hints and not _fits(value, hints[name]):
            default = parameters[name].default if name in parameters else inspect.Parameter.empty
            example = "" if default in (None, "", inspect.Parameter.empty) else f", such as {_typed(default)}"
            raise BadInput(f"{key}.{name}={value}: expected {_in_words(hints[name])}{example}.")


def _in_words(annotation: Any) -> str:
    """A type as the value of an override is written."""
    if annotation in WORDS:
        return WORDS[annotation]
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return f"one of {', '.join(map(_typed, inner))}"
    if origin in (Union, UnionType):
        # An option that can be null is most often something else.
        return " or ".join(dict.fromkeys(_in_words(one) for one in sorted(inner, key=lambda one: one is NoneType)))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return f"settings {{KEY: VALUE, ...}} with values that are {_in_words(inner[1])}"
    if isinstance(origin, type) and issubclass(origin, Iterable):
        return f"a list of {_in_words(inner[0])}"
    return inspect.formatannotation(annotation)


WORDS: dict[Any, str] = {
    int: "a whole number", float: "a number", bool: "true or false", str: "words", Path: "words", NoneType: "null",
    Any: "anything",
}  # fmt: skip


def _typed(value: object) -> str:
    """A value as it is typed in a command."""
    if isinstance(value, bool) or value is None:
        return "null" if value is None else str(value).lower()
    return f"[{','.join(map(_typed, value))}]" if isinstance(value, list | tuple) else str(value)


def _hints(kind: Callable[..., Any]) -> dict[str, Any]:
    """Annotations of a constructor; none where they name what is not there to be looked at."""
    try:
        return get_type_hints(inspect.getattr_static(kind, "__init__") if isinstance(kind, type) else kind)
    except Exception:  # annotations of a user's class can be any expression
        return {}


def _fits(value: object, annotation: Any) -> bool:
    from pydantic import ConfigDict, TypeAdapter, ValidationError

    # Numbers are not made of words, nor whole numbers of switches.
    strict = ConfigDict(strict=True, arbitrary_types_allowed=True)
    try:
        TypeAdapter(annotation, config=strict).validate_python(value)
    except ValidationError:
        return False
    except Exception:  # an annotation that cannot be checked
        return True
    return True
