"""The synchronous client against a real gateway over TLS."""

import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pytest

import medserve
from medserve import Channel, Client, EncodedImage, TimeSeries, to_array
from medserve.v1 import catalog_pb2, inference_pb2, reading_pb2

if TYPE_CHECKING:
    from tests.medserve.conftest import Stack

DIGIT = {"images": np.zeros((28, 28, 1), dtype=np.uint8)}
CUT = {"images": EncodedImage(b"\x89PNG\r\n\x1a\n")}


def test_a_tensor_goes_in_and_findings_come_out(stack: "Stack") -> None:
    with stack.client() as client:
        answer = client.infer("digits", DIGIT, request_id="a-1", purpose_of_use=inference_pb2.PURPOSE_OF_USE_QUALITY)

    assert (answer.request_id, answer.served_by.model, answer.served_by.version) == ("a-1", "digits", 1)
    assert [finding.code.display for finding in answer.findings] == ["two", "one", "zero"]
    assert answer.findings[0].decision == reading_pb2.DECISION_PRESENT
    assert [warning.reason for warning in answer.warnings] == ["DEMONSTRATION_ONLY"]


def test_a_time_series_goes_in(stack: "Stack") -> None:
    series = TimeSeries(channels=[Channel(name="II", unit="mV", values=np.zeros(4))], sampling_frequency_hz=250)

    with stack.client() as client:
        answer = client.infer("ecg", {"signal": series})

    assert answer.findings[0].code.code == "V"


def test_raw_outputs_come_as_they_went_in(stack: "Stack") -> None:
    values = np.array([1.5, -0.0, 1e300])

    with stack.client() as client:
        answer = client.infer("echo", {"x": values}, include_raw_outputs=True)

    assert to_array(answer.raw_outputs["y"]).tobytes() == values.tobytes()


@pytest.mark.parametrize(("choice", "label"), [({"version": 1}, ""), ({"label": "stable"}, "stable"), ({}, "")])
def test_a_version_or_a_label_or_neither_chooses(stack: "Stack", choice: dict[str, Any], label: str) -> None:
    with stack.client() as client:
        served_by = client.infer("digits", DIGIT, **choice).served_by

    assert (served_by.version, served_by.version_label) == (1, label)


def test_every_model_is_listed_in_order_of_name(stack: "Stack") -> None:
    with stack.client() as client:
        models = client.list_models()

    assert [model.name for model in models] == ["asleep", "digits", "ecg", "echo", "pair", "rare"]
    assert [model.name for model in models if not model.ready] == ["asleep"]


def test_one_model_is_read_with_its_manifest(stack: "Stack") -> None:
    with stack.client() as client:
        model = client.get_model("digits")

    assert model.versions[0].state == catalog_pb2.VERSION_STATE_AVAILABLE
    assert model.versions[0].manifest.display_name == "Handwritten digits"


def test_health_is_told_without_a_key(stack: "Stack") -> None:
    with stack.client(api_key=None) as client:
        told = [client.health(), client.health("digits"), client.health("asleep")]

        with pytest.raises(medserve.NotFound, match="no model or service named absent"):
            client.health("absent")

    assert told == [True, True, False]


def test_what_is_ready_is_not_waited_for(stack: "Stack") -> None:
    with stack.client() as client:
        client.wait_ready()
        client.wait_ready("digits")


