"""`Classify`, `Regress` and `MultiInference`: section 4 of `tfserving_observed.md`, and classifier.cc, regressor.cc and multi_inference.cc."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_serving.apis import classification_pb2, inference_pb2, input_pb2, regression_pb2

from tests.contract.wire import Case, example, examples

INVALID = "INVALID_ARGUMENT"
# y = x / 2 + 2.
ONE, TWO = example(x=1.0), example(x=2.0)
REQUESTS = {"Classify": classification_pb2.ClassificationRequest, "Regress": regression_pb2.RegressionRequest}


def asked(row: str, method: str, spec: str, sent: input_pb2.Input | None = None, **expected: Any) -> Case:
    made = REQUESTS[method]()
    if sent is not None:
        made.input.CopyFrom(sent)
    if spec:
        text_format.Parse(spec, made.model_spec)
    return Case(row=row, method=method, request=made, **expected)


def signature(name: str, model: str = "examples") -> str:
    return f'name: "{model}" signature_name: "{name}"'


def who(name: str, model: str = "examples") -> str:
    return f"model_spec {{ {signature(name, model)} version {{ value: 1 }} }}"


def scores(*rows: Sequence[float]) -> str:
    return "result { " + " ".join("classifications { " + " ".join(f"classes {{ score: {score} }}" for score in row) + " }" for row in rows) + " }"


def values(*numbers: float) -> str:
    return "result { " + " ".join(f"regressions {{ value: {number} }}" for number in numbers) + " }"


BOTH = examples(ONE, TWO)
# What stands behind a SignatureDef's text, which varies.
ANY_TEXT = r"[\s\S]*"
MISSING = "Name: <unknown>, Feature: x (data type: float) is required but could not be found."

SPECS = [
    asked(f"4: {method}: {row}", method, spec, BOTH, code=code, message=message)
    for method in REQUESTS
    for row, spec, code, message in (
        ("no model_spec", "", INVALID, "Missing ModelSpec"),
        ("empty name", 'signature_name: "a"', INVALID, "ModelSpec has no name specified."),
        ("unknown model", 'name: "nope"', "NOT_FOUND", "Servable not found for request: Latest(nope)"),
        ("unknown version", 'name: "examples" version { value: 9 }', "NOT_FOUND", "Servable not found for request: Specific(examples, 9)"),
        ("unknown label", 'name: "examples" version_label: "a"', INVALID, "Unrecognized servable version label: a"),
        ("unknown signature", signature("nosig"), INVALID, "No signature was found with the name: nosig"),
        ("no serving_default", 'name: "echo"', INVALID, "No signature was found with the name: serving_default"),
    )
]  # fmt: skip

CLASSIFY = [
    asked("classifier.cc: scores alone", "Classify", signature("classify_x_to_y"), BOTH, reply=scores([2.5], [3]) + who("classify_x_to_y")),
    asked(
        "4: Replies: model_spec as in Predict: serving_default", "Classify", 'name: "examples"', BOTH,
        reply=scores([2.5], [3]) + who("serving_default"),
    ),
    asked(
        "classifier.cc: classes and scores, in the signature's order", "Classify", signature("classify_two"), examples(ONE),
        reply='result { classifications { classes { label: "high" score: 2.5 } classes { label: "low" score: -2.5 } } }' + who("classify_two"),
    ),
    asked(
        "classifier.cc: classes alone", "Classify", signature("classify_names"), BOTH,
        reply='result { classifications { classes { label: "2.5" } } classifications { classes { label: "3.0" } } }' + who("classify_names"),
    ),
    asked("4: Classify: a graph of TensorFlow 1", "Classify", signature("classify_x_to_y", "legacy"), BOTH,
          reply=scores([2.5], [3]) + who("classify_x_to_y", "legacy")),
    asked(
        "4: Classify on regress signature", "Classify", signature("regress_x_to_y"), BOTH, code=INVALID,
        message=re.compile(
            re.escape('Expected classification signature outputs to contain at least one of "classes" or "scores". Signature was: ') + ANY_TEXT
        ),
    ),
    asked(
        "4: Classify on predict signature", "Classify", signature("predict_x_to_y"), BOTH, code=INVALID,
        message=re.compile(re.escape("No classification inputs found in SignatureDef: ") + ANY_TEXT),
    ),
    asked(
        "classifier.cc: outputs of other names", "Classify", signature("classify_other"), BOTH, code=INVALID,
        message=re.compile(
            re.escape('Expected classification signature outputs to contain at least one of "classes" or "scores". Signature was: ') + ANY_TEXT
        ),
    ),
    asked("classifier.cc: three outputs", "Classify", signature("classify_three"), BOTH, code=INVALID,
          message="Expected one or two output Tensors, found 3"),
    asked("classifier.cc: two inputs", "Classify", signature("classify_two_inputs"), BOTH, code=INVALID, message="Expected one input Tensor."),
    asked("classifier.cc: no input", "Classify", signature("get_counter", "counter"), BOTH, code=INVALID, message="Expected one input Tensor."),
    asked("classifier.cc: scores of one dimension", "Classify", signature("classify_flat"), BOTH, code=INVALID,
          message="Expected Tensor shape: [batch_size num_classes] but got [2]"),
    asked("classifier.cc: scores of another type", "Classify", signature("classify_double"), BOTH, code=INVALID,
          message="Expected scores Tensor of DT_FLOAT. Got: DT_DOUBLE"),
    asked("classifier.cc: classes of another type", "Classify", signature("classify_numbers"), BOTH, code=INVALID,
          message="Expected classes Tensor of DT_STRING. Got: DT_INT64"),
    asked("classifier.cc: more scores than examples", "Classify", signature("classify_one_more"), BOTH, code=INVALID,
          message="Expected scores output batch size of 2. Got: 4"),
    asked("classifier.cc: more classes than examples", "Classify", signature("classify_one_more_class"), BOTH, code=INVALID,
          message="Expected classes output batch size of 2. Got: 4"),
    asked("classifier.cc: as many classes as scores", "Classify", signature("classify_unequal"), BOTH, code=INVALID,
          message="Tensors class and score should match in dim_size(1). Got 1 vs. 2"),
]  # fmt: skip

REGRESS = [
    asked("regressor.cc: outputs [batch_size, 1]", "Regress", signature("regress_x_to_y"), BOTH, reply=values(2.5, 3) + who("regress_x_to_y")),
    asked("regressor.cc: outputs [batch_size]", "Regress", signature("regress_flat"), BOTH, reply=values(2.5, 3) + who("regress_flat")),
    asked("4: Regress: a graph of TensorFlow 1", "Regress", signature("regress_x_to_y", "legacy"), BOTH,
          reply=values(2.5, 3) + who("regress_x_to_y", "legacy")),
    asked(
        "4: Regress on classify signature", "Regress", signature("classify_x_to_y"), BOTH, code=INVALID,
        message=re.compile(re.escape("No regression outputs found in SignatureDef: ") + ANY_TEXT),
    ),
    asked(
        "4: Regress on predict signature", "Regress", signature("predict_x_to_y"), BOTH, code=INVALID,
        message=re.compile(re.escape("No regression inputs found in SignatureDef: ") + ANY_TEXT),
    ),
    asked("regressor.cc: two outputs", "Regress", signature("regress_two"), BOTH, code=INVALID, message="Expected one output Tensor."),
    asked("regressor.cc: two inputs", "Regress", signature("classify_two_inputs"), BOTH, code=INVALID, message="Expected one input Tensor."),
    asked("regressor.cc: outputs of two columns", "Regress", signature("regress_wide"), BOTH, code=INVALID,
          message="Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got [2,2]"),
    asked("regressor.cc: outputs of another type", "Regress", signature("regress_double"), BOTH, code=INVALID,
          message="Expected output Tensor of DT_FLOAT.  Got: DT_DOUBLE"),
    asked("regressor.cc: more outputs than examples", "Regress", signature("regress_one_more"), BOTH, code=INVALID,
          message="Input batch size did not match output batch size: 2 vs. 4"),
]  # fmt: skip

GOOD = {"Classify": ("classify_x_to_y", scores), "Regress": ("regress_x_to_y", values)}
INPUT = [
    asked(f"4: {method}: {row}", method, signature(GOOD[method][0]), sent, code=INVALID, message=message, is_kernels=is_kernels)
    for method in REQUESTS
    for row, sent, message, is_kernels in (
        ("empty input", None, "Input is empty.", False),
        ("empty list", examples(), "Input is empty.", False),
        ("context without examples", examples(context=ONE), "Input is empty.", False),
        ("Example lacks the feature", examples(example(z=1.0)), MISSING, True),
        ("one of two lacks the feature", examples(ONE, tf.train.Example()), MISSING, True),
        (
            "a feature of another type", examples(example(x=1)),
            "Name: <unknown>, Key: x, Index: 0.  Data types don't match. Data type: int64 but expected type: float", True,
        ),
    )
] + [
    asked("util.cc: a context goes before each example", "Classify", signature("classify_x_to_y"), examples(example(z=1), example(z=2), context=TWO),
          reply=scores([3], [3]) + who("classify_x_to_y")),
    asked("util.cc: an example goes before the context", "Regress", signature("regress_x_to_y"), examples(ONE, example(z=2), context=TWO),
          reply=values(2.5, 3) + who("regress_x_to_y")),
    asked(
        "4: order: the signature before the input", "Classify", signature("nosig"), code=INVALID,
        message="No signature was found with the name: nosig",
    ),
]  # fmt: skip


def tasks(row: str, *listed: tuple[str, str], sent: input_pb2.Input = BOTH, **expected: Any) -> Case:
    """`listed`: each task's ModelSpec in text form, and its method."""
    made = inference_pb2.MultiInferenceRequest(input=sent)
    for spec, method in listed:
        task = made.tasks.add(method_name=method and f"tensorflow/serving/{method}")
        if spec:
            text_format.Parse(spec, task.model_spec)
    return Case(row=f"multi_inference.cc: {row}", method="MultiInference", request=made, **expected)


