"""The first screen: what got better, what got worse, what it cost, in a few words and numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from msgspec import Struct

from dspec.runtime.schema.usage import Spent

from ...diagnostics.wording import plural
from .facts import ReportFacts, RowTable
from .prompting import told

_SHOWN = 3


class HeadlineAnswer(Struct, frozen=True):
    """One of the three answers: a number with its unit, what it means, and details. `tone` is "good", "bad" or "plain"."""

    question: str
    big: str
    unit: str
    text: str
    details: tuple[str, ...]
    tone: str


def answers(facts: ReportFacts) -> tuple[HeadlineAnswer, ...]:
    table = main_table(facts)
    if table is None:
        return (_cost(facts, None),)
    return (_better(table), _worse(table), _cost(facts, table))


def main_table(facts: ReportFacts) -> RowTable | None:
    """The rows that say most: unseen ones with a comparison, else any with one."""
    ranked = sorted(facts.tables, key=lambda one: (one.paired is None, not one.unseen))
    return ranked[0] if ranked else None


def points(value: float) -> str:
    """A difference of scores in 0..1, as points of 100."""
    return f"{100 * value:+.1f}".replace("-", "−")


def money(usd: float) -> str:
    """USD with as many digits as tell something."""
    if usd == 0:
        return "$0"
    if usd >= 0.1:
        return f"${usd:,.2f}"
    digits = 4
    while digits < 8 and round(usd, digits) < 10 ** -(digits - 1):
        digits += 1
    return f"${usd:.{digits}f}"


def many(number: float) -> str:
    """A count for a headline: 1,340,000 as 1.34 M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if number >= size:
            scale = 1e3 if letter == "k" else size
            return f"{number / scale:.3g} {letter}"
    return f"{number:,.0f}"


def cost_text(spent: Spent) -> str:
    """What something cost, "unpriced" where nobody knows a price."""
    if spent.unpriced:
        return f"over {money(spent.usd)}" if spent.cost else "unpriced"
    return money(spent.usd)


def _better(table: RowTable) -> HeadlineAnswer:
    pair, before, after = table.paired, table.before, table.after
    if pair is None or before is None or after is None:
        known = after or before
        text = "not known: no row has runs on both sides that are kept"
        if known is not None:
            text = f"{100 * known.score:.1f} on {table.about}; {text}"
        return HeadlineAnswer("What got better", "–", "", text, (), "plain")
    sure = pair.low > 0 or pair.high < 0
    text = f"{100 * before.score:.1f} → {100 * after.score:.1f} on {plural(after.n, 'row')} of {table.about}"
    details = [
        f"95 % interval of the gain: {points(pair.low)} to {points(pair.high)}"
        + ("" if sure else ", which holds 0: no real difference"),
        f"{plural(pair.better, 'row')} rose, {pair.same:,} stayed",
        *_labels(table, better=True),
    ]
    if pair.better + pair.worse + pair.same < len(table.rows):
        details.append(
            f"compared on the {plural(pair.better + pair.worse + pair.same, 'row')} known on both sides"
        )
    tone = "good" if sure and pair.difference > 0 else "bad" if sure else "plain"
    return HeadlineAnswer("What got better", points(pair.difference), "points", text, tuple(details), tone)


def _worse(table: RowTable) -> HeadlineAnswer:
    pair = table.paired
    if pair is None:
        return HeadlineAnswer("What got worse", "–", "", "not known", (), "plain")
    failures = [sum(look.failed for look in table.known(side)) for side in ("before", "after")]
    details = [*_labels(table, better=False)]
    if failures[1] > failures[0]:
        details.append(f"{plural(failures[1], 'row')} without a usable answer, before {failures[0]:,}")
    details += _per_run(table, worse=True)
    text = (
        f"{'scores' if pair.worse == 1 else 'score'} less than before"
        if pair.worse
        else "no row scores less than before"
    )
    rows = pair.better + pair.worse + pair.same
    return HeadlineAnswer(
        "What got worse",
        f"{pair.worse:,}",
        f"of {plural(rows, 'row')}",
        text,
        tuple(details),
        "bad" if pair.worse else "good",
    )


def _cost(facts: ReportFacts, table: RowTable | None) -> HeadlineAnswer:
    spent = facts.spending[0].spent if facts.spending else Spent()
    big, unit = (money(spent.usd), "") if spent.cost and not spent.unpriced else (many(spent.calls), "calls")
    text = f"{plural(spent.calls, 'call')} and {many(spent.tokens)} tokens for the compile"
    if spent.unpriced and spent.calls:
        text += "; the price of a model is not known"
    elif not spent.cost:
        text += "; its models are free"
    details = [
        f"{line.what}: {plural(line.spent.calls, 'call')}, {cost_text(line.spent)}"
        for line in facts.spending[1:]
        if not line.what.startswith(" ") and line.spent.calls
    ]
    if table is not None:
        details += _per_run(table, worse=False)
    return HeadlineAnswer("What it cost", big, unit, text, tuple(details), "plain")


def _mean(table: RowTable, side: str) -> tuple[float, float | None] | None:
    """Tokens of a run, and its cost."""
    looks = table.known(side)
    if not looks:
        return None
    spent = sum((look.spent for look in looks), Spent())
    usd = spent.known_usd
    return spent.tokens / len(looks), None if usd is None else usd / len(looks)


def _per_run(table: RowTable, *, worse: bool) -> Iterator[str]:
    """What a run takes now and took before; where `worse`, only if it takes more."""
    before, after = _mean(table, "before"), _mean(table, "after")
    if before is None or after is None:
        return
    if worse:
        if after[0] > 1.1 * before[0] > 0:
            yield f"a run takes {after[0] / before[0]:.1f} times the tokens: {after[0]:,.0f}, was {before[0]:,.0f}"
        return
    if after[1]:
        was = "" if before[1] is None else f", was {money(before[1])}"
        yield f"a run now costs {money(after[1])}{was}"
    else:
        yield f"a run now takes {after[0]:,.0f} tokens, was {before[0]:,.0f}"


def _labels(table: RowTable, *, better: bool) -> Iterator[str]:
    """The labels of which more rows are right than before, or fewer; those that moved most."""
    if table.labels is None:
        return
    moved: Counter[str] = Counter()
    right: dict[str, list[int]] = {}
    for row in table.rows:
        if row.before is None or row.after is None:
            continue
        label = told(row.example.labels.get(table.labels.gold), 60)
        counts = right.setdefault(label, [0, 0, 0])
        for place, one in enumerate((row.before, row.after)):
            hit = one.outputs is not None and told(one.outputs.get(table.labels.output), 60) == label
            counts[place] += hit
        counts[2] += 1
        moved[label] = counts[1] - counts[0]
    order = sorted(moved.items(), key=lambda one: (-one[1] if better else one[1], one[0]))
    shown = [(label, by) for label, by in order if (by > 0 if better else by < 0)][:_SHOWN]
    for label, _ in shown:
        old, new, of = right[label]
        yield f"{label}: {new:,} of {of:,} right, was {old:,}"
