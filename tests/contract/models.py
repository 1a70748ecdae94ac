"""The models that the contract is checked on: tiny, and each with one thing that matters about it.

A TensorFlow Serving that the contract is to be checked against serves them under these names:
`python tests/contract/models.py FOLDER` writes them to FOLDER/<name>/1, with a `models.config` for it.
"""

import sys
from pathlib import Path

import tensorflow as tf

Saved = tuple[tf.Module, dict[str, tf.types.experimental.ConcreteFunction]]


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
    """A signature for each type, named after it: `x` [-1] → `y`, the same; `total`: `x` float of any shape → `y` float [], their sum."""
    module = tf.Module()
    dtypes = (tf.half, tf.bfloat16, tf.float32, tf.float64, tf.int8, tf.int16, tf.int32, tf.int64, tf.uint8, tf.uint16, tf.uint32, tf.uint64)

    def echo(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": tf.identity(x)}

    def total(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": tf.reduce_sum(x)}

    signatures = {"total": tf.function(total, input_signature=[tf.TensorSpec(None, tf.float32, name="x")])}
    return module, signatures | {
        _name(dtype): tf.function(echo, input_signature=[tf.TensorSpec([None], dtype, name="x")])
        for dtype in (*dtypes, tf.bool, tf.complex64, tf.complex128, tf.string)
    }


def _name(dtype: tf.DType) -> str:
    """A type's name as in `DT_FLOAT`."""
    return {"float32": "float", "float64": "double", "float16": "half"}.get(dtype.name, dtype.name)


MODELS = {"half_plus_two": _half_plus_two, "conv": _conv, "text": _text, "several": _several, "types": _types, "echo": _echo}


def write(name: str, folder: Path) -> None:
    """Saves one model into a folder that doesn't exist yet."""
    module, signatures = MODELS[name]()
    tf.saved_model.save(module, str(folder), signatures=signatures)


def write_all(root: Path) -> Path:
    """Saves them all below `root`, each as its version 1; returns the `models.config` that lists them."""
    entries = []
    for name in MODELS:
        write(name, root / name / "1")
        entries.append(f'  config {{ name: "{name}" base_path: "{root / name}" model_platform: "tensorflow" }}\n')
    file = root / "models.config"
    file.write_text("model_config_list {\n" + "".join(entries) + "}\n", encoding="utf-8")
    return file


if __name__ == "__main__":
    print(write_all(Path(sys.argv[1]).resolve()))
