"""Treatments from a made-up trial: one option helps those with a large number, the other the rest."""

from dataclasses import replace

import numpy as np
import pytest

from medserve.v1 import coding_pb2
from training.dataset import Dataset, Part
from training.evaluate import Figure
from training.evidence.robustness import Shift
from training.evidence.treatment import PolicyValue
from training.features import Normalise, Recipe
from training.report import treatment as report
from training.tasks.task import Bench, Trained
from training.tasks.treatment import Treatment

TASK = Treatment(
    system="urn:test", options={"none": "nothing", "a": "drug A", "b": "drug B"}, outcome=coding_pb2.Coding(display="score"), unit="1",
    shares=(1 / 3, 1 / 3, 1 / 3), columns=("x", "y"), recipe=Recipe(steps=(Normalise(by="standard"),)),
    perturbations=(Shift(levels=(3.0,)),), simulated_trials=4,
)  # fmt: skip


def _part(items: int, seed: int) -> Part:
    random = np.random.default_rng(seed)
    inputs = random.normal(size=(items, 2)).astype(np.float32)
    option = random.integers(3, size=items)
    effect = np.choose(option, [np.zeros(items), 4 * inputs[:, 0], -4 * inputs[:, 0]])
    targets = np.zeros(items, [("option", np.int64), ("outcome", np.float64)])
    targets["option"], targets["outcome"] = option, 10 + inputs[:, 1] + effect + random.normal(size=items)
    attributes = {"side": np.where(inputs[:, 0] > 0, "right", "left")}
    return Part(inputs=inputs, targets=targets, patients=1000 * seed + np.arange(items), attributes=attributes)


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
    assert [each.name for each in trained.differences] == ["policy_value_difference", "gain_over_nothing_difference"]
    for each, mine, theirs in zip(trained.differences, trained.figures, trained.baseline, strict=True):
        assert each.value == pytest.approx(mine.value - theirs.value)
        assert each.lower > 0


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
    sections = {section.title: section for section in trained.sections}

    assert list(sections) == [
        "What the choice is worth", "For whom", "What each option does in the mean", "Whether effects hold", "Whether intervals hold",
        "Whether items of another kind are told", "When inputs get worse",
    ]  # fmt: skip
    assert "not measured against other items" in sections["Whether items of another kind are told"].text[0]
    assert len(trained.limits) == 3
    worth = sections["What the choice is worth"]
    assert "the policy is better than" in worth.text[0]
    (first,) = worth.beneath
    assert first.table is not None
    assert [row[0] for row in first.table.rows] == ["nothing", "drug A", "drug B"]
    assert sum(int(row[1]) for row in first.table.rows) == 400
    assert first.text == ()
    hold = sections["Whether effects hold"].table
    assert hold is not None
    slopes = {row[0]: float(row[1].split()[0]) for row in hold.rows}
    assert slopes == {"drug A": pytest.approx(1, abs=0.2), "drug B": pytest.approx(1, abs=0.2)}


def test_where_all_are_given_the_same_the_report_says_so() -> None:
    def figure(name: str) -> Figure:
        return Figure(name=name, value=1, lower=0, upper=2, confidence_level=0.95, interval_method="normal")

    of = {"nothing": figure("n"), "drug A": figure("a")}
    value = PolicyValue(policy=figure("policy_value"), arms=of, gains=of, best_arm="drug A", is_better=False)

    (beneath,) = report.policy(value, {"nothing": 0, "drug A": 856}).beneath

    assert beneath.text[0].startswith("The model chooses drug A for every one of these 856 patients")
    assert beneath.table is not None
    assert beneath.table.rows == (("nothing", "0", "0.0%"), ("drug A", "856", "100.0%"))


def test_what_the_choice_gains_is_told_by_subgroup(trained: Trained, data: Dataset) -> None:
    groups = trained.subgroups["gain_over_nothing"]["side"]

    assert set(groups) == {"left", "right"}
    assert sum(group.items for group in groups.values()) == len(data.held_out)
    # What helps on one side is the other drug on the other.
    assert all(group.value == pytest.approx(3.2, abs=0.7) for group in groups.values())


def test_gates_can_ask_whether_mean_effects_and_intervals_hold(trained: Trained) -> None:
    assert 0 <= trained.measured["average_effect_miss"].value < 1
    assert 0.8 < trained.measured["interval_coverage_effect"].value <= 1


def test_a_choice_falls_in_worth_when_records_get_worse(trained: Trained) -> None:
    (worse,) = [section.table for section in trained.sections if section.title == "When inputs get worse"]

    assert worse is not None
    (row,) = worse.rows
    # All look as if drug A helped them.
    assert float(row[3].split()[0]) == pytest.approx(-3.2, abs=0.5)


def test_two_policies_are_paired_by_what_each_choice_scores(trained: Trained, data: Dataset) -> None:
    said = trained.model.predict(data.held_out.inputs, verbose=0)

    mine = TASK.scores(said, data.held_out)["policy_value"]
    other = TASK.scores({"outcome": np.zeros_like(said["outcome"])}, data.held_out)["policy_value"]
    of_costs = replace(TASK, lower_is_better=True).scores({"outcome": -said["outcome"]}, data.held_out)["policy_value"]

    assert mine.mean() == pytest.approx(trained.figures[0].value, abs=1e-6)
    # To all the same is given where all outcomes are equal: the first option.
    assert mine.mean() - other.mean() == pytest.approx(trained.figures[1].value, abs=1e-6)
    assert of_costs.tolist() == (-mine).tolist()
    assert TASK.scores({"other": said["outcome"]}, data.held_out) == {}


def test_kinds_are_by_the_option_that_was_given() -> None:
    assert TASK.kinds(np.array([(2, 1.0), (0, 1.0)], [("option", np.int64), ("outcome", np.float64)])) == ["given-b", "given-none"]
