"""What figures are called for people, what each says in a sentence, and which way is better: one table for all reports."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Meaning:
    """A figure, for people.

    Attributes:
        name: what it is called; what a figure's own name says beyond its kind, such as a day or an option, stands for `{}`.
        says: what it means and which values it can have, in a sentence.
        better: which way is better: `higher`, `lower`, or anything else that is to be said of it.
    """

    name: str
    says: str
    better: str

    @property
    def is_error(self) -> bool:
        """Whether a smaller one is better."""
        return self.better == "lower"


# By a pattern of the figure's own name.
_MEANINGS: dict[str, Meaning] = {
    "accuracy": Meaning(
        name="accuracy", says="the share of items of which the most probable class is the true one, wherever the operating point is", better="higher"
    ),
    "macro_f1": Meaning(
        name="mean F1 of the classes",
        says="of each class the harmonic mean of the share of its items that are found and the share of what is called so that is right; rare "
        "classes count as much as frequent ones; 0 to 1",
        better="higher",
    ),
    "auroc(?:_(.+)d)?": Meaning(
        name="area under the ROC curve{}",
        says="how often of two items, one with the finding and one without, the one with it gets the higher probability; 0.5 is chance, 1 is always",
        better="higher",
    ),
    "average_precision": Meaning(
        name="average precision",
        says="the share of what is called positive that is right, in the mean over all thresholds, weighted by what each finds; chance has the share "
        "of positive items",
        better="higher",
    ),
    "brier(?:_(.+)d)?": Meaning(
        name="Brier score{}",
        says="the mean squared distance of the probability from what came, 1 or 0; to say 0.5 always has 0.25",
        better="lower",
    ),
    "integrated_brier": Meaning(
        name="integrated Brier score", says="the Brier score in the mean over the time until the last day that it is predicted for", better="lower"
    ),
    "sensitivity(?:_(.+)d)?": Meaning(
        name="sensitivity{}", says="the share of positive items that are called positive at the operating point", better="higher"
    ),
    "specificity(?:_(.+)d)?": Meaning(
        name="specificity{}", says="the share of negative items that are called negative at the operating point", better="higher"
    ),
    "positive_predictive_value(?:_(.+)d)?": Meaning(
        name="positive predictive value{}", says="the share that is positive of what is called positive, where as many are as here", better="higher"
    ),
    "negative_predictive_value(?:_(.+)d)?": Meaning(
        name="negative predictive value{}", says="the share that is negative of what is called negative, where as many are as here", better="higher"
    ),
    "ece": Meaning(
        name="expected calibration error",
        says="how far the probability of what is said is from the share in which it is right, in the mean; 0 to 1",
        better="lower",
    ),
    "calibration_error": Meaning(
        name="calibration error",
        says="how far the predicted chance is from the share that was found, in the mean of groups of equally many patients",
        better="lower",
    ),
    "conformal_coverage": Meaning(
        name="sets that hold the true class", says="the share of items whose set has it; it is to be what was promised", better="as promised"
    ),
    "conformal_single": Meaning(name="sets of one class", says="the share of items of which all classes but one are ruled out", better="higher"),
    "conformal_empty": Meaning(
        name="empty sets", says="the share of items of which the model is less sure than usual, so that no class is left", better="lower"
    ),
    "novelty_auroc": Meaning(
        name="area under the ROC curve of novelty",
        says="how often of two items, one of another kind and one of the model's own, the former is called the less familiar; 0.5 is chance",
        better="higher",
    ),
    "novelty_flagged_own": Meaning(name="own items that are called novel", says="false alarms on the model's own kind of item", better="lower"),
    "novelty_flagged_other": Meaning(name="other items that are called novel", says="the share of them that a caller is warned of", better="higher"),
    "policy_value": Meaning(
        name="mean outcome by the model's choice",
        says="what patients would have in the mean if each were given what the model ranks first",
        better="higher where a higher outcome is better",
    ),
    "gain_over_(.+)": Meaning(
        name="gain over {}",
        says="the mean outcome by the model's choice less that of this option for all",
        better="higher where a higher outcome is better",
    ),
    "average_effect_miss": Meaning(
        name="miss of the average effects",
        says="how far the mean predicted effect is from the average effect that was found, of the option where it is furthest off; 1 is as far as "
        "chance explains in 19 of 20 draws of the patients",
        better="lower",
    ),
    "interval_coverage_(outcome|effect)": Meaning(
        name="intervals that hold the true mean{}", says="in simulated trials, where it is known; it is to be what was promised", better="as promised"
    ),
}  # fmt: skip
_PATTERNS = {re.compile(pattern): meaning for pattern, meaning in _MEANINGS.items()}
# A name in a sentence: its letters, digits and `_` together, with an option's words behind a gain kept out.
_WORD = re.compile(r"\b[a-z]+(?:_[a-z0-9]+)+\b|\b(?:auroc|brier|ece)\b")


def meaning(figure: str) -> Meaning | None:
    """Of a figure by its own name, such as `auroc_180d`; None where the table doesn't have it."""
    for pattern, found in _PATTERNS.items():
        if matched := pattern.fullmatch(figure):
            return Meaning(name=found.name.format(_rest(figure, matched)), says=found.says, better=found.better)
    return None


def called(figure: str) -> str:
    """What a figure is called; its own name where the table doesn't have it."""
    found = meaning(figure)
    return figure if found is None else found.name


def in_words(sentence: str) -> str:
    """A sentence with each figure's own name in it, such as `conformal_single`, replaced by what it is called."""
    return _WORD.sub(lambda matched: called(matched.group()), sentence)


def _rest(figure: str, matched: "re.Match[str]") -> str:
    """What a name has beyond its kind."""
    rest = matched.group(1) if matched.re.groups else None
    if rest is None:
        return ""
    if figure.startswith("gain_over_"):
        return rest.replace("_", " ")
    return f" {rest}" if figure.startswith("interval_coverage_") else f" at day {rest}"
