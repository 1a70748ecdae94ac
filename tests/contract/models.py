"""The models that the contract is checked on: tiny, and each with one thing that matters about it.

`python tests/contract/models.py FOLDER` writes them to FOLDER/<name>/1, with a `models.config` and a `batching.config`, for a real TensorFlow
Serving that the contract is to be checked against. The tests that need a server whose address isn't given are skipped:

- TFSERVING_TARGET, and TFSERVING_REST_TARGET: `--model_config_file=FOLDER/models.config --allow_version_labels_for_unavailable_models=true
  --enable_grpc_healthcheck_service=true`;
- TFSERVING_BATCHING_TARGET: the same, with `--enable_batching=true --batching_parameters_file=FOLDER/batching.config
  --enable_serialization_as_tensor_content=true --enable_signature_method_name_check=true`;
- TFSERVING_RELOAD_TARGET: any model to begin with, `--max_num_load_retries=0 --file_system_poll_wait_seconds=1`; on this machine, for the tests
  write what it is told to serve.
"""

import sys
from collections.abc import Callable, Mapping, MutableMapping
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

Saved = tuple[tf.Module, dict[str, tf.types.experimental.ConcreteFunction]]
SignatureDefs = MutableMapping[str, meta_graph_pb2.SignatureDef]


def _half_plus_two() -> Saved:
    """`x` float [-1] → `y` = x / 2 + 2."""
    module = tf.Module()
    module.slope, module.offset = tf.Variable(0.5), tf.Variable(2.0)

    def serve(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": x * module.slope + module.offset}

    return module, {"serving_default": tf.function(serve, input_signature=[tf.TensorSpec([None], tf.float32, name="x")])}


def _conv() -> Saved:
    """`images` float [-1, 28, 28, 1] → `probabilities` float [-1, 10]: the convolution that a wrong rank aborts in."""
    module = tf.Module()
    module.kernel = tf.Variable(tf.random.stateless_normal([3, 3, 1, 4], [1, 2]))
    module.weights = tf.Variable(tf.random.stateless_normal([26 * 26 * 4, 10], [3, 4], stddev=0.01))

    def serve(images: tf.Tensor) -> dict[str, tf.Tensor]:
        features = tf.nn.relu(tf.nn.conv2d(images, module.kernel, strides=1, padding="VALID"))
        return {"probabilities": tf.nn.softmax(tf.reshape(features, [-1, 26 * 26 * 4]) @ module.weights)}

    return module, {"serving_default": tf.function(serve, input_signature=[tf.TensorSpec([None, 28, 28, 1], tf.float32, name="images")])}


def _text() -> Saved:
    """`numbers` string [-1] → `value` float [-1], `upper` string [-1]: what isn't a number, the graph refuses."""
    module = tf.Module()

    def serve(numbers: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"value": tf.strings.to_number(numbers), "upper": tf.strings.upper(numbers)}

    return module, {"serving_default": tf.function(serve, input_signature=[tf.TensorSpec([None], tf.string, name="numbers")])}


def _several() -> Saved:
    """`serving_default`: `a`, `b` float [-1, 2] → `difference`, `sum`; `double`: `x` float of any shape → `y`; `slow`: counts to `n` int64 []."""
    module = tf.Module()

    def combine(a: tf.Tensor, b: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"sum": a + b, "difference": a - b}

    def double(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": x * 2}

    def slow(n: tf.Tensor) -> dict[str, tf.Tensor]:
        # One step after the other: TensorFlow mustn't find a shorter way.
        (count,) = tf.while_loop(lambda i: i < n, lambda i: (i + tf.random.uniform([], 1, 2, tf.int64),), (tf.constant(0, tf.int64),))
        return {"count": count}

    return module, {
        "serving_default": tf.function(
            combine, input_signature=[tf.TensorSpec([None, 2], tf.float32, name="a"), tf.TensorSpec([None, 2], tf.float32, name="b")]
        ),
        "double": tf.function(double, input_signature=[tf.TensorSpec(None, tf.float32, name="x")]),
        "slow": tf.function(slow, input_signature=[tf.TensorSpec([], tf.int64, name="n")]),
    }


def _types() -> Saved:
    """`x` int32 [-1] → the same numbers in each type that a reply has a field for; `text` is string."""
    module = tf.Module()
    dtypes = (tf.float32, tf.float64, tf.float16, tf.bfloat16, tf.int8, tf.int16, tf.int32, tf.int64, tf.uint8, tf.uint16, tf.uint32, tf.uint64)

    def serve(x: tf.Tensor) -> dict[str, tf.Tensor]:
        numbers = {dtype.name: tf.cast(x, dtype) for dtype in (*dtypes, tf.bool, tf.complex64, tf.complex128)}
        return {**numbers, "text": tf.strings.as_string(x)}

    return module, {"serving_default": tf.function(serve, input_signature=[tf.TensorSpec([None], tf.int32, name="x")])}


def _echo() -> Saved:
    """A signature for each type, named after it: `x` [-1] → `y`, the same; `total`: `x` float of any shape → `y` float [], their sum.

    And `bytes`: `x` string [-1] → `y_bytes`, the same.
    """
    module = tf.Module()
    dtypes = (tf.half, tf.bfloat16, tf.float32, tf.float64, tf.int8, tf.int16, tf.int32, tf.int64, tf.uint8, tf.uint16, tf.uint32, tf.uint64)

    def echo(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": tf.identity(x)}

    def total(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": tf.reduce_sum(x)}

    def name_bytes(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y_bytes": tf.identity(x)}

    signatures = {
        "total": tf.function(total, input_signature=[tf.TensorSpec(None, tf.float32, name="x")]),
        "bytes": tf.function(name_bytes, input_signature=[tf.TensorSpec([None], tf.string, name="x")]),
    }
    return module, signatures | {
        _name(dtype): tf.function(echo, input_signature=[tf.TensorSpec([None], dtype, name="x")])
        for dtype in (*dtypes, tf.bool, tf.complex64, tf.complex128, tf.string)
    }


def _name(dtype: tf.DType) -> str:
    """A type's name as in `DT_FLOAT`."""
    return {"float32": "float", "float64": "double", "float16": "half"}.get(dtype.name, dtype.name)


def _lookup() -> Saved:
    """`words` string [-1] → `ids` int64 [-1], by a table that is filled when the model is loaded; -1 for a word that isn't in it."""
    module = tf.Module()
    words = tf.lookup.KeyValueTensorInitializer(tf.constant(["normal", "abnormal"]), tf.constant([0, 1], tf.int64))
    module.table = tf.lookup.StaticHashTable(words, default_value=-1)

    def serve(words: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"ids": module.table.lookup(words)}

    return module, {"serving_default": tf.function(serve, input_signature=[tf.TensorSpec([None], tf.string, name="words")])}


def _counter() -> Saved:
    """A count that calls change: `incr_counter_by` takes `delta` float [], `get_counter` and `reset_counter` take nothing; all give `output`."""
    module = tf.Module()
    module.count = tf.Variable(0.0)

    def incr_counter_by(delta: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"output": module.count.assign_add(delta, read_value=True)}

    return module, {
        "incr_counter_by": tf.function(incr_counter_by, input_signature=[tf.TensorSpec([], tf.float32, name="delta")]),
        "get_counter": tf.function(lambda: {"output": tf.identity(module.count)}, input_signature=[]),
        "reset_counter": tf.function(lambda: {"output": module.count.assign(0.0, read_value=True)}, input_signature=[]),
    }


def _defaults() -> Saved:
    """`a`, `b`, `c` float [-1] → `sum`; where `b` and `c` aren't sent, they are 10 and 100."""
    module = tf.Module()

    def serve(a: tf.Tensor, b: tf.Tensor, c: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"sum": a + b + c}

    return module, {"serving_default": tf.function(serve, input_signature=[tf.TensorSpec([None], tf.float32, name=name) for name in "abc"])}


def _give_defaults(signatures: SignatureDefs) -> None:
    for alias, value in {"b": [10.0], "c": [100.0]}.items():
        signatures["serving_default"].defaults[alias].CopyFrom(tf.make_tensor_proto(value, tf.float32))


def _examples() -> Saved:
    """`inputs` string [-1], each a `tf.Example` with `x` float [1]: y = x / 2 + 2, in the forms that Classify and Regress know, and in wrong ones."""
    module = tf.Module()
    module.slope, module.offset = tf.Variable(0.5), tf.Variable(2.0)

    def y_of(inputs: tf.Tensor) -> tf.Tensor:
        return tf.io.parse_example(inputs, {"x": tf.io.FixedLenFeature([1], tf.float32)})["x"] * module.slope + module.offset

    forms: dict[str, Callable[[tf.Tensor], dict[str, tf.Tensor]]] = {
        "serving_default": lambda y: {"scores": y},
        "classify_x_to_y": lambda y: {"scores": y},
        "classify_two": lambda y: {"scores": tf.concat([y, -y], 1), "classes": tf.where(y > 0, [["high", "low"]], [["low", "high"]])},
        "classify_names": lambda y: {"classes": tf.strings.as_string(y, precision=1)},
        "regress_x_to_y": lambda y: {"outputs": y},
        "regress_flat": lambda y: {"outputs": y[:, 0]},
        # What Classify and Regress refuse once it has been run.
        "classify_flat": lambda y: {"scores": y[:, 0]},
        "classify_double": lambda y: {"scores": tf.cast(y, tf.float64)},
        "classify_numbers": lambda y: {"classes": tf.cast(y, tf.int64)},
        "classify_one_more": lambda y: {"scores": tf.concat([y, y], 0)},
        "classify_one_more_class": lambda y: {"classes": tf.concat(2 * [tf.strings.as_string(y)], 0)},
        "classify_unequal": lambda y: {"scores": tf.concat([y, y], 1), "classes": tf.strings.as_string(y)},
        "regress_wide": lambda y: {"outputs": tf.concat([y, y], 1)},
        "regress_double": lambda y: {"outputs": tf.cast(y, tf.float64)},
        "regress_one_more": lambda y: {"outputs": tf.concat([y, y], 0)},
        # And what they refuse before.
        "classify_three": lambda y: {"scores": y, "classes": tf.strings.as_string(y), "third": y},
        "classify_other": lambda y: {"probabilities": y},
        "regress_two": lambda y: {"outputs": y, "second": y},
    }

    def signature(form: Callable[[tf.Tensor], dict[str, tf.Tensor]], name: str = "inputs") -> tf.types.experimental.ConcreteFunction:
        return tf.function(lambda serialized: form(y_of(serialized)), input_signature=[tf.TensorSpec([None], tf.string, name=name)])

    def predict(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": x * module.slope + module.offset}

    def two(inputs: tf.Tensor, more: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"scores": y_of(inputs) + more}

    specs = [tf.TensorSpec([None], tf.string, name="inputs"), tf.TensorSpec([None, 1], tf.float32, name="more")]
    return module, {
        **{name: signature(form) for name, form in forms.items()},
        "classify_two_inputs": tf.function(two, input_signature=specs),
        "predict_x_to_y": tf.function(predict, input_signature=[tf.TensorSpec([None, 1], tf.float32, name="x")]),
    }


def _name_methods(signatures: SignatureDefs) -> None:
    for name, signature in signatures.items():
        method = "regress" if name.startswith("regress") else "predict" if name.startswith("predict") else "classify"
        if name != "__saved_model_init_op":
            signature.method_name = f"tensorflow/serving/{method}"


def _batched() -> Saved:
    """`serving_default`: `n` int64 [-1] → `count`, as slow as its largest; `wide`: `x` float [-1, -1] → `y`; `pair`: `a`, `b` float [-1] → `sum`."""
    module = tf.Module()

    def slow(n: tf.Tensor) -> dict[str, tf.Tensor]:
        most = tf.reduce_max(n)
        (count,) = tf.while_loop(lambda i: i < most, lambda i: (i + tf.random.uniform([], 1, 2, tf.int64),), (tf.constant(0, tf.int64),))
        return {"count": tf.zeros_like(n) + count}

    def wide(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": x * 2}

    def pair(a: tf.Tensor, b: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"sum": a + b}

    return module, {
        "serving_default": tf.function(slow, input_signature=[tf.TensorSpec([None], tf.int64, name="n")]),
        "wide": tf.function(wide, input_signature=[tf.TensorSpec([None, None], tf.float32, name="x")]),
        "pair": tf.function(pair, input_signature=[tf.TensorSpec([None], tf.float32, name="a"), tf.TensorSpec([None], tf.float32, name="b")]),
    }


def _held() -> Saved:
    """`begun`, `held_by` string [] → `done`: the file `begun` is there once it runs; it ends when somebody reads the named pipe `held_by`."""
    module = tf.Module()

    def serve(begun: tf.Tensor, held_by: tf.Tensor) -> dict[str, tf.Tensor]:
        with tf.control_dependencies([tf.io.write_file(begun, "")]):
            # A pipe opens for its writer only with its reader.
            held = tf.io.write_file(held_by, "done")
        with tf.control_dependencies([held]):
            return {"done": tf.constant(value=True)}

    paths = [tf.TensorSpec([], tf.string, name="begun"), tf.TensorSpec([], tf.string, name="held_by")]
    return module, {"serving_default": tf.function(serve, input_signature=paths)}


def _signature(inputs: Mapping[str, tf.Tensor], outputs: Mapping[str, tf.Tensor], method: str) -> meta_graph_pb2.SignatureDef:
    """A signature of a graph's tensors."""

    def described(tensors: Mapping[str, tf.Tensor]) -> dict[str, meta_graph_pb2.TensorInfo]:
        return {
            alias: meta_graph_pb2.TensorInfo(name=tensor.name, dtype=tensor.dtype.as_datatype_enum, tensor_shape=tensor.shape.as_proto())
            for alias, tensor in tensors.items()
        }

    return meta_graph_pb2.SignatureDef(inputs=described(inputs), outputs=described(outputs), method_name=f"tensorflow/serving/{method}")


def _write_legacy(folder: Path) -> None:
    """A graph of TensorFlow 1: one run gives what three signatures ask for; `x` float [-1, 1] → `y` = x / 2 + 2."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        slope, offset = (v1.get_variable(name, initializer=value, use_resource=False) for name, value in (("a", 0.5), ("b", 2.0)))
        serialized = v1.placeholder(tf.string, [None], name="tf_example")
        x = tf.identity(v1.parse_example(serialized, {"x": v1.FixedLenFeature([1], tf.float32)})["x"], name="x")
        y = tf.add(x * slope, offset, name="y")
        session.run(v1.global_variables_initializer())
        signatures = {
            "serving_default": _signature({"x": x}, {"y": y}, "predict"),
            "classify_x_to_y": _signature({"inputs": serialized}, {"scores": y}, "classify"),
            "regress_x_to_y": _signature({"inputs": serialized}, {"outputs": y}, "regress"),
        }
        builder = v1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(session, [v1.saved_model.tag_constants.SERVING], signature_def_map=signatures)
        builder.save()


def _write_keras(folder: Path) -> None:
    """What Keras 3 exports of a layer: `features` float [-1, 1] → `output_0` = features / 2 + 2."""
    import keras  # noqa: PLC0415 - it takes a second, which nothing else here needs

    inputs = keras.Input((1,), name="features")
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    model.set_weights([np.array([[0.5]], np.float32), np.array([2.0], np.float32)])
    model.export(folder, verbose=False)


MODELS: dict[str, Callable[[], Saved]] = {
    "half_plus_two": _half_plus_two,
    "conv": _conv,
    "text": _text,
    "several": _several,
    "types": _types,
    "echo": _echo,
    "lookup": _lookup,
    "counter": _counter,
    "defaults": _defaults,
    "examples": _examples,
    "batched": _batched,
    "held": _held,
}
# What `tf.saved_model.save` has no words for is put in afterwards.
_AFTERWARDS: dict[str, Callable[[SignatureDefs], None]] = {"defaults": _give_defaults, "examples": _name_methods}
# What is saved in other ways.
_WRITERS: dict[str, Callable[[Path], None]] = {"legacy": _write_legacy, "keras": _write_keras}
NAMES = (*MODELS, *_WRITERS)
# One of them has a label on its version, and one on a version that there isn't: a server has to allow it.
_LABELS = {"several": 'version_labels { key: "stable" value: 1 } version_labels { key: "next" value: 123 }'}

BATCHING = """\
max_batch_size { value: 4 }
batch_timeout_micros { value: 100000 }
max_enqueued_batches { value: 2 }
num_batch_threads { value: 1 }
allowed_batch_sizes: 2
allowed_batch_sizes: 4
"""


def write(name: str, folder: Path) -> None:
    """Saves one model into a folder that doesn't exist yet."""
    if name in _WRITERS:
        _WRITERS[name](folder)
        return
    module, signatures = MODELS[name]()
    tf.saved_model.save(module, str(folder), signatures=signatures)
    if name in _AFTERWARDS:
        file = folder / "saved_model.pb"
        saved = saved_model_pb2.SavedModel.FromString(file.read_bytes())
        _AFTERWARDS[name](saved.meta_graphs[0].signature_def)
        file.write_bytes(saved.SerializeToString())


def write_corrupt(folder: Path) -> None:
    """Writes what looks like a SavedModel and isn't."""
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"\x08\x01corrupt")


def write_all(root: Path) -> Path:
    """Saves them all below `root`, each as its version 1; returns the `models.config` that lists them. `batching.config` is beside it."""
    entries = []
    for name in NAMES:
        write(name, root / name / "1")
        entries.append(f'  config {{ name: "{name}" base_path: "{root / name}" model_platform: "tensorflow" {_LABELS.get(name, "")} }}\n')
    (root / "batching.config").write_text(BATCHING, encoding="utf-8")
    file = root / "models.config"
    file.write_text("model_config_list {\n" + "".join(entries) + "}\n", encoding="utf-8")
    return file


if __name__ == "__main__":
    print(write_all(Path(sys.argv[1]).resolve()))
