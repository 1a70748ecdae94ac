"""Requests gathered by TensorFlow's kernel: the answers are those of a lone request, and nobody fails for another."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from structlog.testing import capture_logs

from modelserver.config import Batching
from modelserver.errors import ServingError
from modelserver.servable import Servable

Load = Callable[..., Servable]
Run = Callable[..., dict[str, Any]]

# A batch is full at four rows, and otherwise waits far longer than a test: what is in one is what the test put there.
FOUR_ROWS = Batching(max_batch_size=4, batch_timeout_micros=600_000_000, num_batch_threads=1)
AT_ONCE = Batching(max_batch_size=4, batch_timeout_micros=0, num_batch_threads=1)


def together(*calls: Callable[[], Any]) -> list[Any]:
    """What each call returned or raised; all are under way at the same time."""
    barrier = threading.Barrier(len(calls))

    def one(call: Callable[[], Any]) -> Any:
        barrier.wait(60)
        try:
            return call()
        except ServingError as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(one, calls))


def test_each_caller_gets_its_own_rows(load: Load, run: Run, floats: Callable[..., Any]) -> None:
    signature = load("half_plus_two", batching=FOUR_ROWS).signatures["serving_default"]

    outputs = together(lambda: run(signature, x=floats(2)), lambda: run(signature, x=floats(4, 6)), lambda: run(signature, x=floats(8)))

    # None of them would have been answered before the others came.
    assert [output["y"].tolist() for output in outputs] == [[3.0], [4.0, 5.0], [6.0]]


def test_a_batched_answer_is_the_unbatched_one(load: Load, run: Run) -> None:
    images = np.random.default_rng(7).random((4, 28, 28, 1), np.float32)

    batched = run(load("conv", batching=AT_ONCE).signatures["serving_default"], images=images)
    alone = run(load("conv").signatures["serving_default"], images=images)

    np.testing.assert_allclose(batched["probabilities"], alone["probabilities"], rtol=1e-6)


def test_several_inputs_and_outputs_keep_their_names(load: Load, run: Run, floats: Callable[..., Any]) -> None:
    signature = load("several", batching=AT_ONCE).signatures["serving_default"]

    outputs = run(signature, a=floats([5, 3]), b=floats([1, 2]))
    chosen = run(signature, ("sum",), a=floats([5, 3]), b=floats([1, 2]))

    assert {alias: output.tolist() for alias, output in outputs.items()} == {"difference": [[4, 1]], "sum": [[6, 5]]}
    assert {alias: output.tolist() for alias, output in chosen.items()} == {"sum": [[6, 5]]}


def test_a_batch_is_padded_to_an_allowed_size_and_the_padding_is_nobodys(load: Load, run: Run, floats: Callable[..., Any]) -> None:
    batching = Batching(max_batch_size=4, num_batch_threads=1, allowed_batch_sizes=(2, 4))
    signature = load("half_plus_two", batching=batching).signatures["serving_default"]

    outputs = run(signature, x=floats(1, 2, 3))

    assert outputs["y"].tolist() == [2.5, 3.0, 3.5]


def test_one_callers_bad_value_fails_nobody_else(load: Load, run: Run) -> None:
    signature = load("text", batching=FOUR_ROWS).signatures["serving_default"]

    good, bad, other = together(
        lambda: run(signature, numbers=np.array([b"1", b"2"])),
        lambda: run(signature, numbers=np.array([b"x"])),
        lambda: run(signature, numbers=np.array([b"3"])),
    )

    assert (good["value"].tolist(), other["value"].tolist()) == ([1.0, 2.0], [3.0])
    assert bad.code.name == "INVALID_ARGUMENT"
    assert bad.message.startswith("StringToNumberOp could not correctly convert string: x")


def test_a_failed_batch_is_logged_once_and_without_what_was_in_it(load: Load, run: Run) -> None:
    signature = load("text", batching=AT_ONCE).signatures["serving_default"]

    with capture_logs() as logs:
        for _ in range(2):
            with pytest.raises(ServingError):
                run(signature, numbers=np.array([b"MEIER"]))

    assert len(logs) == 1
    assert "MEIER" not in str(logs)


REFUSED = {
    "too many rows": ({"x": np.zeros(5, np.float32)}, "Task size 5 is larger than maximum input batch size 4"),
    "a scalar": ({"x": np.float32(1)}, "Batching Run() input tensors must have at least one dimension"),
    "a wrong type": ({"x": np.zeros(1)}, "Expects arg[0] to be float but double is provided"),
}


@pytest.mark.parametrize(("inputs", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cant_join_a_batch_is_refused(load: Load, run: Run, inputs: dict[str, Any], message: str) -> None:
    """tfserving_observed.md, section 3."""
    signature = load("half_plus_two", batching=FOUR_ROWS).signatures["serving_default"]

    with pytest.raises(ServingError) as caught:
        run(signature, **inputs)

    assert (caught.value.code.name, caught.value.message) == ("INVALID_ARGUMENT", message)


def test_inputs_of_unequal_rows_are_refused(load: Load, run: Run, floats: Callable[..., Any]) -> None:
    """tfserving.md, "batching: 0-d / unequal"."""
    signature = load("several", batching=FOUR_ROWS).signatures["serving_default"]

    with pytest.raises(ServingError) as caught:
        run(signature, a=floats([1, 2], [3, 4]), b=floats([1, 2]))

    assert caught.value.message == "Batching Run() input tensors must have equal 0th-dimension size"


def test_no_rows_are_answered_at_once_in_the_right_shape(load: Load, run: Run) -> None:
    """tfserving_observed.md, section 3: there they wait for another request for ever."""
    signature = load("several", batching=FOUR_ROWS).signatures["serving_default"]

    outputs = run(signature, a=np.zeros((0, 2), np.float32), b=np.zeros((0, 2), np.float32))

    assert outputs["sum"].shape == (0, 2)


def test_a_full_queue_is_unavailable_and_the_others_are_answered(load: Load, run: Run, floats: Callable[..., Any]) -> None:
    """tfserving_observed.md, section 3."""
    batching = Batching(max_batch_size=1, max_enqueued_batches=1, num_batch_threads=1)
    signature = load("half_plus_two", batching=batching).signatures["serving_default"]

    def many() -> Counter[str]:
        seen: Counter[str] = Counter()
        for _ in range(200):
            try:
                seen[str(run(signature, x=floats(2))["y"].tolist())] += 1
            except ServingError as error:
                seen[f"{error.code.name}: {error.message}"] += 1
        return seen

    outcomes = sum(together(*[many] * 8), Counter[str]())

    full = (
        "UNAVAILABLE: The batch scheduling queue to which this task was submitted is full; currently 1 batches enqueued and max_enqueued_batches is 1"
    )
    assert set(outcomes) == {"[3.0]", full}
    assert outcomes.total() == 1600


@pytest.mark.parametrize(
    ("signature", "why"),
    [
        ("double", "input x has the shape <unknown>: the number of its rows can't vary"),
        ("slow", "input n has the shape []: the number of its rows can't vary"),
    ],
)
def test_a_signature_that_cant_be_batched_runs_alone_and_the_log_says_why(load: Load, run: Run, signature: str, why: str) -> None:
    with capture_logs() as logs:
        servable = load("several", batching=FOUR_ROWS)

    outputs = run(servable.signatures[signature], **({"x": np.float32(2)} if signature == "double" else {"n": np.int64(3)}))

    (line,) = [log for log in logs if log.get("signature") == signature]
    assert (line["event"], line["why"]) == ("not batched", why)
    assert outputs in ({"y": 4.0}, {"count": 3})


def _total(x: tf.Tensor) -> dict[str, tf.Tensor]:
    return {"total": tf.reduce_sum(x)}


def test_a_signature_whose_outputs_arent_rows_isnt_batched(load: Load, run: Run, tmp_path: Any) -> None:
    module = tf.Module()
    serve = tf.function(_total, input_signature=[tf.TensorSpec([None, 2], tf.float32, name="x")])
    tf.saved_model.save(module, str(tmp_path / "m"), signatures={"serving_default": serve})

    with capture_logs() as logs:
        signature = load("m", folder=tmp_path / "m", batching=FOUR_ROWS).signatures["serving_default"]

    assert [log["event"] for log in logs] == ["not batched"]
    assert len(run(signature, x=np.ones((1, 2), np.float32))) == 1


def test_rows_that_only_the_graph_knows_to_differ_are_answered_apart(load: Load, run: Run, tmp_path: Any) -> None:
    """An output whose first dimension is no batch, which its shape doesn't say: the kernel can't split it, so each request runs alone."""
    module = tf.Module()

    def serve(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": tf.boolean_mask(x, x > 0)}

    signatures = {"serving_default": tf.function(serve, input_signature=[tf.TensorSpec([None], tf.float32, name="x")])}
    tf.saved_model.save(module, str(tmp_path / "m"), signatures=signatures)
    signature = load("m", folder=tmp_path / "m", batching=AT_ONCE).signatures["serving_default"]

    outputs = run(signature, x=np.array([1, -1, 2], np.float32))

    assert outputs["y"].tolist() == [1.0, 2.0]


def _of_any_size(tmp_path: Path) -> Path:
    """`x` float [-1, -1] → `y`, the sums of its rows."""
    module = tf.Module()

    def serve(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": tf.reduce_sum(x, axis=1)}

    signatures = {"serving_default": tf.function(serve, input_signature=[tf.TensorSpec([None, None], tf.float32, name="x")])}
    tf.saved_model.save(module, str(tmp_path / "sums"), signatures=signatures)
    return tmp_path / "sums"


def test_items_of_any_size_are_gathered_with_those_of_their_size(load: Load, run: Run, tmp_path: Path) -> None:
    """tfserving_observed.md, section 3: there, different sizes in one batch fail it."""
    signature = load("sums", folder=_of_any_size(tmp_path), batching=FOUR_ROWS).signatures["serving_default"]

    def sums(count: int, width: int) -> list[float]:
        return run(signature, x=np.ones((count, width), np.float32))["y"].tolist()

    # No batch of fewer than four rows would be run: those of three and of five columns were filled by two requests each.
    outputs = together(*(partial(sums, *shape) for shape in ((2, 3), (1, 5), (3, 5), (2, 3))))

    assert outputs == [[3.0, 3.0], [5.0], [5.0, 5.0, 5.0], [3.0, 3.0]]


def test_sizes_without_end_have_queues_up_to_a_bound_and_are_all_answered(load: Load, run: Run, tmp_path: Path) -> None:
    servable = load("sums", folder=_of_any_size(tmp_path), batching=AT_ONCE)

    with capture_logs() as logs:
        outputs = [run(servable.signatures["serving_default"], x=np.ones((1, width), np.float32))["y"].tolist() for width in range(1, 50)]

    assert outputs == [[float(width)] for width in range(1, 50)]
    assert [log["event"] for log in logs] == ["too many shapes: requests of further ones run by themselves"]


def test_a_large_request_is_split_where_that_is_asked_for(load: Load, run: Run, floats: Callable[..., Any]) -> None:
    batching = Batching(max_batch_size=8, num_batch_threads=1, enable_large_batch_splitting=True, max_execution_batch_size=3)
    signature = load("half_plus_two", batching=batching).signatures["serving_default"]

    outputs = run(signature, x=floats(*range(8)))

    assert outputs["y"].tolist() == [2 + number / 2 for number in range(8)]
