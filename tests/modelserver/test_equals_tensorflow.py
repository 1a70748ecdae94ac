"""A property: for any signature and any input, the server's answer is TensorFlow's own for the same SavedModel.

By itself a request is run by the same kernels on the same shapes: it is answered bit for bit. In a batch a row stands at another place of a larger
tensor: Eigen and oneDNN then choose other vector widths and blocks, and add up in another order, so that floats may differ in their last bits.
They are held to `TOLERANCE_ULPS` units in the last place of the largest number of the answer, though none of some thousands was seen to differ at
these sizes; whole numbers, booleans and texts are held to equality.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import hypothesis
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st
from numpy.typing import NDArray
from tensorflow.core.framework import tensor_pb2
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

SEED = 20240229
# The sums here have at most 24 terms, and each addition rounds once: in another order that is a few units, seldom more.
TOLERANCE_ULPS = 8
MODELS, SIGNATURES = 4, 5
# It says with how many rows a request was run: that isn't what TensorFlow answers to it alone.
TOGETHER = "together"

Array = NDArray[Any]
Shape = tuple[int | None, ...] | None
Function = Callable[[tf.Tensor], tf.Tensor]

FLOATS = (tf.float32, tf.float64, tf.half, tf.bfloat16)
INTEGERS = (tf.int8, tf.int16, tf.int32, tf.int64, tf.uint8, tf.uint16, tf.uint32, tf.uint64)
COMPLEX = (tf.complex64, tf.complex128)
DTYPES = (*FLOATS, *INTEGERS, *COMPLEX, tf.bool, tf.string)
# A unit in the last place of 1.
UNITS = {tf.float32: 2.0**-23, tf.float64: 2.0**-52, tf.half: 2.0**-10, tf.bfloat16: 2.0**-7}
# What a signature may give of an input, by the input's type: of any shape.
FUNCTIONS: Mapping[tf.DType, tuple[Function, ...]] = {
    **dict.fromkeys(
        FLOATS,
        (tf.identity, lambda x: x * 2 + 1, tf.tanh, tf.exp, tf.reduce_sum, lambda x: tf.cast(x > 0, tf.bool), lambda x: tf.cast(x, tf.float32)),
    ),
    **dict.fromkeys(INTEGERS, (tf.identity, lambda x: x * 3 + 1, lambda x: tf.cast(x, tf.float64), lambda x: x > 1, tf.rank, tf.size)),
    **dict.fromkeys(COMPLEX, (tf.identity, tf.math.conj, lambda x: x * x, tf.abs, tf.reduce_sum)),
    tf.bool: (tf.identity, tf.logical_not, lambda x: tf.cast(x, tf.uint8), tf.reduce_any),
    tf.string: (
        tf.identity,
        tf.strings.upper,
        lambda x: tf.strings.join([x, "!"]),
        tf.strings.length,
        lambda x: tf.strings.to_hash_bucket_fast(x, 99),
    ),
}


@dataclass(frozen=True, kw_only=True)
class Signature:
    """One signature: its inputs' types and shapes by alias, and the values of those that may be left out."""

    key: str
    inputs: Mapping[str, tf.TensorSpec]
    defaults: Mapping[str, Array]


@dataclass(frozen=True, kw_only=True)
class Model:
    """A SavedModel, as TensorFlow runs it, and its name at the server."""

    name: str
    folder: Path
    signatures: tuple[Signature, ...]
    functions: Mapping[str, Any]

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        """What a failing example says of it."""
        printer.text(self.name)


def _shape(made: random.Random) -> Shape:
    if made.random() < 0.15:
        return None
    return tuple(made.choice((None, None, 1, 2, 3)) for _ in range(made.randint(0, 4)))


def _values(made: np.random.Generator, dtype: tf.DType, shape: tuple[int, ...], *, special_share: float = 0.1) -> Array:
    """Values of all kinds; the special ones are the least and the most of the type, what isn't a number, and what is nearly nothing."""
    kind = np.dtype(dtype.as_numpy_dtype)
    count = int(np.prod(shape))
    if dtype == tf.string:
        texts = np.array([b"", b"a", b"Text", b"\x00\xff", "\N{GREEK SMALL LETTER ALPHA}".encode(), b"b" * 200], object)
        return texts[made.integers(0, len(texts), count)].reshape(shape)
    if dtype == tf.bool:
        return made.integers(0, 2, count).astype(bool).reshape(shape)
    if dtype.is_integer:
        special = np.array([0, 1, kind.type(np.iinfo(kind).min), kind.type(np.iinfo(kind).max)], kind)
        values = made.integers(0, 100, count).astype(kind)
    else:
        special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-40, 65504.0]).astype(kind)
        values = made.normal(0, 3, count).astype(kind)
        if dtype.is_complex:
            values = (values + 1j * made.normal(0, 3, count)).astype(kind)
    places = made.random(count) < special_share
    values[places] = special[made.integers(0, len(special), int(places.sum()))]
    return values.reshape(shape)


