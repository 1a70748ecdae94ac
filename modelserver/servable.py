"""One loaded SavedModel: its signatures, each compiled to a callable, and how many requests it is answering."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.core.framework import tensor_pb2
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2

from modelserver.errors import ServingError, invalid_argument
from modelserver.tensor import array_writer, check_shape, read_tensor, type_name

DEFAULT_SIGNATURE = "serving_default"

Outputs = Mapping[str, tensor_pb2.TensorProto]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Input:
    """What a signature says of an input: `shape` is None where the rank is unknown."""

    alias: str
    feed: str
    dtype: int
    shape: tuple[int | None, ...] | None


class Signature:
    """One signature of a loaded model."""

    def __init__(self, session: tf.compat.v1.Session, definition: meta_graph_pb2.SignatureDef) -> None:
        """Takes the session that holds the graph."""
        self._session = session
        self._inputs = tuple(
            _Input(alias=alias, feed=info.name, dtype=info.dtype, shape=_shape_of(info)) for alias, info in sorted(definition.inputs.items())
        )
        self._aliases = frozenset(definition.inputs)
        self._outputs = dict(sorted(definition.outputs.items()))
        self._defaults = definition.defaults if hasattr(definition, "defaults") else {}
        self._writers = {alias: array_writer(info.dtype) for alias, info in self._outputs.items()}
        # A callable does at load time what a session does at every run. Few filters are ever used: a caller mustn't grow this without end.
        self._callable_for = lru_cache(maxsize=64)(self._make_callable)
        self._callable_for(tuple(self._outputs))

    def run(self, inputs: Mapping[str, tensor_pb2.TensorProto], output_filter: tuple[str, ...], into: Any) -> None:  # noqa: ANN401
        """Runs the signature; the outputs go into `into`, a map of TensorProto by alias.

        Raises ServingError: the checks are in TensorFlow Serving's order, inputs before outputs.
        """
        arrays = self._read(inputs)
        wanted = self._choose(output_filter)
        run = self._callable_for(wanted)
        try:
            results = run(*arrays)
        except tf.errors.OpError as error:
            raise ServingError.of(error) from None
        for alias, array in zip(wanted, results, strict=True):
            self._writers[alias](array, into[alias])

    def _read(self, inputs: Mapping[str, tensor_pb2.TensorProto]) -> list[NDArray[Any]]:
        self._check_aliases(inputs)
        arrays = []
        for number, given in enumerate(self._inputs):
            proto = inputs[given.alias] if given.alias in inputs else self._defaults[given.alias]
            array = read_tensor(given.alias, proto)
            if proto.dtype != given.dtype:
                message = f"Expects arg[{number}] to be {type_name(given.dtype)} but {type_name(proto.dtype)} is provided"
                raise invalid_argument(message)
            check_shape(given.alias, array.shape, given.shape)
            arrays.append(array)
        return arrays

    def _check_aliases(self, inputs: Mapping[str, tensor_pb2.TensorProto]) -> None:
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

    def _make_callable(self, wanted: tuple[str, ...]) -> Callable[..., list[NDArray[Any]]]:
        options = config_pb2.CallableOptions()
        options.feed.extend(given.feed for given in self._inputs)
        options.fetch.extend(self._outputs[alias].name for alias in wanted)
        return self._session._make_callable_from_options(options)  # noqa: SLF001 - it halves a small model's time, and has no public name


class Servable:
    """One version, loaded. `acquire` and `release` count the requests that it answers, so that it is closed after the last."""

    def __init__(self, name: str, version: int, folder: Path, *, session_config: config_pb2.ConfigProto) -> None:
        """Loads the SavedModel. Raises ServingError with TensorFlow's own words where it can't be."""
        self.name = name
        self.version = version
        self.folder = folder
        self._active = 0
        self._closing = False
        self._idle = threading.Condition()
        self._session = tf.compat.v1.Session(graph=tf.Graph(), config=session_config)
        try:
            with self._session.graph.as_default():
                meta = tf.compat.v1.saved_model.loader.load(self._session, [tf.saved_model.SERVING], str(folder))
            self.signature_def = dict(meta.signature_def)
            self.signatures = {
                key: Signature(self._session, definition)
                for key, definition in self.signature_def.items()
                if definition.outputs and _is_dense(definition)
            }
        except tf.errors.OpError as error:
            self._session.close()
            raise ServingError.of(error) from None
        except BaseException:
            self._session.close()
            raise

    def acquire(self) -> bool:
        """Counts a request in; False where the version is being unloaded."""
        with self._idle:
            if self._closing:
                return False
            self._active += 1
            return True

    def release(self) -> None:
        """Counts a request out."""
        with self._idle:
            self._active -= 1
            if not self._active:
                self._idle.notify_all()

    def close(self) -> None:
        """Waits for the requests under way, and frees the model."""
        with self._idle:
            self._closing = True
            self._idle.wait_for(lambda: not self._active)
        self.signatures = {}
        self._session.close()


def _is_dense(definition: meta_graph_pb2.SignatureDef) -> bool:
    """A signature of sparse or composite tensors has no single tensor to feed or fetch; `__saved_model_init_op` fetches no tensor at all."""
    infos = [*definition.inputs.values(), *definition.outputs.values()]
    return all(info.WhichOneof("encoding") == "name" and info.dtype for info in infos)


def _shape_of(info: meta_graph_pb2.TensorInfo) -> tuple[int | None, ...] | None:
    if info.tensor_shape.unknown_rank:
        return None
    return tuple(None if dim.size < 0 else dim.size for dim in info.tensor_shape.dim)


def _set(aliases: frozenset[str]) -> str:
    return "{" + ",".join(sorted(aliases)) + "}"