@pytest.mark.parametrize(("service", "said"), [("asleep", "isn't serving yet"), ("absent", "no model or service")])
def test_what_does_not_become_ready_is_said_when_the_time_is_over(stack: "Stack", service: str, said: str) -> None:
    told: list[medserve.DeadlineExceeded] = []
    with stack.client() as client:
        client.wait_ready()
        # Connected: from here on an answer takes milliseconds, and on a busy machine seconds.
        for seconds in (0.5, 5, 50):
            with pytest.raises(medserve.DeadlineExceeded) as caught:
                client.wait_ready(service, timeout_seconds=seconds)
            told.append(caught.value)
            if said in str(caught.value):
                break

    assert said in str(told[-1])
    assert (told[-1].code, told[-1].reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED")


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (("absent", DIGIT, {}), (medserve.NotFound, "MODEL_NOT_FOUND", "model.name")),
        (("digits", DIGIT, {"version": 7}), (medserve.NotFound, "VERSION_NOT_FOUND", "model.version")),
        (("digits", DIGIT, {"label": "canary"}), (medserve.NotFound, "LABEL_NOT_FOUND", "model.version_label")),
        (("digits", {}, {}), (medserve.InvalidArgument, "INPUT_MISSING", 'inputs["images"]')),
        (("digits", CUT, {}), (medserve.InvalidArgument, "IMAGE_UNDECODABLE", 'inputs["images"].image.content')),
        (("echo", {"x": np.zeros(1, "f4")}, {}), (medserve.InvalidArgument, "DTYPE_MISMATCH", 'inputs["x"].tensor.data_type')),
        (("asleep", {"x": np.zeros(1)}, {}), (medserve.Unavailable, "VERSION_NOT_READY", "model.name")),
        (("digits", DIGIT, {"request_id": "Jane Doe"}), (medserve.InvalidArgument, "FIELD_INVALID", "context.request_id")),
    ],
)
def test_a_refusal_names_its_reason_and_field(
    stack: "Stack", asked: tuple[str, dict[str, Any], dict[str, Any]], expected: tuple[type[medserve.MedserveError], str, str]
) -> None:
    model, inputs, more = asked

    with stack.client() as client, pytest.raises(medserve.MedserveError) as caught:
        client.infer(model, inputs, **more)

    assert (type(caught.value), caught.value.reason, caught.value.field) == expected
    assert caught.value.message
    assert caught.value.request_id


def test_a_missing_a_wrong_and_a_narrow_key_are_told_apart(stack: "Stack") -> None:
    reasons = []
    for key, model in ((None, "digits"), ("msk_" + "a" * 12 + "_" + "b" * 43, "digits"), (stack.narrow_key, "ecg")):
        with stack.client(api_key=key) as client, pytest.raises((medserve.Unauthenticated, medserve.PermissionDenied)) as caught:
            client.infer(model, {})
        reasons.append(caught.value.reason)
    with stack.client(api_key=stack.narrow_key) as client, pytest.raises(medserve.PermissionDenied) as caught:
        client.list_models()

    assert [*reasons, caught.value.reason] == ["CREDENTIALS_MISSING", "CREDENTIALS_INVALID", "MODEL_NOT_ALLOWED", "ACTION_NOT_ALLOWED"]


def test_a_call_that_nobody_answers_ends_with_its_own_time(stack: "Stack") -> None:
    stack.model_server.gate.clear()

    with stack.client() as client, pytest.raises(medserve.DeadlineExceeded) as caught:
        client.infer("digits", DIGIT, timeout_seconds=0.3)

    assert caught.value.reason == "DEADLINE_EXCEEDED"


def test_an_unavailable_model_server_is_asked_again_with_a_large_request(stack: "Stack") -> None:
    values = np.zeros(1_000_000)
    stack.model_server.faults[:] = [grpc.StatusCode.UNAVAILABLE] * 2

    with stack.client() as client:
        answer = client.infer("echo", {"x": values}, include_raw_outputs=True)

    assert stack.model_server.asked == 3
    assert list(answer.raw_outputs["y"].shape) == [1_000_000]


def test_it_is_asked_again_no_more_than_three_times(stack: "Stack") -> None:
    stack.model_server.faults[:] = [grpc.StatusCode.UNAVAILABLE] * 10

    with stack.client() as client, pytest.raises(medserve.Unavailable) as caught:
        client.infer("digits", DIGIT)

    assert stack.model_server.asked == 4
    assert (caught.value.reason, caught.value.retry_after_seconds) == ("BACKEND_UNAVAILABLE", 1.0)


