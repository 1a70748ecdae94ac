"""`GetModelMetadata`, as `tfserving_observed.md` section 4 saw it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from google.protobuf import text_format
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import get_model_metadata_pb2


def request(spec: str, *fields: str) -> get_model_metadata_pb2.GetModelMetadataRequest:
    made = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
    if spec:
        text_format.Parse(spec, made.model_spec)
    return made


@dataclass(frozen=True, kw_only=True)
class Refused:
    row: str
    spec: str = 'name: "conv"'
    fields: tuple[str, ...] = ("signature_def",)
    code: str = "INVALID_ARGUMENT"
    message: str


REFUSED = [
    Refused(row="no spec", spec="", message="Missing ModelSpec"),
    Refused(row="no field", fields=(), message="GetModelMetadataRequest must specify at least one metadata_field"),
    Refused(row="wrong field", fields=("nofield",), message="Metadata field nofield is not supported"),
    Refused(row="a wrong field beside a right one", fields=("signature_def", "nofield"), message="Metadata field nofield is not supported"),
    Refused(row="unknown model", spec='name: "nope"', code="NOT_FOUND", message="Servable not found for request: Latest(nope)"),
    Refused(
        row="unknown version", spec='name: "conv" version { value: 9 }', code="NOT_FOUND", message="Servable not found for request: Specific(conv, 9)"
    ),
    Refused(row="empty name", spec='signature_name: "x"', message="ModelSpec has no name specified."),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.row)
def test_a_bad_request_has_the_code_and_the_message_of_its_row(prediction: Any, refusal: Callable[..., tuple[str, str]], case: Refused) -> None:
    refused = refusal(prediction.GetModelMetadata, request(case.spec, *case.fields))

    assert refused == (case.code, case.message)


def test_the_reply_names_the_model_and_its_version_only(prediction: Any) -> None:
    reply = prediction.GetModelMetadata(request('name: "conv" signature_name: "serving_default"', "signature_def"), timeout=20)

    assert text_format.MessageToString(reply.model_spec, as_one_line=True) == 'name: "conv" version { value: 1 }'


def test_the_signatures_come_packed_with_the_one_that_initializes(prediction: Any) -> None:
    reply = prediction.GetModelMetadata(request('name: "several"', "signature_def"), timeout=20)

    (packed,) = reply.metadata.values()
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert packed.type_url == "type.googleapis.com/tensorflow.serving.SignatureDefMap"
    assert packed.Unpack(signatures)
    assert set(signatures.signature_def) == {"serving_default", "double", "slow", "__saved_model_init_op"}


def test_a_signature_says_its_tensors(prediction: Any) -> None:
    reply = prediction.GetModelMetadata(request('name: "conv"', "signature_def"), timeout=20)

    signatures = get_model_metadata_pb2.SignatureDefMap()
    reply.metadata["signature_def"].Unpack(signatures)
    signature = signatures.signature_def["serving_default"]
    images = signature.inputs["images"]
    assert images.dtype == types_pb2.DT_FLOAT
    assert [dim.size for dim in images.tensor_shape.dim] == [-1, 28, 28, 1]
    assert set(signature.outputs) == {"probabilities"}
    assert signature.method_name == "tensorflow/serving/predict"
