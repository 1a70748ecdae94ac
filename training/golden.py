"""Golden predictions: what a version was asked when it was published, and what the network answered before it was exported.

`assets.extra/medserve_golden_predictions` is a TFRecord file of `tensorflow.serving.PredictionLog`, the format of the warm-up file beside it
(tensorflow/serving/g3doc/saved_model_warmup.md): one record for each item, a `predict_log` with the request for that item alone and its response. So
whoever serves the version, on whatever machine, can ask it again and compare. The items are real: held-out ones, spread evenly over the held-out set,
and where these are few, validation and training items. They stand where the weights stand: who may read the one may read the other.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medserve.repository import RepositoryError

MOST_ITEMS = 1000
# A record's length and the checksums of it and of the record (tensorflow/core/lib/io/record_writer.h).
_FRAME_BYTES = 16
# A repository is copied and its versions are hashed: the golden predictions of large images are fewer.
MOST_BYTES = 64 << 20

# Items besides the held-out ones are added up to here: a thousand long series would be more of a version than its weights.
_MOST_BYTES_WITH_OTHERS = 16 << 20

Tensors = Mapping[str, NDArray[Any]]
"""Arrays [items, …] of the same items, by the signature's alias."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Golden:
    """Inputs and the outputs that belong to them.

    Attributes:
        inputs, outputs: [items, …] by alias; one item or more, the same ones in all.
    """

    inputs: Tensors
    outputs: Tensors

    def __post_init__(self) -> None:
        """Raises ValueError where there is no input, no output or no item, or the arrays aren't of the same items."""
        sizes = {len(array) for tensors in (self.inputs, self.outputs) for array in tensors.values()}
        if not self.inputs or not self.outputs or len(sizes) != 1 or sizes == {0}:
            message = f"golden inputs and outputs are of the same items, one or more; they have {sorted(sizes)}"
            raise ValueError(message)

    def __len__(self) -> int:
        """How many items."""
        return len(next(iter(self.inputs.values())))


@dataclass(frozen=True, kw_only=True, slots=True)
class Parity:
    """How far answers are from golden outputs.

    Attributes:
        items: how many were compared.
        difference: the greatest |answer - golden| / max(1, |golden|): absolute for probabilities, relative for what is counted in hundreds, where
            float32 itself has no six decimals. Infinite where shapes, types or the places of not-a-number differ.
        output: where it is; an alias.
        item: where it is; an index from 0. -1 where the outputs can't be compared item by item.
    """

    items: int
    difference: float
    output: str
    item: int


def spread(items: int, *, most: int = MOST_ITEMS) -> NDArray[np.int64]:
    """[min(items, most)] the indices of items that are spread evenly over `items`, each once, in order."""
    return np.arange(items) if items <= most else np.floor(np.arange(most) * (items / most)).astype(np.int64)


def chosen(held_out: NDArray[Any], others: Sequence[NDArray[Any]], *, most: int = MOST_ITEMS) -> NDArray[Any]:
    """[items, …] the inputs to be golden: `spread` over the held-out ones; where they are fewer than `most`, over `others`, [items, …] each, as well.

    Others are left out where all would take more than 16 MiB, or where they are of another shape.
    """
    taken = [held_out[spread(len(held_out), most=most)]]
    room = min(most, _MOST_BYTES_WITH_OTHERS // max(1, held_out[:1].nbytes))
    for part in others:
        left = room - sum(map(len, taken))
        if left > 0 and part.shape[1:] == held_out.shape[1:]:
            taken.append(part[spread(len(part), most=left)])
    return np.concatenate(taken)


def write_golden(file: Path, golden: Golden, *, model: str, signature_name: str, most_items: int = MOST_ITEMS, most_bytes: int = MOST_BYTES) -> int:
    """Writes golden predictions into a new file and returns how many items: those that `spread` chooses, fewer where they'd take more room.

    Raises ValueError where not even one item fits into `most_bytes`; OSError where the disk takes no more.
    """
    import tensorflow as tf  # noqa: PLC0415 - it takes seconds

    records = _records(golden, spread(len(golden), most=most_items), model, signature_name)
    first = next(records)
    # Strings and framing are counted as well, where the arrays' own sizes wouldn't.
    fitting = most_bytes // (len(first) + _FRAME_BYTES)
    if fitting == 0:
        message = f"{model}: one item with its answer takes {len(first)} bytes and golden predictions may take {most_bytes}: allow more"
        raise ValueError(message)
    written, size = 0, 0
    try:
        with tf.io.TFRecordWriter(str(file)) as writer:
            for record in _records(golden, spread(len(golden), most=min(most_items, fitting)), model, signature_name):
                size += len(record) + _FRAME_BYTES
                if size > most_bytes:
                    break
                writer.write(record)
                written += 1
    except tf.errors.OpError as error:
        message = f"{file}: {error.message}"
        raise OSError(message) from error
    return written


def _records(golden: Golden, chosen: NDArray[np.int64], model: str, signature_name: str) -> Iterator[bytes]:
    import tensorflow as tf  # noqa: PLC0415
    from tensorflow_serving.apis import prediction_log_pb2  # noqa: PLC0415

    for index in chosen:
        log = prediction_log_pb2.PredictionLog()
        request, response = log.predict_log.request, log.predict_log.response
        for spec in (request.model_spec, response.model_spec):
            spec.name = model
            spec.signature_name = signature_name
        for name, array in golden.inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(array[index : index + 1]))
        for name, array in golden.outputs.items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(array[index : index + 1]))
        # The same predictions are the same bytes, whatever order a map has.
        yield log.SerializeToString(deterministic=True)


