"""How long until an event: the chance to be without it at one time after the other, from patients of whom some were lost to follow-up."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medserve.v1 import coding_pb2, manifest_output_pb2, tensor_pb2
from training.baseline import Hazards
from training.evaluate import Figure
from training.evidence import kaplan_meier, robustness, subgroups, survival
from training.evidence.resampling import Bootstrap
from training.evidence.robustness import Perturbation
from training.evidence.survival import Curves, Followed
from training.fitting.fit import Fitted
from training.fitting.plan import Plan
from training.gates.evidence import Measured
from training.models import hazard
from training.report import evidence as evidence_report
from training.report import survival as report
from training.search_space import Space
from training.tasks import network, novelty_output
from training.tasks.task import Ask, Bench, Trained

if TYPE_CHECKING:
    import keras

    from training.dataset import Dataset, Part

SURVIVAL = "survival"


@dataclass(frozen=True, kw_only=True, slots=True)
class Survival:
    """Learns the hazards of successive intervals; targets are structured, with `time_days` and `event`.

    Attributes:
        system, code, display: the event's concept.
        edges_days: where time is cut, rising from 0; the model's curve has the later ones.
        horizon_days: the time that the figures are of; one of the edges.
        build: makes the network from a request's tensor to hazards [items, intervals]; given the items that the weights will be fitted to.
        plan: how it is fitted; its loss is `hazard.loss`.
        space: where a search looks for a better plan; None: `search_space.around` it.
        baseline: what the model is held against.
        features_before: the layer whose input novelty is measured on; None for a model that gives none.
        perturbations: what robustness is measured under.
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
    space: Space | None = None

    def __post_init__(self) -> None:
        """Raises ValueError where the horizon is no edge."""
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
        said = outputs.get(SURVIVAL)
        if said is None or said.shape != (len(part), len(self.edges_days) - 1):
            return {}
        curves, followed = Curves(edges_days=np.array(self.edges_days[1:]), survival=said.astype(np.float64)), _followed(part)
        return {
            f"brier_{self.horizon_days:g}d": survival.brier_scores(followed, curves, self.horizon_days),
            "integrated_brier": survival.integrated_brier_scores(followed, curves),
        }

    def fit(self, training: "Part", validation: "Part", bench: Bench) -> Fitted:
        """The network by the plan."""
        edges = np.array(self.edges_days)
        return network.fitted(
            lambda: self.build(training),
            self.plan,
            training,
            validation,
            bench,
            targets=lambda targets: hazard.targets(targets["time_days"], targets["event"], edges),
        )

    def train(self, data: "Dataset", bench: Bench) -> Trained:
        """Fits, and measures on held-out patients at the horizon and over the curve until it."""
        import keras  # noqa: PLC0415 - it takes seconds

        edges = np.array(self.edges_days)
        hazards = self.fit(data.training, data.validation, bench).model
        outputs = {SURVIVAL: keras.layers.Lambda(hazard.survival, name=SURVIVAL)(hazards.outputs[0])}
        model, threshold = novelty_output.served(hazards, outputs, self.features_before, data)
        ask = partial(network.predicted, model)
        followed, bootstrap = _followed(data.held_out), Bootstrap(items=len(data.held_out), seed=self.seed, groups=data.held_out.patients)
        curves = self._curves(ask, data.held_out.inputs)
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
        error = float(np.abs(calibration.x - calibration.y).mean())
        bench.say(f"held-out calibration error at {self.horizon_days:g} days {error:.4f}, in the mean of {len(calibration.x)} groups")
        levels = self._by_level(followed, curves, data, bootstrap)
        groups = self._risk_groups(ask, curves, data)
        sections = (
            report.calibration(calibration, days=self.horizon_days, error=error),
            report.groups(kaplan_meier.by_group(followed, groups)),
            report.naive(naive),
            *evidence_report.by_level(levels),
            *evidence_report.robustness(self._robustness(ask, followed, data)),
        )
        return Trained(
            model=model,
            outputs=self._outputs(threshold),
            figures=tuple(figures),
            baseline=tuple(baseline),
            baseline_name=self.baseline.name,
            sections=sections,
            measured={"calibration_error": Measured(value=error)},
            subgroups={self._auroc: subgroups.for_gates(levels)},
        )

    def evaluate(self, ask: Ask, data: "Dataset") -> list[Figure]:
        """The area and Brier's score at the horizon, and that integrated until it."""
        bootstrap = Bootstrap(items=len(data.held_out), seed=self.seed, groups=data.held_out.patients)
        return self._figures(_followed(data.held_out), self._curves(ask, data.held_out.inputs), bootstrap)

    @property
    def _auroc(self) -> str:
        return f"auroc_{self.horizon_days:g}d"

    def _curves(self, ask: Ask, inputs: NDArray[Any]) -> Curves:
        return Curves(edges_days=np.array(self.edges_days[1:]), survival=ask(inputs)[SURVIVAL].astype(np.float64))

    def _figures(self, followed: Followed, curves: Curves, bootstrap: Bootstrap) -> list[Figure]:
        return [
            survival.auroc_at(followed, curves, self.horizon_days, bootstrap),
            survival.brier_at(followed, curves, self.horizon_days, bootstrap),
            survival.integrated_brier(followed, curves, bootstrap),
        ]

    def _risk_groups(self, ask: Ask, curves: Curves, data: "Dataset") -> NDArray[np.str_]:
        """Thirds of the validation patients' risks."""
        validated = 1 - self._curves(ask, data.validation.inputs).at(self.horizon_days)
        cuts = np.quantile(validated, [1 / 3, 2 / 3])
        # So few patients may all be at one risk.
        return kaplan_meier.risk_groups(1 - curves.at(self.horizon_days), [cuts[0], max(cuts[1], np.nextafter(cuts[0], 2))])

    def _by_level(self, followed: Followed, curves: Curves, data: "Dataset", bootstrap: Bootstrap) -> list[subgroups.Level]:
        statistic = survival.area_at(followed, curves, self.horizon_days)
        return subgroups.by_level(self._auroc, statistic, data.held_out.attributes, bootstrap)

    def _robustness(self, ask: Ask, followed: Followed, data: "Dataset") -> list[robustness.Robustness]:
        if not self.perturbations:
            return []

        def area(risk: NDArray[Any], rows: NDArray[np.int64]) -> float:
            curves = Curves(edges_days=np.array(self.edges_days[1:]), survival=risk)
            return survival.area_at(followed, curves, self.horizon_days)(rows)

        return robustness.measure(
            self._auroc,
            area,
            lambda inputs: ask(inputs)[SURVIVAL].astype(np.float64),
            inputs=data.held_out.inputs,
            perturbations=self.perturbations,
            bootstrap=Bootstrap(items=len(data.held_out), seed=self.seed, groups=data.held_out.patients, resamples=50),
        )

    def _outputs(self, threshold: float | None) -> tuple[manifest_output_pb2.OutputSpec, ...]:
        event = coding_pb2.Coding(system=self.system, code=self.code, display=self.display)
        reading = manifest_output_pb2.SurvivalReading(event=event, times_days=self.edges_days[1:])
        shape = [len(self.edges_days) - 1]
        output = manifest_output_pb2.OutputSpec(name=SURVIVAL, data_type=tensor_pb2.DATA_TYPE_FLOAT32, shape=shape, survival=reading)
        return (output,) if threshold is None else (output, novelty_output.output_spec(threshold))


def _followed(part: "Part") -> Followed:
    return Followed(time_days=part.targets["time_days"], event=part.targets["event"])
