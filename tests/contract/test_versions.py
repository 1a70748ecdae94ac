"""How versions come and go: section 7 of `tfserving_observed.md`, and what section 5 says of it. Each test has a model of its own."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from tests.contract.models import write_corrupt
from tests.contract.reloads import A, B, Reloads, eventually, gone, listed, model
from tests.contract.wire import predict

M = 'name: "m"'
ALL = "model_version_policy { all { } }"
Publish = Callable[..., Path]
CORRUPT_WARM_UP = (15, "corrupted record at 0 (Is this even a TFRecord file?). Please verify your warmup data is in TFRecord format.")


@pytest.fixture
def publish(root: Path, tmp_path: Path) -> Publish:
    """Publishes half_plus_two as a version, by one rename; with warm-up records where they are given."""

    def one(version: str, *, warm_up: bytes | None = None) -> Path:
        unfinished = tmp_path / "unfinished"
        shutil.copytree(root / "late" / "ready", unfinished)
        if warm_up is not None:
            (unfinished / "assets.extra").mkdir()
            (unfinished / "assets.extra" / "tf_serving_warmup_requests").write_bytes(warm_up)
        base_path = tmp_path / "m"
        base_path.mkdir(exist_ok=True)
        return unfinished.rename(base_path / version)

    return one


@pytest.fixture
def serve(reloads: Reloads, publish: Publish, tmp_path: Path) -> Callable[..., None]:
    """Has `m` served, with a version to begin with."""

    def begin(version: str = "1", policy: str = "") -> None:
        publish(version)
        # The name may be one that the server has known: it is taken away, and comes back.
        answers = [reloads.reload(listed(A, B)), reloads.reload(listed(A, B, model("m", str(tmp_path / "m"), more=policy)))]
        assert [answer.status for answer in answers] == [("OK", "")] * 2

    return begin


def records(tmp_path: Path, *logs: prediction_log_pb2.PredictionLog) -> bytes:
    file = tmp_path / "records"
    with tf.io.TFRecordWriter(str(file)) as writer:
        for log in logs:
            writer.write(log.SerializeToString())
    return file.read_bytes()


def failure(reloads: Reloads, version: int) -> tuple[int, str] | None:
    return next((status for number, status in reloads.errors("m").items() if number == version), None)


def test_a_new_version_is_picked_up_and_the_old_one_ends(reloads: Reloads, serve: Callable[..., None], publish: Publish) -> None:
    """Section 7, "New version"; section 5: newest first, and what was unloaded stays listed as END."""
    serve("21")

    publish("22")

    eventually(partial(reloads.predicted, M), 22)
    eventually(partial(reloads.states, "m", (21, 22)), {22: "AVAILABLE", 21: "END"})
    assert list(reloads.states("m", (21, 22))) == [22, 21]


def test_the_old_version_serves_until_the_new_one_is_available(reloads: Reloads, serve: Callable[..., None], publish: Publish) -> None:
    """Section 7: no failed request is seen."""
    serve("31")
    seen = []

    def look() -> object:
        seen.append(reloads.predicted(M))
        return seen[-1]

    look()
    publish("32")
    eventually(look, 32)

    assert set(seen) == {31, 32}


def test_a_version_is_a_number_whatever_its_zeros(reloads: Reloads, serve: Callable[..., None], tmp_path: Path) -> None:
    """`tfserving.md`, Versions: `00001` is 1, and other names are passed over."""
    for name in ("tmp", "v5", ".9", "1.5"):
        (tmp_path / "m" / name).mkdir(parents=True)

    serve("00041")

    assert reloads.predicted(M) == 41
    assert reloads.predicted('name: "m" version { value: 41 }') == 41


def test_the_latest_is_the_highest_that_is_ready(reloads: Reloads, serve: Callable[..., None], publish: Publish) -> None:
    """`tfserving.md`, AvailabilityPreserving: "Latest" = highest Ready."""
    serve("51", ALL)
    publish("50")

    eventually(partial(reloads.states, "m", (50, 51)), {51: "AVAILABLE", 50: "AVAILABLE"})

    assert reloads.predicted(M) == 51
    assert reloads.predicted('name: "m" version { value: 50 }') == 50


def test_all_versions_deleted_are_unloaded(reloads: Reloads, serve: Callable[..., None], tmp_path: Path) -> None:
    """Section 7, "All version dirs deleted"."""
    serve("61")

    shutil.rmtree(tmp_path / "m" / "61")

    eventually(partial(reloads.predicted, M), gone("m"))
    eventually(partial(reloads.states, "m", (61,)), {61: "END"})


def test_a_base_path_that_vanishes_unloads_nothing_and_stops_no_other_model(
    reloads: Reloads, serve: Callable[..., None], tmp_path: Path, is_reference: bool
) -> None:
    """`tfserving.md`, Versions: a missing base_path aborts that poll for all models. Ours goes on with the others."""
    serve("71")

    (tmp_path / "m").rename(tmp_path / "away")
    if not is_reference:
        added = reloads.root / "b" / "2"
        shutil.copytree(reloads.root / "late" / "ready", added)
        try:
            eventually(partial(reloads.predicted, 'name: "b"'), 2)
        finally:
            shutil.rmtree(added)

    assert reloads.predicted(M) == 71


def test_a_version_that_cannot_be_loaded_ends_with_its_error(reloads: Reloads, serve: Callable[..., None], tmp_path: Path) -> None:
    """Section 5: a failed load is END with status.error_code + error_message."""
    serve("81")

    write_corrupt(tmp_path / "m" / "82")

    eventually(lambda: [bool(part) for part in failure(reloads, 82) or ()], [True, True])
    assert reloads.states("m", (81, 82)) == {82: "END", 81: "AVAILABLE"}
    assert reloads.predicted(M) == 81


def test_a_half_copied_version_is_loaded_once_it_is_complete(
    reloads: Reloads, serve: Callable[..., None], tmp_path: Path, is_reference: bool
) -> None:
    """Section 7, "Half-copied version dir": TensorFlow Serving tries it, and never again. Ours doesn't try it before it is complete."""
    serve("91")
    half = tmp_path / "m" / "92"
    (half / "variables").mkdir(parents=True)

    eventually(partial(reloads.states, "m", (91, 92)), {92: "END" if is_reference else "START", 91: "AVAILABLE"})
    if is_reference:
        error = failure(reloads, 92)
        assert error is not None
        assert (error[0], error[1].startswith("Specified file path does not appear to contain a SavedModel bundle")) == (5, True)
        return
    assert failure(reloads, 92) == (0, "")
    shutil.copytree(tmp_path / "m" / "91", half, dirs_exist_ok=True)

    eventually(partial(reloads.predicted, M), 92)


