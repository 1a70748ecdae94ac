"""A tf.data.Dataset of any set: shuffled, shared, resumed, cached; its memory doesn't grow with the set."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from training.streams.cache import cached
from training.streams.order import Order, SetChanged
from training.streams.quarantine import Quarantine
from training.streams.source import STRING, Source, Spec
from training.streams.survey import Survey

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = ["SetChanged", "dataset"]

_BATCHES_AHEAD = 4


def dataset(
    source: Source,
    *,
    batch_size: int,
    seed: int | None,
    epoch: int,
    worker: tuple[int, int] = (0, 1),
    start: int = 0,
    cache: Path | None = None,
    survey: Survey | None = None,
    quarantine: Quarantine | None = None,
) -> "tf.data.Dataset":
    """One worker's items in one epoch, in batches: a dictionary of tensors [batch, …] by name, as `source.spec` says; the last batch may be smaller.

    The order is a function of (seed, epoch), of the worker and of the files, and doesn't depend on the size of a batch; where `seed` is None it is
    the set's own. It mixes over `source.buffer` items and, since shards are shuffled, over the whole set. In memory are that buffer, twice,
    for the next one is read meanwhile; what is being read; and a few batches.

    Args:
        source: the set.
        batch_size: of each batch but the last; 1 where the items' shape is open: `unbatch`, bring them to one size, and batch then.
        seed: from 0; None: the set's own order.
        epoch: from 0.
        worker: which of how many: (index, count), the index from 0. Each item goes to exactly one of them.
        start: how many of this worker's items have been seen in this epoch; exactly the others come. Where a survey or a cache says how many items
            each shard has, what lies before them isn't read, but for at most a window and a shard.
        cache: a folder for a copy of the items. The first call reads the whole set to make it, and later ones read only the copy; a set that
            changed is copied anew. A copy that wasn't finished is never read. Its order isn't the order without a cache.
        survey: of the set, where there is one; not beside a cache, which has its own.
        quarantine: takes what is wrong with the set: where it is met, so that a resumed epoch tells of the rest only; with a cache at once and whole.

    Raises ValueError where an argument isn't as above; OSError. Iterating raises tf.errors.OpError in place of OSError and of `SetChanged`.
    """
    import tensorflow as tf  # noqa: PLC0415 - it takes seconds

    if batch_size < 1 or start < 0:
        message = f"batch_size, start: from 1, and from 0, not {batch_size} and {start}"
        raise ValueError(message)
    if batch_size > 1 and any(spec.is_open for spec in source.spec().values()):
        message = f"batch_size: 1 where items differ in shape, not {batch_size}"
        raise ValueError(message)
    if cache is not None and survey is not None:
        message = "survey: not beside a cache, which has its own"
        raise ValueError(message)
    told = quarantine if quarantine is not None else Quarantine()
    if cache is not None:
        copy = cached(source, cache)
        for fault in copy.faults:
            told.add(fault)
        source, survey = copy, copy.survey
    order = Order(source=source, seed=seed, epoch=epoch, worker=worker, survey=survey)
    order.shards()

    def chunks() -> Iterator[dict[str, NDArray[Any]]]:
        return order.chunks(start, told)

    signature = {name: _tensor_spec(spec) for name, spec in source.spec().items()}
    batches = tf.data.Dataset.from_generator(chunks, output_signature=signature).rebatch(batch_size)
    items = order.items()
    if items is not None:
        batches = batches.apply(tf.data.experimental.assert_cardinality(-(-max(0, items - start) // batch_size)))
    return batches.prefetch(_BATCHES_AHEAD)


def _tensor_spec(spec: Spec) -> "tf.TensorSpec":
    import tensorflow as tf  # noqa: PLC0415

    return tf.TensorSpec([None, *spec.shape], tf.string if spec.dtype == STRING else tf.as_dtype(spec.dtype))
