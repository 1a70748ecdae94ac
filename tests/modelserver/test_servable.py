"""A loaded model: what it answers, what it refuses to load, and when it goes."""

import gc
import shutil
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelserver.errors import ServingError
from modelserver.servable import Servable

Load = Callable[..., Servable]


def test_a_signature_is_run(load: Load, run: Callable[..., Any], floats: Callable[..., Any]) -> None:
    signature = load("half_plus_two").signatures["serving_default"]

    outputs = run(signature, x=floats(1, 2))

    assert outputs["y"].tolist() == [2.5, 3.0]


def test_each_signature_has_its_own_inputs_and_outputs(load: Load, run: Callable[..., Any], floats: Callable[..., Any]) -> None:
    servable = load("several")

    combined = run(servable.signatures["serving_default"], a=floats([3, 1]), b=floats([1, 1]))
    doubled = run(servable.signatures["double"], x=floats(4))

    assert {alias: output.tolist() for alias, output in combined.items()} == {"sum": [[4, 2]], "difference": [[2, 0]]}
    assert doubled["y"].tolist() == [8]


def test_strings_are_taken_and_given(load: Load, run: Callable[..., Any]) -> None:
    signature = load("text").signatures["serving_default"]

    outputs = run(signature, numbers=np.array([b"1e2", b"7"]))

    assert outputs["value"].tolist() == [100.0, 7.0]
    assert outputs["upper"].tolist() == [b"1E2", b"7"]


def test_the_signature_that_initializes_is_listed_and_not_run(load: Load) -> None:
    servable = load("conv")

    assert set(servable.signature_def) == {"serving_default", "__saved_model_init_op"}
    assert set(servable.signatures) == {"serving_default"}


def test_what_the_graph_refuses_has_tensorflows_code_and_words(load: Load, run: Callable[..., Any]) -> None:
    signature = load("text").signatures["serving_default"]

    with pytest.raises(ServingError) as caught:
        run(signature, numbers=np.array([b"abc"]))

    assert caught.value.code.name == "INVALID_ARGUMENT"
    assert caught.value.message.startswith("StringToNumberOp could not correctly convert string: abc")


def test_an_output_filter_is_checked_before_types_and_after_names(load: Load, run: Callable[..., Any]) -> None:
    signature = load("half_plus_two").signatures["serving_default"]

    with pytest.raises(ServingError, match="output tensor alias not found"):
        run(signature, ("nope",), x=np.array([1.0]))
    with pytest.raises(ServingError, match="alias: x"):
        run(signature, ("nope",), z=np.array([1.0]))


def _empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def _half_a_graph(folder: Path) -> None:
    file = folder / "saved_model.pb"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def _no_variables(folder: Path) -> None:
    shutil.rmtree(folder / "variables")


def _broken_variables(folder: Path) -> None:
    for file in (folder / "variables").iterdir():
        file.write_bytes(file.read_bytes()[:10])


@pytest.mark.parametrize(
    ("damage", "code"),
    [(shutil.rmtree, "NOT_FOUND"), (_empty, "NOT_FOUND"), (_half_a_graph, "OUT_OF_RANGE"), (_no_variables, None), (_broken_variables, "DATA_LOSS")],
)
def test_a_damaged_model_is_refused_with_a_status(
    load: Load, publish: Callable[..., Path], tmp_path: Path, damage: Callable[[Path], None], code: str | None
) -> None:
    folder = publish("conv", tmp_path / "conv", 1)
    damage(folder)

    with pytest.raises(ServingError) as caught:
        load("conv", folder=folder)

    assert code in {None, caught.value.code.name}
    assert caught.value.message


def test_closing_waits_for_the_request_under_way(load: Load, wait_until: Callable[..., None]) -> None:
    servable = load("half_plus_two")
    assert servable.acquire()
    closing = threading.Thread(target=servable.close)

    def is_closing() -> bool:
        if servable.acquire():
            servable.release()
            return False
        return True

    closing.start()
    wait_until(is_closing)
    was_open = bool(servable.signatures)
    servable.release()
    closing.join(20)

    assert was_open
    assert not servable.signatures


def test_closing_frees_the_model_at_once(load: Load) -> None:
    servable = load("conv")
    session = weakref.ref(servable.session._session)
    gc.disable()
    try:
        servable.close()

        assert session() is None
    finally:
        gc.enable()