def read_golden(file: Path) -> Golden:
    """Reads golden predictions back. Raises RepositoryError, naming file and record, where they are damaged; OSError where there are none."""
    import tensorflow as tf  # noqa: PLC0415
    from google.protobuf.message import DecodeError  # noqa: PLC0415
    from tensorflow_serving.apis import prediction_log_pb2  # noqa: PLC0415

    file.stat()
    inputs: dict[str, list[NDArray[Any]]] = {}
    outputs: dict[str, list[NDArray[Any]]] = {}
    read = 0
    try:
        for record in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
            log = prediction_log_pb2.PredictionLog.FromString(record).predict_log
            for kept, tensors in ((inputs, log.request.inputs), (outputs, log.response.outputs)):
                for name, tensor in tensors.items():
                    kept.setdefault(name, []).append(tf.make_ndarray(tensor))
            read += 1
        return Golden(
            inputs={name: np.concatenate(arrays) for name, arrays in inputs.items()},
            outputs={name: np.concatenate(arrays) for name, arrays in outputs.items()},
        )
    except tf.errors.DataLossError:
        message = f"{file}: record {read + 1} is damaged or cut short; publish the version again"
    except (DecodeError, TypeError):
        message = f"{file}: record {read + 1} isn't a PredictionLog with tensors; publish the version again"
    except ValueError as error:
        message = f"{file}: the {read} records don't belong together ({error}); publish the version again"
    raise RepositoryError(message) from None


def compare(golden: Tensors, answers: Tensors) -> Parity:
    """The greatest difference between golden outputs and answers; an output that either lacks is infinitely far.

    Raises ValueError where there is nothing to compare.
    """
    if not golden or not all(len(array) for array in golden.values()):
        raise ValueError("no golden outputs, or none with an item: nothing to compare")
    items = len(next(iter(golden.values())))
    for name in sorted(golden.keys() ^ answers.keys()):
        return Parity(items=items, difference=float("inf"), output=name, item=-1)
    differences = {name: _differences(array, answers[name]) for name, array in golden.items()}
    worst = max(sorted(golden), key=lambda name: float(differences[name].max()))
    found = differences[worst]
    comparable = len(found) == items
    return Parity(items=items, difference=float(found.max()), output=worst, item=int(found.argmax()) if comparable and found.max() > 0 else -1)


def _differences(golden: NDArray[Any], answers: NDArray[Any]) -> NDArray[np.float64]:
    """[items] the greatest difference of each item; [1] and infinite where the arrays aren't of one shape and type."""
    if golden.shape != answers.shape or golden.dtype != answers.dtype:
        return np.array([np.inf])
    if not np.issubdtype(golden.dtype, np.number):
        return np.where((golden == answers).reshape(len(golden), -1).all(axis=1), 0.0, np.inf)
    kind = np.complex128 if np.issubdtype(golden.dtype, np.complexfloating) else np.float64
    wanted: NDArray[Any] = golden.astype(kind)
    found: NDArray[Any] = answers.astype(kind)
    with np.errstate(invalid="ignore"):
        difference = np.abs(found - wanted) / np.maximum(1.0, np.abs(wanted))
    same = (wanted == found) | (np.isnan(wanted) & np.isnan(found))
    difference = np.where(same, 0.0, np.where(np.isnan(difference), np.inf, difference))
    return difference.reshape(len(golden), -1).max(axis=1, initial=0.0)