def test_what_asking_again_cannot_help_is_asked_once(stack: "Stack") -> None:
    stack.model_server.faults[:] = [grpc.StatusCode.INVALID_ARGUMENT] * 10

    with stack.client() as client, pytest.raises(medserve.FailedPrecondition) as caught:
        client.infer("digits", DIGIT)

    assert (caught.value.reason, stack.model_server.asked) == ("BACKEND_REJECTED", 1)


def test_an_answer_larger_than_the_usual_limit_of_grpc_arrives(stack: "Stack") -> None:
    values = np.arange(1_000_000, dtype=np.float64)

    with stack.client() as client:
        answer = client.infer("echo", {"x": values}, include_raw_outputs=True)

    assert np.array_equal(to_array(answer.raw_outputs["y"]), values)


def test_one_client_serves_many_threads(stack: "Stack") -> None:
    answers: list[str] = []

    def ask(number: int) -> None:
        answers.append(client.infer("digits", DIGIT, request_id=f"r-{number}").request_id)

    with stack.client() as client:
        threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert sorted(answers) == [f"r-{number}" for number in range(8)]


def test_an_address_where_nobody_listens_says_so() -> None:
    with Client("localhost:1", insecure=True) as client, pytest.raises(medserve.Unavailable, match="localhost:1 can't be reached") as caught:
        client.list_models()

    assert caught.value.reason == ""


def test_a_certificate_that_is_not_trusted_says_what_to_name(stack: "Stack") -> None:
    target = stack.target.replace("localhost", "127.0.0.1")

    with Client(target) as client, pytest.raises(medserve.Unavailable, match="name the CA that signed it"):
        client.list_models()


def test_a_name_that_the_certificate_does_not_hold_is_refused(stack: "Stack") -> None:
    port = stack.target.rpartition(":")[2]

    with Client(f"127.0.0.2:{port}", ca_certificates=stack.ca_file) as client, pytest.raises(medserve.Unavailable):
        client.health()


def test_the_systems_roots_are_trusted_without_any_named(stack: "Stack") -> None:
    program = f"import medserve; print(medserve.Client({stack.target!r}).health())"

    told = subprocess.run(
        [sys.executable, "-c", program], env={"SSL_CERT_FILE": str(stack.ca_file)}, capture_output=True, text=True, check=True
    ).stdout

    assert told == "True\n"


def test_neither_a_client_nor_its_errors_show_the_key(stack: "Stack") -> None:
    with stack.client(api_key=stack.narrow_key) as client, pytest.raises(medserve.PermissionDenied) as caught:
        client.list_models()

    secret = stack.narrow_key.split("_", 2)[2]
    for shown in (repr(client), repr(client._connection), str(caught.value), repr(caught.value), repr(vars(caught.value))):
        assert secret not in shown
    assert secret not in (stack.folder / "gateway.log").read_text()


def test_the_error_carries_the_callers_own_request_id(stack: "Stack") -> None:
    with stack.client() as client, pytest.raises(medserve.NotFound) as caught:
        client.infer("absent", {}, request_id="mine-7")

    assert caught.value.request_id == "mine-7"


def test_no_tensorflow_comes_with_the_client() -> None:
    program = (
        "import sys, medserve\n"
        "for name in medserve.__all__: getattr(medserve, name)\n"
        "import medserve.cli, medserve.commands.infer, medserve.commands.models, medserve.commands.health, medserve.commands.keys\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules} & {'tensorflow', 'tensorflow_serving', 'keras', 'gateway'}))\n"
    )

    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert told == "[]\n"


def test_the_gateways_part_loads_neither_the_client_nor_tables() -> None:
    program = "import sys, medserve.keys; print(sorted({'grpc', 'rich', 'numpy', 'google.protobuf'} & set(sys.modules)))"

    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert told == "[]\n"
