"""Treatments from a made-up trial: one option helps those with a large number, the other the rest."""

import numpy as np
import pytest

from medserve.v1 import coding_pb2
from training.dataset import Dataset, Part
from training.features import Normalise, Recipe
from training.tasks.task import Bench, Trained
from training.tasks.treatment import Treatment

TASK = Treatment(
    system="urn:test", options={"none": "nothing", "a": "drug A", "b": "drug B"}, outcome=coding_pb2.Coding(display="score"), unit="1",
    shares=(1 / 3, 1 / 3, 1 / 3), columns=("x", "y"), recipe=Recipe(steps=(Normalise(by="standard"),)),
)  # fmt: skip


def _part(items: int, seed: int) -> Part:
    random = np.random.default_rng(seed)
    inputs = random.normal(size=(items, 2)).astype(np.float32)
    option = random.integers(3, size=items)
    effect = np.choose(option, [np.zeros(items), 4 * inputs[:, 0], -4 * inputs[:, 0]])
    targets = np.zeros(items, [("option", np.int64), ("outcome", np.float64)])
    targets["option"], targets["outcome"] = option, 10 + inputs[:, 1] + effect + random.normal(size=items)
    return Part(inputs=inputs, targets=targets, patients=np.arange(items))


@pytest.fixture(scope="module")
def data() -> Dataset:
    return Dataset(name="made up", source="here", license="none", training=_part(600, 0), validation=_part(60, 1), held_out=_part(400, 2))


@pytest.fixture(scope="module")
def trained(data: Dataset) -> Trained:
    return TASK.train(data, Bench(say=lambda _: None))


def test_its_choice_is_worth_more_than_any_option_for_all(trained: Trained) -> None:
    value, gain = trained.figures

    assert (value.name, gain.name) == ("policy_value", "gain_over_nothing")
    # The best of ±4x is 4|x|, 3.2 in the mean.
    assert gain.value == pytest.approx(3.2, abs=0.5)
    assert value.lower > trained.baseline[0].upper


def test_each_option_comes_with_its_outcome_effect_and_bounds(trained: Trained, data: Dataset) -> None:
    said = trained.model.predict(data.held_out.inputs, verbose=0)

    assert set(said) == {"outcome", "outcome_lower", "outcome_upper", "effect", "effect_lower", "effect_upper", "novelty"}
    np.testing.assert_allclose(said["effect"], said["outcome"] - said["outcome"][:, :1], atol=1e-4)
    assert (said["effect"][:, 0] == 0).all()
    assert (said["effect_lower"] <= said["effect_upper"]).all()
    truth = 4 * data.held_out.inputs[:, 0]
    assert ((said["effect_lower"][:, 1] <= truth) & (truth <= said["effect_upper"][:, 1])).mean() > 0.8


def test_the_manifest_ranks_by_the_outcome_with_both_intervals(trained: Trained) -> None:
    (ranked,) = [output for output in trained.outputs if output.WhichOneof("reading") == "treatment"]
    treatment = ranked.treatment

    assert ranked.name == "outcome"
    assert [option.code for option in treatment.options] == ["none", "a", "b"]
    assert (treatment.effect_output, treatment.effect_interval.lower_output) == ("effect", "effect_lower")
    assert {output.name for output in trained.outputs} == {
        "outcome", "outcome_lower", "outcome_upper", "effect", "effect_lower", "effect_upper", "novelty"
    }  # fmt: skip


def test_the_report_says_plainly_what_the_choice_is_worth(trained: Trained) -> None:
    policy, _, hold = trained.sections

    assert "the policy is better than" in policy.text[0]
    assert hold.table is not None
    slopes = {row[0]: float(row[1].split()[0]) for row in hold.table.rows}
    assert slopes == {"drug A": pytest.approx(1, abs=0.2), "drug B": pytest.approx(1, abs=0.2)}


def test_kinds_are_by_the_option_that_was_given() -> None:
    assert TASK.kinds(np.array([(2, 1.0), (0, 1.0)], [("option", np.int64), ("outcome", np.float64)])) == ["given-b", "given-none"]