def test_a_corrupt_warm_up_fails_the_load_and_the_old_version_serves(reloads: Reloads, serve: Callable[..., None], publish: Publish) -> None:
    """Section 7, "Corrupt warm-up file"."""
    serve("101")

    publish("102", warm_up=b"this is no TFRecord")

    eventually(partial(failure, reloads, 102), CORRUPT_WARM_UP)
    eventually(partial(reloads.states, "m", (101, 102)), {102: "END", 101: "AVAILABLE"})
    assert reloads.predicted(M) == 101


def test_a_warm_up_record_that_the_model_refuses_fails_the_load_with_that_error(
    reloads: Reloads, serve: Callable[..., None], publish: Publish, tmp_path: Path
) -> None:
    """Section 7: "a warm-up record the model rejects fails the load with that error"."""
    serve("111")
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.CopyFrom(predict('name: "m"', {}))

    publish("112", warm_up=records(tmp_path, log))

    message = "input size does not match signature: 0!=1 len({}) != len({x}). Sent extra: {}. Missing but required: {x}."
    eventually(partial(failure, reloads, 112), (3, message))
    assert reloads.predicted(M) == 111


def test_a_warm_up_with_good_records_loads(reloads: Reloads, serve: Callable[..., None], publish: Publish, tmp_path: Path) -> None:
    """`tfserving.md`, Warmup."""
    serve("121")
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.CopyFrom(predict('name: "m"', {"x": [1.0, 2.0]}))

    publish("122", warm_up=records(tmp_path, log))

    eventually(partial(reloads.predicted, M), 122)


def test_a_warm_up_record_of_another_api_fails_the_load(reloads: Reloads, serve: Callable[..., None], publish: Publish, tmp_path: Path) -> None:
    """saved_model_warmup_util: what isn't Predict, Classify, Regress or MultiInference is UNIMPLEMENTED."""
    serve("131")
    log = prediction_log_pb2.PredictionLog()
    log.session_run_log.SetInParent()

    publish("132", warm_up=records(tmp_path, log))

    eventually(partial(failure, reloads, 132), (12, "Unsupported log_type for warmup: 5"))
