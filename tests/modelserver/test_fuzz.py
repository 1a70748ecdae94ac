"""Ten thousand malformed requests: the process lives, each has a proper status, and the next good answer is right.

The models have the operations whose kernels end a process: a convolution, a pooling of volumes, LSTM blocks, an encoder of images. Some are served
in batches as well.
"""

import random
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import grpc
import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    input_pb2,
    model_management_pb2,
    model_pb2,
    predict_pb2,
    regression_pb2,
)

ROUNDS, REQUESTS = 100, 100

SHARED = ("conv", "text", "examples", "several", "echo", "types", "legacy", "lookup", "counter", "defaults")
BATCHED = ("conv", "text", "examples", "several", "volumes")
# It counts to what is sent, which may be a long way.
LEFT_OUT = frozenset({"slow"})
_PREDICTION, _MODEL = "/tensorflow.serving.PredictionService/", "/tensorflow.serving.ModelService/"
REQUESTS_BY_PATH: Mapping[str, type[Any]] = {
    f"{_PREDICTION}Predict": predict_pb2.PredictRequest,
    f"{_PREDICTION}Classify": classification_pb2.ClassificationRequest,
    f"{_PREDICTION}Regress": regression_pb2.RegressionRequest,
    f"{_PREDICTION}MultiInference": inference_pb2.MultiInferenceRequest,
    f"{_PREDICTION}GetModelMetadata": get_model_metadata_pb2.GetModelMetadataRequest,
    f"{_MODEL}GetModelStatus": get_model_status_pb2.GetModelStatusRequest,
    f"{_MODEL}HandleReloadConfigRequest": model_management_pb2.ReloadConfigRequest,
}
PREDICT, CLASSIFY, REGRESS, MULTI, METADATA, STATUS, RELOAD = REQUESTS_BY_PATH

Keys = Mapping[str, meta_graph_pb2.SignatureDef]
Sent = tuple[str, bytes]


class Signatures(dict[str, Keys]):
    """The signatures by the model's name and their key."""

    def __repr__(self) -> str:
        """What a failing example says of them."""
        return "the signatures"


