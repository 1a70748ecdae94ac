"""Which of some options is expected to help a patient most, learnt from a randomised trial: outcomes, effects, and intervals of both."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medserve.v1 import coding_pb2, manifest_output_pb2, tensor_pb2
from training.dataset import Sample
from training.evaluate import Figure
from training.evidence import novelty, robustness, simulated_trial, subgroups, treatment
from training.evidence.resampling import Statistic
from training.evidence.robustness import Perturbation
from training.evidence.subgroups import Level
from training.evidence.treatment import PolicyValue, Scored
from training.features import Fitted, Recipe
from training.gates.evidence import Measured
from training.models import meta_learner
from training.record_input import RECORD
from training.report import evidence as evidence_report
from training.report import treatment as report
from training.report.page import Section
from training.tasks import network, novelty_output
from training.tasks.novelty_output import NOVELTY
from training.tasks.task import Ask, Bench, Trained, by_patient

if TYPE_CHECKING:
    import keras

    from training.dataset import Dataset, Part

OUTCOME, EFFECT = "outcome", "effect"


@dataclass(frozen=True, kw_only=True, slots=True)
class Treatment:
    """Learns the outcome under each option; targets are structured, with `option`, its place, and `outcome`.

    Attributes:
        system: the coding system of the options.
        options: each option's code to its name for people; the first is what effects are measured against.
        outcome: what is measured, as a concept.
        unit: the outcome's, in UCUM.
        lower_is_better: whether a smaller outcome is the better one.
        shares: the chance that the trial gave each option with.
        columns: the record's, in order.
        recipe: from the record to the features that outcomes are linear in; without gaps.
        confidence_level: of the intervals.
        perturbations: what robustness is measured under.
        other_items: as of `Classification`.
        simulated_trials: how many trials are simulated to see whether intervals hold; twice as many, of other draws and asked about validation
            patients, say before how wide they are.
        seed: of every random choice.
    """

    system: str
    options: Mapping[str, str]
    outcome: coding_pb2.Coding
    unit: str
    lower_is_better: bool = False
    shares: tuple[float, ...]
    columns: tuple[str, ...]
    recipe: Recipe
    confidence_level: float = 0.95
    perturbations: tuple[Perturbation, ...] = ()
    other_items: Mapping[str, Callable[[], NDArray[Any]]] = field(default_factory=dict)
    simulated_trials: int = 20
    seed: int = 2

    def kinds(self, targets: NDArray[Any]) -> list[str]:
        """`given-` and the option's code."""
        codes = list(self.options)
        return [f"given-{codes[place]}" for place in targets["option"]]

    def scores(self, outputs: Mapping[str, NDArray[Any]], part: "Part") -> dict[str, NDArray[Any]]:
        """The doubly robust score of what was chosen for each patient: in the mean the policy's value. Two policies' scores of one part are pairs.

        A greater one is the better one: of an outcome that is to be small it is the negative.
        """
        said = outputs.get(OUTCOME)
        if said is None or said.shape != (len(part), len(self.options)):
            return {}
        # Scores don't depend on how the features are scaled: the regressions behind them scale anew.
        features = self.recipe.fit(self.columns, part.inputs, part.targets["outcome"], seed=self.seed)
        worth = self._trial(features, part).scores[np.arange(len(part)), self._best(said)]
        return {"policy_value": -worth if self.lower_is_better else worth}

    def statistics(self, outputs: Mapping[str, NDArray[Any]], part: "Part") -> dict[str, Statistic]:  # noqa: ARG002 - a task's
        """None: a policy's value is a mean of scores."""
        return {}

    compared_by = frozenset({"policy_value"})

    @property
    def told_by_group(self) -> str:
        """What is gained over the reference for everybody."""
        return f"gain_over_{next(iter(self.options.values()))}"

    def train(self, data: "Dataset", bench: Bench) -> Trained:
        """Learns from training patients, and values its choices on held-out ones. Raises ValueError for a sample: its learners read no stream."""
        if isinstance(data.training, Sample):
            message = "training: items in memory; this task's learners would learn from the sample alone"
            raise ValueError(message)  # noqa: TRY004 - of this data for this task
        features = self.recipe.fit(self.columns, data.training.inputs, data.training.targets["outcome"], seed=self.seed)
        shares = np.array(self.shares)
        option, outcome, numbers = data.training.targets["option"], data.training.targets["outcome"], features.transform(data.training.inputs)
        pseudo = meta_learner.pseudo_outcomes(numbers, option, outcome, shares=shares, seed=self.seed)
        resampled = meta_learner.fit(numbers, pseudo, seed=self.seed)
        simulate = partial(
            simulated_trial.simulate, resampled, numbers, option, outcome, shares=shares, confidence_level=self.confidence_level
        )  # fmt: skip
        asked_for = simulate(features.transform(data.validation.inputs), trials=2 * self.simulated_trials, seed=self.seed)
        learner = asked_for.stretched(resampled, confidence_level=self.confidence_level)
        model, threshold = self._served(learner, features, data)
        said = network.predicted(model, data.held_out.inputs)
        trial, reference = self._trial(features, data.held_out), next(iter(self.options.values()))
        chosen = self._best(said[OUTCOME])
        value = treatment.policy_value(trial, chosen)
        figures = self._figures(value)
        # The sceptic gives everybody what was best in the training patients' mean.
        favourite = int(self._best(pseudo.mean(axis=0)))
        same_for_all = np.full(len(data.held_out), favourite)
        baseline = self._figures(treatment.policy_value(trial, same_for_all))
        # What both gain over the reference is over the same one, so that it is the difference of both figures.
        difference = treatment.policy_difference(trial, chosen, same_for_all)
        name = f"{trial.options[favourite]} for everybody, which was best among the training patients"
        for figure in figures:
            bench.say(f"held-out {figure}")
        bench.say(f"baseline, {name}: {', '.join(f'{figure.name} {figure.value:.4g}' for figure in baseline)}")
        bench.say(f"held-out: {value}")
        effects = treatment.average_effects(trial, reference=reference)
        predicted = dict(zip(trial.options, said[EFFECT].mean(axis=0, dtype=np.float64).tolist(), strict=True))
        learnt = replace(trial, scores=pseudo)
        miss = treatment.average_effect_miss(effects, treatment.average_effects(learnt, reference=reference), predicted)
        # Of trials that set nothing.
        coverage = simulate(features.transform(data.held_out.inputs), trials=self.simulated_trials, seed=self.seed + 1).coverage(learner)
        for figure in coverage.values():
            bench.say(f"simulated {figure}")
        told = novelty_output.told(model, threshold, data, bench, seed=self.seed, other_items=self.other_items)
        levels, worse = self._by_level(trial, chosen, data), self._robustness(model, trial, data)
        sections = (
            report.policy(value, dict(zip(trial.options, np.bincount(chosen, minlength=len(trial.options)).tolist(), strict=True))),
            *evidence_report.by_level(levels),
            report.average_effects(effects, predicted, unit=self.unit, reference=reference, miss=miss),
            self._effects_hold(trial, said[EFFECT]),
            report.intervals_hold(coverage, learner, level=self.confidence_level),
            *evidence_report.novelty(told),
            *evidence_report.robustness(worse, unit=self.unit),
        )
        return Trained(
            model=model,
            outputs=self._outputs(threshold),
            figures=tuple(figures),
            baseline=tuple(baseline),
            baseline_name=name,
            differences=(difference, replace(difference, name=f"{figures[1].name}_difference")),
            sections=sections,
            measured={"average_effect_miss": Measured(value=miss), **{name: Measured.of(figure) for name, figure in coverage.items()}},
            subgroups={self.told_by_group: subgroups.for_gates(levels)},
            limits=evidence_report.limits(levels, worse, told),
        )

    def evaluate(self, ask: Ask, data: "Dataset") -> list[Figure]:
        """The value of the model's choice, and its gain over the reference; scores of held-out patients are fitted anew, by the same seed."""
        features = self.recipe.fit(self.columns, data.training.inputs, data.training.targets["outcome"], seed=self.seed)
        chosen = self._best(ask(data.held_out.inputs)[OUTCOME])
        return self._figures(treatment.policy_value(self._trial(features, data.held_out), chosen))

    def _best(self, outcomes: NDArray[Any]) -> NDArray[np.int64]:
        """The place of the best option, […] from […, options]; the first of equals."""
        return outcomes.argmin(axis=-1) if self.lower_is_better else outcomes.argmax(axis=-1)

    def _trial(self, features: Fitted, part: "Part") -> Scored:
        """The patients' scores under each option."""
        return treatment.scored(
            features.transform(part.inputs),
            part.targets["option"],
            part.targets["outcome"],
            shares=np.array(self.shares),
            options=tuple(self.options.values()),
            seed=self.seed,
            higher_is_better=not self.lower_is_better,
            confidence_level=self.confidence_level,
        )

    def _served(self, learner: meta_learner.Learner, features: Fitted, data: "Dataset") -> tuple["keras.Model", float]:
        """The model with all of its outputs, and above which distance a patient counts as novel."""
        import keras  # noqa: PLC0415 - it takes seconds

        record = keras.Input((len(self.columns),), dtype="float32", name=RECORD)
        hidden = features.as_layer()(record)
        outputs = dict(meta_learner.as_layer(learner, reference=0, confidence_level=self.confidence_level)(hidden))
        measure = novelty.fit(features.transform(data.training.inputs))
        outputs[NOVELTY] = measure.as_layer(NOVELTY)(hidden)
        threshold = novelty.threshold(measure.distance(features.transform(data.validation.inputs)))
        return keras.Model(record, outputs, name="treatment"), threshold

    def _figures(self, value: PolicyValue) -> list[Figure]:
        """The value of a policy, and its gain over the reference for everybody."""
        reference = next(iter(self.options.values()))
        return [value.policy, value.gains[reference]]

    def _by_level(self, trial: Scored, chosen: NDArray[np.int64], data: "Dataset") -> list[Level]:
        """What the choice gains over the reference, in each subgroup."""
        gain = trial.scores[np.arange(len(chosen)), chosen] - trial.scores[:, 0]
        return subgroups.by_level(
            self.told_by_group, lambda rows: float(gain[rows].mean()), data.held_out.attributes, by_patient(data.held_out, self.seed)
        )

    def _robustness(self, model: "keras.Model", trial: Scored, data: "Dataset") -> list[robustness.Robustness]:
        """What the choice is worth when it is made by worse records."""
        if not self.perturbations:
            return []
        return robustness.measure(
            "policy_value",
            lambda said, rows: float(trial.scores[rows, self._best(said[rows])].mean()),
            lambda inputs: network.predicted(model, inputs)[OUTCOME],
            inputs=data.held_out.inputs,
            perturbations=self.perturbations,
            bootstrap=by_patient(data.held_out, self.seed, resamples=200),
        )

    def _effects_hold(self, trial: Scored, effects: NDArray[Any]) -> Section:
        reference = trial.options[0]
        slopes, calibration = [], {}
        for place, name in enumerate(trial.options[1:], start=1):
            predicted = effects[:, place].astype(np.float64)
            # Options that the model gives the same effect to everybody have nothing to hold.
            if np.ptp(predicted) > 0:
                slopes.append((name, treatment.effect_slope(trial, predicted, option=name, reference=reference)))
                calibration[name] = treatment.effect_calibration(trial, predicted, option=name, reference=reference)
        return report.effects_hold(slopes, calibration, unit=self.unit)

    def _outputs(self, threshold: float) -> tuple[manifest_output_pb2.OutputSpec, ...]:
        options = [coding_pb2.Coding(system=self.system, code=code, display=display) for code, display in self.options.items()]

        def ends(name: str) -> manifest_output_pb2.Interval:
            return manifest_output_pb2.Interval(lower_output=f"{name}_lower", upper_output=f"{name}_upper", confidence_level=self.confidence_level)

        reading = manifest_output_pb2.TreatmentReading(
            outcome=self.outcome,
            unit=self.unit,
            lower_is_better=self.lower_is_better,
            options=options,
            reference=0,
            outcome_interval=ends(OUTCOME),
            effect_output=EFFECT,
            effect_interval=ends(EFFECT),
        )
        plain = {
            name: manifest_output_pb2.OutputSpec(name=name, data_type=tensor_pb2.DATA_TYPE_FLOAT32, shape=[len(options)])
            for name in meta_learner.OUTPUTS
        }
        plain[OUTCOME].treatment.CopyFrom(reading)
        return (*plain.values(), novelty_output.output_spec(threshold))
