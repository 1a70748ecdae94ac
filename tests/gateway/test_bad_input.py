"""Everything that can be wrong with a call or behind it: one table, through real sockets.

Each case has one code, one reason, one field and a message that says what to do. After each the next good call is answered, one event is
in the audit, and nothing of the request is in what the gateway writes.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event, Semaphore
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from gateway.errors import leaves
from medserve.v1 import input_pb2, tensor_pb2
from tests.gateway.calls import (
    ECG,
    GOOD,
    ITEM_METHODS,
    NAMED_BY,
    PATIENT,
    PATIENT_KEY,
    RELOAD,
    STUDY,
    TOO_MANY,
    about_items,
    answering,
    dicom,
    dicom_file,
    features,
    get_metadata,
    get_model,
    get_status,
    image,
    infer,
    list_models,
    multi_inference,
    named,
    numbers,
    png,
    png_header,
    predict,
    raw,
    refusing,
    reload,
    series,
    slow,
    with_authorization,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.gateway.calls import Send
    from tests.gateway.conftest import Peer, Running, Script

METHODS = (
    "/medserve.v1.InferenceService/Infer",
    "/medserve.v1.CatalogService/ListModels",
    "/medserve.v1.CatalogService/GetModel",
    "/tensorflow.serving.PredictionService/Classify",
    "/tensorflow.serving.PredictionService/Regress",
    "/tensorflow.serving.PredictionService/Predict",
    "/tensorflow.serving.PredictionService/MultiInference",
    "/tensorflow.serving.PredictionService/GetModelMetadata",
    "/tensorflow.serving.ModelService/GetModelStatus",
    RELOAD,
)
INT32 = tensor_pb2.DATA_TYPE_INT32
UNLOADED = grpc.StatusCode.NOT_FOUND
QUEUE_FULL = "The batch scheduling queue to which this task was submitted is full; currently 2 batches enqueued and max_enqueued_batches is 2"
MANY = 10**9

# An unknown field that holds 24 MiB: a message of every kind, and larger than the gateway takes.
LARGE = b"\x9a\x06\x80\x80\x80\x0c" + bytes(24 << 20)

# Leaves that no case below meets, and why.
ELSEWHERE = {
    "SHUTTING_DOWN": "needs a gateway that stops: test_server.py",
    "MODEL_NOT_SERVED": "needs a model that is published and isn't listed: test_routing.py, e2e/test_rolling.py",
    "INTERNAL": "a defect of ours, which nothing from outside should be able to produce: test_boundary.py, test_fuzz.py",
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is sent while the model server does what, and what comes back. A reason of None: the answer isn't one of ours."""

    name: str
    send: Send
    code: str
    reason: str | None
    says: str
    field: str = ""
    predict: Callable[[Peer], Script] | None = None
    method: str = "Predict"
    is_audited: bool = True


def case(name: str, send: Send, code: str, reason: str | None, field_: str, says: str, **more: Any) -> Case:  # noqa: PLR0917 - a row of the table
    return Case(name=name, send=send, code=code, reason=reason, field=field_, says=says, **more)


X = 'inputs["x"]'
IMAGE, DICOM = 'inputs["images"].image.content', 'inputs["images"].dicom.content'
CHANNELS = 'inputs["ecg"].time_series.channels'
FEATURES = f"{X}.record.features"
FEATURES = f"{X}.record.features"
INVALID = "INVALID_ARGUMENT"
ANSWER_INVALID = ("INTERNAL", "BACKEND_ANSWER_INVALID")

