"""Graphs of TensorFlow 1: variables by reference, tables that are filled at the start, files, strings, and a count that calls change."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import classification_pb2

from modelserver.classify import classify
from modelserver.config import Batching
from modelserver.servable import Servable

v1 = tf.compat.v1
Tensors = Mapping[str, tf.Tensor]


def _signature(inputs: Tensors, outputs: Tensors, method: str = "predict") -> meta_graph_pb2.SignatureDef:
    described = [{alias: v1.saved_model.build_tensor_info(tensor) for alias, tensor in tensors.items()} for tensors in (inputs, outputs)]
    return v1.saved_model.build_signature_def(*described, f"tensorflow/serving/{method}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SavedModel with `words` → `ids` and back, `add`, `reset` and `count`, and the classification of examples."""
    root = tmp_path_factory.mktemp("tensorflow_1")
    (root / "words.txt").write_text("normal\nabnormal\n", encoding="utf-8")
    with tf.Graph().as_default(), v1.Session() as session:
        file = tf.constant(str(root / "words.txt"))
        v1.add_to_collection(v1.GraphKeys.ASSET_FILEPATHS, file)
        table = v1.lookup.StaticHashTable(
            tf.lookup.TextFileInitializer(file, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER), -1
        )
        names = v1.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer([0, 1], ["normal", "abnormal"], tf.int64, tf.string), "?")
        words, ids = v1.placeholder(tf.string, [None]), v1.placeholder(tf.int64)
        count = v1.get_variable("count", [], initializer=v1.zeros_initializer(), use_resource=False)
        delta = v1.placeholder(tf.float32, [])
        serialized = v1.placeholder(tf.string)
        scores = v1.parse_example(serialized, {"x": v1.FixedLenFeature([2], tf.float32)})["x"]
        classes = tf.tile(tf.constant([["normal", "abnormal"]]), [tf.shape(scores)[0], 1])
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        signatures = {
            "ids": _signature({"words": words}, {"ids": table.lookup(words)}),
            "words": _signature({"ids": ids}, {"words": names.lookup(ids)}),
            "add": _signature({"delta": delta}, {"count": v1.assign_add(count, delta)}),
            "reset": _signature({}, {"count": v1.assign(count, 0.0)}),
            "count": _signature({}, {"count": count}),
            "classify": _signature({"inputs": serialized}, {"scores": scores, "classes": classes}, "classify"),
        }
        builder = v1.saved_model.Builder(str(root / "1"))
        builder.add_meta_graph_and_variables(
            session, ["serve"], signature_def_map=signatures, main_op=v1.tables_initializer(), assets_collection=v1.get_collection("asset_filepaths")
        )
        builder.save()
    # What it reads from now on is the copy among its assets.
    (root / "words.txt").unlink()
    return root / "1"


@pytest.fixture(params=[None, Batching()], ids=["by itself", "batched"])
def servable(load: Callable[..., Servable], folder: Path, request: pytest.FixtureRequest) -> Servable:
    return load("m", folder=folder, batching=request.param)


def _run(servable: Servable, key: str, **inputs: Any) -> Any:
    protos = {alias: tf.make_tensor_proto(value) for alias, value in inputs.items()}
    (output,) = servable.signatures[key].predict(protos, ()).values()
    return output.tolist()


def test_tables_are_filled_from_files_and_constants(servable: Servable) -> None:
    assert _run(servable, "ids", words=[b"abnormal", b"normal", b"else"]) == [1, 0, -1]
    assert _run(servable, "words", ids=np.array([[1, 5]], np.int64)) == [[b"abnormal", b"?"]]
    assert _run(servable, "words", ids=np.int64(1)) == b"abnormal"


def test_a_variable_by_reference_keeps_what_calls_put_into_it(servable: Servable) -> None:
    assert _run(servable, "add", delta=np.float32(2)) == 2
    assert _run(servable, "add", delta=np.float32(0.5)) == 2.5
    assert _run(servable, "count") == 2.5
    assert _run(servable, "reset") == 0
    assert _run(servable, "count") == 0


def test_it_classifies_examples(servable: Servable) -> None:
    request = classification_pb2.ClassificationRequest(model_spec={"name": "m", "signature_name": "classify"})
    request.input.example_list.examples.add().features.feature["x"].float_list.value.extend([0.25, 0.75])

    (row,) = classify(servable, request).result.classifications

    assert [(one.label, one.score) for one in row.classes] == [("normal", 0.25), ("abnormal", 0.75)]
