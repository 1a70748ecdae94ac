"""The status and the metadata of a model as JSON, by protobuf's own printing, in the fields' order and with their defaults."""

import json
from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

_SIGNATURE_DEF = "signature_def"


def status(response: get_model_status_pb2.GetModelStatusResponse) -> bytes:
    """The body of a model's status; versions are texts, as all 64-bit numbers of protobuf's JSON are."""
    return (_text(response, names=False) + "\n").encode()


def metadata(response: get_model_metadata_pb2.GetModelMetadataResponse) -> bytes:
    """The body of a model's metadata. TensorFlow Serving joins it from two messages, by hand."""
    signatures = get_model_metadata_pb2.SignatureDefMap()
    response.metadata[_SIGNATURE_DEF].Unpack(signatures)
    spec, definitions = _text(response.model_spec, names=True), _text(signatures, names=True)
    return f'{{\n"model_spec":{spec}\n,\n"metadata": {{"signature_def": {definitions}\n}}\n}}\n'.encode()


def _text(message: Message, *, names: bool) -> str:
    found = json_format.MessageToDict(message, always_print_fields_with_no_presence=True, preserving_proto_field_name=names)
    return json.dumps(_in_order(found, message.DESCRIPTOR), indent=1, ensure_ascii=False)


def _in_order(found: Mapping[str, Any], descriptor: Any) -> Mapping[str, Any]:  # noqa: ANN401 - protobuf has two classes of it
    """The fields by their numbers: Python's printing puts those that are set before the others."""
    fields = {name: field for field in sorted(descriptor.fields, key=lambda field: field.number) for name in (field.name, field.json_name)}
    return {name: _value_in_order(found[name], field) for name, field in fields.items() if name in found}


def _value_in_order(value: Any, field: Any) -> Any:  # noqa: ANN401 - what JSON has
    kind = field.message_type
    if kind is None or not isinstance(value, dict | list):
        return value
    if isinstance(value, dict) and kind.GetOptions().map_entry:
        entry = kind.fields_by_name["value"]
        return {key: _value_in_order(each, entry) for key, each in sorted(value.items())}
    if isinstance(value, list):
        return [_in_order(each, kind) if isinstance(each, dict) else each for each in value]
    return value if kind.full_name.startswith("google.protobuf.") else _in_order(value, kind)
