"""COPRO: let a model rewrite each instruction and description, score the proposals, and go on from the best.

Algorithm: `COPRO` of DSPy, coordinate ascent over the texts of a program: proposals of a round are scored one
text after the other, each with the best of the others in place. It differs in what it wastes: output
prefixes, which no prompt shows, are not searched; proposals are raced instead of scored on every row
(`search = "full"` does that); a race, whose proposals cost less, has half as many again; no proposal is scored a second
time because another text changed; and from the second round on, half of the proposals wait for what the first look at
the other half shows. The next round begins while the last rows of the race before it are out, in view of what is known by
then. And the descriptions of an agent's tools are texts as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct, field

from dspec.runtime.errors import BudgetExceeded, Stopped
from dspec.runtime.schema.program import Program

from ..evaluate.counts import Calls, Range
from ..evaluate.shares import perfect, shares_of
from ..evaluate.tasks import Halt, together
from ..search import Arm, Board, Full, Listed, Racing, Strategy
from ..search.board import open_beside
from .advising import Idea, Situation
from .base import LEAST_COMPARED, Context, Facts, Option, Options, Spec, StepResult, Writes
from .proposing import Attempted, propose_from_attempts, propose_variations
from .ranking import ranked
from .texts import texts

if TYPE_CHECKING:
    import asyncio

SEARCHES = ("racing", "full")
MORE = 1.5
"""Proposals of a race for each of `breadth`: scoring them is what costs, and of more of them, each looked at on fewer rows,
the best is better."""
SHARE = 0.42
"""What a race may cost, as a share of scoring `breadth` proposals on every row."""
SHARE_OF_FURTHER, MOST_SHARE = 0.18, 0.8
"""What every further text adds to `SHARE`, and how much it is at most: the more texts there are, the less tells programs that
differ in one of them apart, and the original scores the proposals for each again in every round."""

FEW = LEAST_COMPARED
"""Rows up to which the writing of proposals, which is then a good part of all calls, comes out of what a race may cost; and what
proposals would have cost that were tried before is not spent on the others. With more rows either costs points."""

KNOWN_BY = 2
"""Rounds of a race after which the next proposals are begun: what the best are is mostly known, and what the race still has to
do leaves places free."""


def proposals(options: Options, depth: int) -> int:
    """How many are asked for in the round, for each text; the first has the current one besides."""
    breadth = options.integer("breadth")
    asked = breadth if options.text("search") == "full" else math.ceil(MORE * breadth)
    return asked - (depth == 1)


def strategy(options: Options, depth: int, rows: int, texts: int, finalists: int = 1) -> Strategy:
    """How the proposals for one of the texts in one round are compared."""
    if options.text("search") == "full":
        return Full()
    share = min(MOST_SHARE, SHARE + SHARE_OF_FURTHER * (texts - 1))
    asked, scored = proposals(options, depth), options.integer("breadth") - (depth == 1)
    budget = share * scored * rows - (asked if rows <= FEW else 0)
    return Racing.within(budget, asked, rows, finalists=finalists)


def _calls(options: Options, facts: Facts) -> Calls:
    depth = options.integer("depth")

    def compared(depth: int) -> int:
        compared = strategy(options, depth, facts.val, facts.texts, facts.finalists)
        return compared.most(proposals(options, depth), facts.val)

    rows = facts.texts * (compared(1) + ((depth - 1) * compared(2) if depth > 1 else 0))
    start = 0 if facts.student_scored else facts.val
    first = facts.texts * proposals(options, 1)
    return Calls(
        task=Range(start * facts.calls_per_run, (start + rows) * facts.calls_per_run),
        prompt=Range(first, first + facts.texts * proposals(options, 2) * (depth - 1)),
    )


def _advise(s: Situation) -> Iterator[Idea]:
    if s.no_demos:
        why = "a model rewords one instruction after the other, each round from the best so far"
        yield Idea("another way", "ascent", why)


SPEC = Spec(
    name="COPRO",
    doc="Asks a model for other wordings of each instruction and of each description of an agent's tool, scores "
    "them on val, shows the model how they did, and asks again. Demos stay as they are.",
    suits="prompts that must stay short",
    about="For words alone, with few rows and a model that writes well (`prompt_lm`). Each round asks "
    "for other wordings and shows how the best ones did; from the second round on in two halves, the later "
    "one knowing how the first half did. It rewrites instructions and the descriptions of an agent's tools, and keeps "
    "demos. Each tool costs as much as a module: `tune` and `freeze` say which are worth it.",
    costs="one to the writing model for each proposal, `breadth` for each module, tool and round, half as many again when "
    "racing; one run for every row of `val` and each of `breadth` at most, less when racing.",
    source="DSPy, COPRO; racing: Maron and Moore, 1994, and Karnin et al., 2013",
    options=(
        Option(
            "breadth",
            "int",
            10,
            "Instructions per predictor, and descriptions per tool, in each round; a race has half as many again. In the "
            "first round the current one is among them.",
            minimum=2,
        ),
        Option("depth", "int", 3, "Rounds; each after the first sees how the best ones scored.", minimum=1),
        Option(
            "init_temperature",
            "float",
            1.4,
            "Temperature of the model that writes.",
            minimum=0.0,
            maximum=2.0,
            asks_at=True,
        ),
        Option("track_stats", "bool", False, "Say in the step's notes how each round did."),
        Option(
            "search",
            "str",
            "racing",
            'How proposals are compared: "racing" on growing parts of val, the best on all of it, and half as many again '
            'for that; "full" scores each on all of val.',
            choices=SEARCHES,
        ),
    ),
    sets=frozenset({"instructions", "descriptions"}),
    starts_from=frozenset({"instructions", "descriptions"}),
    calls=_calls,
    writes=lambda options, facts: Writes(shown=options.integer("breadth") + 1),
    needs_val=True,
    candidates=True,
    compares_on=lambda options, train, val: max(LEAST_COMPARED, train),
    prompts=True,
    advise=_advise,
)


async def run(student: Program, options: Options, context: Context) -> StepResult:
    start = Arm("as it came", student)
    temperature = options.number("init_temperature") or 0.0
    first = propose_variations(student, context, proposals(options, 1), temperature)
    board, proposed = await open_beside(context, start, context.rng("order"), first)
    if proposed is None:
        return ranked(board.candidates(), rivals=board.rivals, ended=True)
    if isinstance(proposed, BudgetExceeded | Stopped):
        return ranked(board.candidates(), cut=proposed, rivals=board.rivals)
    ascent = _Ascent(options, context, board, start)
    try:
        halt = await ascent.climb(proposed)
    except (BudgetExceeded, Stopped) as raised:
        halt = raised
    finally:
        await ascent.close()
    return ranked(
        board.candidates(), cut=halt, notes=tuple(ascent.notes), rivals=board.rivals, ended=board.settled
    )


class _Opened(Struct, frozen=True):
    """How a round begins: the first half of the proposals, by text; and the other half, where those of the only text were written
    already, with the first look at all of them begun."""

    proposed: dict[str, list[str]]
    further: list[str] | None = None


class _Raced(Listed):
    """Arms of a list. `heard` is called whenever a round of the race is over in which they saw `rows` rows or more, with those
    that were in it."""

    def __init__(
        self, arms: Sequence[Arm], board: Board, rows: int, heard: Callable[[list[Arm]], None]
    ) -> None:
        super().__init__(arms)
        self._all = list(arms)
        self._board = board
        self._rows = rows
        self._heard = heard

    def tell(self, arm: Arm, score: float, rows: int) -> None:
        if rows >= self._rows:
            self._heard([one for one in self._all if self._board.seen(one) >= rows])


class _Ascent(Struct):
    """The best program so far, and everything that was tried in the place of each text."""

    options: Options
    context: Context
    board: Board
    best: Arm
    notes: list[str] = field(default_factory=list[str])
    tried: dict[str, dict[str, Arm]] = field(default_factory=dict[str, dict[str, Arm]])
    """By address and text: the program in which it was scored."""
    opening: asyncio.Task[_Opened] | None = None
    """The next round, begun while the last rows of a race are out."""

    async def climb(self, proposed: dict[str, list[str]]) -> Halt | None:
        """All rounds, the first with what was `proposed`; ends early when one brings nothing new. Halts while proposing are
        raised."""
        self.tried = {address: {text: self.best} for address, text in texts(self.best.program).items()}
        opened = _Opened(proposed)
        for depth in range(1, self.options.integer("depth") + 1):
            if depth > 1:
                opened = await (self.opening or self._open(depth, self.best.program, ahead=False))
                self.opening = None
            fresh = {
                address: [text for text in those if text not in self.tried[address]]
                for address, those in opened.proposed.items()
            }
            if not any(fresh.values()):
                self.notes.append(f"stopped in round {depth}: no instruction that was not tried before")
                return None
            for address, those in fresh.items():
                halt = await self._compare(depth, address, those, opened.further)
                if halt is not None or self.board.settled:
                    return halt
        return None

    async def close(self) -> None:
        """Cancels what was begun and not waited for."""
        import asyncio  # here, since the table of optimizers is read where nothing runs

        if self.opening is not None:
            self.opening.cancel()
            await asyncio.gather(self.opening, return_exceptions=True)
        await self.board.drop()

    def _go_on(self, depth: int, raced: list[Arm]) -> None:
        """Begins the round while those in the race before it wait for their last rows, in view of what is known by now.

        Not where one of them might yet be perfect, and there is no such round.
        """
        import asyncio  # as above

        known = [self.board.scores(arm) for arm in raced]
        if self.opening is None and not any(perfect(scores) or shares_of(scores) for scores in known):
            leader = max([self.best, *raced], key=self.board.estimate)
            self.opening = asyncio.create_task(self._open(depth, leader.program, ahead=True))

    async def _open(self, depth: int, leader: Program, *, ahead: bool) -> _Opened:
        """The first half of a round's proposals. Where the program has one text, what is still in a race changes no program of
        the next round: `ahead` of it, these are looked at as well, and the other half is written."""
        early, late = self._halves(depth)
        attempts = {address: self._attempts(address) for address in self.tried}
        proposed = await self._written(depth, early, leader, attempts)
        if not ahead or len(self.tried) > 1:
            return _Opened(proposed)
        ((address, those),) = proposed.items()
        fresh = [text for text in those if text not in self.tried[address]]
        arms = self._made(depth, address, fresh, 1)
        if not arms:
            return _Opened(proposed)
        look = self._look(depth)
        looks = await together([self.board.ahead(arm, look) for arm in arms])
        seen = [one for one in looks if not isinstance(one, BudgetExceeded | Stopped)]
        if len(seen) < len(looks):
            raise next(one for one in looks if isinstance(one, BudgetExceeded | Stopped))
        if any(map(perfect, seen)):
            return _Opened(proposed)  # the round may end with that
        found = [
            Attempted(text, self.board.estimated(scores)) for text, scores in zip(fresh, seen, strict=True)
        ]
        known = {address: self._best([*attempts[address], *found])}
        further = (await self._written(depth, late, leader, known))[address]
        unknown = [text for text in further if text not in self.tried[address] and text not in fresh]
        for arm in self._made(depth, address, unknown, len(arms) + 1):
            self.board.begin(arm, look)
        return _Opened(proposed, further)

    def _halves(self, depth: int) -> tuple[range, range]:
        """The numbers of the proposals that are written first, and of those that wait for what a look at them shows."""
        asked = proposals(self.options, depth)
        return range(1, asked - asked // 2 + 1), range(asked - asked // 2 + 1, asked + 1)

    def _look(self, depth: int) -> int:
        """Rows of the first look at a round's proposals."""
        compared = self._strategy(depth)
        rows = self.board.rows
        if not isinstance(compared, Racing):
            return rows
        return compared.rounds(proposals(self.options, depth), rows)[0].rows

    def _strategy(self, depth: int) -> Strategy:
        return strategy(self.options, depth, self.board.rows, len(self.tried), self.context.finalists)

    def _attempts(self, address: str) -> list[Attempted]:
        """The best so far."""
        return self._best(
            [Attempted(text, self.board.estimate(arm)) for text, arm in self.tried[address].items()]
        )

    def _best(self, attempts: list[Attempted]) -> list[Attempted]:
        return sorted(attempts, key=lambda one: -one.score)[: self.options.integer("breadth")]

    async def _written(
        self, depth: int, numbers: range, leader: Program, attempts: dict[str, list[Attempted]]
    ) -> dict[str, list[str]]:
        """Proposals in view of attempts."""
        temperature = self.options.number("init_temperature") or 0.0
        return await propose_from_attempts(leader, self.context, numbers, temperature, attempts, depth)

    async def _compare(
        self, depth: int, address: str, proposed: list[str], further: list[str] | None
    ) -> Halt | None:
        asked, rows = proposals(self.options, depth), self.board.rows
        compared = self._strategy(depth)
        arms = self._arms(depth, address, proposed, 1)
        if depth > 1:
            halt = await self.board.extend(arms, self._look(depth))
            if halt is not None or self.board.settled:
                return halt
            if further is None:
                _, late = self._halves(depth)
                known = {address: self._attempts(address)}
                further = (await self._written(depth, late, self.best.program, known))[address]
            arms += self._arms(depth, address, further, len(arms) + 1)
        source = Listed(arms)
        if isinstance(compared, Racing):
            if rows > FEW:
                compared = compared.fewer(asked, len(arms), rows)
            if depth < self.options.integer("depth") and address == list(self.tried)[-1]:
                rounds = compared.rounds(len(arms), rows)
                known = rounds[min(KNOWN_BY, len(rounds)) - 1].rows
                source = _Raced(arms, self.board, known, lambda raced: self._go_on(depth + 1, raced))
        halt = await compared.run(self.board, source, len(arms))
        if self.options.flag("track_stats") and halt is None and arms:
            scores = sorted(self.board.estimate(arm) for arm in arms)
            mean = math.fsum(scores) / len(scores)
            self.notes.append(
                f"{self._name(address)}round {depth}: {len(arms)} new, best {100 * scores[-1]:.1f}, "
                f"mean {100 * mean:.1f}, worst {100 * scores[0]:.1f}"
            )
        for arm in arms:
            if self.board.seen(arm) == self.board.rows and self.board.mean(arm) > self.board.mean(self.best):
                self.best = arm
        return halt

    def _arms(self, depth: int, address: str, proposed: Sequence[str], first: int) -> list[Arm]:
        """The best program with each of the texts that was not tried at this address; counted from `first`."""
        fresh = [text for text in dict.fromkeys(proposed) if text not in self.tried[address]]
        arms = self._made(depth, address, fresh, first)
        self.tried[address].update(zip(fresh, arms, strict=True))
        return arms

    def _made(self, depth: int, address: str, proposed: Sequence[str], first: int) -> list[Arm]:
        name = self._name(address)
        what = "description" if address in self.best.program.tools else "instruction"
        return [
            Arm(f"{name}round {depth}, {what} {number}", self.best.program.with_text(address, text))
            for number, text in enumerate(proposed, first)
        ]

    def _name(self, address: str) -> str:
        """What messages call a text: nothing where it is the only one."""
        return f"{address} " if len(self.tried) > 1 else ""
