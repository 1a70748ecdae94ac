"""A share of independent items, with E. B. Wilson's interval (1927)."""

from training.evaluate import Figure


def share(name: str, count: int, of: int, *, confidence_level: float = 0.95) -> Figure:
    """`count` of `of` items, as a figure. Raises ValueError where there are none to be a share of, or more are counted than there are."""
    from scipy.stats import binomtest  # noqa: PLC0415 - slow to import

    if of < 1 or not 0 <= count <= of:
        message = f"{name}: a share of 1 item or more, not {count} of {of}"
        raise ValueError(message)
    interval = binomtest(count, of).proportion_ci(confidence_level, method="wilson")
    # Rounding puts the end of a share of 0 or 1 a hair inside of it.
    lower, upper = min(float(interval.low), count / of), max(float(interval.high), count / of)
    return Figure(name=name, value=count / of, lower=lower, upper=upper, confidence_level=confidence_level, interval_method="wilson")
