"""`medserve infer`: asks a model about one item."""

import re
from argparse import Namespace
from pathlib import Path

from google.protobuf import json_format

from medserve.client import Client
from medserve.commands import answer
from medserve.commands.failure import UsageError
from medserve.commands.files import read_input
from medserve.commands.options import client_of
from medserve.errors import PermissionDenied
from medserve.inputs import InputValue, to_inputs
from medserve.v1 import catalog_pb2, inference_pb2

_NAMED = re.compile(r"(?P<name>[^=/\\]+)=(?P<file>.+)", re.DOTALL)


def run(arguments: Namespace) -> int:
    """Prints the answer."""
    given = [_parse(text) for text in arguments.input]
    names = [name for name, _ in given]
    if len(set(names)) != len(names):
        raise UsageError("--input: an input is given twice, or two are given without NAME=")
    values = [read_input(path) for _, path in given]
    purpose = inference_pb2.PURPOSE_OF_USE_UNSPECIFIED
    if arguments.purpose_of_use:
        purpose = inference_pb2.PurposeOfUse.Value(f"PURPOSE_OF_USE_{arguments.purpose_of_use.replace('-', '_').upper()}")
    with client_of(arguments) as client:
        if "" in names:
            names = [name or _only_input(client, arguments, len(given)) for name in names]
        inputs = dict(zip(names, values, strict=True))
        _require_sendable(inputs)
        response = client.infer(
            arguments.model, inputs, version=arguments.version, label=arguments.label, request_id=arguments.request_id,
            purpose_of_use=purpose, include_raw_outputs=arguments.raw_outputs,
        )  # fmt: skip
    if getattr(arguments, "json", False):
        print(json_format.MessageToJson(response, always_print_fields_with_no_presence=True, ensure_ascii=False))
    else:
        answer.show(response)
    return 0


def _parse(text: str) -> tuple[str, Path]:
    """The name, empty where there is none, and the file of `[NAME=]FILE`. A `=` behind a slash is the file's."""
    match = _NAMED.fullmatch(text)
    return (match["name"], Path(match["file"])) if match else ("", Path(text))


def _only_input(client: Client, arguments: Namespace, given: int) -> str:
    """The name of the model's only input. Raises UsageError where it has several, or others were named as well."""
    try:
        model = client.get_model(arguments.model)
    except PermissionDenied as error:
        if error.reason != "ACTION_NOT_ALLOWED":
            raise
        raise UsageError("your key may ask models but not read the catalog: name the input: --input NAME=FILE") from None
    version = _asked(model, arguments)
    names = [spec.name for spec in version.manifest.inputs]
    if len(names) != 1 or given != 1:
        message = f"the model takes the inputs {', '.join(names)}: name each: --input {names[0]}=FILE"
        raise UsageError(message)
    return names[0]


def _asked(model: catalog_pb2.Model, arguments: Namespace) -> catalog_pb2.ModelVersion:
    """The version that will answer, or the newest where that can't be told: the gateway says it better."""
    number = model.version_labels.get(arguments.label, 0) if arguments.label else arguments.version
    asked = model.default_version if number is None else number
    return next((version for version in model.versions if version.version == asked), model.versions[0])


def _require_sendable(inputs: dict[str, InputValue]) -> None:
    try:
        to_inputs(inputs)
    except (TypeError, ValueError) as error:
        raise UsageError(str(error)) from None
