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
    """

    schema: Schema
    cleaning: tuple[Declaration, ...] = ()

    def __post_init__(self) -> None:
        """Raises ValueError where a declaration needs a column that the schema doesn't have."""
        unknown = sorted({name for declaration in self.cleaning for name in declaration.needs} - {*self.schema.columns, *self.schema.ignored})
        if unknown:
            message = f"cleaning: columns of {self.schema.name}; {', '.join(unknown)} isn't one"
            raise ValueError(message)
