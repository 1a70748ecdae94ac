"""The figures of a classification: the same for a model and for what it is held against."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from training.evaluate import Figure, evaluate, macro_f1
from training.evidence import discrimination, resampling
from training.evidence.operating_point import OperatingPoint, for_sensitivity, youden
from training.tasks.task import by_patient

if TYPE_CHECKING:
    from training.dataset import Dataset, Part


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Said:
    """Probabilities of validation and of held-out items, each [items, classes]; the first choose the operating point of two classes."""

    validated: NDArray[Any]
    held_out: NDArray[Any]
    wanted_sensitivity: float | None = None

    def through(self, layer: Callable[[NDArray[Any]], Any]) -> Self:
        """What a layer of the graph, such as a calibration, makes of them: float32."""
        return replace(self, validated=np.asarray(layer(self.validated)), held_out=np.asarray(layer(self.held_out)))

    def point(self, data: "Dataset") -> float | None:
        """The probability from which the second of two classes is called; None where there are more, or validation items of one only."""
        point = self._point(data)
        return None if point is None else point.threshold

    def figures(self, data: "Dataset", *, seed: int) -> list[Figure]:
        """Accuracy and macro F1; of two classes, also the areas, Brier's score, and sensitivity and specificity of the second at the operating point.

        Intervals are by patient where items are known to be of the same one.
        """
        found = _of_all_classes(self.held_out, data.held_out, seed)
        point, is_case = self._point(data), data.held_out.targets == 1
        if point is None or is_case.all() or not is_case.any():
            return found
        return [*found, *discrimination.figures(is_case, self.held_out[:, 1].astype(np.float64), point, by_patient(data.held_out, seed))]

    def differences(self, other: Self, data: "Dataset", *, seed: int) -> list[Figure]:
        """Each of `figures` less what else was said of the same items, in the same order, with a paired interval."""
        part, bootstrap = data.held_out, by_patient(data.held_out, seed)
        mine, theirs = (said.held_out.argmax(axis=1) for said in (self, other))
        f1, others_f1 = (_f1(said.held_out, part.targets) for said in (self, other))
        found = [
            discrimination.share_difference("accuracy", mine == part.targets, theirs == part.targets, bootstrap),
            resampling.difference("macro_f1_difference", f1, others_f1, bootstrap),
        ]
        first, second, is_case = self._point(data), other._point(data), part.targets == 1
        if first is None or second is None or is_case.all() or not is_case.any():
            return found
        scores, others = (said.held_out[:, 1].astype(np.float64) for said in (self, other))
        return [*found, *discrimination.differences(is_case, scores, others, (first, second), bootstrap)]

    def _point(self, data: "Dataset") -> OperatingPoint | None:
        is_case = data.validation.targets == 1
        if self.held_out.shape[1] != 2 or is_case.all() or not is_case.any():  # noqa: PLR2004 - of two classes
            return None
        scores = self.validated[:, 1].astype(np.float64)
        return youden(is_case, scores) if self.wanted_sensitivity is None else for_sensitivity(is_case, scores, wanted=self.wanted_sensitivity)


def statistics(probabilities: NDArray[Any], labels: NDArray[np.int64]) -> dict[str, resampling.Statistic]:
    """The figures that are no mean of scores, by name, of some of the items: macro F1 and, of two classes, both areas."""
    found = {"macro_f1": _f1(probabilities, labels)}
    if probabilities.shape[1] != 2:  # noqa: PLR2004 - of two classes
        return found
    of_two = {"auroc": discrimination.area, "average_precision": discrimination.average_precision}
    is_case, scores = labels == 1, probabilities[:, 1].astype(np.float64)
    return found | {name: discrimination.on(statistic, is_case, scores) for name, statistic in of_two.items()}


def _of_all_classes(probabilities: NDArray[Any], part: "Part", seed: int) -> list[Figure]:
    labels = part.targets
    if part.patients is None:
        return evaluate(probabilities, labels, seed=seed)
    bootstrap = by_patient(part, seed)
    return [
        resampling.share_of("accuracy", probabilities.argmax(axis=1) == labels, bootstrap),
        resampling.figure("macro_f1", _f1(probabilities, labels), bootstrap),
    ]


def _f1(probabilities: NDArray[Any], labels: NDArray[np.int64]) -> resampling.Statistic:
    """Macro F1 of some of the items, over the classes that all of them have."""
    said, classes, present = probabilities.argmax(axis=1), probabilities.shape[1], np.unique(labels)

    def f1(rows: NDArray[np.int64]) -> float:
        confusion = np.bincount(labels[rows] * classes + said[rows], minlength=classes * classes)
        return float(macro_f1(confusion.reshape(classes, classes), present))

    return f1
