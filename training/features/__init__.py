"""Features: declared as steps over a table or measures of a series, fitted with scikit-learn, SciPy and PyWavelets, and applied inside of the graph.

`recipe` runs steps over named columns; `series` measures series. What either makes by its library it also makes in the graph, within 1e-6. Importing
this takes no heavy library.
"""

from training.features.components import PrincipalComponents
from training.features.construct import Difference, Log1p, Ratio, TimeSince
from training.features.encode import OneHot
from training.features.impute import Impute
from training.features.missing import MissingIndicators
from training.features.normalise import Normalise
from training.features.recipe import Fitted, Recipe
from training.features.select import Drop, Select
from training.features.step import Step

__all__ = [
    "Difference",
    "Drop",
    "Fitted",
    "Impute",
    "Log1p",
    "MissingIndicators",
    "Normalise",
    "OneHot",
    "PrincipalComponents",
    "Ratio",
    "Recipe",
    "Select",
    "Step",
    "TimeSince",
]
