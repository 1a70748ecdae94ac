"""Ways of doing the same, measured in turn and compared within each round.

The order changes each round, so that a machine whose speed drifts drifts for all of them. What is printed is the median of the rounds' ratios, with
the least and the greatest.
"""

import random
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median, quantiles

Figures = dict[str, float]
"""What one way did in one round, by name."""

Call = Callable[[], object]

WARM_UP_CALLS = 200


def latency(call: Call, seconds: float) -> Figures:
    """One caller for so long: the median and the 99th percentile, in milliseconds."""
    durations = []
    end = time.perf_counter() + seconds
    while (started := time.perf_counter()) < end:
        call()
        durations.append((time.perf_counter() - started) * 1000)
    return {"p50 ms": median(durations), "p99 ms": quantiles(durations, n=100)[98] if len(durations) > 1 else durations[0]}


def throughput(call: Call, seconds: float, callers: int) -> Figures:
    """So many callers, each with one call under way: calls a second."""
    counts = [0] * callers
    began = time.perf_counter()
    end = began + seconds

    def ask(number: int) -> None:
        while time.perf_counter() < end:
            call()
            counts[number] += 1

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {f"calls/s at {callers}": sum(counts) / (time.perf_counter() - began)}


def in_turn(ways: Mapping[str, Callable[[], Figures]], rounds: int) -> dict[str, list[Figures]]:
    """Measures each way once a round, in another order each time."""
    samples: dict[str, list[Figures]] = {name: [] for name in ways}
    order = list(ways)
    for number in range(rounds):
        random.shuffle(order)
        for name in order:
            samples[name].append(ways[name]())
        print(f"\rround {number + 1} of {rounds}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return samples


def report(samples: Mapping[str, Sequence[Figures]], baselines: Mapping[str, str]) -> None:
    """Prints each way's median figures, and its ratios to those of its baseline."""
    fields = list(next(iter(samples.values()))[0])
    width = max(map(len, samples)) + 2
    print(f"{'way':<{width}}{''.join(f'{field:>16}' for field in fields)}   {'against':<{width}}{''.join(f'{field:>22}' for field in fields)}")
    for name, own in samples.items():
        base = samples[baselines[name]]
        line = f"{name:<{width}}"
        for field in fields:
            line += f"{median(sample[field] for sample in own):>16.2f}"
        line += f"   {baselines[name]:<{width}}"
        for field in fields:
            ratios = [mine[field] / theirs[field] for mine, theirs in zip(own, base, strict=True)]
            line += f"{f'{median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})':>22}"
        print(line)