CLASSES, NUMBERS = (signature("classify_x_to_y"), "classify"), (signature("regress_x_to_y"), "regress")
OLD_CLASSES, OLD_NUMBERS = (signature("classify_x_to_y", "legacy"), "classify"), (signature("regress_x_to_y", "legacy"), "regress")


def results(*each: str) -> str:
    return " ".join(f"results {{ {one} }}" for one in each)


CLASSIFIED, REGRESSED = scores([2.5], [3]).replace("result {", "classification_result {"), values(2.5, 3).replace("result {", "regression_result {")

MULTI = [
    tasks("one model_spec per result", CLASSES, NUMBERS,
          reply=results(CLASSIFIED + who("classify_x_to_y"), REGRESSED + who("regress_x_to_y"))),
    tasks("results in the order of the tasks", NUMBERS, CLASSES,
          reply=results(REGRESSED + who("regress_x_to_y"), CLASSIFIED + who("classify_x_to_y"))),
    tasks("a graph of TensorFlow 1, in one run", OLD_CLASSES, OLD_NUMBERS,
          reply=results(CLASSIFIED + who("classify_x_to_y", "legacy"), REGRESSED + who("regress_x_to_y", "legacy"))),
    tasks("a task alone", CLASSES, reply=results(CLASSIFIED + who("classify_x_to_y"))),
    tasks("an empty signature name is serving_default", ('name: "examples"', "classify"), reply=results(CLASSIFIED + who("serving_default"))),
    tasks("no task", code=INVALID, message="ModelSpec has no name specified."),
    tasks("no model_spec in the first task", ("", "classify"), CLASSES, code=INVALID, message="ModelSpec has no name specified."),
    tasks("no model_spec in the second task", CLASSES, ("", "regress"), code=INVALID, message="Found ModelSpec with an empty model name."),
    tasks("two models", CLASSES, OLD_NUMBERS, code=INVALID, message="All ModelSpecs in a MultiInferenceRequest must access the same model name."),
    tasks("the same signature twice", CLASSES, CLASSES, code=INVALID, message="Duplicate evaluation of signature: classify_x_to_y"),
    tasks("unknown model", ('name: "nope"', "classify"), code="NOT_FOUND", message="Servable not found for request: Latest(nope)"),
    tasks("unknown signature", (signature("nosig"), "classify"), code=INVALID, message="Requested signature not found in model graph: nosig"),
    tasks("unknown method", (signature("classify_x_to_y"), "predict"), code="UNIMPLEMENTED",
          message="Unsupported signature method_name: tensorflow/serving/predict"),
    tasks("no method", (signature("classify_x_to_y"), ""), code="UNIMPLEMENTED", message="Unsupported signature method_name: "),
    tasks("regress on a classify signature", (signature("classify_x_to_y"), "regress"), code=INVALID,
          message=re.compile(re.escape("No regression outputs found in SignatureDef: ") + ANY_TEXT)),
    tasks("empty input", CLASSES, sent=input_pb2.Input(), code=INVALID, message="Input is empty."),
    tasks("outputs of another type", CLASSES, (signature("regress_double"), "regress"), code=INVALID,
          message="Expected output Tensor of DT_FLOAT.  Got: DT_DOUBLE"),
]  # fmt: skip

CASES = [*SPECS, *CLASSIFY, *REGRESS, *INPUT, *MULTI]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.row)
def test_examples_are_answered_as_their_row_says(hold: Callable[[Case], None], case: Case) -> None:
    hold(case)
