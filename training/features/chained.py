"""scikit-learn's IterativeImputer, replayed in the graph."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.features.step import Part, Values


@dataclass(frozen=True, slots=True, eq=False)
class Chained(Part):
    """A fitted IterativeImputer of linear regressions.

    It starts from the means, and then goes through `imputation_sequence_`: each entry predicts one column from the others, and replaces the guesses,
    never a value that was given. The entries are rows of one matrix, and the graph goes through them in a loop.
    """

    imputer: Any

    def transform(self, block: Values) -> Values:
        """By the library, with an item of means behind the others.

        A batch in which nothing has a value it would leave at the means, but the same items among others it wouldn't.
        """
        means = self.imputer.initial_imputer_.statistics_
        return self.imputer.transform(np.vstack([block, means]))[:-1]

    def weights(self) -> Mapping[str, NDArray[Any]]:
        """Means [columns], and of each entry of the sequence its coefficients, intercept, target (1 at its column) and bounds."""
        means = np.asarray(self.imputer.initial_imputer_.statistics_, np.float64)
        sequence = self.imputer.imputation_sequence_
        coefficients, targets = np.zeros((len(sequence), len(means))), np.zeros((len(sequence), len(means)))
        for row, entry in enumerate(sequence):
            coefficients[row, entry.neighbor_feat_idx] = entry.estimator.coef_
            targets[row, entry.feat_idx] = 1
        columns = [entry.feat_idx for entry in sequence]
        # There are no bounds where there is one column, and so no sequence.
        least, greatest = (getattr(self.imputer, name, np.zeros(len(means)))[columns] for name in ("_min_value", "_max_value"))
        intercepts = np.array([entry.estimator.intercept_ for entry in sequence], np.float64)
        return {"means": means, "coefficients": coefficients, "targets": targets, "entries": np.column_stack([intercepts, least, greatest])}

    def apply(self, ops: Any, block: Any, weights: Mapping[str, Any]) -> Any:  # noqa: ANN401
        """[items, columns], every value given or guessed."""
        is_missing = ops.isnan(block)
        filled = ops.where(is_missing, weights["means"], block)

        def replace(entry: Any, filled: Any) -> Any:  # noqa: ANN401 - tensors
            intercept, least, greatest = ops.unstack(ops.take(weights["entries"], entry, axis=0))
            target = ops.take(weights["targets"], entry, axis=0)
            guess = ops.matmul(filled, ops.expand_dims(ops.take(weights["coefficients"], entry, axis=0), 1)) + intercept
            return ops.where(ops.logical_and(is_missing, target > 0), ops.clip(guess, least, greatest), filled)

        return ops.fori_loop(0, len(self.imputer.imputation_sequence_), replace, filled)
