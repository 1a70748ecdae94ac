"""The public types, as a caller's type checker sees them: mypy --strict passes over this file, or the types have changed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, assert_type

import grpc
import numpy as np
from numpy.typing import NDArray

import medserve
from medserve import AsyncClient, Channel, Client, Decision, Dicom, EncodedImage, InputValue, MedserveError, PurposeOfUse, TimeSeries
from medserve.v1 import catalog_pb2, inference_pb2, tensor_pb2


def ask(client: Client, image: EncodedImage) -> None:
    answer = client.infer(
        "digits", {"images": image}, label="stable", purpose_of_use=PurposeOfUse.PURPOSE_OF_USE_TREATMENT, timeout_seconds=2.5, study_key="s"
    )
    assert_type(answer, inference_pb2.InferResponse)
    assert_type(answer.findings[0].probability, float)
    assert_type(answer.findings[0].decision, Decision.ValueType)
    assert_type(medserve.to_array(answer.raw_outputs["y"]), NDArray[Any])
    assert_type(client.list_models(), list[catalog_pb2.Model])
    assert_type(client.get_model("digits"), catalog_pb2.Model)
    assert_type(client.health(), bool)
    with client as same:
        assert_type(same, Client)


async def ask_asynchronously(client: AsyncClient) -> None:
    assert_type(await client.infer("digits", {"images": np.zeros((1, 1, 1), dtype=np.uint8)}, version=1), inference_pb2.InferResponse)
    assert_type(await client.list_models(), list[catalog_pb2.Model])
    assert_type(await client.get_model("digits"), catalog_pb2.Model)
    assert_type(await client.health("digits"), bool)
    async with client as same:
        assert_type(same, AsyncClient)


def handle(error: MedserveError) -> None:
    assert_type(error.code, grpc.StatusCode)
    assert_type(error.reason, str)
    assert_type(error.message, str)
    assert_type(error.field, str)
    assert_type(error.retry_after_seconds, float | None)
    assert_type(error.request_id, str)


def test_every_kind_of_input_is_a_value_and_every_source_of_trust_a_ca() -> None:
    inputs: Mapping[str, InputValue] = {
        "array": np.zeros(3),
        "image": EncodedImage(b""),
        "dicom": Dicom(b""),
        "series": TimeSeries(channels=(Channel(name="II", unit="mV", values=[1.0]),)),
    }
    trusted: list[bytes | str | Path | None] = [b"", "ca.pem", Path("ca.pem"), None]

    assert_type(medserve.to_tensor(np.zeros(3)), tensor_pb2.Tensor)
    assert len(inputs) == len(trusted)


def test_what_is_no_input_is_an_error_to_the_type_checker() -> None:
    wrong: Mapping[str, InputValue] = {"x": [1.0]}  # type: ignore[dict-item] # mypy warns here where it no longer objects

    assert wrong


def test_every_public_name_is_there_and_no_other() -> None:
    assert {name for name in medserve.__all__ if getattr(medserve, name, None) is None} == set()
    assert not hasattr(medserve, "absent")
