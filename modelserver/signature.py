"""One signature of a loaded model: what `Predict` checks of a request, in which order, and how the graph is run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tensorflow.core.framework import tensor_pb2
from tensorflow.core.protobuf import meta_graph_pb2

from modelserver.batching import Batcher, check_task
from modelserver.config import Batching
from modelserver.errors import RUN_ERRORS, ServingError, invalid_argument
from modelserver.session import Session
from modelserver.tensor import MAX_FILLED_ELEMENTS, Declared, Parts, check_shape, declared, delimited, read_tensor, tensor_writer, type_name

Inputs = Mapping[str, tensor_pb2.TensorProto]
Outputs = dict[str, NDArray[Any]]

_OUTPUTS_FIELD, _KEY_FIELD, _VALUE_FIELD = 1, 1, 2


@dataclass(frozen=True, kw_only=True, slots=True)
class _Input:
    """What a signature says of an input: `shape` is None where the rank is unknown."""

    alias: str
    feed: str
    dtype: int
    shape: tuple[int | None, ...] | None


class Signature:
    """One signature of a loaded model."""

    def __init__(
        self,
        session: Session,
        definition: meta_graph_pb2.SignatureDef,
        *,
        batching: Batching | None = None,
        batcher: Batcher | None = None,
        checks_shape: bool = True,
        needs_elements: bool = False,
        as_content: bool = False,
    ) -> None:
        """Takes the session that holds the graph.

        `batching` where requests are to be gathered, and `batcher` where this signature's can be; `checks_shape` where a wrong one could abort the
        process, and `needs_elements` where a tensor of none could; `as_content` where replies hold tensors as the bytes that they are in memory.
        """
        self.definition = definition
        self._session = session
        self._inputs = tuple(
            _Input(alias=alias, feed=info.name, dtype=info.dtype, shape=_shape_of(info)) for alias, info in sorted(definition.inputs.items())
        )
        self._aliases = frozenset(definition.inputs)
        self._outputs = {alias: info.name for alias, info in sorted(definition.outputs.items())}
        self._every_output = tuple(self._outputs)
        self._defaults = definition.defaults if hasattr(definition, "defaults") else {}
        # TensorFlow Serving answers no request of a signature that takes a scalar, once it gathers; it can as well be run by itself.
        self._batching = batching if all(given.shape for given in self._inputs) else None
        self._batcher = batcher
        self._checks_shape = checks_shape
        self._needs_elements = needs_elements
        self._feeds = tuple(given.feed for given in self._inputs)
        self._run_all = session.callable(self._feeds, tuple(self._outputs.values()))
        keys = {alias: b"".join(delimited(_KEY_FIELD, [alias.encode()])) for alias in self._outputs}
        writers = {alias: tensor_writer(info.dtype, as_content=as_content) for alias, info in definition.outputs.items()}
        self._writers = {alias: (keys[alias], writers[alias]) for alias in self._outputs}

    def predict(self, inputs: Inputs, output_filter: Sequence[str]) -> Outputs:
        """Runs the signature; returns the chosen outputs by alias, or all of them.

        Raises ServingError: the checks are in TensorFlow Serving's order, and then those of its batching and of TensorFlow.
        """
        tensors = self._parse(inputs)
        wanted = self._choose(output_filter) if output_filter else self._every_output
        return dict(zip(wanted, self.run(wanted, self._read(tensors)), strict=True))

    def encode(self, outputs: Outputs) -> Parts:
        """The outputs as the `outputs` of a PredictResponse, in the bytes of the wire."""
        parts: Parts = []
        for alias, array in outputs.items():
            key, writer = self._writers[alias]
            parts += delimited(_OUTPUTS_FIELD, [key, *delimited(_VALUE_FIELD, writer(array))])
        return parts

    def run(self, wanted: tuple[str, ...], arrays: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """Runs the graph, with the rows of others where requests are gathered. Raises ServingError.

        `arrays` are in the order of the inputs' aliases, and the results in that of `wanted`.
        """
        if self._batching is not None:
            rows = check_task(arrays, self._batching)
            results = self._batcher.run(wanted, arrays) if self._batcher is not None and rows else None
            if results is not None:
                return results
        try:
            return self._run_alone(wanted, arrays)
        except RUN_ERRORS as error:
            results = self._run_no_rows(wanted, arrays)
            if results is not None:
                return results
            raise ServingError.of(error) from None

    def _run_alone(self, wanted: tuple[str, ...], arrays: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        if wanted == self._every_output:
            return self._run_all(*arrays)
        return self._session.callable(self._feeds, tuple(self._outputs[alias] for alias in wanted))(*arrays)

    def _run_no_rows(self, wanted: tuple[str, ...], arrays: Sequence[NDArray[Any]]) -> list[NDArray[Any]] | None:
        """Answers a request of no rows, of which some kernels make an error: by a row of zeros that is taken off again. None where it isn't that."""
        infos = (*self.definition.inputs.values(), *(self.definition.outputs[alias] for alias in wanted))
        if not arrays or any(not _varies_first(info) for info in infos) or any(array.ndim == 0 or array.shape[0] for array in arrays):
            return None
        if any(prod(array.shape[1:]) > MAX_FILLED_ELEMENTS for array in arrays):
            return None
        rows = [np.full((1, *array.shape[1:]), b"" if array.dtype == object else 0, array.dtype) for array in arrays]
        try:
            return [result[:0] for result in self._run_alone(wanted, rows)]
        except RUN_ERRORS:
            return None

    def _parse(self, inputs: Inputs) -> list[tuple[tensor_pb2.TensorProto, Declared]]:
        """The tensors in order, and what they declare; nothing of their size is allocated yet."""
        self._check_aliases(inputs)
        protos = [inputs[given.alias] if given.alias in inputs else self._defaults[given.alias] for given in self._inputs]
        return [(proto, declared(given.alias, proto)) for given, proto in zip(self._inputs, protos, strict=True)]

    def _read(self, tensors: list[tuple[tensor_pb2.TensorProto, Declared]]) -> list[NDArray[Any]]:
        for number, (proto, what) in enumerate(tensors):
            self.check_input(number, proto.dtype, what.shape)
        return [read_tensor(given.alias, proto, what) for given, (proto, what) in zip(self._inputs, tensors, strict=True)]

    def check_input(self, number: int, dtype: int, shape: tuple[int, ...], *, argument: int | None = None) -> None:
        """Refuses what the graph doesn't take as its input of that number, in the order of the aliases. Raises ServingError (INVALID_ARGUMENT).

        `argument` is its number in the run, where that is another one.
        """
        given = self._inputs[number]
        if dtype != given.dtype:
            place = number if argument is None else argument
            message = f"Expects arg[{place}] to be {type_name(given.dtype)} but {type_name(dtype)} is provided"
            raise invalid_argument(message)
        if self._batching is not None and not shape:
            raise invalid_argument("Batching Run() input tensors must have at least one dimension")
        if self._needs_elements and 0 in shape:
            message = f"input {given.alias} has the shape {list(shape)}, but the model can't take a tensor without elements"
            raise invalid_argument(message)
        if self._checks_shape:
            check_shape(given.alias, shape, given.shape)

    def _check_aliases(self, inputs: Inputs) -> None:
        sent = frozenset(inputs)
        if sent == self._aliases:
            return
        extra, missing = sent - self._aliases, self._aliases - sent - frozenset(self._defaults)
        if len(sent) > len(self._aliases) or (len(sent) < len(self._aliases) and not self._defaults):
            message = (
                f"input size does not match signature: {len(sent)}!={len(self._aliases)} len({_set(sent)}) != len({_set(self._aliases)}). "
                f"Sent extra: {_set(extra)}. Missing but required: {_set(missing)}."
            )
            raise invalid_argument(message)
        for given in self._inputs:
            if given.alias in missing:
                message = (
                    f"Signature input alias: {given.alias}(feed name: {given.feed}) not found in request and no default value provided. "
                    f"Inputs expected to be in the request {_set(sent)}, or default input alias set: {','.join(sorted(self._defaults))}"
                )
                raise invalid_argument(message)
        if extra:
            used = ",".join(sorted(sent - extra))
            message = f"Inputs contains invalid name. Used request inputs: {used}, request input: {','.join(sorted(sent))}"
            raise invalid_argument(message)

    def _choose(self, output_filter: Sequence[str]) -> tuple[str, ...]:
        seen = set()
        for alias in output_filter:
            if alias not in self._outputs:
                message = f"output tensor alias not found in signature: {alias} Outputs expected to be in the set {_set(frozenset(self._outputs))}."
                raise invalid_argument(message)
            if alias in seen:
                message = f"duplicate output tensor alias: {alias}"
                raise invalid_argument(message)
            seen.add(alias)
        return tuple(sorted(seen))


def _varies_first(info: meta_graph_pb2.TensorInfo) -> bool:
    return info.tensor_shape.unknown_rank or (bool(info.tensor_shape.dim) and info.tensor_shape.dim[0].size < 0)


def _shape_of(info: meta_graph_pb2.TensorInfo) -> tuple[int | None, ...] | None:
    if info.tensor_shape.unknown_rank:
        return None
    return tuple(None if dim.size < 0 else dim.size for dim in info.tensor_shape.dim)


def _set(aliases: frozenset[str]) -> str:
    return "{" + ",".join(sorted(aliases)) + "}"
