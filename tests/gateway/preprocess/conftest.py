"""What the tests of the media share: a model with one input named `x`, and one call of the stage."""

from collections.abc import Callable

import pytest

from gateway.item import InputData, Item
from gateway.manifest import InputSpec, Manifest, OutputSpec
from gateway.preprocess import InputLimits, Preprocessor
from gateway.tensor import DType, Tensor

Prepare = Callable[..., Tensor]


@pytest.fixture(scope="session")
def prepare() -> Prepare:
    def run(spec: InputSpec, value: InputData | None, *, max_elements: int = 1_000_000, max_pixels: int = 4_000_000) -> Tensor:
        manifest = Manifest(
            name="m", version=1, signature_name="serving_default", weights_digest="sha256:0",
            inputs={spec.name: spec}, outputs={"y": OutputSpec(name="y", dtype=DType.FLOAT32, shape=(1,))},
        )  # fmt: skip
        preprocessor = Preprocessor(InputLimits(max_elements=max_elements, max_pixels=max_pixels))
        return preprocessor.prepare(manifest, Item(inputs={spec.name: value})).tensors[spec.name]

    return run
