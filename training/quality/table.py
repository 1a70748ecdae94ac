"""A table of clinical features as a data set has it, and as each later drop of the same data is to be read."""

from dataclasses import dataclass

from training.quality.declarations import Declaration
from training.quality.schema import Schema


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """What is mended in it, and then what each row is held against.

    Attributes:
        schema: what each column holds; its fields are a model's inputs, in their order.
        cleaning: what is known to be wrong with the table, in the order in which it is mended.
        most_quarantined: the share of the rows that may be left out. Of what is left when it is more, nobody knows whether it is like the others.
        most_impossible: the share of a field's values that may be made missing because they can't be true. When it is more, the field is another one,
            or in another unit, and what passed is as doubtful.
    """

    schema: Schema
    cleaning: tuple[Declaration, ...] = ()
    most_quarantined: float = 0.05
    most_impossible: float = 0.05

    def __post_init__(self) -> None:
        """Raises ValueError where a declaration needs a column that the schema doesn't have, or a share is none."""
        for name, share in (("most_quarantined", self.most_quarantined), ("most_impossible", self.most_impossible)):
            if not 0 <= share < 1:
                message = f"{name}: a share from 0 on and below 1; it is {share}"
                raise ValueError(message)
        unknown = sorted({name for declaration in self.cleaning for name in declaration.needs} - {*self.schema.columns, *self.schema.ignored})
        if unknown:
            message = f"cleaning: columns of {self.schema.name}; {', '.join(unknown)} isn't one"
            raise ValueError(message)
