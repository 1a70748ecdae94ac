"""One loaded SavedModel: its signatures, and how many requests it is answering."""

import gc
import threading
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path

import structlog
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2
from tensorflow_serving.apis import model_pb2

from modelserver import parallelism
from modelserver.batching import Batcher, Unbatchable
from modelserver.config import Batching
from modelserver.errors import ServingError, invalid_argument
from modelserver.kernels import can_abort, need_elements
from modelserver.session import Session
from modelserver.signature import Signature

_log = structlog.get_logger("modelserver.servable")

DEFAULT_SIGNATURE = "serving_default"

_loads = count()


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadOptions:
    """How models are loaded."""

    tags: tuple[str, ...] = (tf.saved_model.SERVING,)
    session_config: config_pb2.ConfigProto
    batching: Batching | None = None
    """How requests are gathered; None where they aren't."""
    as_content: bool = False
    """Whether replies hold tensors as the bytes that they are in memory."""
    allowed_ops: frozenset[str] | None = None
    """The operations that a model may have; None for any."""
    checks_method_name: bool = False
    """Whether a signature answers only by the method that it names."""
    warms_up: bool = True
    """Whether the recorded requests of a version are run before it answers others."""
    warm_up_iterations: int = 1
    """How often each of them is run; from 1 on."""


class Servable:
    """One version, loaded. `acquire` and `release` count the requests that it answers, so that it is closed after the last."""

    def __init__(self, name: str, version: int, folder: Path, options: LoadOptions) -> None:
        """Loads the SavedModel. Raises ServingError with TensorFlow's own words where it can't be."""
        self.name = name
        self.version = version
        self.folder = folder
        self.options = options
        self._active = 0
        self._closing = False
        self._idle = threading.Condition()
        self.session = _open(folder, options)
        try:
            self.signature_def = _copied(self.session.meta_graph)
            del self.session.meta_graph
            load_number = next(_loads)
            checks_shape, needs_elements = can_abort(self.session.ops), need_elements(self.session.ops)
            self.signatures = {
                key: Signature(
                    self.session,
                    definition,
                    batching=options.batching,
                    batcher=self._batcher(key, definition, options.batching, load_number),
                    checks_shape=checks_shape,
                    needs_elements=needs_elements,
                    as_content=options.as_content,
                )
                for key, definition in self.signature_def.items()
                if definition.outputs and _is_dense(definition)
            }
        except (tf.errors.OpError, ValueError) as error:
            self.session.close()
            raise ServingError.of(error) if isinstance(error, tf.errors.OpError) else invalid_argument(f"Can't run {folder}: {error}") from None
        except BaseException:
            self.session.close()
            raise

    def _batcher(self, key: str, definition: meta_graph_pb2.SignatureDef, batching: Batching | None, load_number: int) -> Batcher | None:
        if batching is None:
            return None
        try:
            # TensorFlow keeps queues by name in the whole process: two loads of one version mustn't share any.
            return Batcher(self.session, f"{self.name}/{self.version}/{key}/{load_number}", definition, batching)
        except Unbatchable as error:
            _log.info("not batched", model=self.name, version=self.version, signature=key, why=str(error))
            return None

    def spec(self, key: str) -> model_pb2.ModelSpec:
        """What a reply says of who answered, and by which signature."""
        return spec_of(self.name, self.version, key)

    def runnable(self, key: str) -> Signature:
        """A signature that is in `signature_def`. Raises ServingError (INVALID_ARGUMENT) where it can't be run."""
        signature = self.signatures.get(key)
        if signature is not None:
            return signature
        infos = [*self.signature_def[key].inputs.values(), *self.signature_def[key].outputs.values()]
        try:
            # What initializes a model has an output that is an operation and no tensor.
            self.session.callable((), tuple(info.name for info in infos))
        except tf.errors.OpError as error:
            raise ServingError.of(error) from None
        message = f'signature "{key}" takes or gives what is no single tensor'
        raise invalid_argument(message)

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
        self.session.close()
        # There are circles of references in a graph: two versions are a lot to hold.
        gc.collect()


def spec_of(name: str, version: int, signature_key: str) -> model_pb2.ModelSpec:
    """A model's version and its signature, as replies name them."""
    spec = model_pb2.ModelSpec(name=name, signature_name=signature_key)
    spec.version.value = version
    return spec


def _open(folder: Path, options: LoadOptions) -> Session:
    """Loads the graph; where the number of threads is left open, with the one that suits it."""
    load = partial(Session, folder, tags=options.tags, allowed_ops=options.allowed_ops)
    single = parallelism.chosen(options.session_config, folder)
    if single is None:
        return load(config=options.session_config)
    session = load(config=single)
    signature = session.meta_graph.signature_def.get(DEFAULT_SIGNATURE)
    if signature is not None and not parallelism.is_long(session, signature):
        return session
    session.close()
    return load(config=options.session_config)


def _copied(meta_graph: meta_graph_pb2.MetaGraphDef) -> dict[str, meta_graph_pb2.SignatureDef]:
    """The signatures by themselves: as a part of what was loaded they would keep the whole of it in memory."""
    copies = {key: meta_graph_pb2.SignatureDef() for key in meta_graph.signature_def}
    for key, copy in copies.items():
        copy.CopyFrom(meta_graph.signature_def[key])
    return copies


def _is_dense(definition: meta_graph_pb2.SignatureDef) -> bool:
    """A signature of sparse or composite tensors has no single tensor to feed or fetch; `__saved_model_init_op` fetches no tensor at all."""
    infos = [*definition.inputs.values(), *definition.outputs.values()]
    return all(info.WhichOneof("encoding") == "name" and info.dtype for info in infos)
