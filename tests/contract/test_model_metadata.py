"""`GetModelMetadata`: section 4 of `tfserving_observed.md`."""

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf import text_format
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import get_model_metadata_pb2

from tests.contract.wire import Caller, Case

INVALID = "INVALID_ARGUMENT"


def asked(row: str, spec: str, *fields: str, **expected: Any) -> Case:
    made = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
    if spec:
        text_format.Parse(spec, made.model_spec)
    return Case(row=f"4: GetModelMetadata: {row}", method="GetModelMetadata", request=made, **expected)


def signatures(reply: get_model_metadata_pb2.GetModelMetadataResponse) -> get_model_metadata_pb2.SignatureDefMap:
    (packed,) = reply.metadata.values()
    unpacked = get_model_metadata_pb2.SignatureDefMap()
    assert packed.type_url == "type.googleapis.com/tensorflow.serving.SignatureDefMap"
    assert packed.Unpack(unpacked)
    return unpacked


def has_name_and_version_only(reply: get_model_metadata_pb2.GetModelMetadataResponse) -> None:
    assert text_format.MessageToString(reply.model_spec, as_one_line=True) == 'name: "conv" version { value: 1 }'


def has_every_signature(reply: get_model_metadata_pb2.GetModelMetadataResponse) -> None:
    assert set(reply.metadata) == {"signature_def"}
    assert set(signatures(reply).signature_def) == {"serving_default", "double", "slow", "__saved_model_init_op"}


def describes_its_tensors(reply: get_model_metadata_pb2.GetModelMetadataResponse) -> None:
    signature = signatures(reply).signature_def["serving_default"]
    images = signature.inputs["images"]
    assert (images.name, images.dtype) == ("serving_default_images:0", types_pb2.DT_FLOAT)
    assert [dim.size for dim in images.tensor_shape.dim] == [-1, 28, 28, 1]
    assert set(signature.outputs) == {"probabilities"}
    assert signature.method_name == "tensorflow/serving/predict"


CASES = [
    asked("no spec", "", "signature_def", code=INVALID, message="Missing ModelSpec"),
    asked("no field", 'name: "conv"', code=INVALID, message="GetModelMetadataRequest must specify at least one metadata_field"),
    asked("wrong field", 'name: "conv"', "nofield", code=INVALID, message="Metadata field nofield is not supported"),
    asked(
        "a wrong field beside a right one", 'name: "conv"', "signature_def", "nofield", code=INVALID,
        message="Metadata field nofield is not supported",
    ),
    asked("the fields before the servable", 'name: "nope"', code=INVALID, message="GetModelMetadataRequest must specify at least one metadata_field"),
    asked("unknown model", 'name: "nope"', "signature_def", code="NOT_FOUND", message="Servable not found for request: Latest(nope)"),
    asked(
        "unknown version", 'name: "conv" version { value: 9 }', "signature_def", code="NOT_FOUND",
        message="Servable not found for request: Specific(conv, 9)",
    ),
    asked("unknown label", 'name: "conv" version_label: "a"', "signature_def", code=INVALID, message="Unrecognized servable version label: a"),
    asked("empty name", 'signature_name: "x"', "signature_def", code=INVALID, message="ModelSpec has no name specified."),
    asked("no bytes", "", code=INVALID, message="Missing ModelSpec"),
    asked("name and version only", 'name: "conv" signature_name: "serving_default"', "signature_def", check=has_name_and_version_only),
    asked("the same for a version", 'name: "conv" version { value: 1 }', "signature_def", check=has_name_and_version_only),
    asked("a signature that there isn't is no matter", 'name: "conv" signature_name: "nosig"', "signature_def", check=has_name_and_version_only),
    asked("Any of SignatureDefMap, with __saved_model_init_op", 'name: "several"', "signature_def", check=has_every_signature),
    asked("a field twice is the field once", 'name: "several"', "signature_def", "signature_def", check=has_every_signature),
    asked("what a signature says", 'name: "conv"', "signature_def", check=describes_its_tensors),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.row)
def test_metadata_are_as_their_row_says(hold: Callable[[Case], None], case: Case) -> None:
    hold(case)


def test_the_signatures_are_the_models_own(caller: Caller, saved_models: Callable[[str], Any]) -> None:
    """get_model_metadata_impl.cc: each SignatureDef as it is in the file."""
    saved = saved_models("several")

    reply = caller.ask(
        "GetModelMetadata", get_model_metadata_pb2.GetModelMetadataRequest(model_spec={"name": "several"}, metadata_field=["signature_def"])
    )

    assert dict(signatures(reply.reply).signature_def) == dict(saved.meta_graphs[0].signature_def)
