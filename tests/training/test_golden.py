from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

from training.golden import Golden, chosen, compare, read_golden, spread, write_golden


def _golden(items: int = 12) -> Golden:
    random = np.random.default_rng(1)
    return Golden(
        inputs={"images": random.integers(0, 256, (items, 4, 4, 1), np.uint8), "ages": random.normal(size=(items,))},
        outputs={"probabilities": random.normal(size=(items, 3)).astype(np.float32)},
    )


def _write(file: Path, golden: Golden, **limits: int) -> int:
    return write_golden(file, golden, model="model", signature_name="serving_default", **limits)


def test_what_was_written_is_read_back_bit_for_bit(tmp_path: Path) -> None:
    golden = _golden()

    assert _write(tmp_path / "golden", golden) == 12

    read = read_golden(tmp_path / "golden")
    for kept, given_ in ((read.inputs, golden.inputs), (read.outputs, golden.outputs)):
        assert kept.keys() == given_.keys()
        for name, array in given_.items():
            assert kept[name].dtype == array.dtype
            np.testing.assert_array_equal(kept[name], array)


def test_each_record_is_a_request_for_one_item_with_its_response(tmp_path: Path) -> None:
    import tensorflow as tf  # noqa: PLC0415
    from tensorflow_serving.apis import prediction_log_pb2  # noqa: PLC0415

    golden = _golden(3)
    _write(tmp_path / "golden", golden)

    logs = [prediction_log_pb2.PredictionLog.FromString(r) for r in tf.data.TFRecordDataset(str(tmp_path / "golden")).as_numpy_iterator()]

    assert len(logs) == 3
    request, response = logs[2].predict_log.request, logs[2].predict_log.response
    assert (request.model_spec.name, request.model_spec.signature_name) == ("model", "serving_default")
    np.testing.assert_array_equal(tf.make_ndarray(request.inputs["images"]), golden.inputs["images"][2:])
    np.testing.assert_array_equal(tf.make_ndarray(response.outputs["probabilities"]), golden.outputs["probabilities"][2:])


def test_items_are_spread_over_all_that_there_are(tmp_path: Path) -> None:
    golden = _golden(12)

    assert _write(tmp_path / "golden", golden, most_items=4) == 4

    np.testing.assert_array_equal(read_golden(tmp_path / "golden").inputs["ages"], golden.inputs["ages"][[0, 3, 6, 9]])


@given(items=st.integers(0, 5000), most=st.integers(1, 1000))
def test_spread_names_each_item_once_and_reaches_both_ends(items: int, most: int) -> None:
    rows = spread(items, most=most)

    assert len(rows) == min(items, most)
    assert (np.diff(rows) >= 1).all()
    if items:
        assert rows[0] == 0
        assert items - 1 - rows[-1] <= items / most


@pytest.mark.parametrize(
    ("item_bytes", "most", "parts"),
    [
        pytest.param(8, 1000, [100, 20, 80], id="all that there are"),
        pytest.param(8, 110, [100, 10, 0], id="as many as are asked for"),
        pytest.param(8, 60, [60, 0, 0], id="enough held-out ones"),
        pytest.param(160 << 10, 1000, [100, 2, 0], id="large ones only as far as there is room"),
        pytest.param(1 << 20, 1000, [100, 0, 0], id="held-out ones whatever room they take"),
    ],
)
def test_golden_inputs_are_held_out_ones_and_then_others(item_bytes: int, most: int, parts: list[int]) -> None:
    held_out, *others = (np.full((items, item_bytes), part, np.uint8) for part, items in enumerate((100, 20, 80)))

    inputs = chosen(held_out, others, most=most)

    assert np.bincount(inputs[:, 0], minlength=3).tolist() == parts
    assert (np.diff(inputs[:, 0].astype(int)) >= 0).all()


def test_items_of_another_shape_are_no_golden_inputs_beside_the_held_out_ones() -> None:
    assert chosen(np.zeros((5, 8, 1)), [np.zeros((5, 9, 1)), np.zeros((5, 8, 1))]).shape == (10, 8, 1)


