"""The output `novelty`, which every task's model may have: how unlike the training data an item is."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from medserve.v1 import manifest_output_pb2, tensor_pb2
from training.evidence import novelty
from training.evidence.novelty import Told
from training.tasks import network
from training.tasks.task import Bench, by_patient

if TYPE_CHECKING:
    import keras

    from training.dataset import Dataset

NOVELTY = "novelty"


def served(
    fitted: "keras.Model", outputs: dict[str, Any], features_before: str | None, data: "Dataset", labels: NDArray[Any] | None = None
) -> tuple["keras.Model", float | None]:
    """The model with these outputs, by name, and `novelty` beside them, measured on what goes into the layer `features_before`; and its threshold.

    Without such a layer there is neither. `labels` are [training items] where each class has a mean of its own.
    """
    import keras  # noqa: PLC0415 - it takes seconds

    threshold = None
    if features_before is not None:
        features = novelty.before(fitted, features_before)
        measure = novelty.fit(network.predicted(features, data.training.inputs), labels)
        outputs = {**outputs, NOVELTY: measure.as_layer(NOVELTY)(features.outputs[0])}
        threshold = novelty.threshold(measure.distance(network.predicted(features, data.validation.inputs)))
    return keras.Model(fitted.inputs[0], outputs, name=fitted.name), threshold


def told(
    model: "keras.Model",
    threshold: float | None,
    data: "Dataset",
    bench: Bench,
    *,
    seed: int,
    other_items: Mapping[str, Callable[[], NDArray[Any]]],
) -> Told | None:
    """What comes of the threshold on held-out items, and on other ones, by name, where there are any; None for a model without this output."""
    if threshold is None:
        return None

    def distance(inputs: NDArray[Any]) -> NDArray[Any]:
        return network.predicted(model, inputs)[NOVELTY][:, 0]

    others = {name: distance(load()) for name, load in other_items.items()}
    found = novelty.told(distance(data.held_out.inputs), others, threshold, by_patient(data.held_out, seed))
    for figure in (found.own, *(each for of_other in found.others.values() for each in of_other)):
        bench.say(f"held-out {figure}")
    return found


def output_spec(threshold: float) -> manifest_output_pb2.OutputSpec:
    """What the manifest says of it: float32 [1], and above what an item is out of distribution."""
    reading = manifest_output_pb2.NoveltyReading(method=novelty.METHOD, threshold=threshold)
    return manifest_output_pb2.OutputSpec(name=NOVELTY, data_type=tensor_pb2.DATA_TYPE_FLOAT32, shape=[1], novelty=reading)
