"""Which of some classes an item is of: calibrated probabilities, a conformal set, and how unlike the training data the item is."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medserve.v1 import coding_pb2, manifest_output_pb2, tensor_pb2
from training import calibration
from training.baseline import Baseline
from training.calibration import Method
from training.evaluate import Figure
from training.evidence import conformal, decision_curve, robustness, subgroups
from training.evidence.isotonic import Isotonic
from training.evidence.resampling import Statistic
from training.evidence.robustness import Perturbation
from training.fitting.fit import Fitted
from training.fitting.plan import Plan
from training.gates.evidence import Measured
from training.report import calibration as calibration_report
from training.report import classification as report
from training.report import evidence as evidence_report
from training.report.page import Section
from training.search_space import Space
from training.tasks import classification_figures, network, novelty_output
from training.tasks.requirements import of_width, require_labels, require_numbers
from training.tasks.task import Ask, Bench, Trained, by_patient

if TYPE_CHECKING:
    import keras

    from training.dataset import Dataset, Part

PROBABILITIES = "probabilities"

Draw = Callable[[NDArray[Any], str], str]
"""Draws one item's inputs under a title; returns SVG."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Classification:
    """Learns exclusive classes with a network that ends in a softmax.

    Attributes:
        system: the coding system of the classes.
        classes: each class's code to its name for people, in the order of the network's last layer.
        build: makes the network, preprocessing included, from a request's tensor to probabilities. It is given the items that the weights will be
            fitted to, and no others, for what is fitted beforehand, such as a normalisation.
        plan: how it is fitted.
        space: where a search looks for a better plan; None: `search_space.around` it.
        baseline: what the model is held against.
        draw: for the report's misread items; None where an item is no picture.
        features_before: the layer whose input novelty is measured on; None for a model that gives none.
        conformal_level: the share of items whose conformal set holds their class.
        wanted_sensitivity: of two classes, of the second: the operating point is the most specific one that has it on validation items; None takes
            the one of the greatest Youden index.
        calibrate: by what probabilities are made to hold: one of `calibration.METHODS`.
        perturbations: what robustness is measured under.
        other_items: real items that aren't of this kind, [items, …] as a request would send them, by name: novelty is to tell them.
    """

    system: str
    classes: Mapping[str, str]
    build: Callable[["Part"], "keras.Model"]
    plan: Plan
    baseline: Baseline
    draw: Draw | None = None
    features_before: str | None = None
    conformal_level: float = 0.9
    wanted_sensitivity: float | None = None
    calibrate: Method = "temperature"
    perturbations: tuple[Perturbation, ...] = ()
    other_items: Mapping[str, Callable[[], NDArray[Any]]] = field(default_factory=dict)
    space: Space | None = None

    def __post_init__(self) -> None:
        """Raises ValueError where there is no such way to calibrate."""
        if self.calibrate not in calibration.METHODS:
            message = f"calibrate: one of {', '.join(calibration.METHODS)}, not {self.calibrate}"
            raise ValueError(message)

    @property
    def seed(self) -> int:
        """Of every random choice."""
        return self.plan.seed

    def kinds(self, targets: NDArray[Any]) -> list[str]:
        """`label-` and the class's code."""
        codes = list(self.classes)
        return [f"label-{codes[target]}" for target in targets]

    told_by_group = "accuracy"

    @property
    def compared_by(self) -> frozenset[str]:
        """Accuracy and macro F1; of two classes, also the areas and Brier's score."""
        of_two = {"auroc", "average_precision", "brier"} if len(self.classes) == 2 else set()  # noqa: PLR2004
        return frozenset({"accuracy", "macro_f1"} | of_two)

    def scores(self, outputs: Mapping[str, NDArray[Any]], part: "Part") -> dict[str, NDArray[Any]]:
        """1 for what is right; of two classes, also the squared error of the second's probability."""
        said = outputs.get(PROBABILITIES)
        if said is None:
            return {}
        found = {"accuracy": (said.argmax(axis=1) == part.targets).astype(np.float64)}
        return found if said.shape[1] != 2 else found | {"brier": (said[:, 1].astype(np.float64) - (part.targets == 1)) ** 2}  # noqa: PLR2004

    def statistics(self, outputs: Mapping[str, NDArray[Any]], part: "Part") -> dict[str, Statistic]:
        """Macro F1 and, of two classes, the areas."""
        said = outputs.get(PROBABILITIES)
        return {} if said is None else classification_figures.statistics(said, part.targets)

    def fit(self, training: "Part", validation: "Part", bench: Bench) -> Fitted:
        """The network by the plan, before it is calibrated."""
        return network.fitted(lambda: of_width(self.build(training), len(self.classes)), self.plan, training, validation, bench)

    def train(self, data: "Dataset", bench: Bench) -> Trained:
        """Fits, calibrates, sets thresholds on validation items, and measures on held-out ones. Raises Refused where they don't go together."""
        require_labels(data, len(self.classes))
        fitted = self.fit(data.training, data.validation, bench).model
        raw = self._said(lambda inputs: {PROBABILITIES: network.predicted(fitted, inputs)}, data)
        chosen = calibration.choose(self.calibrate, raw.validated, data.validation.targets, groups=data.validation.patients, seed=self.seed)
        bench.say(f"calibrated on {len(data.validation)} validation items: {chosen.calibration}")
        if chosen.warning:
            bench.say(f"beware: {chosen.warning}")
        calibrated = calibration.calibrated(fitted, chosen.calibration)
        outputs = {PROBABILITIES: calibrated.outputs[0]}
        model, threshold = novelty_output.served(fitted, outputs, self.features_before, data, labels=data.training.targets)
        said = raw.through(chosen.calibration.as_layer())
        sets = conformal.fit_label_sets(_for_sets(chosen, said.validated), data.validation.targets, confidence_level=self.conformal_level)
        figures = said.figures(data, seed=self.seed)
        for figure in figures:
            bench.say(f"held-out {figure}")
        error = calibration.expected_calibration_error(said.held_out, data.held_out.targets)
        before = calibration.expected_calibration_error(raw.held_out, data.held_out.targets)
        bench.say(f"held-out expected calibration error {error:.4f}, before it was calibrated {before:.4f}")
        theirs = self._said(partial(self._baseline, data.training), data)
        baseline = theirs.figures(data, seed=self.seed)
        bench.say(f"baseline, {self.baseline.name}: {', '.join(f'{figure.name} {figure.value:.4f}' for figure in baseline)}")
        told = novelty_output.told(model, threshold, data, bench, seed=self.seed, other_items=self.other_items)
        bootstrap, few = by_patient(data.held_out, self.seed), by_patient(data.held_out, self.seed, resamples=200)
        coverage = conformal.coverage(sets, said.held_out, data.held_out.targets, bootstrap)
        for figure in coverage:
            bench.say(f"held-out {figure}")
        levels, worse = self._by_level(said.held_out, data), self._robustness(calibrated, data)
        sections = (
            *report.sections(said.held_out, data.held_out.targets, list(self.classes.values()), bootstrap, error=error, point=said.point(data)),
            calibration_report.made_to_hold(chosen, raw.held_out, said.held_out, data.held_out.targets, few),
            *self._benefit({"model": said.held_out, "baseline": theirs.held_out}, data),
            evidence_report.certainty(coverage, level=self.conformal_level, set_by=len(data.validation)),
            *evidence_report.novelty(told),
            *evidence_report.by_level(levels),
            *evidence_report.robustness(worse),
            *(() if self.draw is None else (self._misread(said.held_out, data, self.draw),)),
        )
        return Trained(
            model=model,
            outputs=self._outputs(
                sets, said.point(data), manifest_output_pb2.Calibration(method=chosen.calibration.name, expected_calibration_error=error), threshold
            ),
            figures=tuple(figures),
            baseline=tuple(baseline),
            baseline_name=self.baseline.name,
            differences=tuple(said.differences(theirs, data, seed=self.seed)),
            sections=sections,
            measured={"ece": Measured(value=error), "conformal_coverage": Measured.of(coverage[0])},
            subgroups={self.told_by_group: subgroups.for_gates(levels)},
            limits=evidence_report.limits(levels, worse, told),
        )

    def evaluate(self, ask: Ask, data: "Dataset") -> list[Figure]:
        """Accuracy and the like; the operating point of two classes is that of the validation items, as it was."""
        return self._said(ask, data).figures(data, seed=self.seed)

    def _said(self, ask: Ask, data: "Dataset") -> classification_figures.Said:
        """Of validation and held-out items; they're asked about at once, for who answers may take seconds to start."""
        said = require_numbers(ask(np.concatenate([data.validation.inputs, data.held_out.inputs]))[PROBABILITIES])
        return classification_figures.Said(
            validated=said[: len(data.validation)], held_out=said[len(data.validation) :], wanted_sensitivity=self.wanted_sensitivity
        )

    def _baseline(self, training: "Part", inputs: NDArray[Any]) -> dict[str, NDArray[Any]]:
        return {PROBABILITIES: self.baseline.probabilities(training.inputs, training.targets, inputs, classes=len(self.classes))}

    def _benefit(self, said: Mapping[str, NDArray[Any]], data: "Dataset") -> list[Section]:
        """Of two classes; probabilities by the name of who said them."""
        is_case = data.held_out.targets == 1
        if len(self.classes) != 2 or is_case.all() or not is_case.any():  # noqa: PLR2004
            return []
        of_second = {name: each[:, 1].astype(np.float64) for name, each in said.items()}
        curves = decision_curve.curves(is_case, of_second, by_patient(data.held_out, self.seed, resamples=200))
        return [evidence_report.benefit(curves)]

    def _by_level(self, said: NDArray[Any], data: "Dataset") -> list[subgroups.Level]:
        is_right = said.argmax(axis=1) == data.held_out.targets
        return subgroups.by_level(self.told_by_group, is_right, data.held_out.attributes, by_patient(data.held_out, self.seed))

    def _robustness(self, calibrated: "keras.Model", data: "Dataset") -> list[robustness.Robustness]:
        if not self.perturbations:
            return []
        labels = data.held_out.targets
        return robustness.measure(
            "accuracy",
            robustness.Share(lambda said: said.argmax(axis=1) == labels),
            lambda inputs: network.predicted(calibrated, inputs),
            inputs=data.held_out.inputs,
            perturbations=self.perturbations,
            bootstrap=by_patient(data.held_out, self.seed, resamples=200),
        )

    def _misread(self, said: NDArray[Any], data: "Dataset", draw: Draw) -> Section:
        inputs = data.held_out.inputs
        return report.misread(said, data.held_out.targets, list(self.classes.values()), lambda item, title: draw(inputs[item], title))

    def _outputs(
        self, sets: conformal.LabelSets, point: float | None, held: manifest_output_pb2.Calibration, threshold: float | None
    ) -> tuple[manifest_output_pb2.OutputSpec, ...]:
        labels = [
            manifest_output_pb2.Label(
                code=coding_pb2.Coding(system=self.system, code=code, display=display), conformal_threshold=limit, operating_point=operating_point
            )
            for (code, display), limit, operating_point in zip(self.classes.items(), sets.thresholds, _points(point, len(self.classes)), strict=True)
        ]
        probabilities = manifest_output_pb2.OutputSpec(
            name=PROBABILITIES,
            data_type=tensor_pb2.DATA_TYPE_FLOAT32,
            shape=[len(labels)],
            classification=manifest_output_pb2.Classification(
                exclusive=True,
                labels=labels,
                calibration=held,
                conformal_confidence_level=sets.confidence_level,
            ),
        )
        return (probabilities,) if threshold is None else (probabilities, novelty_output.output_spec(threshold))


def _for_sets(chosen: calibration.Chosen, validated: NDArray[Any]) -> NDArray[Any]:
    """The validation items' probabilities that set conformal thresholds.

    A temperature was learnt from the same items, and is one number. On 1,400 digits that no weight was fitted to, cut at random 150 times into 400
    that set both and 1,000 others, sets of 0.99 held 0.9893 of the others (standard error 0.0005). With isotonic curves they held 0.9882, and 0.9895
    where each item's probability was by curves that hadn't seen it.
    """
    return chosen.unseen if isinstance(chosen.calibration, Isotonic) else validated


def _points(point: float | None, classes: int) -> Sequence[float | None]:
    """Of two classes, the second from `point` on, and otherwise the first."""
    return [None] * classes if point is None else [float(np.nextafter(1 - point, 2)), point]
