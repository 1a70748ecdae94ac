"""What a fit is of, as digests: a checkpoint is of use only to a fit that would have come to the same one."""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from training.fitting.network import made
from training.fitting.plan import Plan
from training.fitting.source import Source

if TYPE_CHECKING:
    import keras

# They change how a fit is kept, not what it comes to; augmentation is described with the network.
_NOT_OF_THE_RESULT = ("checkpoint_seconds", "augmentation")
# Changes with what a checkpoint holds.
_FORMAT = 1


def identity(model: "keras.Model", plan: Plan, training: Source, validation: Source | None) -> dict[str, str]:
    """A digest each of the plan, the network (augmentation included) and the two sources.

    A function, such as a loss of one's own, is told by its name; a network by its layers, their settings and its variables' shapes.
    """
    fields = {field.name: getattr(plan, field.name) for field in dataclasses.fields(plan) if field.name not in _NOT_OF_THE_RESULT}
    shapes = [[variable.path.rpartition("/")[2], list(variable.shape), str(variable.dtype)] for variable in model.variables]
    try:
        config = model.get_config()
    except NotImplementedError:  # a class of somebody's own, that doesn't say what it is made of
        config = type(model).__qualname__
    return {
        "plan": digest([_FORMAT, fields | {"metrics": made(plan.metrics)}]),
        "network": digest([config, shapes]),
        "training items": training.identity(),
        "validation items": "none" if validation is None else validation.identity(),
    }


def digest(value: Any) -> str:  # noqa: ANN401 - anything
    """32 hexadecimal digits of a value that is made of dataclasses, mappings, sequences and the like; a function is told by its name."""
    text = json.dumps(_numbered(_described(value)), sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _described(value: Any) -> Any:  # noqa: ANN401 - anything, as JSON
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: _described(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return [type(value).__qualname__, fields]
    if isinstance(value, Mapping):
        return {str(key): _described(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_described(part) for part in value]
    if isinstance(value, functools.partial):
        return ["partial", _described(value.func), _described(value.args), _described(value.keywords)]
    if hasattr(value, "get_config") and not isinstance(value, type):
        return [type(value).__qualname__, _described(value.get_config())]
    # No `repr`: it may hold an address, which the next process has elsewhere.
    return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', type(value).__qualname__)}"


def _numbered(description: Any) -> Any:  # noqa: ANN401 - JSON
    """The same with each name of a layer or metric numbered: Keras counts those that it makes up through the whole of a process's life."""
    numbers: dict[str, str] = {}

    def find(part: Any) -> None:  # noqa: ANN401
        if isinstance(part, dict):
            if isinstance(part.get("name"), str):
                numbers.setdefault(part["name"], f"name {len(numbers)}")
            part = list(part.values())
        if isinstance(part, list):
            for inner in part:
                find(inner)

    def replaced(part: Any) -> Any:  # noqa: ANN401
        if isinstance(part, dict):
            return {key: replaced(inner) for key, inner in part.items()}
        if isinstance(part, list):
            return [replaced(inner) for inner in part]
        return numbers.get(part, part) if isinstance(part, str) else part

    find(description)
    return replaced(description)
