"""TensorFlow's session over the graph of one SavedModel."""

import os
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.core.framework import graph_pb2
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2
from tensorflow.python.saved_model.loader_impl import SavedModelLoader

from modelserver.errors import ServingError, invalid_argument, not_found
from modelserver.kernels import ensure_ranks

Run = Callable[..., list[NDArray[Any]]]

# Without it, the threads of the first session of the process would be every other one's as well. TensorFlow reads it when a session is made.
os.environ.setdefault("TF_OVERRIDE_GLOBAL_THREADPOOL", "1")

# Few outputs are ever chosen apart: a caller mustn't grow this without end.
_MAX_CALLABLES = 256
_CALLER_THREAD = -1


class Session:
    """A loaded graph, and callables that feed and fetch its tensors by name."""

    def __init__(self, folder: Path, *, tags: tuple[str, ...], config: config_pb2.ConfigProto, allowed_ops: frozenset[str] | None = None) -> None:
        """Loads the SavedModel's graph that has exactly these tags. Raises ServingError with TensorFlow's own words where it can't be.

        A graph that has an operation off `allowed_ops` is refused before any of it is run: loading a model runs a part of it.
        """
        self.config = config
        self._session = tf.compat.v1.Session(graph=tf.Graph(), config=config)
        try:
            loader = SavedModelLoader(str(folder))
            meta = loader.get_meta_graph_def_from_tags(list(tags))
            self.ops = frozenset(_ops_of(meta.graph_def))
            _check_ops(self.ops, allowed_ops)
            ensure_ranks(meta)
            with self._session.graph.as_default():
                loader.load(self._session, list(tags))
        except (tf.errors.OpError, OSError, RuntimeError, ValueError) as error:
            self._session.close()
            raise _as_status(error, folder, tags) from None
        except BaseException:
            self._session.close()
            raise
        self.meta_graph = meta
        options = config_pb2.RunOptions()
        if config.intra_op_parallelism_threads == 1 and not config.inter_op_parallelism_threads:
            # A short model's time halves when no other thread is woken for it. Long ones are better off on TensorFlow's few threads than on the many
            # of the calls, where they would take the caches from each other.
            options.inter_op_thread_pool = _CALLER_THREAD
        self.callable = lru_cache(maxsize=_MAX_CALLABLES)(partial(_make_callable, self._session, options))

    meta_graph: meta_graph_pb2.MetaGraphDef
    """What was loaded. It is as large as the graph: whoever keeps a part of it copies that part."""

    ops: frozenset[str]
    """The types of the operations, also of those in the functions that are called."""

    @property
    def graph(self) -> tf.Graph:
        """The graph; what is added to it can be fetched."""
        return self._session.graph

    callable: Callable[[tuple[str, ...], tuple[str, ...]], Run]
    """What runs the graph: it takes the names of the tensors to feed, and of those to fetch; a run takes and returns arrays in that order, and raises
    tf.errors.OpError."""

    def close(self) -> None:
        """Frees the model's memory: it goes with the last reference to TensorFlow's session."""
        self.callable = _closed
        self._session.close()
        self._session = None


def _make_callable(session: tf.compat.v1.Session, run_options: config_pb2.RunOptions, feeds: tuple[str, ...], fetches: tuple[str, ...]) -> Run:
    # A callable does at load time what a session does at every run.
    options = config_pb2.CallableOptions(feed=feeds, fetch=fetches, run_options=run_options)
    run: Callable[..., list[Any]] = session._make_callable_from_options(options)  # noqa: SLF001 - it halves a small model's time, and has no public name
    if not any(_is_text(session.graph, name) for name in fetches):
        return run

    def run_with_arrays(*arrays: NDArray[Any]) -> list[NDArray[Any]]:
        return [np.array(result, object) if isinstance(result, bytes) else result for result in run(*arrays)]

    return run_with_arrays


def _is_text(graph: tf.Graph, name: str) -> bool:
    """Whether a tensor holds strings: TensorFlow gives a single one as bytes, and everything else as arrays, whatever shape the graph says."""
    return graph.get_tensor_by_name(name if ":" in name else f"{name}:0").dtype == tf.string


def _ops_of(graph: graph_pb2.GraphDef) -> Iterator[str]:
    for nodes in (graph.node, *(function.node_def for function in graph.library.function)):
        yield from (node.op for node in nodes)


def _check_ops(ops: frozenset[str], allowed: frozenset[str] | None) -> None:
    refused = frozenset() if allowed is None else ops - allowed
    if refused:
        message = f"The model has operations that are not allowed here: {', '.join(sorted(refused))}"
        raise invalid_argument(message)


def _closed(feeds: tuple[str, ...], fetches: tuple[str, ...]) -> Run:
    message = f"the model is closed: {feeds}, {fetches}"
    raise RuntimeError(message)


def _as_status(error: Exception, folder: Path, tags: tuple[str, ...]) -> ServingError:
    """What TensorFlow's loader raises, as TensorFlow Serving says it."""
    match error:
        case tf.errors.OpError():
            return ServingError.of(error)
        case OSError() if not (folder / "saved_model.pb").exists():
            return not_found(
                "Specified file path does not appear to contain a SavedModel bundle (should have a file called `saved_model.pb`)\n"
                f"Specified file path: {folder}"
            )
        case OSError():
            return ServingError(grpc.StatusCode.OUT_OF_RANGE, "Read less bytes than requested")
        case RuntimeError():
            return not_found(
                f"Could not find meta graph def matching supplied tags: {{ {' '.join(tags)} }}. To inspect available tag-sets in the SavedModel, "
                "please use the SavedModel CLI: `saved_model_cli`"
            )
    return invalid_argument(f"Can't load the graph at {folder}: {error}")
