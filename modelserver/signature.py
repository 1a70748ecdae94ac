"""One signature of a loaded model: what it checks of a request, in which order, and how it runs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import grpc
import structlog
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.core.framework import tensor_pb2
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2

from modelserver.errors import ServingError, invalid_argument
from modelserver.tensor import array_writer, check_shape, declared_shape, read_tensor, type_name

_log = structlog.get_logger("modelserver.signature")

Inputs = Mapping[str, tensor_pb2.TensorProto]


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchedCall:
    """Where a signature's outputs are found when it is run in batches, and the most rows of a request."""

    outputs: Mapping[str, str]
    max_batch_size: int


@dataclass(frozen=True, kw_only=True, slots=True)
class _Input:
    """What a signature says of an input: `shape` is None where the rank is unknown."""

    alias: str
    feed: str
    dtype: int
    shape: tuple[int | None, ...] | None


class Signature:
    """One signature of a loaded model."""

    def __init__(self, session: tf.compat.v1.Session, definition: meta_graph_pb2.SignatureDef, *, batched: BatchedCall | None = None) -> None:
        """Takes the session that holds the graph; `batched` where requests are gathered."""
        self._session = session
        self._inputs = tuple(
            _Input(alias=alias, feed=info.name, dtype=info.dtype, shape=_shape_of(info)) for alias, info in sorted(definition.inputs.items())
        )
        self._aliases = frozenset(definition.inputs)
        self._outputs = dict(sorted(definition.outputs.items()))
        self._defaults = definition.defaults if hasattr(definition, "defaults") else {}
        self._writers = {alias: array_writer(info.dtype) for alias, info in self._outputs.items()}
        self._batched = batched
        self._has_run_apart = False
        # A callable does at load time what a session does at every run. Few filters are ever used: a caller mustn't grow this without end.
        self._callable_for = lru_cache(maxsize=64)(self._make_callable)
        self._callable_for(tuple(self._outputs), self._batched is not None)

    def run(self, inputs: Inputs, output_filter: tuple[str, ...], into: Any) -> None:  # noqa: ANN401 - protobuf's map of messages has no type
        """Runs the signature; the outputs go into `into`, a map of TensorProto by alias.

        Raises ServingError: the checks are in TensorFlow Serving's order, and then those of its batching and of TensorFlow.
        """
        tensors = self._parse(inputs)
        wanted = self._choose(output_filter)
        arrays = self._read(tensors)
        try:
            results = self._run_batched(wanted, arrays) or self._callable_for(wanted, False)(*arrays)  # noqa: FBT003 - a cache's key
        except tf.errors.OpError as error:
            raise ServingError.of(error) from None
        for alias, array in zip(wanted, results, strict=True):
            self._writers[alias](array, into[alias])

    def _run_batched(self, wanted: tuple[str, ...], arrays: list[NDArray[Any]]) -> list[NDArray[Any]] | None:
        """Runs with the others' rows; None where that isn't to be. Raises ServingError.

        No rows have nothing to gather: the kernel would answer with the wrong shape. And a batch fails as a whole, whoever's rows it is that a graph
        refuses, so each of its requests is then run apart, and only the one at fault fails.
        """
        if self._batched is None:
            return None
        rows = {array.shape[0] for array in arrays}
        if len(rows) > 1:
            raise invalid_argument("Batching Run() input tensors must have equal 0th-dimension size")
        (size,) = rows
        if size > self._batched.max_batch_size:
            message = f"Task size {size} is larger than maximum input batch size {self._batched.max_batch_size}"
            raise invalid_argument(message)
        if not size:
            return None
        try:
            return self._callable_for(wanted, True)(*arrays)  # noqa: FBT003
        except tf.errors.UnavailableError as error:
            # The queue is full. TensorFlow adds the operation's name, which is of its own making.
            raise ServingError(grpc.StatusCode.UNAVAILABLE, error.message.partition("\n")[0]) from None
        except tf.errors.OpError as error:
            if not self._has_run_apart:
                self._has_run_apart = True
                _log.warning("a batch failed: its requests are run apart, as are those of later ones that fail", code=type(error).__name__)
            return None

    def _parse(self, inputs: Inputs) -> list[tuple[tensor_pb2.TensorProto, tuple[int, ...]]]:
        """The tensors in order, and the shapes that they declare; nothing of them is allocated yet."""
        self._check_aliases(inputs)
        protos = (inputs[given.alias] if given.alias in inputs else self._defaults[given.alias] for given in self._inputs)
        return [(proto, declared_shape(given.alias, proto)) for given, proto in zip(self._inputs, protos, strict=True)]

    def _read(self, tensors: list[tuple[tensor_pb2.TensorProto, tuple[int, ...]]]) -> list[NDArray[Any]]:
        for number, (given, (proto, shape)) in enumerate(zip(self._inputs, tensors, strict=True)):
            if proto.dtype != given.dtype:
                message = f"Expects arg[{number}] to be {type_name(given.dtype)} but {type_name(proto.dtype)} is provided"
                raise invalid_argument(message)
            if self._batched is not None and not shape:
                raise invalid_argument("Batching Run() input tensors must have at least one dimension")
            check_shape(given.alias, shape, given.shape)
        return [read_tensor(given.alias, proto, shape) for given, (proto, shape) in zip(self._inputs, tensors, strict=True)]

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

    def _choose(self, output_filter: tuple[str, ...]) -> tuple[str, ...]:
        if not output_filter:
            return tuple(self._outputs)
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

    def _make_callable(self, wanted: tuple[str, ...], batched: bool) -> Callable[..., list[NDArray[Any]]]:  # noqa: FBT001 - a cache's key
        options = config_pb2.CallableOptions()
        options.feed.extend(given.feed for given in self._inputs)
        for alias in wanted:
            options.fetch.append(self._batched.outputs[alias] if batched and self._batched else self._outputs[alias].name)
        return self._session._make_callable_from_options(options)  # noqa: SLF001 - it halves a small model's time, and has no public name


def _shape_of(info: meta_graph_pb2.TensorInfo) -> tuple[int | None, ...] | None:
    if info.tensor_shape.unknown_rank:
        return None
    return tuple(None if dim.size < 0 else dim.size for dim in info.tensor_shape.dim)


def _set(aliases: frozenset[str]) -> str:
    return "{" + ",".join(sorted(aliases)) + "}"