def test_the_file_stays_within_its_bound(tmp_path: Path) -> None:
    whole = _write(tmp_path / "whole", _golden(100))
    size = (tmp_path / "whole").stat().st_size

    kept = _write(tmp_path / "half", _golden(100), most_bytes=size // 2)

    assert whole == 100
    assert kept == len(read_golden(tmp_path / "half")) == 50
    assert (tmp_path / "half").stat().st_size <= size // 2


def test_one_item_that_is_too_large_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"model: one item with its answer takes \d+ bytes and golden predictions may take 50"):
        _write(tmp_path / "golden", _golden(), most_bytes=50)


def test_a_damaged_file_is_refused_and_the_record_named(tmp_path: Path) -> None:
    file = tmp_path / "golden"
    _write(file, _golden())
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)

    with pytest.raises(ValueError, match=r"golden: record \d+ is damaged or cut short"):
        read_golden(file)


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    import tensorflow as tf  # noqa: PLC0415

    with tf.io.TFRecordWriter(str(tmp_path / "other")) as writer:
        writer.write(b"\xff\xff\xff")
    with tf.io.TFRecordWriter(str(tmp_path / "empty")):
        pass

    with pytest.raises(ValueError, match="record 1 isn't a PredictionLog"):
        read_golden(tmp_path / "other")
    with pytest.raises(ValueError, match="the 0 records don't belong together"):
        read_golden(tmp_path / "empty")
    with pytest.raises(FileNotFoundError):
        read_golden(tmp_path / "missing")


def test_inputs_and_outputs_of_different_items_are_refused() -> None:
    with pytest.raises(ValueError, match=r"same items, one or more; they have \[2, 3\]"):
        Golden(inputs={"x": np.zeros(2)}, outputs={"y": np.zeros(3)})


_FLOATS = npst.arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(1, 4)), elements=st.floats(-1e6, 1e6))


@given(_FLOATS, st.data())
def test_a_difference_is_found_where_it_is(golden: NDArray[Any], data: st.DataObject) -> None:
    item = data.draw(st.integers(0, len(golden) - 1))
    column = data.draw(st.integers(0, golden.shape[1] - 1))
    step = data.draw(st.floats(1e-3, 10))
    answers = golden.copy()
    answers[item, column] += step * max(1.0, abs(golden[item, column]))

    parity = compare({"y": golden, "same": golden}, {"y": answers, "same": golden})

    assert (parity.output, parity.item, parity.items) == ("y", item, len(golden))
    assert parity.difference == pytest.approx(step, rel=1e-6)


@given(npst.arrays(np.float32, (3, 2)))
def test_equal_answers_differ_by_nothing_whatever_they_are(golden: NDArray[Any]) -> None:
    parity = compare({"y": golden}, {"y": golden.copy()})

    assert (parity.difference, parity.item) == (0.0, -1)


@pytest.mark.parametrize(
    "answer", [[0.5, np.nan], [0.5, np.inf], [[0.5], [0.25]], [0.5], np.array([0.5, 0.25], np.float32)], ids=["nan", "inf", "rank", "fewer", "type"]
)
def test_what_can_not_be_subtracted_is_infinitely_far(answer: Any) -> None:
    parity = compare({"y": np.array([0.5, 0.25])}, {"y": np.array(answer)})

    assert parity.difference == np.inf


def test_words_are_equal_or_infinitely_far() -> None:
    words = np.array([b"a", b"b"], dtype=object)

    assert compare({"y": words}, {"y": words.copy()}).difference == 0
    assert compare({"y": words}, {"y": np.array([b"a", b"c"], dtype=object)}) == compare({"y": words}, {"y": np.array([b"a", b"d"], dtype=object)})
    assert compare({"y": words}, {"y": np.array([b"a", b"c"], dtype=object)}).item == 1


def test_an_output_that_is_missing_is_infinitely_far() -> None:
    parity = compare({"y": np.zeros(2), "z": np.zeros(2)}, {"y": np.zeros(2)})

    assert (parity.difference, parity.output, parity.item) == (np.inf, "z", -1)


def test_nothing_to_compare_is_no_parity() -> None:
    with pytest.raises(ValueError, match="nothing to compare"):
        compare({}, {})
