import math
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.fitting.monitor import EarlyStopping, Limits, Monitor, ReduceOnPlateau, Waiting
from training.fitting.plan import Plan


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0),
        ("epochs", 1.5),
        ("batch_size", 0),
        ("batch_size", True),
        ("learning_rate", 0),
        ("learning_rate", math.nan),
        ("schedule", "linear"),
        ("class_weights", "even"),
        ("class_weights", {0: -1.0}),
        ("class_weights", {"a": 1.0}),
        ("weight_decay", -0.1),
        ("clip_norm", 0),
        ("checkpoint_seconds", -1),
        ("seed", -1),
        ("seed", 2**32),
    ],
)
def test_a_plan_that_is_out_of_range_is_refused_by_the_fields_name(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{field}: .* not "):
        Plan(**{"epochs": 1, "batch_size": 1, field: value})


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        (Monitor, "mode", "auto"),
        (EarlyStopping, "patience", 0),
        (EarlyStopping, "least_improvement", -1),
        (ReduceOnPlateau, "patience", 0),
        (ReduceOnPlateau, "factor", 1),
        (ReduceOnPlateau, "lowest", math.inf),
    ],
)
def test_what_watches_a_figure_is_refused_likewise(kind: type[Monitor], field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{field}: .* not "):
        kind(**{field: value})


def test_declaring_a_plan_imports_no_keras() -> None:
    code = "import sys; import training.fitting.fit, training.fitting.plan; print({'keras', 'tensorflow', 'rich'} & set(sys.modules))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=250)

    assert done.stdout == "set()\n"


@settings(max_examples=50)
@given(
    values=st.lists(st.floats(-10, 10, width=16) | st.just(math.nan), min_size=1, max_size=12),
    mode=st.sampled_from(["min", "max"]),
    least=st.sampled_from([0.0, 0.5]),
)
def test_waiting_counts_the_epochs_since_the_last_improvement(values: list[float], mode: Any, least: float) -> None:
    monitor = Monitor(mode=mode, least_improvement=least)
    waiting = Waiting()
    best, best_epoch = None, -1

    for epoch, value in enumerate(values):
        waiting = waiting.after(epoch, value, monitor)
        beaten = best is None or (value < best - least if mode == "min" else value > best + least)
        if beaten and not math.isnan(value):
            best, best_epoch = value, epoch

    assert waiting.best == best
    assert waiting.epochs == len(values) - 1 - best_epoch
    assert best is None or waiting.best_epoch == best_epoch


@pytest.mark.parametrize(
    ("losses", "kept"),
    [((3.0,), True), ((2.0, 1.0), True), ((0.9, 5.0), True), ((2.0, 1.1), False), ((math.nan, math.nan), False), ((2.0, 1.1, 9.0), True)],
)
def test_the_best_so_far_is_held_to_the_limit_of_its_epoch_and_after_the_last_to_none(losses: tuple[float, ...], kept: bool) -> None:
    limits = Limits(of_epochs=(None, 1.0))

    assert limits.are_kept([{"val_loss": loss} for loss in losses]) is kept


@pytest.mark.parametrize("limit", [math.nan, math.inf, "1"])
def test_a_limit_that_is_no_number_is_refused(limit: Any) -> None:
    with pytest.raises(ValueError, match="of_epochs: finite numbers, or None"):
        Limits(of_epochs=(limit,))