def _random_signature(made: random.Random, key: str) -> tuple[tf.types.experimental.ConcreteFunction, Signature]:
    specs = {f"in_{number}": tf.TensorSpec(_shape(made), made.choice(DTYPES), name=f"in_{number}") for number in range(made.randint(1, 4))}
    outputs = {
        f"out_{number}": (alias, made.choice(FUNCTIONS[specs[alias].dtype]))
        for number, alias in enumerate(made.choices(list(specs), k=made.randint(1, 4)))
    }

    def serve(**tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        return {alias: function(tensors[given]) for alias, (given, function) in outputs.items()}

    defaults = {
        alias: _values(np.random.default_rng(SEED), spec.dtype, tuple(size or 2 for size in spec.shape))
        for alias, spec in specs.items()
        if spec.shape.rank is not None and made.random() < 0.3
    }
    return tf.function(serve, autograph=False).get_concrete_function(**specs), Signature(key=key, inputs=specs, defaults=defaults)


def _random_module(made: random.Random) -> tuple[dict[str, Any], tuple[Signature, ...]]:
    pairs = [_random_signature(made, f"signature_{number}") for number in range(SIGNATURES)]
    return {signature.key: function for function, signature in pairs}, tuple(signature for _, signature in pairs)


def _row_wise(module: tf.Module) -> tuple[dict[str, Any], tuple[Signature, ...]]:
    """Signatures whose rows know nothing of each other: they can be gathered."""
    weights = tf.Variable(tf.random.stateless_normal([24, 5], [1, 2]))
    kernel = tf.Variable(tf.random.stateless_normal([3, 3, 2, 4], [3, 4]))
    module.variables_held = [weights, kernel]

    def dense(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"logits": x @ weights, "probabilities": tf.nn.softmax(x @ weights), "class": tf.argmax(x @ weights, 1), "half": tf.cast(x, tf.half)}

    def image(x: tf.Tensor) -> dict[str, tf.Tensor]:
        features = tf.nn.relu(tf.nn.conv2d(x, kernel, 1, "SAME"))
        return {"features": features, "mean": tf.reduce_mean(features, [1, 2])}

    def several(text: tf.Tensor, number: tf.Tensor, flag: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"text": tf.strings.upper(text), "number": number * 3 + 1, "flag": tf.logical_not(flag), "wide": tf.tanh(tf.cast(number, tf.bfloat16))}

    def together(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"rows": tf.zeros_like(x, tf.int32) + tf.shape(x)[0]}

    specs = {
        TOGETHER: (together, {"x": tf.TensorSpec([None], tf.float32, name="x")}),
        "dense": (dense, {"x": tf.TensorSpec([None, 24], tf.float32, name="x")}),
        "image": (image, {"x": tf.TensorSpec([None, None, 6, 2], tf.float32, name="x")}),
        "several": (
            several,
            {
                "text": tf.TensorSpec([None], tf.string, name="text"),
                "number": tf.TensorSpec([None, None], tf.int32, name="number"),
                "flag": tf.TensorSpec([None, 2], tf.bool, name="flag"),
            },
        ),
    }  # fmt: skip
    functions = {key: tf.function(function, autograph=False).get_concrete_function(**inputs) for key, (function, inputs) in specs.items()}
    return functions, tuple(Signature(key=key, inputs=inputs, defaults={}) for key, (_, inputs) in specs.items() if key != TOGETHER)


def _save(module: tf.Module, folder: Path, name: str, functions: dict[str, Any], signatures: tuple[Signature, ...]) -> Model:
    version = folder / name / "1"
    tf.saved_model.save(module, str(version), signatures=functions)
    file = version / "saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    for signature in signatures:
        for alias, value in signature.defaults.items():
            saved.meta_graphs[0].signature_def[signature.key].defaults[alias].CopyFrom(tf.make_tensor_proto(value))
    file.write_bytes(saved.SerializeToString())
    loaded = tf.saved_model.load(str(version))
    return Model(name=name, folder=version, signatures=signatures, functions=dict(loaded.signatures))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Model, ...]:
    """Models of random signatures, always the same ones; the last is the one of `_row_wise`, and alone says how it is batched."""
    folder, made = tmp_path_factory.mktemp("random"), random.Random(SEED)
    random_models = [_save(tf.Module(), folder, f"random_{number}", *_random_module(made)) for number in range(MODELS)]
    module = tf.Module()
    batched = _save(module, folder, "batched", *_row_wise(module))
    (batched.folder / "batching_params.pbtxt").write_text(
        "max_batch_size { value: 16 } batch_timeout_micros { value: 3000 } max_enqueued_batches { value: 1000 }", encoding="utf-8"
    )
    return (*random_models, batched)