CASES = [
    # Which model.
    case("unknown model", infer(PATIENT, **GOOD), "NOT_FOUND", "MODEL_NOT_FOUND", "model.name", "ListModels"),
    case("no model", infer("", **GOOD), INVALID, "FIELD_INVALID", "model.name", "name the model"),
    case("unknown version", infer(version=99, **GOOD), "NOT_FOUND", "VERSION_NOT_FOUND", "model.version", "it has 1"),
    case("version zero", infer(version=0, **GOOD), "NOT_FOUND", "VERSION_NOT_FOUND", "model.version", "it has 1"),
    case("unknown label", infer("digits", version_label=PATIENT), "NOT_FOUND", "LABEL_NOT_FOUND", "model.version_label", "it has later, stable"),
    case("empty label", infer("digits", version_label=""), "NOT_FOUND", "LABEL_NOT_FOUND", "model.version_label", "it has later, stable"),
    case("label of no version", infer("digits", version_label="later"), "NOT_FOUND", "VERSION_NOT_FOUND", "model.version_label", "it has 1, 2"),
    case("version not loaded", infer(**GOOD), "UNAVAILABLE", "VERSION_NOT_READY", "model", "try again later", predict=refusing(UNLOADED)),
    case("drop-in: unknown model", predict("nope"), "NOT_FOUND", None, "", "Servable not found for request: Latest(nope)"),
    case("drop-in: unknown label", predict(label="nope"), INVALID, None, "", "Unrecognized servable version label: nope"),
    *(
        row
        for method in ITEM_METHODS
        for row in (
            case(f"{method}: unknown model", about_items(method, "nope"), "NOT_FOUND", None, "", "Servable not found for request: Latest(nope)"),
            case(f"{method}: unknown label", about_items(method, label="nope"), INVALID, None, "", "Unrecognized servable version label: nope"),
            case(f"{method}: no model", about_items(method, ""), INVALID, None, "", "ModelSpec has no name specified."),
        )
    ),
    case("MultiInference: no task", multi_inference(), INVALID, None, "", "ModelSpec has no name specified."),
    case("MultiInference: two models", multi_inference("record", "ecg"), INVALID, None, "", "must access the same model name"),
    case("MultiInference: too many tasks", multi_inference(*["record"] * 257), INVALID, "FIELD_INVALID", "tasks", "at most 256 tasks"),
    case(
        "reload: too many models", reload(*["m"] * 10_001), INVALID, "FIELD_INVALID", "config.model_config_list.config", "at most 10000 models",
    ),
    case("catalog: unknown model", get_model(PATIENT), "NOT_FOUND", "MODEL_NOT_FOUND", "name", "ListModels"),
    case("catalog: page size", list_models(page_size=-1), INVALID, "FIELD_INVALID", "page_size", "1 to 1000"),
    # Which inputs.
    case("missing input", infer(), INVALID, "INPUT_MISSING", X, "send it as tensor"),
    case("input without a value", infer(x=input_pb2.Input()), INVALID, "INPUT_MISSING", X, "send it as tensor"),
    case("unknown input", infer(**GOOD, y=numbers(1)), INVALID, "INPUT_UNKNOWN", "inputs", "it takes x"),
    case("unknown input named after a patient", infer(**named(PATIENT, numbers(1))), INVALID, "INPUT_UNKNOWN", "inputs", "it takes x"),
    case("another form", infer(x=image(png())), INVALID, "INPUT_FORM_NOT_ACCEPTED", f"{X}.image", "send it as tensor"),
    case("request id", infer(request_id=PATIENT), INVALID, "FIELD_INVALID", "context.request_id", "takes 1 to 128"),
    # Tensors.
    case("dtype", infer(x=numbers(1, 2, 3, data_type=INT32)), INVALID, "DTYPE_MISMATCH", f"{X}.tensor.data_type", "set data_type"),
    case("no dtype", infer(x=numbers(1, 2, 3, data_type=0)), INVALID, "DTYPE_MISMATCH", f"{X}.tensor.data_type", "set data_type"),
    case("rank", infer(x=numbers(1, 2, 3, shape=(1, 3))), INVALID, "SHAPE_MISMATCH", f"{X}.tensor.shape", "the model takes [3]"),
    case("size", infer(x=numbers(1, 2)), INVALID, "SHAPE_MISMATCH", f"{X}.tensor.shape", "the model takes [3]"),
    case("negative size", infer(x=numbers(1, shape=(-3,))), INVALID, "SHAPE_MISMATCH", f"{X}.tensor.shape", "the model takes [3]"),
    case("content", infer(x=numbers(1, 2, shape=(3,))), INVALID, "CONTENT_SIZE_MISMATCH", f"{X}.tensor.content", "needs 12 bytes"),
    case("NaN", infer(x=numbers(1, float("nan"), 3)), INVALID, "VALUE_NOT_FINITE", f"{X}.tensor.content", "fill in or leave out"),
    case("infinity", infer(x=numbers(1, float("inf"), 3)), INVALID, "VALUE_NOT_FINITE", f"{X}.tensor.content", "fill in or leave out"),
    case("10⁹ elements", infer(x=numbers(1, shape=(MANY,))), INVALID, "TOO_MANY_ELEMENTS", f"{X}.tensor.shape", "send less"),
    case(
        "10⁹ elements under a patient's name", infer(**named(PATIENT, numbers(1, shape=(MANY,)))),
        INVALID, "TOO_MANY_ELEMENTS", "inputs.tensor.shape", "send less",
    ),
    case(
        "10⁹ elements under a name of a megabyte", infer(**named("n" * 1_000_000, numbers(1, shape=(MANY,)))),
        INVALID, "TOO_MANY_ELEMENTS", "inputs.tensor.shape", "send less",
    ),
    case("drop-in: 10⁹ elements", predict(shape=(1, MANY)), INVALID, "TOO_MANY_ELEMENTS", f"{X}.tensor_shape", "send less"),
    case("drop-in: 10⁹ elements, named", predict(shape=(MANY,), name=PATIENT), INVALID, "TOO_MANY_ELEMENTS", "inputs.tensor_shape", "send less"),
    case("drop-in: rank", predict(shape=(3,)), INVALID, "SHAPE_MISMATCH", f"{X}.tensor_shape", "behind a batch dimension"),
    case("drop-in: size", predict(shape=(1, 2)), INVALID, "SHAPE_MISMATCH", f"{X}.tensor_shape", "behind a batch dimension"),
    # More parts than anything has.
    case("1025 inputs", infer(**TOO_MANY), INVALID, "FIELD_INVALID", "inputs", "at most 1024"),
    case("drop-in: 1025 inputs", predict(more=1024), INVALID, "FIELD_INVALID", "inputs", "at most 1024"),
    case("4097 channels", infer("ecg", ecg=series(*ECG, *[(PATIENT, "mV", [])] * 4095)), INVALID, "FIELD_INVALID", CHANNELS, "at most 4096"),
    # Images.
    case("truncated PNG", infer("digits", images=image(png()[:-40])), INVALID, "IMAGE_UNDECODABLE", IMAGE, "send it again"),
    case("no image", infer("digits", images=image(PATIENT.encode())), INVALID, "IMAGE_UNDECODABLE", IMAGE, "send one of these"),
    case("10⁹ pixels", infer("digits", images=image(png_header(40_000, 25_000))), INVALID, "TOO_MANY_ELEMENTS", IMAGE, "send"),
    case(
        "DICOM without pixels", infer("digits", images=dicom(dicom_file(PixelData=None))),
        INVALID, "DICOM_WITHOUT_PIXELS", DICOM, "send",
    ),
    case(
        "DICOM that is none", infer("digits", images=dicom(PATIENT.encode() * 50)),
        INVALID, "DICOM_UNREADABLE", DICOM, "send the whole file",
    ),
    case(
        "DICOM cut short", infer("digits", images=dicom(dicom_file()[:-100])),
        INVALID, "DICOM_UNREADABLE", DICOM, "send it again",
    ),
    case(
        "DICOM of many frames", infer("digits", images=dicom(dicom_file(NumberOfFrames=2))),
        INVALID, "DICOM_NOT_SUPPORTED", DICOM, "one frame",
    ),
    case(
        "DICOM of 10⁹ pixels", infer("digits", images=dicom(dicom_file(Rows=65535, Columns=65535))),
        INVALID, "TOO_MANY_ELEMENTS", DICOM, "send less",
    ),
    # Time series.
    case(
        "NaN in a series", infer("ecg", ecg=series(("I", "mV", [float("nan"), 0]), ECG[1])),
        INVALID, "VALUE_NOT_FINITE", f'{CHANNELS}["I"].values', "fill in or leave out",
    ),
    case("missing channel", infer("ecg", ecg=series(ECG[0])), INVALID, "CHANNELS_MISMATCH", CHANNELS, "takes each of I, II"),
    case(
        "channel named after a patient", infer("ecg", ecg=series(*ECG, (PATIENT, "mV", [0, 0]))),
        INVALID, "CHANNELS_MISMATCH", CHANNELS, "takes each of I, II",
    ),
    case(
        "unit", infer("ecg", ecg=series(ECG[0], ("II", PATIENT, [0, 1]))),
        INVALID, "UNIT_MISMATCH", 'inputs["ecg"].time_series.channels["II"].unit', "convert",
    ),
    case(
        "frequency", infer("ecg", ecg=series(*ECG, hz=0)),
        INVALID, "SAMPLING_FREQUENCY_MISMATCH", 'inputs["ecg"].time_series.sampling_frequency_hz', "takes 100 Hz",
    ),
    case(
        "times that fall", infer("bedside", x=series(("p", "mm[Hg]", [80, 81]), hz=0, times=(1, 0))),
        INVALID, "TIMES_INVALID", f"{X}.time_series.times_seconds", "oldest first",
    ),
    case(
        "a long gap", infer("bedside", x=series(("p", "mm[Hg]", [80, 81]), hz=0, times=(0, 9))),
        INVALID, "GAP_TOO_LONG", f'{X}.time_series.channels["p"].values', "without that gap",
    ),
    case(
        "a grid of 10⁹ samples", infer("bedside", x=series(("p", "mm[Hg]", [80, 81]), hz=0, times=(0, MANY))),
        INVALID, "TOO_MANY_ELEMENTS", f"{X}.time_series.times_seconds", "send less",
    ),
    # Records.
    case(
        "feature named after a patient", infer("clinic", x=features(changes={PATIENT: 1})),
        INVALID, "FEATURE_UNKNOWN", FEATURES, "takes age, creatinine, sex",
    ),
    case(
        "missing feature", infer("clinic", x=features(changes={"age": None})),
        INVALID, "FEATURE_MISSING", f'{FEATURES}["age"]', "send a number in the unit a",
    ),
    case(
        "text for a number", infer("clinic", x=features(changes={"age": PATIENT})),
        INVALID, "FEATURE_KIND_MISMATCH", f'{FEATURES}["age"]', "send a number in the unit a",
    ),
    case(
        "number beyond its range", infer("clinic", x=features(changes={"age": 4711})),
        INVALID, "FEATURE_OUT_OF_RANGE", f'{FEATURES}["age"].quantity.value', "from 18 up to 110",
    ),
    case(
        "unknown category", infer("clinic", x=features(changes={"sex": PATIENT})),
        INVALID, "CATEGORY_UNKNOWN", f'{FEATURES}["sex"].category', "one of the categories female, male",
    ),
    case(
        "unit named after a patient", infer("clinic", x=features(unit=PATIENT)),
        INVALID, "UNIT_MISMATCH", f'{FEATURES}["age"].quantity.unit', "send a number in the unit a",
    ),
    case(
        "a tensor with a number beyond its feature's range", infer("clinic", x=numbers(4711, 1.5, 0)),
        INVALID, "FEATURE_OUT_OF_RANGE", f'{X}.tensor.content["age"]', "from 18 up to 110",
    ),
    case(
        "a tensor with a place that no category has", infer("clinic", x=numbers(61, 1.5, 2)),
        INVALID, "CATEGORY_UNKNOWN", f'{X}.tensor.content["sex"]', "one of female, male",
    ),
    case("4097 features", infer("clinic", x=features(changes={f"f{n}": 1 for n in range(4094)})), INVALID, "FIELD_INVALID", FEATURES, "at most 4096"),
    # Who.
    *(
        case(f"no key: {name}", send, "UNAUTHENTICATED", "CREDENTIALS_MISSING", "", "authorization: Bearer")
        for name, send in (
            ("public", infer(key=None)), ("drop-in", predict(key=None)), ("reload", reload("record", key=None)),
            *((method, about_items(method, key=None)) for method in ITEM_METHODS),
        )
    ),
    *(
        case(f"{key} key: {name}", send, "UNAUTHENTICATED", "CREDENTIALS_INVALID", "", "isn't valid")
        for key in ("wrong", "revoked", "expired")
        for name, send in (
            ("public", infer(key=key, **GOOD)), ("drop-in", predict(key=key)), ("reload", reload("record", key=key)),
            *((method, about_items(method, key=key)) for method in ITEM_METHODS),
        )
    ),
    case("another scheme", with_authorization(f"Basic {PATIENT}"), "UNAUTHENTICATED", "CREDENTIALS_INVALID", "", "Bearer msk_"),
    case("key without the model", infer(key="narrow", **GOOD), "PERMISSION_DENIED", "MODEL_NOT_ALLOWED", "model.name", "ask for one"),
    case("key without a model that isn't", infer(PATIENT, key="narrow"), "PERMISSION_DENIED", "MODEL_NOT_ALLOWED", "model.name", "ask for one"),
    case("catalog: key without the model", get_model("record", "narrow"), "PERMISSION_DENIED", "MODEL_NOT_ALLOWED", "name", "ask for one"),
    *(
        case(f"drop-in: key without the model: {name}", send, "PERMISSION_DENIED", "MODEL_NOT_ALLOWED", "model_spec.name", "ask for one")
        for name, send in (("predict", predict(key="narrow")), ("status", get_status("narrow")), ("metadata", get_metadata("narrow")))
    ),
    case("key without the action", infer(key="reader", **GOOD), "PERMISSION_DENIED", "ACTION_NOT_ALLOWED", "", "'infer'"),
    case("drop-in: key without the action", predict(key="reader"), "PERMISSION_DENIED", "ACTION_NOT_ALLOWED", "", "'infer'"),
    *(
        row
        for method in ITEM_METHODS
        for row in (
            case(
                f"{method}: key without the model", about_items(method, key="narrow"),
                "PERMISSION_DENIED", "MODEL_NOT_ALLOWED", NAMED_BY[method], "ask for one",
            ),
            case(
                f"{method}: key without the action", about_items(method, key="reader"),
                "PERMISSION_DENIED", "ACTION_NOT_ALLOWED", "", "'infer'",
            ),
        )
    ),
    *(
        case(
            f"MultiInference: key without a task's model: {' '.join(models)}", multi_inference(*models, key="narrow"),
            "PERMISSION_DENIED", "MODEL_NOT_ALLOWED", f"tasks[{denied}].model_spec.name", "ask for one",
        )
        for models, denied in ((("ecg", "record"), 1), (("record", "ecg"), 0), (("ecg", "ecg", PATIENT), 2), (("ecg", ""), 1))
    ),
    *(
        case(f"reload: {key} key", reload("record", PATIENT, key=key), "PERMISSION_DENIED", reason, "", says)
        for key, reason, says in (
            ("full", "ACTION_NOT_ALLOWED", "'reload'"), ("reader", "ACTION_NOT_ALLOWED", "'reload'"), ("narrow", "ACTION_NOT_ALLOWED", "'reload'"),
            ("narrow operator", "MODEL_NOT_ALLOWED", "touches every model"),
        )
    ),
    *(
        case(f"an operator's key for {name}", send, "PERMISSION_DENIED", "ACTION_NOT_ALLOWED", "", says)
        for name, send, says in (
            ("Infer", infer(key="operator", **GOOD), "'infer'"), ("Predict", predict(key="operator"), "'infer'"),
            ("GetModelStatus", get_status("operator"), "'read'"),
        )
    ),
    # How much, and how long.
    *(
        case(
            f"{name}: {method}", raw(method, content, "operator" if method == RELOAD else "full"), INVALID, "REQUEST_MALFORMED", "",
            "build it with the stubs",
        )
        for method in METHODS
        for name, content in (
            ("garbage", b"\xff" + PATIENT.encode()),
            # Field 1, a message of 16 bytes, and six of them.
            ("cut short", b"\x0a\x10" + PATIENT[:6].encode()),
        )
    ),
    *(
        case(
            f"too large: {method}", raw(method, LARGE, "operator" if method == RELOAD else "full"),
            "RESOURCE_EXHAUSTED", "REQUEST_TOO_LARGE", "", "at most",
        )
        for method in METHODS
    ),
    case("too large for the transport", raw(METHODS[0], bytes(26 << 20)), "RESOURCE_EXHAUSTED", None, "", "larger than max", is_audited=False),
    # The model server.
    case("slow", infer(timeout=None, **GOOD), "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED", "", "allow more time", predict=slow),
    case("drop-in: slow", predict(timeout=None), "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED", "", "allow more time", predict=slow),
    *(
        case(
            f"{method}: slow", about_items(method, timeout=None), "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED", "", "allow more time",
            predict=slow, method=method,
        )
        for method in ITEM_METHODS
    ),
    case(
        "reload: slow", reload("record", timeout=None), "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED", "", "allow more time",
        predict=slow, method="HandleReloadConfigRequest",
    ),
    case(
        "queue full", infer(**GOOD), "UNAVAILABLE", "BACKEND_OVERLOADED", "", "try again", predict=refusing(grpc.StatusCode.UNAVAILABLE, QUEUE_FULL),
    ),
    case("drop-in: queue full", predict(), "UNAVAILABLE", None, "", QUEUE_FULL, predict=refusing(grpc.StatusCode.UNAVAILABLE, QUEUE_FULL)),
    case(
        "drop-in: the server stops before it takes the call on", predict(), "UNAVAILABLE", "BACKEND_UNAVAILABLE", "", "try again",
        predict=refusing(grpc.StatusCode.CANCELLED),
    ),
    *(
        case(f"refused: {status.name}", infer(**GOOD), code, reason, "", says, predict=refusing(status))
        for code, reason, says, statuses in (
            ("FAILED_PRECONDITION", "BACKEND_REJECTED", "tell whoever published", "INVALID_ARGUMENT FAILED_PRECONDITION OUT_OF_RANGE"),
            ("UNAVAILABLE", "BACKEND_OVERLOADED", "try again", "RESOURCE_EXHAUSTED"),
            ("UNAVAILABLE", "BACKEND_UNAVAILABLE", "try again", "UNAVAILABLE CANCELLED"),
            ("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED", "allow more time", "DEADLINE_EXCEEDED"),
            (
                *ANSWER_INVALID, "tell whoever runs it",
                "UNKNOWN ALREADY_EXISTS PERMISSION_DENIED ABORTED UNIMPLEMENTED INTERNAL DATA_LOSS UNAUTHENTICATED",
            ),
        )
        for status in (grpc.StatusCode[name] for name in statuses.split())
    ),
    *(
        case(f"answer: {name}", infer(**GOOD), *ANSWER_INVALID, field_, says, predict=answering(reply))
        for name, field_, says, reply in (
            ("garbage", "", "can't be parsed", b"\xff" + PATIENT.encode()),
            ("nothing", "", "publish the version again", b""),
            ("another version's", "", "another version than it was asked for", lambda peer: peer.answer([0.25, 0.75], version=2)),
            ("too few labels", "", "publish the version again", lambda peer: peer.answer([1.0])),
            ("another output", "", "publish the version again", lambda peer: peer.answer([0.25, 0.75], name=PATIENT)),
            ("no batch dimension", 'outputs["probabilities"]', "has the shape [2]", lambda peer: peer.answer([0.25, 0.75], shape=(2,))),
            ("two items", 'outputs["probabilities"]', "has the shape [2, 2]", lambda peer: peer.answer([0.25, 0.75] * 2, shape=(2, 2))),
            ("10⁹ elements", 'outputs["probabilities"]', "has the shape", lambda peer: peer.answer([0.5], shape=(1, MANY))),
            ("negative size", 'outputs["probabilities"]', "has the shape", lambda peer: peer.answer([0.5], shape=(1, -2))),
            ("too many values", 'outputs["probabilities"]', "more or fewer", lambda peer: peer.answer([0.25, 0.25, 0.5], shape=(1, 2))),
            ("NaN", "", "ask for another version", lambda peer: peer.answer([float("nan"), 1.0])),
            ("no probabilities", "", "ask for another version", lambda peer: peer.answer([-1.0, 2.0])),
            ("sum", "", "ask for another version", lambda peer: peer.answer([0.5, 0.1])),
        )
    ),
]  # fmt: skip


