"""Records go in by the gateway, and findings, a survival curve and ranked treatments come out, by the manifest alone."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from local.prepare import make_key
from local.stack import Stack
from medserve import Client, InvalidArgument, Quantity, Record
from medserve.v1 import inference_pb2
from training.__main__ import write_samples
from training.jobs import JOBS

MODELS = ("tumour", "mortality", "hiv-treatment")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, trained: Callable[[str], Path]) -> Iterator[Client]:
    stack = Stack(tmp_path_factory.mktemp("records"))
    for job in MODELS:
        shutil.copytree(trained(job), stack.repository / job)
    _, key = make_key(stack)
    with stack:
        stack.start_model_server()
        stack.start_gateway()
        for model in MODELS:
            stack.wait_ready(model)
        with Client(stack.target, api_key=key, ca_certificates=stack.ca_file) as client:
            yield client


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Record]:
    """A held-out record of each job, as its sample file says."""
    found = {}
    for name in MODELS:
        folder = tmp_path_factory.mktemp(name)
        write_samples(JOBS[name], folder, 1)
        (file,) = folder.iterdir()
        found[name] = Record.read(file)
    return found


def _reasons(answer: inference_pb2.InferResponse) -> list[str]:
    return [warning.reason for warning in answer.warnings if warning.reason != "OUT_OF_DISTRIBUTION"]


def test_a_record_becomes_findings_with_a_conformal_set_and_a_novelty(client: Client, records: dict[str, Record]) -> None:
    answer = client.infer("tumour", {"record": records["tumour"]})

    assert sorted(finding.code.code for finding in answer.findings) == ["benign", "malignant"]
    assert sum(finding.probability for finding in answer.findings) == pytest.approx(1, abs=1e-5)
    assert all(finding.HasField("operating_point") and finding.HasField("conformal") for finding in answer.findings)
    assert len(answer.novelties) == 1
    assert _reasons(answer) == ["TRIAL", "DEMONSTRATION_ONLY"]


def test_a_record_with_gaps_becomes_a_survival_curve_and_the_gaps_are_said(client: Client, records: dict[str, Record]) -> None:
    record = Record({name: value for name, value in records["mortality"].features.items() if name not in {"albumin", "ph"}})

    answer = client.infer("mortality", {"record": record})

    (curve,) = answer.survival_curves
    assert (curve.event.display, curve.times_days[-1]) == ("Death", 180)
    for chances in (curve.probabilities, curve.interval.lower, curve.interval.upper):
        assert list(chances) == sorted(chances, reverse=True)
    assert curve.interval.confidence_level == 0.95
    for lower, chance, upper in zip(curve.interval.lower, curve.probabilities, curve.interval.upper, strict=True):
        assert lower < chance < upper
    assert "FEATURE_MISSING" in _reasons(answer)
    said = next(warning.message for warning in answer.warnings if warning.reason == "FEATURE_MISSING")
    assert "albumin" in said
    assert "ph" in said


def test_the_same_measurement_in_another_unit_gives_the_same_answer(client: Client, records: dict[str, Record]) -> None:
    features = dict(records["mortality"].features)
    features["creatinine"] = Quantity(1.5, "mg/dL")
    features["temperature"] = Quantity(37.0, "Cel")
    others = features | {"creatinine": Quantity(132.63, "umol/L"), "temperature": Quantity(98.6, "[degF]")}

    one, other = (client.infer("mortality", {"record": Record(each)}).survival_curves[0].probabilities for each in (features, others))

    assert list(one) == pytest.approx(list(other), abs=1e-5)


def test_a_record_becomes_ranked_treatments_each_with_its_effect_and_interval(client: Client, records: dict[str, Record]) -> None:
    answer = client.infer("hiv-treatment", {"record": records["hiv-treatment"]})

    (ranking,) = answer.treatment_rankings
    assert len(ranking.options) == 4
    outcomes = [option.outcome for option in ranking.options]
    assert outcomes == sorted(outcomes, reverse=True)
    reference = next(option for option in ranking.options if option.code.code == ranking.reference.code)
    assert reference.effect == 0
    for option in ranking.options:
        assert option.outcome - reference.outcome == pytest.approx(option.effect, abs=1e-3)
        assert option.effect_interval.lower[0] <= option.effect_interval.upper[0]


def test_a_record_that_can_not_be_is_refused_by_the_name_of_its_feature(client: Client, records: dict[str, Record]) -> None:
    record = Record(dict(records["hiv-treatment"].features) | {"weight": Quantity(7000.25, "kg")})

    with pytest.raises(InvalidArgument) as caught:
        client.infer("hiv-treatment", {"record": record})

    assert caught.value.reason == "FEATURE_OUT_OF_RANGE"
    assert "weight" in caught.value.field
    assert "7000.25" not in str(caught.value)


def test_the_models_own_tensor_is_answered_as_its_record_and_held_to_the_same_ranges(client: Client, records: dict[str, Record]) -> None:
    given = records["hiv-treatment"].features
    values = {}
    for feature in client.get_model("hiv-treatment").versions[0].manifest.inputs[0].record.features:
        value = given.get(feature.name, Quantity(None, feature.unit))
        codes = [category.code for category in feature.categories]
        values[feature.name] = value.value if isinstance(value, Quantity) else codes.index(str(value))
    tensors = [np.array([*each.values()], np.float32) for each in (values, values | {"weight": 7000.25})]

    answers = [client.infer("hiv-treatment", {"record": sent}).treatment_rankings[0] for sent in (records["hiv-treatment"], tensors[0])]
    with pytest.raises(InvalidArgument) as caught:
        client.infer("hiv-treatment", {"record": tensors[1]})

    assert answers[0] == answers[1]
    assert (caught.value.reason, caught.value.field) == ("FEATURE_OUT_OF_RANGE", 'inputs["record"].tensor.content["weight"]')