@pytest.fixture(scope="module")
def stub(models: tuple[Model, ...], new_server: Callable[..., Any]) -> Iterator[Any]:
    """A client of a server that serves them all."""
    root = models[0].folder.parents[1]
    entries = (f'config {{ name: "{model.name}" base_path: "{model.folder.parent}" model_platform: "tensorflow" }}' for model in models)
    (root / "models.config").write_text(f"model_config_list {{ {' '.join(entries)} }}", encoding="utf-8")
    server = new_server(
        f"--model_config_file={root / 'models.config'}", "--enable_batching", "--enable_per_model_batching_parameters",
        available=tuple((model.name, 1) for model in models),
    )  # fmt: skip
    with grpc.insecure_channel(f"127.0.0.1:{server.process.port}") as channel:
        yield prediction_service_pb2_grpc.PredictionServiceStub(channel)
    server.end()


_FIELDS = {
    **dict.fromkeys((tf.int8, tf.int16, tf.int32, tf.uint8, tf.uint16), "int_val"),
    tf.float32: "float_val", tf.float64: "double_val", tf.int64: "int64_val", tf.uint32: "uint32_val", tf.uint64: "uint64_val", tf.bool: "bool_val",
    tf.half: "half_val", tf.bfloat16: "half_val", tf.complex64: "scomplex_val", tf.complex128: "dcomplex_val", tf.string: "string_val",
}  # fmt: skip


def _encode(array: Array, dtype: tf.DType, encoding: str) -> tensor_pb2.TensorProto:
    """A TensorProto of an array: the bytes in memory, each value, or the values without those at the end that repeat (tensor.proto)."""
    proto = tensor_pb2.TensorProto(dtype=dtype.as_datatype_enum)
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    flat = array.reshape(-1)
    if encoding == "content":
        if dtype == tf.string:
            proto.tensor_content = b"".join(_varint(len(text)) for text in flat) + b"".join(flat)
        else:
            proto.tensor_content = flat.tobytes()
        return proto
    if encoding == "repeated" and flat.size:
        bits = flat if dtype == tf.string else flat.view(np.dtype((np.void, flat.itemsize)))
        while len(bits) > 1 and bits[-1] == bits[-2]:
            bits = bits[:-1]
        flat = flat[: len(bits)]
    if dtype in {tf.half, tf.bfloat16}:
        flat = flat.view(np.uint16)
    elif dtype.is_complex:
        flat = flat.view(flat.real.dtype)
    getattr(proto, _FIELDS[dtype]).extend(flat.tolist())
    return proto


def _varint(number: int) -> bytes:
    encoded = b""
    while number > 127:
        encoded += bytes([number & 127 | 128])
        number >>= 7
    return encoded + bytes([number])


def _request(model: Model, signature: Signature, inputs: Mapping[str, Array], encodings: Mapping[str, str]) -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = model.name, signature.key
    for alias, array in inputs.items():
        request.inputs[alias].CopyFrom(_encode(array, signature.inputs[alias].dtype, encodings[alias]))
    return request


def _decode(proto: tensor_pb2.TensorProto) -> Array:
    return np.asarray(tf.make_ndarray(proto), tf.as_dtype(proto.dtype).as_numpy_dtype)


def _expected(model: Model, signature: Signature, inputs: Mapping[str, Array]) -> dict[str, Array]:
    given = {
        alias: tf.constant(inputs.get(alias, signature.defaults.get(alias)), spec.dtype) for alias, spec in signature.inputs.items()
    }  # fmt: skip
    return {alias: np.asarray(tensor.numpy(), tensor.dtype.as_numpy_dtype) for alias, tensor in model.functions[signature.key](**given).items()}


def _bits(array: Array) -> Any:
    return array.dtype.name, array.shape, array.tolist() if array.dtype == object else array.tobytes()


