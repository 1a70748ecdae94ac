"""Section 3 of `tfserving_observed.md`: what `--enable_batching` changes. The server has `batching.config` of `models.py`: 4 rows, 2 batches waiting.

The same server has `--enable_serialization_as_tensor_content` and `--enable_signature_method_name_check`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from tensorflow_serving.apis import classification_pb2, inference_pb2, regression_pb2

from tests.contract.reloads import eventually
from tests.contract.wire import Answer, Caller, Case, example, examples, floats, parsed, predict

INVALID = "INVALID_ARGUMENT"
HALF = 'name: "half_plus_two"'
APART = "a request whose batch fails is run apart: no caller fails for another's"
SHAPE = "a wrong rank to a convolution aborts the whole process in oneDNN: shapes are checked against the signature"
# Enough steps to be under way while a few other calls arrive.
SLOW = 50_000


def batched(row: str, request: Any, method: str = "Predict", **expected: Any) -> Case:
    return Case(row=row, method=method, request=request, server="batching", **expected)


def reply(model: str, outputs: str, signature: str = "serving_default") -> str:
    return f'outputs {{ {outputs} }} model_spec {{ name: "{model}" version {{ value: 1 }} signature_name: "{signature}" }}'


def content(alias: str, dtype: str, values: Any, shape: Sequence[int] = ()) -> str:
    """An output in `tensor_content`."""
    array = np.asarray(values)
    dims = " ".join(f"dim {{ size: {size} }}" for size in (shape or array.shape))
    text = "".join(f"\\x{byte:02x}" for byte in (values if isinstance(values, bytes) else array.tobytes()))
    return f'key: "{alias}" value {{ dtype: {dtype} tensor_shape {{ {dims} }} tensor_content: "{text}" }}'


def half(*values: float) -> str:
    return reply("half_plus_two", content("y", "DT_FLOAT", floats(values)))


ROWS = [
    batched("3: scalar", predict(HALF, {"x": np.float32(1)}), code=INVALID, message="Batching Run() input tensors must have at least one dimension"),
    batched(
        "3: rows > max_batch_size", predict(HALF, {"x": floats([1] * 5)}), code=INVALID,
        message="Task size 5 is larger than maximum input batch size 4",
    ),
    batched("3: max_batch_size rows", predict(HALF, {"x": floats([1, 2, 3, 4])}), reply=half(2.5, 3, 3.5, 4)),
    batched("3: allowed_batch_sizes: a lone row is padded", predict(HALF, {"x": floats([1])}), reply=half(2.5)),
    batched("3: allowed_batch_sizes: three rows are padded", predict(HALF, {"x": floats([1, 2, 3])}), reply=half(2.5, 3, 3.5)),
    batched(
        "tfserving.md, batching: unequal", predict('name: "batched" signature_name: "pair"', {"a": floats([1, 2]), "b": floats([1])}), code=INVALID,
        message="Batching Run() input tensors must have equal 0th-dimension size",
    ),
    batched(
        "batching_util.h: no input", predict('name: "counter" signature_name: "get_counter"', {}), check=lambda _: None,
        reference=(INVALID, "Batching Run() must have at least one input tensor"), why="what can't be batched is answered unbatched",
    ),
    batched(
        "batching_util.h: a signature of scalars", predict('name: "several" signature_name: "slow"', {"n": np.int64(3)}),
        reply=reply("several", content("count", "DT_INT64", np.int64(3)), "slow"),
        reference=(INVALID, "Batching Run() input tensors must have at least one dimension"), why="what can't be batched is answered unbatched",
    ),
    batched(
        "3: wrong dtype, alone in its batch", predict(HALF, {"x": np.array([1.0])}), code=INVALID, is_kernels=True,
        message="Expects arg[0] to be float but double is provided",
    ),
    batched(
        "3: wrong rank that fits max_batch_size", predict('name: "conv"', {"images": np.zeros((2, 28), np.float32)}), code=INVALID,
        message="input images has the shape [2, 28], but the signature takes [-1, 28, 28, 1]", reference=("UNAVAILABLE", None), why=SHAPE,
    ),
    batched(
        "3: the order of the checks before is Predict's", predict(HALF, {"x": floats([1] * 5)}, ("nope",)), code=INVALID,
        message="output tensor alias not found in signature: nope Outputs expected to be in the set {y}.",
    ),
    batched(
        "batching_session.cc: a call with a filter is batched as well", predict('name: "several"', {
            "a": floats([[1, 1]] * 5), "b": floats([[1, 1]] * 5),
        }, ("sum",)),
        code=INVALID, message="Task size 5 is larger than maximum input batch size 4",
    ),
    batched(
        "3: of several outputs, the one that is asked for", predict('name: "several"', {"a": floats([[3, 1]]), "b": floats([[1, 1]])}, ("sum",)),
        reply=reply("several", content("sum", "DT_FLOAT", floats([[4, 2]]))),
    ),
    batched(
        "3: a lookup table, batched", predict('name: "lookup"', {"words": ["abnormal"]}),
        reply=reply("lookup", content("ids", "DT_INT64", np.array([1]))),
    ),
    batched(
        "3: Classify, batched", classification_pb2.ClassificationRequest(
            model_spec={"name": "examples", "signature_name": "classify_x_to_y"}, input=examples(example(x=1.0)),
        ),
        "Classify",
        reply='result { classifications { classes { score: 2.5 } } } '
        'model_spec { name: "examples" version { value: 1 } signature_name: "classify_x_to_y" }',
    ),
    batched(
        "3: Regress, too many examples", regression_pb2.RegressionRequest(
            model_spec={"name": "examples", "signature_name": "regress_x_to_y"}, input=examples(*[example(x=1.0)] * 5),
        ),
        "Regress", code=INVALID, message="Task size 5 is larger than maximum input batch size 4",
    ),
    batched(
        "3: what the graph refuses, batched", predict('name: "text"', {"numbers": ["abc"]}), code=INVALID, is_kernels=True,
        message="StringToNumberOp could not correctly convert string: abc",
    ),
]  # fmt: skip

TYPES = 'name: "types"'
SENT = {"x": np.array([1, 0], np.int32)}
CONTENT = [
    batched(f"2: tensor_content with --enable_serialization_as_tensor_content: {alias}", predict(TYPES, SENT, (alias,)),
            reply=reply("types", content(alias, dtype, values, (2,))))
    for alias, dtype, values in (
        ("float64", "DT_DOUBLE", np.array([1, 0], "<f8")),
        ("float16", "DT_HALF", np.array([1, 0], "<f2")),
        ("bfloat16", "DT_BFLOAT16", b"\x80\x3f\x00\x00"),
        ("int8", "DT_INT8", np.array([1, 0], "i1")),
        ("uint32", "DT_UINT32", np.array([1, 0], "<u4")),
        ("bool", "DT_BOOL", np.array([True, False])),
        ("complex64", "DT_COMPLEX64", np.array([1, 0], "<c8")),
        # The lengths, and then the bytes (tensorflow/core/platform/tensor_coding.cc, EncodeStringList).
        ("text", "DT_STRING", b"\x01\x0110"),
    )
]  # fmt: skip


def method_name(row: str, method: str, signature: str, **expected: Any) -> Case:
    request: Any
    if method == "Predict":
        request = predict(f'name: "examples" signature_name: "{signature}"', {"inputs": [example(x=1.0).SerializeToString()]})
    else:
        kind = {"Classify": classification_pb2.ClassificationRequest, "Regress": regression_pb2.RegressionRequest}[method]
        request = kind(model_spec={"name": "examples", "signature_name": signature}, input=examples(example(x=1.0)))
    return batched(f"4: --enable_signature_method_name_check: {row}", request, method, **expected)


CHECKED = [
    method_name("Classify on regress signature", "Classify", "regress_x_to_y", code=INVALID,
                message="Expected classification signature method_name to be tensorflow/serving/classify. Was: tensorflow/serving/regress"),
    method_name("Regress on classify signature", "Regress", "classify_x_to_y", code=INVALID,
                message="Expected regression signature method_name to be tensorflow/serving/regress. Was: tensorflow/serving/classify"),
    method_name("Classify on predict signature", "Classify", "predict_x_to_y", code=INVALID,
                message="Expected classification signature method_name to be tensorflow/serving/classify. Was: tensorflow/serving/predict"),
    method_name("unknown signature", "Regress", "nosig", code=INVALID, message="No signature was found with the name: nosig"),
    method_name("Predict on a classify signature: OK", "Predict", "classify_x_to_y",
                reply=reply("examples", content("scores", "DT_FLOAT", floats([[2.5]])), "classify_x_to_y")),
    batched(
        "2: Predict on `__saved_model_init_op` with that check", predict('name: "several" signature_name: "__saved_model_init_op"', {}),
        code="INTERNAL",
        message="Expected prediction signature method_name to be one of {tensorflow/serving/predict, tensorflow/serving/classify, "
        "tensorflow/serving/regress}. Was: ",
    ),
    batched(
        "multi_inference.cc: --enable_signature_method_name_check: regress on a classify signature",
        parsed(
            inference_pb2.MultiInferenceRequest,
            'tasks { model_spec { name: "examples" signature_name: "classify_x_to_y" } method_name: "tensorflow/serving/regress" }',
        ),
        "MultiInference", code=INVALID,
        message="Expected regression signature method_name to be tensorflow/serving/regress. Was: tensorflow/serving/classify",
    ),
]  # fmt: skip

# Of no rows: before it, none may be under way.
EMPTY = [
    batched(
        "3: batch 0 alone", predict(HALF, {"x": floats([])}),
        reply=reply("half_plus_two", 'key: "y" value { dtype: DT_FLOAT tensor_shape { dim { } } }'),
        reference=("UNAVAILABLE", None), why="it waits for another's request, and fails that one",
    ),
]  # fmt: skip

CASES = [*ROWS, *CONTENT, *CHECKED, *EMPTY]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.row)
def test_a_batching_server_answers_as_its_row_says(hold: Callable[[Case], None], case: Case) -> None:
    hold(case)


@pytest.fixture
def batching(servers: Any, target: str) -> Caller:
    return servers.caller("batching", target)


def together(caller: Caller, *requests: Any) -> list[Answer]:
    """What each request comes to; all are under way at the same time."""
    calls = [caller.start("Predict", request) for request in requests]
    return [caller.answer_of(call) for call in calls]


def numbers(answer: Answer, alias: str, dtype: Any = np.float32) -> list[float]:
    assert answer.code == "OK", answer.status
    return np.frombuffer(answer.reply.outputs[alias].tensor_content, dtype).tolist()


def test_each_caller_of_a_batch_gets_its_own_rows(batching: Caller) -> None:
    answers = together(batching, *(predict(HALF, {"x": floats([value, value])}) for value in (2, 4)))

    assert [numbers(answer, "y") for answer in answers] == [[3, 3], [4, 4]]


def test_a_wrong_dtype_that_shares_a_batch(batching: Caller, is_reference: bool) -> None:
    """Section 3: TensorFlow Serving fails both."""
    good, bad = together(batching, predict(HALF, {"x": floats([2, 2])}), predict(HALF, {"x": np.array([2.0, 2.0])}))

    if is_reference:
        message = "Tensor concat operation failed: INVALID_ARGUMENT: Cannot concatenate tensors that have different data types. Got float and double."
        assert ("INTERNAL", message) in (good.status, bad.status)
        return
    assert numbers(good, "y") == [3, 3], APART
    assert (bad.code, bad.message.partition("\n")[0]) == (INVALID, "Expects arg[0] to be float but double is provided")


def test_shapes_that_differ_in_a_batch(batching: Caller, is_reference: bool) -> None:
    """Section 3: "different non-batch dims in one batch (padding off)": TensorFlow Serving fails both."""
    wide = 'name: "batched" signature_name: "wide"'
    answers = together(batching, predict(wide, {"x": floats([[1], [2]])}), predict(wide, {"x": floats([[3, 4], [5, 6]])}))

    if is_reference:
        message = (
            "Tensors with name 'wide_x:0' from different tasks have different shapes and padding is turned off. Set pad_variable_length_inputs to "
            "true, or ensure that all tensors with the same name have equal dimensions starting with the first dim."
        )
        assert [answer.status for answer in answers] == 2 * [("FAILED_PRECONDITION", message)]
        return
    assert [numbers(answer, "y") for answer in answers] == [[2, 4], [6, 8, 10, 12]], APART


def test_what_the_graph_refuses_of_one_caller_fails_nobody_else(batching: Caller, is_reference: bool) -> None:
    """Section "the five that matter most", 3."""
    good, bad = together(batching, predict('name: "text"', {"numbers": ["1", "2"]}), predict('name: "text"', {"numbers": ["abc", "3"]}))

    if not is_reference:
        assert numbers(good, "value") == [1, 2], APART
    assert bad.message.startswith("StringToNumberOp could not correctly convert string: abc")


def test_a_full_queue_is_unavailable(batching: Caller) -> None:
    """Section 3: one batch is run, two wait, and what comes then is refused."""
    full = predict('name: "batched"', {"n": np.full(4, SLOW)})

    def refused_of_eight() -> set[tuple[str, str]]:
        answers = together(batching, *[full] * 8)
        refused = [answer.status for answer in answers if answer.code != "OK"]
        # Two wait at least; where the first is begun before the last has come, one more; and one that is over in time makes room for another.
        assert len(answers) - len(refused) >= 2
        return set(refused)

    message = "The batch scheduling queue to which this task was submitted is full; currently 2 batches enqueued and max_enqueued_batches is 2"
    # On a busy machine eight may come one by one; not each time.
    eventually(refused_of_eight, {("UNAVAILABLE", message)})