def good_calls(gateway: Running) -> None:
    assert infer(**GOOD)(gateway).findings
    assert predict()(gateway).outputs


def details_of(error: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    trailers = dict(error.trailing_metadata())
    pushback_ms = trailers.pop("grpc-retry-pushback-ms", None)
    for key, value in trailers.items():
        assert key == "grpc-status-details-bin"
        status = status_pb2.Status.FromString(value)
        assert (status.code, status.message) == (error.code().value[0], error.details())
        for detail in status.details:
            name = detail.TypeName().removeprefix("google.rpc.")
            found[name] = getattr(error_details_pb2, name)()
            detail.Unpack(found[name])
    wait = found.get("RetryInfo")
    assert pushback_ms == (None if wait is None else str(wait.retry_delay.ToMilliseconds()))
    return found


def require_nothing_of_a_patient(gateway: Running) -> None:
    written = gateway.written()
    secrets = (key[-43:] for key in gateway.keys.values())
    assert [text for text in (PATIENT, "Doe", STUDY, PATIENT_KEY, *secrets) if text in written] == []


def check(gateway: Running, one: Case, poll: Callable[..., Any]) -> None:
    """Sends the case and holds what comes back, and what is written, against it."""
    before = gateway.mark()

    with pytest.raises(grpc.RpcError) as caught:
        one.send(gateway)

    error: Any = caught.value
    details = details_of(error)
    assert error.code().name == one.code
    assert one.says in error.details()
    assert PATIENT not in error.details()
    assert (details["ErrorInfo"].reason if details else None) == one.reason
    if details:
        assert details["ErrorInfo"].domain == "medserve"
    assert [violation.field for violation in details["BadRequest"].field_violations] == [one.field] if one.field else "BadRequest" not in details
    if one.is_audited:
        (event,) = poll(lambda: gateway.audit[before:], "the call in the audit")
        assert (event["code"], event.get("reason")) == (one.code, one.reason)
        if details:
            assert event["request_id"] == details["ErrorInfo"].metadata["request_id"]


@pytest.mark.parametrize("one", CASES, ids=lambda one: one.name)
def test_the_case_has_its_answer_and_the_next_good_call_is_answered(gateway: Running, peer: Peer, poll: Callable[..., Any], one: Case) -> None:
    if one.predict:
        peer.script[one.method] = one.predict(peer)

    check(gateway, one, poll)

    peer.reset()
    good_calls(gateway)
    require_nothing_of_a_patient(gateway)


@pytest.mark.parametrize("send", [infer(timeout=0.001, **GOOD), predict(timeout=0.001)], ids=["public", "drop-in"])
def test_a_deadline_of_1_ms_is_exceeded_and_the_next_good_call_is_answered(gateway: Running, send: Send) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        send(gateway)

    error: Any = caught.value
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    # Who is first to see that it passed, the caller's own gRPC or the gateway, is a race.
    if details := details_of(error):
        assert details["ErrorInfo"].reason == "DEADLINE_EXCEEDED"
        assert "allow more time" in error.details()
    good_calls(gateway)


DOWN = [
    case("down", infer(**GOOD), "UNAVAILABLE", "BACKEND_UNAVAILABLE", "", "try again"),
    case("drop-in: down", predict(), "UNAVAILABLE", "BACKEND_UNAVAILABLE", "", "try again"),
    case("drop-in: down, status", get_status("full"), "UNAVAILABLE", "BACKEND_UNAVAILABLE", "", "try again"),
    *(case(f"{method}: down", about_items(method), "UNAVAILABLE", "BACKEND_UNAVAILABLE", "", "try again") for method in ITEM_METHODS),
    case("reload: down", reload("record"), "UNAVAILABLE", "BACKEND_UNAVAILABLE", "", "try again"),
]


@pytest.mark.parametrize("one", DOWN, ids=lambda one: one.name)
def test_a_model_server_that_is_down_is_said_and_found_again(gateway: Running, peer: Peer, poll: Callable[..., Any], one: Case) -> None:
    peer.stop()
    try:
        check(gateway, one, poll)
    finally:
        peer.start()

    def answered() -> bool:
        try:
            good_calls(gateway)
        except grpc.RpcError:
            return False
        return True

    poll(answered, "the model server is found again")
    require_nothing_of_a_patient(gateway)


def test_one_call_more_than_a_tenant_may_have_is_refused(gateway: Running, peer: Peer, poll: Callable[..., Any]) -> None:
    arrived, go = Semaphore(0), Event()

    def wait(_: bytes, __: grpc.ServicerContext) -> bytes:
        arrived.release()
        go.wait(60)
        return peer.answer([0.25, 0.75])

    peer.script["Predict"] = wait
    too_many = case("fifth", infer(**GOOD), "RESOURCE_EXHAUSTED", "TOO_MANY_CALLS", "", "try again")
    with ThreadPoolExecutor(4) as pool:
        try:
            under_way = [pool.submit(infer(**GOOD), gateway) for _ in range(4)]
            assert all(arrived.acquire(timeout=60) for _ in under_way)
            check(gateway, too_many, poll)
        finally:
            go.set()
        assert all(call.result(60).findings for call in under_way)

    good_calls(gateway)


def test_every_leaf_is_met_here_or_elsewhere_for_a_reason() -> None:
    met = {one.reason for one in (*CASES, *DOWN)} | {"TOO_MANY_CALLS"}

    assert {leaf.reason for leaf in leaves()} - met == set(ELSEWHERE)
