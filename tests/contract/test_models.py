"""Models of each kind, asked by `Predict`: defaults, tables, state, TensorFlow 1, Keras 3, and signatures for the other APIs."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.contract.wire import Caller, Case, example, floats, predict

INVALID = "INVALID_ARGUMENT"


def reply(model: str, outputs: str, signature: str = "serving_default") -> str:
    return f'outputs {{ {outputs} }} model_spec {{ name: "{model}" version {{ value: 1 }} signature_name: "{signature}" }}'


def column(alias: str, *values: float) -> str:
    size = f"tensor_shape {{ dim {{ size: {len(values)} }} dim {{ size: 1 }} }}"
    return f'key: "{alias}" value {{ dtype: DT_FLOAT {size} {" ".join(f"float_val: {value}" for value in values)} }}'


def summed(value: float) -> str:
    return reply("defaults", f'key: "sum" value {{ dtype: DT_FLOAT tensor_shape {{ dim {{ size: 1 }} }} float_val: {value} }}')


def sent(**values: float) -> dict[str, Any]:
    return {alias: floats([value]) for alias, value in values.items()}


DEFAULTS = 'name: "defaults"'
CASES = [
    Case(row="saved_model util.cc: all inputs sent", request=predict(DEFAULTS, sent(a=1, b=2, c=3)), reply=summed(6)),
    Case(row="saved_model util.cc: a default for each that isn't sent", request=predict(DEFAULTS, sent(a=1)), reply=summed(111)),
    Case(row="saved_model util.cc: a default for one", request=predict(DEFAULTS, sent(a=1, c=3)), reply=summed(14)),
    Case(
        row="saved_model util.cc: no input, and one without a default", request=predict(DEFAULTS, {}), code=INVALID,
        message="Signature input alias: a(feed name: serving_default_a:0) not found in request and no default value provided. "
        "Inputs expected to be in the request {}, or default input alias set: b,c",
    ),
    Case(
        row="saved_model util.cc: fewer inputs, the one without a default missing", request=predict(DEFAULTS, sent(b=1, c=2)), code=INVALID,
        message="Signature input alias: a(feed name: serving_default_a:0) not found in request and no default value provided. "
        "Inputs expected to be in the request {b,c}, or default input alias set: b,c",
    ),
    Case(
        row="saved_model util.cc: a name that isn't an input's, beside defaults", request=predict(DEFAULTS, sent(a=1, b=2, foo=3)), code=INVALID,
        message="Inputs contains invalid name. Used request inputs: a,b, request input: a,b,foo",
    ),
    Case(
        row="predict_util.cc: more inputs than there are, defaults or not", request=predict(DEFAULTS, sent(a=1, b=2, c=3, d=4)), code=INVALID,
        message="input size does not match signature: 4!=3 len({a,b,c,d}) != len({a,b,c}). Sent extra: {d}. Missing but required: {}.",
    ),
    Case(
        row="models: a lookup table is filled when the model is loaded", request=predict('name: "lookup"', {"words": ["abnormal", "normal", "?"]}),
        reply=reply("lookup", 'key: "ids" value { dtype: DT_INT64 tensor_shape { dim { size: 3 } } int64_val: 1 int64_val: 0 int64_val: -1 }'),
    ),
    Case(
        row="models: string tensors", request=predict('name: "text"', {"numbers": ["1.5", "-2"]}),
        reply=reply(
            "text",
            'key: "upper" value { dtype: DT_STRING tensor_shape { dim { size: 2 } } string_val: "1.5" string_val: "-2" } } '
            'outputs { key: "value" value { dtype: DT_FLOAT tensor_shape { dim { size: 2 } } float_val: 1.5 float_val: -2 }',
        ),
    ),
    Case(
        row="models: a graph of TensorFlow 1", request=predict('name: "legacy"', {"x": floats([[1], [2]])}),
        reply=reply("legacy", column("y", 2.5, 3)),
    ),
    Case(row="models: a Keras 3 export", request=predict('name: "keras"', {"features": floats([[1], [2]])}),
         reply=reply("keras", column("output_0", 2.5, 3))),
    Case(row="models: a Keras 3 export's other signature", request=predict('name: "keras" signature_name: "serve"', {"features": floats([[1]])}),
         reply=reply("keras", column("output_0", 2.5), "serve")),
    Case(
        row="2: Predict on a classify signature: OK",
        request=predict('name: "examples" signature_name: "classify_x_to_y"', {"inputs": [example(x=1.0).SerializeToString()]}),
        reply=reply("examples", column("scores", 2.5), "classify_x_to_y"),
    ),
    Case(
        row="2: Predict on a regress signature: OK",
        request=predict('name: "examples" signature_name: "regress_x_to_y"', {"inputs": [example(x=1.0).SerializeToString()]}),
        reply=reply("examples", column("outputs", 2.5), "regress_x_to_y"),
    ),
    Case(
        row="predict_util.cc: an input that the signature doesn't have, of none", code=INVALID,
        request=predict('name: "counter" signature_name: "get_counter"', {"x": floats([1])}),
        message="input size does not match signature: 1!=0 len({x}) != len({}). Sent extra: {x}. Missing but required: {}.",
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.row)
def test_a_model_of_each_kind_answers(hold: Callable[[Case], None], case: Case) -> None:
    hold(case)


def test_a_model_keeps_its_state_between_calls(caller: Caller) -> None:
    """TensorFlow Serving's own test model `counter`."""

    def count(signature: str, **inputs: Any) -> float:
        answer = caller.ask("Predict", predict(f'name: "counter" signature_name: "{signature}"', inputs))
        return answer.reply.outputs["output"].float_val[0]

    counts = [
        count("reset_counter"),
        count("incr_counter_by", delta=np.float32(2)),
        count("incr_counter_by", delta=np.float32(3)),
        count("get_counter"),
    ]

    assert counts == [0, 2, 5, 5]