@st.composite
def sizes(draw: st.DrawFn, shape: tf.TensorShape, *, rows: int | None = None) -> tuple[int, ...]:
    """A shape that a signature takes."""
    if shape.rank is None:
        return tuple(draw(st.lists(st.integers(0, 3), max_size=4)))
    drawn = [draw(st.integers(0, 3)) if size is None else size for size in shape]
    return tuple(drawn if rows is None else [rows, *drawn[1:]])


@st.composite
def questions(draw: st.DrawFn, signature: Signature, *, rows: int | None = None) -> tuple[dict[str, Array], dict[str, str]]:
    """Inputs for a signature, some of those that have a default left out, and how each is encoded."""
    inputs, encodings = {}, {}
    values, special_share = np.random.default_rng(draw(st.integers(0, 2**32 - 1))), draw(st.sampled_from((0.0, 0.1)))
    for alias, spec in signature.inputs.items():
        if alias in signature.defaults and draw(st.booleans()):
            continue
        array = _values(values, spec.dtype, draw(sizes(spec.shape, rows=rows)), special_share=special_share)
        encoding = draw(st.sampled_from(("content", "values", "repeated")))
        if encoding == "repeated" and array.size:
            flat = array.reshape(-1).copy()
            flat[draw(st.integers(0, array.size - 1)) :] = flat[-1]
            array = flat.reshape(array.shape)
        inputs[alias], encodings[alias] = array, encoding
    return inputs, encodings


PROPERTY = hypothesis.settings(
    max_examples=200, suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.data_too_large],
)  # fmt: skip


@PROPERTY
@hypothesis.given(data=st.data())
def test_a_request_by_itself_has_tensorflows_answer_bit_for_bit(models: tuple[Model, ...], stub: Any, data: st.DataObject) -> None:
    model = data.draw(st.sampled_from(models[:-1]), label="model")
    signature = data.draw(st.sampled_from(model.signatures), label="signature")
    inputs, encodings = data.draw(questions(signature), label="inputs")

    reply = stub.Predict(_request(model, signature, inputs, encodings), timeout=60)

    got = {alias: _bits(_decode(proto)) for alias, proto in reply.outputs.items()}
    assert got == {alias: _bits(array) for alias, array in _expected(model, signature, inputs).items()}


@hypothesis.settings(PROPERTY, max_examples=30)
@hypothesis.given(data=st.data())
def test_requests_that_come_at_once_each_have_tensorflows_answer(models: tuple[Model, ...], stub: Any, data: st.DataObject) -> None:
    model = models[-1]
    asked = []
    for _ in range(data.draw(st.integers(2, 12), label="callers")):
        signature = data.draw(st.sampled_from(model.signatures))
        asked.append((signature, *data.draw(questions(signature, rows=data.draw(st.integers(0, 5))))))

    calls = [stub.Predict.future(_request(model, signature, inputs, encodings), timeout=60) for signature, inputs, encodings in asked]

    for call, (signature, inputs, _) in zip(calls, asked, strict=True):
        outputs = call.result().outputs
        expected = _expected(model, signature, inputs)
        assert outputs.keys() == expected.keys()
        for alias, array in expected.items():
            _assert_close(_decode(outputs[alias]), array)


def test_requests_that_come_at_once_are_run_together(models: tuple[Model, ...], stub: Any, wait_until: Callable[..., None]) -> None:
    signature = Signature(key=TOGETHER, inputs={"x": tf.TensorSpec([None], tf.float32)}, defaults={})
    request = _request(models[-1], signature, {"x": np.ones(1, np.float32)}, {"x": "content"})

    def most_rows() -> int:
        calls = [stub.Predict.future(request, timeout=60) for _ in range(16)]
        return max(int(_decode(call.result().outputs["rows"])[0]) for call in calls)

    # On a busy machine sixteen may come one by one; not each time.
    wait_until(lambda: most_rows() > 1)


def _assert_close(got: Array, wanted: Array) -> None:
    assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape)
    if not tf.as_dtype(wanted.dtype).is_floating:
        assert _bits(got) == _bits(wanted)
        return
    unit = UNITS[tf.as_dtype(wanted.dtype)]
    got, wanted = got.astype(np.float64), wanted.astype(np.float64)
    finite = wanted[np.isfinite(wanted)]
    largest = float(np.abs(finite).max(initial=1.0))
    np.testing.assert_allclose(got, wanted, rtol=TOLERANCE_ULPS * unit, atol=TOLERANCE_ULPS * unit * largest)
