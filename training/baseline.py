"""What a sceptic would try first, fitted to the same items as the network."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from training.models import hazard

if TYPE_CHECKING:
    from training.dataset import Part


@dataclass(frozen=True, kw_only=True, slots=True)
class Baseline:
    """An estimator of scikit-learn, and what it is called in a report.

    Attributes:
        name: for people.
        make: makes the estimator; it is given float64 [items, numbers], whatever the inputs' shape is, and labels [items].
    """

    name: str
    make: Callable[[], Any]

    def probabilities(self, inputs: NDArray[Any], labels: NDArray[np.int64], held_out: NDArray[Any], *, classes: int) -> NDArray[np.float64]:
        """[held-out items, classes] after a fit to `inputs` and `labels`.

        An estimator without probabilities gives 1 to the class that it says. A class that isn't among the labels has 0.
        """
        estimator = self.make().fit(_flat(inputs), labels)
        if not hasattr(estimator, "predict_proba"):
            return np.eye(classes)[estimator.predict(_flat(held_out))]
        found = np.zeros((len(held_out), classes))
        found[:, estimator.classes_] = estimator.predict_proba(_flat(held_out))
        return found


def support_vectors() -> Any:  # noqa: ANN401 - scikit-learn has no types
    """A support vector machine with a radial kernel on numbers that are brought to mean 0 and variance 1 as a whole."""
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415 - slow to import
    from sklearn.preprocessing import FunctionTransformer  # noqa: PLC0415
    from sklearn.svm import SVC  # noqa: PLC0415

    return make_pipeline(FunctionTransformer(_as_a_whole), SVC(C=10))


def gradient_boosting() -> Any:  # noqa: ANN401
    """Gradient-boosted trees with scikit-learn's own settings, which take missing values as they are."""
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415 - slow to import

    return HistGradientBoostingClassifier(random_state=0)


def _as_a_whole(numbers: NDArray[Any]) -> NDArray[Any]:
    """Each item by its own mean and spread: neighbouring pixels or samples are of one kind, and columns of their own scale would lose that."""
    spread = numbers.std(axis=1, keepdims=True)
    return (numbers - numbers.mean(axis=1, keepdims=True)) / np.where(spread > 0, spread, 1)


def _flat(inputs: NDArray[Any]) -> NDArray[np.float64]:
    return inputs.reshape(len(inputs), -1).astype(np.float64)


@dataclass(frozen=True, kw_only=True, slots=True)
class Hazards:
    """An estimator of scikit-learn on person-periods: each patient in each interval that they came to, and whether the event came in it.

    Attributes:
        name: for people.
        make: makes the estimator; it is given float64 [person-periods, numbers + 1], the interval's number last, and 0 or 1.
    """

    name: str
    make: Callable[[], Any]

    def survival(self, training: "Part", held_out: NDArray[Any], edges_days: NDArray[Any]) -> NDArray[np.float64]:
        """[held-out patients, intervals], the chance to be without the event until each interval's end, after a fit to `training`."""
        came_through, had_event = np.moveaxis(hazard.targets(training.targets["time_days"], training.targets["event"], edges_days), 1, 0) > 0
        patient, interval = np.nonzero(came_through | had_event)
        numbers = _flat(training.inputs)
        estimator = self.make().fit(np.column_stack([numbers[patient], interval]), had_event[patient, interval])
        asked, intervals = _flat(held_out), came_through.shape[1]
        of_each = [estimator.predict_proba(np.column_stack([asked, np.full(len(asked), number)]))[:, 1] for number in range(intervals)]
        return np.cumprod(1 - np.column_stack(of_each), axis=1)
