"""SIMBA's arithmetic: which programs to run, which rows to learn from, which children to score in the end."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from msgspec import Struct


def best_places(means: Sequence[float], count: int) -> list[int]:
    """Places of the `count` best programs, best first; place 0, the start, is always among them."""
    ranked = sorted(range(len(means)), key=lambda place: -means[place])[:count]
    if 0 not in ranked:
        ranked[-1] = 0
    return ranked


def draw_program(means: Sequence[float], count: int, temperature: float, rng: random.Random) -> int:
    """One of the `count` best, by softmax of the means; at temperature 0 the best."""
    places = best_places(means, count)
    if temperature <= 0:
        return max(places, key=lambda place: (means[place], -place))
    top = max(means[place] for place in places)
    weights = [math.exp((means[place] - top) / temperature) for place in places]
    return rng.choices(places, weights)[0]


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which a share of the values lies, linear between neighbours (NumPy's default)."""
    ordered = sorted(values)
    position = share * (len(ordered) - 1)
    low = math.floor(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


class Bucket(Struct, frozen=True):
    """One row's runs: place of the row, scores of its runs, and places of the best and the worst run."""

    row: int
    scores: tuple[float, ...]

    @property
    def best(self) -> int:
        return self.scores.index(max(self.scores))

    @property
    def worst(self) -> int:
        return self.scores.index(min(self.scores))

    @property
    def worth(self) -> tuple[float, float, float]:
        """How much there is to learn: first where good and bad runs lie far apart."""
        top = max(self.scores)
        mean = math.fsum(self.scores) / len(self.scores)
        return (top - min(self.scores), top, top - mean)


def by_worth(table: Sequence[Sequence[float]]) -> list[Bucket]:
    """The rows' buckets, most to learn first; ties keep the rows' order. `table[row]` are a row's scores."""
    buckets = [Bucket(row, tuple(scores)) for row, scores in enumerate(table)]
    return sorted(buckets, key=lambda bucket: bucket.worth, reverse=True)


def dropped(demos: int, limit: int, rng: random.Random) -> frozenset[int]:
    """Places of demos to forget: a Poisson number of them, at least one where there are `limit` or more."""
    if demos == 0:
        return frozenset()
    count = max(_poisson(demos / limit, demos, rng), int(demos >= limit))
    return frozenset(rng.sample(range(demos), count))


def _poisson(expected: float, most: int, rng: random.Random) -> int:
    """A Poisson number, cut at `most`: arrivals within a unit of time (exponential gaps)."""
    count, time = 0, rng.expovariate(expected)
    while time < 1.0 and count < most:
        count += 1
        time += rng.expovariate(expected)
    return count


def spread(count: int, wanted: int) -> list[int]:
    """Up to `wanted` places of `count`, evenly apart, the first and the last among them."""
    if count <= wanted:
        return list(range(count))
    if wanted == 1:
        return [count - 1]
    return list(dict.fromkeys(round(place * (count - 1) / (wanted - 1)) for place in range(wanted)))
