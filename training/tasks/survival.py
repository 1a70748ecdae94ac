"""How long until an event: the chance to be without it at one time after the other, from patients of whom some were lost to follow-up."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medserve.v1 import coding_pb2, manifest_output_pb2, tensor_pb2
from training.baseline import Hazards
from training.evaluate import Figure
from training.evidence import kaplan_meier, novelty, recalibration, resampling, robustness, subgroups, survival, survival_decision
from training.evidence.recalibration import Method, Recalibration
from training.evidence.resampling import Bootstrap, Statistic
from training.evidence.robustness import Perturbation
from training.evidence.survival import Curves, Followed
from training.fitting.fit import Fitted
from training.fitting.plan import Plan
from training.gates.evidence import Measured
from training.models import hazard
from training.report import curves as curves_report
from training.report import evidence as evidence_report
from training.report import survival as report
from training.report.page import Section
from training.report.plots import Band
from training.search_space import Space
from training.tasks import network, novelty_output
from training.tasks.task import Ask, Bench, Trained, by_patient

if TYPE_CHECKING:
    import keras

    from training.dataset import Dataset, Part

SURVIVAL, LOWER, UPPER = "survival", "survival_lower", "survival_upper"


@dataclass(frozen=True, kw_only=True, slots=True)
class Survival:
    """Learns the hazards of successive intervals; targets are structured, with `time_days` and `event`.

    Attributes:
        system, code, display: the event's concept.
        edges_days: where time is cut, rising from 0; the model's curve has the later ones.
        horizon_days: the time that the figures are of; one of the edges.
        build: makes the network from a request's tensor to hazards [items, intervals], which ends in `hazard.head`; given the items that the weights
            will be fitted to.
        plan: how it is fitted; its loss is `hazard.loss`.
        space: where a search looks for a better plan; None: `search_space.around` it.
        baseline: what the model is held against.
        features_before: the layer whose input novelty is measured on; None for a model that gives none.
        perturbations: what robustness is measured under.
        other_items: as of `Classification`.
        calibrate: by what hazards are made to hold: one of `recalibration.METHODS`. `bayesian` alone gives the curve an interval.
        interval_level: of that interval.
        wanted_sensitivity: the operating point at the horizon is the most specific one that has it on validation patients; None takes the one of the
            greatest Youden index.
    """

    system: str
    code: str
    display: str
    edges_days: tuple[float, ...]
    horizon_days: float
    build: Callable[["Part"], "keras.Model"]
    plan: Plan
    baseline: Hazards
    features_before: str | None = None
    perturbations: tuple[Perturbation, ...] = ()
    other_items: Mapping[str, Callable[[], NDArray[Any]]] = field(default_factory=dict)
    space: Space | None = None
    calibrate: Method = "bayesian"
    interval_level: float = 0.95
    wanted_sensitivity: float | None = None

    def __post_init__(self) -> None:
        """Raises ValueError where the horizon is no edge, there is no such way to calibrate, or the level is no share."""
        if self.calibrate not in recalibration.METHODS:
            message = f"calibrate: one of {', '.join(recalibration.METHODS)}, not {self.calibrate}"
            raise ValueError(message)
        if not 0 < self.interval_level < 1:
            message = f"interval_level: above 0 and below 1, not {self.interval_level}"
            raise ValueError(message)
        if self.horizon_days not in self.edges_days[1:]:
            message = "horizon_days: one of the edges after 0"
            raise ValueError(message)

    @property
    def seed(self) -> int:
        """Of every random choice."""
        return self.plan.seed

    def kinds(self, targets: NDArray[Any]) -> list[str]:
        """`event` or `without`, by the horizon."""
        return ["event" if had else "without" for had in targets["event"] & (targets["time_days"] <= self.horizon_days)]

    def scores(self, outputs: Mapping[str, NDArray[Any]], part: "Part") -> dict[str, NDArray[Any]]:
        """Brier's scores at the horizon and integrated."""
        if not self._knows(outputs, part):
            return {}
        curves, followed = self._read(outputs), _followed(part)
        return {
            f"brier_{self.horizon_days:g}d": survival.brier_scores(followed, curves, self.horizon_days),
            "integrated_brier": survival.integrated_brier_scores(followed, curves),
        }

    def statistics(self, outputs: Mapping[str, NDArray[Any]], part: "Part") -> dict[str, Statistic]:
        """The area at the horizon."""
        return {self._auroc: survival.area_at(_followed(part), self._read(outputs), self.horizon_days)} if self._knows(outputs, part) else {}

    @property
    def told_by_group(self) -> str:
        """The area at the horizon."""
        return self._auroc

    @property
    def compared_by(self) -> frozenset[str]:
        """The area and Brier's score at the horizon, and Brier's integrated."""
        return frozenset({self._auroc, f"brier_{self.horizon_days:g}d", "integrated_brier"})

    def fit(self, training: "Part", validation: "Part", bench: Bench) -> Fitted:
        """The network by the plan, before it is calibrated."""
        return network.fitted(lambda: self.build(training), self.plan, training, validation, bench, targets=self._wanted)

    def train(self, data: "Dataset", bench: Bench) -> Trained:
        """Fits, recalibrates on validation patients, and measures on held-out ones at the horizon and over the curve until it."""
        hazards = self.fit(data.training, data.validation, bench).model
        asked = _head(hazards)
        learnt = self._recalibration(asked, data)
        bench.say(f"calibrated on {len(data.validation)} validation patients: {learnt}")
        outputs = learnt.as_layer(confidence_level=self.interval_level)(*asked.outputs)
        model, threshold = novelty_output.served(hazards, outputs, self.features_before, data)
        ask = partial(network.predicted, model)
        edges, followed, bootstrap = np.array(self.edges_days), _followed(data.held_out), by_patient(data.held_out, self.seed)
        said = ask(data.held_out.inputs)
        curves = self._read(said)
        figures = self._figures(followed, curves, bootstrap)
        theirs = Curves(edges_days=edges[1:], survival=self.baseline.survival(data.training, data.held_out.inputs, edges))
        baseline = self._figures(followed, theirs, bootstrap)
        for figure in figures:
            bench.say(f"held-out {figure}")
        bench.say(f"baseline, {self.baseline.name}: {', '.join(f'{figure.name} {figure.value:.4f}' for figure in baseline)}")
        everybody = kaplan_meier.same_for_all(_followed(data.training), edges[1:], len(data.held_out))
        naive = survival.integrated_brier(followed, everybody, bootstrap)
        bench.say(f"the same curve for everybody: {naive}")
        calibration = kaplan_meier.calibration_at(followed, curves, self.horizon_days)
        error = kaplan_meier.error_at(calibration)
        bench.say(f"held-out calibration error at {self.horizon_days:g} days {error:.4f}, in the mean of {len(calibration.x)} groups")
        told = novelty_output.told(model, threshold, data, bench, seed=self.seed, other_items=self.other_items)
        levels, worse = self._by_level(followed, curves, data, bootstrap), self._robustness(ask, followed, data)
        validated = self._read(ask(data.validation.inputs))
        thirds = self._risk_groups(validated, curves)
        acting = self._acting(_followed(data.validation), validated, followed, curves, bootstrap)
        for figure in acting.figures:
            bench.say(f"held-out {figure}")
        raw = network.predicted(asked, data.held_out.inputs)[0]
        uncalibrated = Curves(edges_days=edges[1:], survival=np.cumprod(1 - raw, axis=1, dtype=np.float64))
        sections = (
            report.calibration(calibration, days=self.horizon_days, error=error),
            self._made_to_hold(learnt, uncalibrated, curves, data),
            *self._intervals(said, followed, curves, thirds),
            *acting.sections,
            evidence_report.benefit(self._benefit(followed, {"model": curves, "baseline": theirs}, data)),
            report.groups(kaplan_meier.by_group(followed, thirds)),
            report.naive(naive),
            *evidence_report.novelty(told),
            *evidence_report.by_level(levels),
            *evidence_report.robustness(worse),
        )
        return Trained(
            model=model,
            outputs=self._outputs(threshold, has_interval=UPPER in said),
            figures=tuple(figures),
            baseline=tuple(baseline),
            baseline_name=self.baseline.name,
            differences=tuple(survival.differences(followed, curves, theirs, self.horizon_days, bootstrap)),
            sections=sections,
            measured={"calibration_error": Measured(value=error), **{figure.name: Measured.of(figure) for figure in acting.figures}},
            subgroups={self.told_by_group: subgroups.for_gates(levels)},
            limits=evidence_report.limits(levels, worse, told),
        )

    def evaluate(self, ask: Ask, data: "Dataset") -> list[Figure]:
        """The area and Brier's score at the horizon, and that integrated until it."""
        return self._figures(_followed(data.held_out), self._read(ask(data.held_out.inputs)), by_patient(data.held_out, self.seed))

    @property
    def _auroc(self) -> str:
        return f"auroc_{self.horizon_days:g}d"

    def _wanted(self, targets: NDArray[Any]) -> NDArray[np.float32]:
        return hazard.targets(targets["time_days"], targets["event"], np.array(self.edges_days))

    def _recalibration(self, asked: "keras.Model", data: "Dataset") -> Recalibration:
        """Learnt from validation patients; of training patients only their features are looked at, not what became of them."""
        said, features = network.predicted(asked, data.validation.inputs)
        return recalibration.learn(
            self.calibrate,
            said,
            features,
            self._wanted(data.validation.targets),
            reference=network.predicted(asked, data.training.inputs)[1],
            groups=data.validation.patients,
            seed=self.seed,
        )

    def _knows(self, outputs: Mapping[str, NDArray[Any]], part: "Part") -> bool:
        said = outputs.get(SURVIVAL)
        return said is not None and said.shape == (len(part), len(self.edges_days) - 1)

    def _read(self, said: Mapping[str, NDArray[Any]], name: str = SURVIVAL) -> Curves:
        return Curves(edges_days=np.array(self.edges_days[1:]), survival=said[name].astype(np.float64))

    def _figures(self, followed: Followed, curves: Curves, bootstrap: Bootstrap) -> list[Figure]:
        return [
            survival.auroc_at(followed, curves, self.horizon_days, bootstrap),
            survival.brier_at(followed, curves, self.horizon_days, bootstrap),
            survival.integrated_brier(followed, curves, bootstrap),
        ]

    def _risk_groups(self, validated: Curves, curves: Curves) -> NDArray[np.str_]:
        """Thirds of the validation patients' risks."""
        cuts = np.quantile(1 - validated.at(self.horizon_days), [1 / 3, 2 / 3])
        # So few patients may all be at one risk.
        return kaplan_meier.risk_groups(1 - curves.at(self.horizon_days), [cuts[0], max(cuts[1], np.nextafter(cuts[0], 2))])

    def _made_to_hold(self, learnt: Recalibration, before: Curves, after: Curves, data: "Dataset") -> Section:
        followed, wanted, days = _followed(data.held_out), self._wanted(data.held_out.targets), self.horizon_days
        losses = [recalibration.log_losses(each.survival, wanted) for each in (before, after)]
        held = [
            curves_report.Held(
                error=kaplan_meier.error_at(kaplan_meier.calibration_at(followed, each, days)),
                error_by_chance=kaplan_meier.error_by_chance(each, days, seed=self.seed),
                log_loss=float(loss.mean()),
                integrated_brier=float(survival.integrated_brier_scores(followed, each).mean()),
            )
            for each, loss in zip((before, after), losses, strict=True)
        ]
        bootstrap = by_patient(data.held_out, self.seed, resamples=200)
        change = resampling.figure("log_loss_change", lambda rows: float((losses[1][rows] - losses[0][rows]).mean()), bootstrap)
        return curves_report.made_to_hold(learnt, before=held[0], after=held[1], change=change, days=days)

    def _intervals(self, said: Mapping[str, NDArray[Any]], followed: Followed, curves: Curves, thirds: NDArray[np.str_]) -> list[Section]:
        if UPPER not in said:
            return []
        ends = self._read(said, LOWER), self._read(said, UPPER)
        tenths = kaplan_meier.tenths(1 - curves.at(self.horizon_days))
        of_tenths = [group for days in self.edges_days[1:] for group in kaplan_meier.groups_at(followed, tenths, curves, ends, days)]
        of_thirds = kaplan_meier.groups_at(followed, thirds, curves, ends, self.horizon_days)
        return [curves_report.intervals(of_thirds, of_tenths, level=self.interval_level)]

    def _acting(self, of_validated: Followed, validated: Curves, followed: Followed, curves: Curves, bootstrap: Bootstrap) -> "_Acting":
        """Of the operating point that validation patients choose; nothing where they are all of one kind."""
        point = survival_decision.point(of_validated, validated, self.horizon_days, wanted_sensitivity=self.wanted_sensitivity)
        if point is None:
            return _Acting()
        figures = survival_decision.at_point(followed, curves, self.horizon_days, point.threshold, bootstrap)
        return _Acting(figures=tuple(figures), sections=(curves_report.acting(point, figures, days=self.horizon_days),))

    def _benefit(self, followed: Followed, curves: Mapping[str, Curves], data: "Dataset") -> dict[str, Band]:
        return survival_decision.benefit(followed, curves, self.horizon_days, by_patient(data.held_out, self.seed, resamples=200))

    def _by_level(self, followed: Followed, curves: Curves, data: "Dataset", bootstrap: Bootstrap) -> list[subgroups.Level]:
        statistic = survival.area_at(followed, curves, self.horizon_days)
        return subgroups.by_level(self.told_by_group, statistic, data.held_out.attributes, bootstrap)

    def _robustness(self, ask: Ask, followed: Followed, data: "Dataset") -> list[robustness.Robustness]:
        if not self.perturbations:
            return []

        weights = followed.weights(self.horizon_days)

        def area(said: NDArray[Any], rows: NDArray[np.int64]) -> float:
            curves = Curves(edges_days=np.array(self.edges_days[1:]), survival=said)
            # What is known of held-out patients doesn't change with what is said of them.
            return survival.area_at(followed, curves, self.horizon_days, weights=weights)(rows)

        return robustness.measure(
            self._auroc,
            area,
            lambda inputs: ask(inputs)[SURVIVAL].astype(np.float64),
            inputs=data.held_out.inputs,
            perturbations=self.perturbations,
            bootstrap=by_patient(data.held_out, self.seed, resamples=200),
        )

    def _outputs(self, threshold: float | None, *, has_interval: bool) -> tuple[manifest_output_pb2.OutputSpec, ...]:
        names = (SURVIVAL, LOWER, UPPER) if has_interval else (SURVIVAL,)
        shape = [len(self.edges_days) - 1]
        specs = [manifest_output_pb2.OutputSpec(name=name, data_type=tensor_pb2.DATA_TYPE_FLOAT32, shape=shape) for name in names]
        event = coding_pb2.Coding(system=self.system, code=self.code, display=self.display)
        specs[0].survival.CopyFrom(manifest_output_pb2.SurvivalReading(event=event, times_days=self.edges_days[1:]))
        if has_interval:
            ends = manifest_output_pb2.Interval(lower_output=LOWER, upper_output=UPPER, confidence_level=self.interval_level)
            specs[0].survival.interval.CopyFrom(ends)
        return (*specs, *(() if threshold is None else (novelty_output.output_spec(threshold),)))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Acting:
    """What comes of an operating point, and what a report says of it."""

    figures: tuple[Figure, ...] = ()
    sections: tuple[Section, ...] = ()


def _head(hazards: "keras.Model") -> "keras.Model":
    """The network with what goes into its last layer beside the hazards."""
    import keras  # noqa: PLC0415 - it takes seconds

    return keras.Model(hazards.inputs[0], [hazards.outputs[0], novelty.before(hazards, hazard.HEAD).outputs[0]])


def _followed(part: "Part") -> Followed:
    return Followed(time_days=part.targets["time_days"], event=part.targets["event"])