def _volumes() -> tuple[tf.Module, dict[str, Any]]:
    """Signatures of `x` → `y`: `serving_default`: float [-1, 4, 4, 4, 2]; `png`: float [-1, -1, 3]; `lstm`: float [-1, 1, 3]; `any_rank`: float."""
    module = tf.Module()

    def pool(x: tf.Tensor) -> dict[str, tf.Tensor]:
        pooled = tf.nn.max_pool3d(x, 2, 2, "SAME") + tf.nn.avg_pool3d(x, 2, 2, "SAME")
        return {"y": tf.nn.conv3d(pooled, tf.ones([1, 1, 1, 2, 3]), [1] * 5, "SAME")}

    def png(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": tf.io.encode_png(tf.cast(x * 255, tf.uint8))}

    def lstm(x: tf.Tensor) -> dict[str, tf.Tensor]:
        steps = tf.cast(tf.shape(x)[0], tf.int64)
        state, weights, bias, peephole = tf.zeros([1, 4]), tf.ones([7, 16]) / 10, tf.zeros([16]), tf.zeros([4])
        _, _, _, _, _, _, h = tf.raw_ops.BlockLSTMV2(
            seq_len_max=steps, x=x, cs_prev=state, h_prev=state, w=weights, wci=peephole, wcf=peephole, wco=peephole, b=bias
        )
        return {"y": h}

    def any_rank(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": tf.nn.relu(tf.nn.conv2d(x, tf.ones([3, 3, 2, 4]), 1, "SAME") + 1)}

    specs = {
        "any_rank": (any_rank, tf.TensorSpec(None, tf.float32, name="x")),
        "serving_default": (pool, tf.TensorSpec([None, 4, 4, 4, 2], tf.float32, name="x")),
        "png": (png, tf.TensorSpec([None, None, 3], tf.float32, name="x")),
        "lstm": (lstm, tf.TensorSpec([None, 1, 3], tf.float32, name="x")),
    }
    return module, {key: tf.function(function, input_signature=[spec]) for key, (function, spec) in specs.items()}


@pytest.fixture(scope="module")
def signatures(saved_models: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Signatures]:
    """The models below a folder, those of BATCHED also as `<name>_batched`; and their signatures by name and key."""
    root, found = tmp_path_factory.mktemp("fuzz"), Signatures()
    module, functions = _volumes()
    tf.saved_model.save(module, str(root / "volumes" / "1"), signatures=functions)
    for name in (*SHARED, "volumes"):
        if name != "volumes":
            shutil.copytree(saved_models / name / "1", root / name / "1")
        saved = saved_model_pb2.SavedModel.FromString((root / name / "1" / "saved_model.pb").read_bytes())
        keys = {key: definition for key, definition in saved.meta_graphs[0].signature_def.items() if key not in LEFT_OUT}
        found[name] = keys
    for name in BATCHED:
        shutil.copytree(root / name, root / f"{name}_batched")
        (root / f"{name}_batched" / "1" / "batching_params.pbtxt").write_text("max_batch_size { value: 8 }", encoding="utf-8")
        found[f"{name}_batched"] = found[name]
    return root, found


@pytest.fixture(scope="module")
def server(signatures: tuple[Path, Signatures], new_server: Callable[..., Any]) -> Iterator[Any]:
    root, names = signatures
    entries = (f'config {{ name: "{name}" base_path: "{root / name}" model_platform: "tensorflow" }}' for name in names)
    (root / "models.config").write_text(f"model_config_list {{ {' '.join(entries)} }}", encoding="utf-8")
    started = new_server(
        f"--model_config_file={root / 'models.config'}", "--enable_batching", "--enable_per_model_batching_parameters",
        available=tuple((name, 1) for name in names),
    )  # fmt: skip
    yield started
    started.end()


DTYPES = tuple(types_pb2.DataType.values())
SIZES = (0, 1, 1, 2, 3, 4, 5, 7, 28, -1, -7, 1 << 31, 1 << 40, (1 << 63) - 1)
TEXTS = ("", "x", "inputs", "images", "a", "nope", "scores", "serving_default", "\N{SNOWMAN}", "y" * 300)


def _mostly(made: random.Random, usual: Any, *others: Any) -> Any:
    """What is right, three times of four."""
    return usual if made.random() < 0.75 else made.choice(others)


def _spec(made: random.Random, names: Signatures) -> tuple[model_pb2.ModelSpec, Keys]:
    name = made.choice(list(names))
    spec = model_pb2.ModelSpec(name=_mostly(made, name, *TEXTS), signature_name=_mostly(made, made.choice(list(names[name])), *TEXTS))
    if made.random() < 0.1:
        spec.version.value = made.choice((0, 1, 2, -1, 1 << 62))
    elif made.random() < 0.05:
        spec.version_label = made.choice(TEXTS)
    return spec, names[name]


def _fill(made: random.Random, proto: tensor_pb2.TensorProto) -> None:
    """Values for a tensor, of the right field or any other, and as many as its shape has or any other number."""
    count = 1
    for dim in proto.tensor_shape.dim:
        count *= max(min(dim.size, 64), 0)
    count = min(count, 2000)
    count = _mostly(made, count, 0, 1, count + 1, max(count - 1, 0), 7)
    try:
        dtype = np.dtype(tf.as_dtype(proto.dtype).as_numpy_dtype)
    except (KeyError, TypeError):
        dtype = np.dtype(np.float32)
    if made.random() < 0.4 and dtype.kind != "O":
        proto.tensor_content = made.randbytes(max(count * dtype.itemsize + made.choice((0, 0, 0, 1, -1)), 0))
    elif made.random() < 0.1:
        proto.tensor_content = made.randbytes(made.randint(0, 40))
    fields = {
        "float_val": lambda: made.choice((0.0, 1.5, float("nan"), float("inf"), 1e-40)), "double_val": made.random, "bool_val": lambda: True,
        "int_val": lambda: made.choice((0, 1, -1, 300, (1 << 31) - 1)), "int64_val": lambda: made.choice((0, 5, -1, (1 << 63) - 1)),
        "uint32_val": lambda: made.choice((0, (1 << 32) - 1)), "uint64_val": lambda: made.choice((0, (1 << 64) - 1)),
        "half_val": lambda: made.choice((0, 70000, 1)), "string_val": lambda: made.choice((b"", b"1", b"abc", b"\xff\x00", b"1e400")),
        "scomplex_val": made.random, "dcomplex_val": made.random,
    }  # fmt: skip
    usual = {np.dtype(np.float32): "float_val", np.dtype(np.float64): "double_val", np.dtype(np.int64): "int64_val", np.dtype(object): "string_val"}
    field = _mostly(made, usual.get(dtype, "int_val"), *fields)
    getattr(proto, field).extend(fields[field]() for _ in range(min(count, 300)))


def _tensor(made: random.Random, info: meta_graph_pb2.TensorInfo) -> tensor_pb2.TensorProto:
    proto = tensor_pb2.TensorProto(dtype=_mostly(made, info.dtype, *DTYPES))
    sizes = [max(dim.size, made.randint(0, 3)) for dim in info.tensor_shape.dim]
    if info.tensor_shape.unknown_rank or made.random() < 0.5:
        sizes = [made.choice(SIZES) for _ in range(made.choice((0, 1, 2, 3, 4, 5, 6, 12, 70)))]
    elif sizes and made.random() < 0.5:
        sizes[made.randrange(len(sizes))] = made.choice(SIZES)
    for size in sizes:
        proto.tensor_shape.dim.add(size=size, name=made.choice(("", "", "n")))
    proto.tensor_shape.unknown_rank = made.random() < 0.05
    _fill(made, proto)
    return proto


def _prediction(made: random.Random, names: Signatures) -> Sent:
    spec, keys = _spec(made, names)
    definition = keys.get(spec.signature_name) or made.choice(list(keys.values()))
    request = predict_pb2.PredictRequest(model_spec=spec)
    for alias, info in definition.inputs.items():
        if made.random() < 0.95:
            request.inputs[_mostly(made, alias, alias, alias, *TEXTS)].CopyFrom(_tensor(made, info))
    if made.random() < 0.1:
        request.inputs[made.choice(TEXTS)].CopyFrom(_tensor(made, meta_graph_pb2.TensorInfo()))
    request.output_filter.extend(made.choice((*definition.outputs, *TEXTS)) for _ in range(made.choice((0, 0, 0, 1, 2))))
    return PREDICT, request.SerializeToString()


def _input(made: random.Random) -> input_pb2.Input:
    def example() -> tf.train.Example:
        value: Any = made.choice(
            ({"float_list": {"value": [1.0]}}, {"float_list": {"value": [1.0] * 9}}, {"int64_list": {"value": [1]}}, {"bytes_list": {}})
        )
        return tf.train.Example(features={"feature": {made.choice(("x", "x", "x", "", "z")): value}})

    examples = [example() for _ in range(made.choice((0, 1, 2, 3, 9)))]
    kind = made.choice(("example_list", "example_list", "example_list_with_context", ""))
    sent = {"examples": examples, **({"context": example()} if kind.endswith("context") else {})}
    return input_pb2.Input(**({kind: sent} if kind else {}))


def _examples(made: random.Random, names: Signatures) -> Sent:
    path, spec, sent = made.choice((CLASSIFY, REGRESS, MULTI)), _spec(made, names)[0], _input(made)
    if made.random() < 0.6:
        spec.name = made.choice(("examples", "examples_batched", "legacy"))
        spec.signature_name = made.choice([key for key in names["examples"] if key.startswith(path[path.rindex("/") + 1 :].lower()[:4])] or [""])
    if path != MULTI:
        return path, REQUESTS_BY_PATH[path](model_spec=spec, input=sent).SerializeToString()
    request = inference_pb2.MultiInferenceRequest(input=sent)
    for _ in range(made.randint(0, 3)):
        other = model_pb2.ModelSpec()
        other.CopyFrom(spec)
        other.signature_name = made.choice((*names["examples"], *TEXTS))
        method = made.choice(("tensorflow/serving/classify", "tensorflow/serving/regress", "tensorflow/serving/predict", ""))
        request.tasks.add(model_spec=other, method_name=method)
    return path, request.SerializeToString()


def _looking(made: random.Random, names: Signatures) -> Sent:
    spec = _spec(made, names)[0]
    if made.random() < 0.5:
        return STATUS, get_model_status_pb2.GetModelStatusRequest(model_spec=spec).SerializeToString()
    fields = made.choices(("signature_def", "", "nope"), k=made.randint(0, 2))
    return METADATA, get_model_metadata_pb2.GetModelMetadataRequest(model_spec=spec, metadata_field=fields).SerializeToString()


def _raw(made: random.Random, names: Signatures) -> Sent:
    """Bytes of no meaning, or those of a request with some of them changed, cut off or put in."""
    path = made.choice(list(REQUESTS_BY_PATH))
    raw = made.randbytes(made.randint(0, 60))
    if path in {PREDICT, CLASSIFY, REGRESS, MULTI} and made.random() < 0.8:
        path, raw = (_prediction if path == PREDICT else _examples)(made, names)
        changed = bytearray(raw)
        for _ in range(made.randint(1, 4)):
            place = made.randrange(len(changed) + 1)
            changed[place : place + made.randint(0, 3)] = made.randbytes(made.randint(0, 3))
        raw = bytes(changed[: made.choice((len(changed), len(changed), made.randrange(len(changed) + 1)))])
    return path, raw


def _reloads(raw: bytes) -> bool:
    """Whether by chance it is a list of models, which would take these away."""
    try:
        return model_management_pb2.ReloadConfigRequest.FromString(raw).config.HasField("model_config_list")
    except Exception:  # noqa: BLE001 - no request at all
        return False


KINDS = (_prediction, _prediction, _prediction, _examples, _looking, _raw, _raw)


def _request(made: random.Random, names: Signatures) -> Sent:
    path, raw = made.choice(KINDS)(made, names)
    return (path, b"\xff") if path == RELOAD and _reloads(raw) else (path, raw)


@pytest.mark.parametrize(
    ("model", "signature", "shape", "message"),
    [
        ("volumes", "any_rank", (), "[] is not compatible with expected shape [?,?,?,?]."),
        ("volumes", "any_rank", (28, 28), "[28,28] is not compatible with expected shape [?,?,?,?]."),
        ("volumes_batched", "any_rank", (1, 2), "[1,2] is not compatible with expected shape [?,?,?,?]."),
        ("volumes", "any_rank", (1,) * 13, "input x has 13 dimensions: at most 12 are taken"),
        ("volumes", "", (1, 4, 4, 2), "input x has the shape [1, 4, 4, 2], but the signature takes [-1, 4, 4, 4, 2]"),
        ("volumes", "lstm", (3,), "input x has the shape [3], but the signature takes [-1, 1, 3]"),
        ("volumes", "png", (0, 4, 3), "input x has the shape [0, 4, 3], but the model can't take a tensor without elements"),
        ("conv", "", (28, 28), "input images has the shape [28, 28], but the signature takes [-1, 28, 28, 1]"),
    ],
)
def test_a_shape_that_would_end_the_process_is_refused(server: Any, model: str, signature: str, shape: tuple[int, ...], message: str) -> None:
    alias = "images" if model == "conv" else "x"
    with pytest.raises(grpc.RpcError) as caught:
        server.predict(model, signature=signature, **{alias: np.ones(shape, np.float32)})

    call: Any = caught.value
    assert call.code().name == "INVALID_ARGUMENT"
    assert call.details().partition("\n")[0].endswith(message)


def test_no_rows_of_a_size_beyond_all_memory_are_refused_by_the_graph_alone(server: Any) -> None:
    """Some kernels refuse no rows, and are then given one; that one mustn't be made of whatever size is asked for."""
    request = server.request("conv")
    request.inputs["images"].CopyFrom(tf.make_tensor_proto(np.zeros((0, 28, 28, 1), np.float32)))
    answered = server.prediction.Predict(request, timeout=60)
    request = server.request("volumes", signature="any_rank")
    request.inputs["x"].CopyFrom(tensor_pb2.TensorProto(dtype=types_pb2.DT_FLOAT))
    for size in (0, 1 << 20, 1 << 20, 3):
        request.inputs["x"].tensor_shape.dim.add(size=size)

    with pytest.raises(grpc.RpcError) as caught:
        server.prediction.Predict(request, timeout=60)

    call: Any = caught.value
    assert tf.make_ndarray(answered.outputs["probabilities"]).shape == (0, 10)
    assert call.code().name == "INVALID_ARGUMENT"


def test_what_is_guarded_is_answered(server: Any) -> None:
    ones = np.ones((1, 5, 5, 2), np.float32)

    for model in ("volumes", "volumes_batched"):
        reply = server.predict(model, signature="any_rank", x=ones)
        assert tf.make_ndarray(reply.outputs["y"])[0, 2, 2].tolist() == [19] * 4
    png = tf.make_ndarray(server.predict("volumes", signature="png", x=ones[0, :, :, :1].repeat(3, 2)).outputs["y"]).item()
    assert tf.io.decode_png(png).shape == (5, 5, 3)


# What neither TensorFlow nor TensorFlow Serving nor this server says on purpose.
_PYTHON = ("Traceback", "Error(", "object has no attribute", "the model server failed", "Exception calling", "<class")


def _check(path: str, call: Any) -> None:
    """Asserts that an answer is one that a caller can act on."""
    error = call.exception()
    if error is None:
        return
    code, details = call.code(), call.details()
    assert not any(word in details for word in _PYTHON), (path, code, details)
    assert code not in {grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}, (path, code, details)
    # Of what can't be parsed nothing is said, and a kernel names its node.
    assert code != grpc.StatusCode.INTERNAL or not details or "{{node " in details, (path, code, details)


def _still_answers(server: Any) -> None:
    images = np.zeros((2, 28, 28, 1), np.float32)
    for name in ("conv", "conv_batched"):
        reply = server.predict(name, images=images)
        np.testing.assert_allclose(tf.make_ndarray(reply.outputs["probabilities"]), np.full((2, 10), 0.1), rtol=1e-5)
    reply = server.predict("several_batched", a=np.ones((1, 2), np.float32), b=np.full((1, 2), 3, np.float32))
    assert tf.make_ndarray(reply.outputs["sum"]).tolist() == [[4, 4]]


# A smaller seed is no simpler request.
_NO_SHRINKING = (hypothesis.Phase.explicit, hypothesis.Phase.generate)


@hypothesis.settings(max_examples=ROUNDS, phases=_NO_SHRINKING, suppress_health_check=list(hypothesis.HealthCheck))
@hypothesis.given(made=st.randoms(use_true_random=True))
def test_malformed_requests_are_refused_and_hurt_nobody(server: Any, signatures: tuple[Path, Signatures], made: random.Random) -> None:
    sent = [_request(made, signatures[1]) for _ in range(REQUESTS)]

    calls = [(path, server.channel.unary_unary(path).future(raw, timeout=30)) for path, raw in sent]

    for path, call in calls:
        _check(path, call)
    assert server.process.poll() is None
    _still_answers(server)
