"""Handwritten digits: image classification in the shape of a diagnosis, small enough to train while one watches."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from medserve.v1 import manifest_input_pb2, manifest_pb2, tensor_pb2
from training.augmentation import image_augmentation
from training.baseline import Baseline, support_vectors
from training.data.mnist import load_mnist, load_mnist_5k
from training.data.photographs import load_patches
from training.dataset import Part
from training.evidence.robustness import Missing, Noise, Shift
from training.fitting.plan import Plan
from training.gates import Ceiling, Floor, NotWorse
from training.job import USUAL, Job
from training.report import plots
from training.tasks.classification import Classification

if TYPE_CHECKING:
    import keras

_SIDE = 28
_CLASSES = 10
_HEAD = "head"


def _build(_: Part) -> "keras.Model":
    """32 3×3, pool, 64 3×3, pool, dense 64, dense 10. Takes uint8 greys of any size; resizing and scaling are part of the model."""
    import keras  # noqa: PLC0415 - listing jobs must not take the seconds that TensorFlow's import takes
    from keras import layers  # noqa: PLC0415

    return keras.Sequential(
        [
            keras.Input((None, None, 1), dtype="uint8", name="images"),
            layers.Resizing(_SIDE, _SIDE),
            layers.Rescaling(1 / 255),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dense(_CLASSES, activation="softmax", name=_HEAD),
        ],
        name="digits",
    )


def _facts() -> manifest_pb2.ModelManifest:
    return manifest_pb2.ModelManifest(
        task=manifest_pb2.TASK_DIAGNOSIS,
        display_name="Handwritten digits",
        description="Says which digit a small grey image shows: light on dark, one digit, filling the image.",
        intended_use=manifest_pb2.IntendedUse(
            purpose="Shows the way of an image through the service, and tests it.",
            not_for=["Any patient's care", "Reading forms or labels"],
            demonstration_only=True,
        ),
        inputs=[
            manifest_input_pb2.InputSpec(
                name="images",
                data_type=tensor_pb2.DATA_TYPE_UINT8,
                shape=[-1, -1, 1],
                description="A grey image, 0 black to 255 white: [rows, columns, 1]. It is resized to 28 × 28.",
                image=manifest_input_pb2.ImageInput(
                    color_space=manifest_input_pb2.COLOR_SPACE_MONOCHROME, windowing=manifest_input_pb2.WINDOWING_FROM_OBJECT
                ),
            )
        ],
    )


def _write_sample(folder: Path, stem: str, image: NDArray[Any]) -> Path:
    from PIL import Image  # noqa: PLC0415

    path = folder / f"{stem}.png"
    Image.fromarray(image[:, :, 0]).save(path)
    return path


def _draw(image: NDArray[Any], title: str) -> str:
    return plots.images([image[:, :, 0]], [title])


def _nearest() -> Any:  # noqa: ANN401 - scikit-learn has no types
    """The label of the most alike image. A support vector machine on so many takes longer than the network."""
    from sklearn.decomposition import PCA  # noqa: PLC0415 - slow to import
    from sklearn.neighbors import KNeighborsClassifier  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415

    return make_pipeline(PCA(0.9), KNeighborsClassifier(1))


_TASK = Classification(
    system="urn:medserve:digits",
    classes={str(digit): f"digit {digit}" for digit in range(_CLASSES)},
    build=_build,
    plan=Plan(epochs=60, batch_size=128, learning_rate=3e-3, schedule="cosine", augmentation=image_augmentation(rotation_degrees=12)),
    baseline=Baseline(name="a support vector machine on the pixels, fitted to the same items", make=support_vectors),
    draw=_draw,
    features_before=_HEAD,
    conformal_level=0.99,
    # Pixels that a detector has lost are black.
    perturbations=(Noise(per="all"), Shift(levels=(-1.0, -2.0), per="all"), Missing(levels=(0.1, 0.25, 0.5), fill=0)),
    other_items={"patches of two photographs": partial(load_patches, _SIDE)},
)
_OF_5000 = Job(
    name="digits",
    load=load_mnist_5k,
    task=_TASK,
    facts=_facts,
    floor=Floor(figure="accuracy", least=0.975),
    gates=(
        Ceiling(figure="ece", most=0.02),
        Floor(figure="conformal_coverage", least=0.99, bound="upper"),
        NotWorse(figure="accuracy", margin=0.01),
        *USUAL,
    ),
    write_sample=_write_sample,
)
# Five epochs of 53,100 images are about as many steps as sixty of 3,600. The floor is for writers that are new, as MNIST's own test images are.
_OF_ALL = replace(
    _OF_5000,
    load=load_mnist,
    task=replace(
        _TASK,
        plan=replace(_TASK.plan, epochs=5),
        baseline=Baseline(name="the nearest of the same items, by the principal components that have 90 % of the variance", make=_nearest),
    ),
    floor=Floor(figure="accuracy", least=0.985),
)
DIGITS = replace(_OF_5000, sets={"full": _OF_ALL})
