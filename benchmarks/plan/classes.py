"""Classes that the configuration names: of the kind that is wanted, and given arguments of the types they ask for."""

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from benchmarks.errors import BadInput, unknown

Kind = TypeVar("Kind")
STRICT = ConfigDict(strict=True, arbitrary_types_allowed=True)
"""Numbers are not made of words, nor whole numbers of switches."""


def named_class(key: str, target: object, base: type[Kind]) -> type[Kind]:
    """The class `target` (package.module.Class), which the configuration has under `key`.

    Nothing but a subclass of `base` is ever called. Raises BadInput for what cannot be imported or is no such class.
    """
    wanted = f"expected a subclass of {base.__module__}.{base.__qualname__}, as package.module.Class"
    if not isinstance(target, str) or not target.rpartition(".")[0]:
        raise BadInput(f"{key}={target}: {wanted}.")
    module, _, name = target.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (Exception, SystemExit) as error:  # importing a user's module can raise anything
        raise BadInput(f"{key}={target}: cannot be imported ({error}); {wanted}.") from error
    if not isinstance(found, type) or not issubclass(found, base):
        raise BadInput(f"{key}={target}: is no such class; {wanted}.")
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
            words = inspect.formatannotation(hints[name]).replace("collections.abc.", "").replace("pathlib.", "")
            default = parameters[name].default if name in parameters else inspect.Parameter.empty
            example = "" if default in (None, inspect.Parameter.empty) else f", such as {default!r}"
            raise BadInput(f"{key}.{name}={value}: expected {words}{example}.")


def _hints(kind: Callable[..., Any]) -> dict[str, Any]:
    """Annotations of a constructor; none where they name what is not there to be looked at."""
    try:
        return get_type_hints(inspect.getattr_static(kind, "__init__") if isinstance(kind, type) else kind)
    except Exception:  # annotations of a user's class can be any expression
        return {}


def _fits(value: object, annotation: Any) -> bool:
    try:
        TypeAdapter(annotation, config=STRICT).validate_python(value)
    except ValidationError:
        return False
    except Exception:  # an annotation that cannot be checked
        return True
    return True
