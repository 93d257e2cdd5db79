"""Parsing a declaration that does not parse: one problem per fault, everything else kept.

Runs only where the plain parse failed. It drives the same parser over the same terminals and,
where one cannot stand, tries in turn

1. to read an item's first word as the keyword that it is nearly spelt like, where the item then goes on as that one does;
2. to leave a hole after a dot that awaits its name;
3. to close brackets that a line break, `}` or the end shows to be unclosed, starting the item over
   when its bracket must have ended on an earlier line;
4. to put in, leave out or exchange one terminal such that the next few fit;
5. to drop the argument, else the item, else the rest of the header, cutting the stacks back to where
   that part began.

An item that has had its problem gets no second one. Looking ahead never builds nodes. The work is
linear: every step either takes a terminal or spends one of `MAX_PROBLEMS`.
"""

from __future__ import annotations

from difflib import get_close_matches

from msgspec import Struct

from .automaton import MAX_STATES, Stack
from .balance import Placed, after, balance, place
from .expectations import in_words
from .lexemes import FIRST_WORDS, ITEM_WORDS, MAX_NESTING, MAX_PROBLEMS, WORDS, Lexeme, Lexemes, excerpt
from .tree import Declaration, Problem, ProblemKind, Span

_LOOK_AHEAD = 4
_LOOK_AHEAD_ITEM = 40
"""How many terminals must fit where an item is assumed to start."""
_INSERTIONS = ("SEP", "ASSIGN", "COLON", "COMMA", "RPAR", "RSQB", "LBRACE", "ARROW", "LPAR", "FROM")
_EXCHANGES = ("ASSIGN", "COLON", "COMMA", "EQ", "RPAR", "RSQB", "SEP")
_FIXED = frozenset({"SEP", "LBRACE", "RBRACE", "LPAR", "LSQB", "$END"})
"""Terminals that are never left out or exchanged: what follows depends on them."""
_STARTS = frozenset({"LBRACE", "SEP"})
_OPENING = frozenset({"LBRACE", "LPAR", "LSQB"})
_CLOSING = frozenset({"RBRACE", "RPAR", "RSQB"})
_CLOSERS = {"LPAR": ("RPAR", ")"), "LSQB": ("RSQB", "]"), "LBRACE": ("RBRACE", "}")}
_WORD_TERMINALS = frozenset({"NAME", *FIRST_WORDS.values()})
_NOTHING = Lexeme("", "", 0, 0)
_LONGEST_WORD = 16
"""Letters of a word that are compared with the keywords."""


class _Frame(Struct):
    """An open bracket, and where the element or item under way in it began."""

    opener: Placed
    index: int
    """Index of the opener among the lexemes."""
    mark: int
    """How many states are left when the element or item is forgotten."""
    item: int
    """Index of its first lexeme."""
    before: Lexeme
    """What was taken before it."""

    @property
    def is_block(self) -> bool:
        return self.opener.lexeme.terminal == "LBRACE"


def recover(text: str, read: Lexemes) -> tuple[Declaration | None, list[Problem]]:
    """What can be kept of a broken declaration, and its problems.

    `read` is the declaration's lexemes with inner breaks.
    """
    recovery = _Recovery(text, read)
    recovery.run()
    return recovery.declaration, recovery.problems


class _Recovery:
    def __init__(self, text: str, read: Lexemes) -> None:
        self.stack = Stack()
        self.frames: list[_Frame] = []
        self.known_faults = {problem.span.start for problem in read.problems}
        self.lexemes, faults = balance(place(text, read.lexemes), self.known_faults)
        self.problems: list[Problem] = [*read.problems, *faults]
        self.faulty = False
        """Whether the item under way has had its problem."""
        self.budget = MAX_PROBLEMS
        self.at = 0
        self.last = _NOTHING
        self.loops = False
        """Whether a loop's first name was taken last."""
        self.declaration: Declaration | None = None

    # Driving -------------------------------------------------------------------------------------

    def run(self) -> None:
        while self.at < len(self.lexemes):
            one = self.lexemes[self.at]
            lexeme = _classify(one.lexeme, self.last.terminal)
            if self.is_blank(lexeme):
                self.at += 1
            elif one.stray and sum(frame.is_block for frame in self.frames) < 2:
                self.report("unexpected", lexeme, ())
                self.at += 1
            elif self.budget and self.is_too_deep(lexeme):
                self.budget -= 1
                self.report("too_deep", lexeme)
                self.drop()
            elif self.stack.accepts(lexeme.terminal):
                self.take(lexeme, one)
                self.at += 1
            elif self.budget:
                self.budget -= 1
                self.repair(one, lexeme)
            else:
                break
        if self.last.terminal != "$END" and self.frames and self.frames[0].is_block:
            self.stack.cut(self.frames[0].mark)
            for terminal in ("RBRACE", "$END"):
                self.take(self.virtual(terminal).lexeme, self.lexemes[-1])
        if self.last.terminal == "$END":
            self.declaration = self.stack.values[0]

    def is_blank(self, lexeme: Lexeme) -> bool:
        """Whether this is a line break in parentheses, or a separator where an item was dropped."""
        if lexeme.terminal != "SEP":
            return False
        if lexeme.text != ";" and self.inside_parentheses:
            return True
        if self.frames and self.last.terminal in _STARTS and not self.stack.accepts("SEP"):
            self.frames[-1].item = self.at + 1
            self.faulty = False
            return True
        return False

    def is_too_deep(self, lexeme: Lexeme) -> bool:
        opens = lexeme.terminal in _OPENING
        return (opens and len(self.frames) >= MAX_NESTING) or len(self.stack.states) > MAX_STATES

    @property
    def inside_parentheses(self) -> bool:
        return bool(self.frames) and not self.frames[-1].is_block

    def take(self, lexeme: Lexeme, one: Placed) -> None:
        self.stack.feed(lexeme)
        before, self.last = self.last.terminal, lexeme
        terminal = lexeme.terminal
        depth = len(self.stack.states)
        if terminal in _OPENING:
            self.frames.append(_Frame(one, self.at, depth, self.at + 1, lexeme))
        elif terminal in _CLOSING:
            self.frames.pop()
        elif terminal == "COMMA" and self.loops:
            pass  # it stands between the two names of a loop, and no element begins
        elif self.frames and terminal in (("COMMA", "ARROW") if self.inside_parentheses else ("SEP",)):
            frame = self.frames[-1]
            frame.mark, frame.item, frame.before = depth, self.at + 1, lexeme
        self.loops = before == "FOR"
        if terminal in _STARTS:
            self.faulty = False
        elif terminal in ("STRING", "NUMBER", "PERCENT") and lexeme.start in self.known_faults:
            self.faulty = True

    # One fault -----------------------------------------------------------------------------------

    def repair(self, one: Placed, lexeme: Lexeme) -> None:
        if lexeme.terminal == "UNKNOWN":
            self.report("bad_character", lexeme)
            if self.stack.accepts(*self.ahead(self.at + 1, self.last.terminal)):
                self.at += 1
            else:
                self.drop()
        elif self.respell():
            pass
        elif self.last.terminal == "DOT" and self.stack.accepts("HOLE"):
            self.report("unexpected", lexeme, ("a name",))
            self.take(Lexeme("HOLE", "", self.last.end, self.last.end), one)
        elif one.virtual or not self.inside_parentheses or not self.close_brackets(one, lexeme):
            self.report("unexpected", lexeme)
            if one.opens_line and self.frames and not self.inside_parentheses and self.stack.accepts("SEP"):
                # The line opens with an operator that cannot continue the item: the line is at fault.
                self.take(self.virtual("SEP").lexeme, one)
                self.frames[-1].item = self.at
                self.faulty = True
            elif not self.mend(lexeme):
                self.drop()

    def report(self, kind: ProblemKind, lexeme: Lexeme, expected: tuple[str, ...] | None = None) -> None:
        if self.faulty:
            return
        self.faulty = True
        if expected is None:
            expected = self.expected_for(lexeme) if kind == "unexpected" else ()
        start, end = lexeme.start, lexeme.end
        if lexeme.terminal in ("SEP", "$END"):
            start = end = self.last.end
        previous = excerpt(self.last.text)
        self.problems.append(Problem(Span(start, end), kind, excerpt(lexeme.text), expected, previous))

    def expected_for(self, lexeme: Lexeme) -> tuple[str, ...]:
        if self.stack.accepts("$END"):
            if lexeme.terminal in _CLOSING:
                return ()  # one bracket too many: there is nothing to put in its place
            if self.last.terminal == "SEP":
                return ("a declaration",)
        return in_words(self.stack.expected())

    def respell(self) -> bool:
        """Reads the item's first word, after which the fault lies, as the keyword that it nearly is."""
        frame = self.frames[-1] if self.frames else None
        if frame is None or not frame.is_block or self.at != frame.item + 1 or self.last.terminal != "NAME":
            return False
        written = self.last
        rest = self.ahead(self.at, "NAME")
        for word in get_close_matches(written.text[:_LONGEST_WORD], ITEM_WORDS, cutoff=0.65):
            if self.stack.accepts(word.upper(), *rest, depth=frame.mark):
                self.report("misspelt", written, (word,))
                self.stack.cut(frame.mark)
                self.take(Lexeme(word.upper(), word, written.start, written.end), self.lexemes[frame.item])
                return True
        return False

    def close_brackets(self, one: Placed, lexeme: Lexeme) -> bool:
        """Closes what is open in the item if this is where a bracket shows to be unclosed.

        It must have ended before the first line that is indented no deeper than the item's own;
        then the item starts over with the closing brackets in place.
        """
        block = next((n for n in reversed(range(len(self.frames))) if self.frames[n].is_block), -1)
        brackets = self.frames[block + 1 :]
        item = self.frames[block].item if block >= 0 else 0
        indent = self.lexemes[item].indent
        end = self.at
        for index in range(brackets[0].index + 1, self.at):
            if self.lexemes[index].opens_line and self.lexemes[index].column <= indent:
                end = index
                break
        if end == self.at and not one.opens_line and lexeme.terminal not in ("SEP", "RBRACE", "$END"):
            return False
        unclosed = [frame for frame in brackets if frame.index < end]
        opener = unclosed[-1].opener.lexeme
        if not self.faulty:
            self.faulty = True
            span = Span(opener.start, opener.end)
            closer = _CLOSERS[opener.terminal][1]
            self.problems.append(Problem(span, "unclosed", opener.text, (closer,), opener=span))
        while self.lexemes[end - 1].lexeme.terminal in ("SEP", "BREAK"):
            end -= 1
        behind = self.lexemes[end - 1]
        self.lexemes[end:end] = [
            after(behind, *_CLOSERS[frame.opener.lexeme.terminal]) for frame in reversed(unclosed)
        ]
        del self.frames[block + 1 :]
        if block >= 0:
            self.stack.cut(self.frames[block].mark)
            self.last = self.frames[block].before
        else:
            self.stack.cut(1)
            self.last = _NOTHING
        self.at = item
        return True

    def mend(self, lexeme: Lexeme) -> bool:
        """Puts in, leaves out or exchanges one terminal if the next few then fit."""
        for terminal in _INSERTIONS:
            if self.may_insert(terminal) and self.stack.accepts(terminal, *self.ahead(self.at, terminal)):
                self.lexemes.insert(self.at, self.virtual(terminal))
                return True
        if lexeme.terminal == "$END" and self.frames and self.stack.accepts("RBRACE"):
            self.lexemes.insert(self.at, self.virtual("RBRACE"))
            return True
        if lexeme.terminal in _FIXED:
            return False
        if self.stack.accepts(*self.ahead(self.at + 1, self.last.terminal)):
            self.at += 1
            return True
        for terminal in _EXCHANGES:
            if self.stack.accepts(terminal, *self.ahead(self.at + 1, terminal)):
                self.lexemes[self.at] = self.virtual(terminal)
                return True
        return False

    def may_insert(self, terminal: str) -> bool:
        """Whether the terminal may be put in here: an opening bracket only where one is left to close it, and `from` only
        after a number."""
        if terminal == "FROM":
            return self.last.terminal == "NUMBER"
        if terminal not in ("LBRACE", "LPAR"):
            return True
        ends = ("$END",) if terminal == "LBRACE" else ("SEP", "BREAK", "RBRACE", "$END")
        spare = -sum(frame.opener.lexeme.terminal == terminal for frame in self.frames)
        for one in self.lexemes[self.at :]:
            if one.lexeme.terminal in ends:
                break
            spare += (one.lexeme.terminal == _CLOSERS[terminal][0]) - (one.lexeme.terminal == terminal)
        return spare > 0

    def virtual(self, terminal: str) -> Placed:
        end = self.last.end
        return Placed(Lexeme(terminal, "", end, end), 0, 0, -1, virtual=True)

    def ahead(self, index: int, last: str) -> list[str]:
        """The next few terminals that count, up to the item's end, if `last` stood before them."""
        openers = [frame.opener.lexeme.terminal for frame in self.frames[-_LOOK_AHEAD:]]
        if last != self.last.terminal:
            _track(openers, last)
        terminals: list[str] = []
        limit = _LOOK_AHEAD_ITEM if last == "SEP" else _LOOK_AHEAD
        while len(terminals) < limit and index < len(self.lexemes):
            lexeme = _classify(self.lexemes[index].lexeme, last)
            index += 1
            if lexeme.terminal == "SEP" and lexeme.text != ";" and openers and openers[-1] != "LBRACE":
                continue
            if lexeme.terminal == "SEP" and last == "SEP":
                continue
            last = lexeme.terminal
            terminals.append(last)
            if last in ("SEP", "RBRACE"):
                break
            _track(openers, last)
        return terminals

    # Dropping what cannot be mended --------------------------------------------------------------

    def drop(self) -> None:
        """Forgets the smallest part that the fault lies in, and skips to where that part ends."""
        popped = 0
        while self.inside_parentheses:
            frame = self.frames[-1]
            end = self.element_end(frame, popped)
            if end is not None:
                self.stack.cut(frame.mark)
                self.last = frame.before
                self.at = end
                return
            self.frames.pop()
            popped += 1
        if self.frames:
            self.drop_item(self.frames[-1])
        else:
            self.drop_header()

    def element_end(self, frame: _Frame, depth: int) -> int | None:
        """Where the list in `frame` goes on behind the faulty element; None if it cannot.

        `depth` brackets have been opened in the element and not closed.
        """
        indent = self.lexemes[self.frames[0].item].indent if self.frames[0].is_block else 0
        closer = _CLOSERS[frame.opener.lexeme.terminal][0]
        for index in range(self.at, len(self.lexemes)):
            one = self.lexemes[index]
            terminal = one.lexeme.terminal
            if terminal in ("SEP", "LBRACE", "RBRACE", "$END") or (one.opens_line and one.column <= indent):
                return None
            if terminal in ("LPAR", "LSQB"):
                depth += 1
            elif terminal in ("RPAR", "RSQB"):
                if not depth:
                    fits = terminal == closer and self.stack.accepts(terminal, depth=frame.mark)
                    return index if fits else None
                depth -= 1
            elif not depth and terminal == "COMMA":
                frame.item = index + 1
                return index + 1
            elif not depth and terminal == "ARROW" and self.stack.accepts(terminal, depth=frame.mark):
                return index
        return None

    def drop_item(self, frame: _Frame) -> None:
        fresh = len(self.stack.states) == frame.mark
        self.stack.cut(frame.mark)
        self.last = frame.before
        indent = self.lexemes[frame.item].indent
        braces = 0
        for index in range(self.at, len(self.lexemes)):
            one = self.lexemes[index]
            terminal = one.lexeme.terminal
            if terminal == "LBRACE":
                braces += 1
            elif terminal == "RBRACE" and braces:
                braces -= 1
            elif not braces and (
                terminal in ("SEP", "RBRACE", "$END")
                or (one.opens_line and one.column <= indent and not (fresh and index == self.at))
            ):
                self.at = frame.item = index
                break
        self.faulty = False

    def drop_header(self) -> None:
        """Goes on at the block if there is one; otherwise keeps the header as far as it was good."""
        end = len(self.lexemes) - 1
        states = self.stack.states
        if self.stack.accepts("$END"):
            self.at = end
            return
        brace = next((n for n in range(self.at, end) if self.lexemes[n].lexeme.terminal == "LBRACE"), None)
        for depth in range(len(states), 1, -1):
            if brace is not None and self.stack.accepts("LBRACE", depth=depth):
                self.stack.cut(depth)
                self.at = brace
                return
            if brace is None and self.stack.accepts("HOLE", "$END", depth=depth):
                self.stack.cut(depth)
                place = self.stack.values[-1]
                stop = place.end if isinstance(place, Lexeme) else self.last.end
                self.stack.feed(Lexeme("HOLE", "", stop, stop))
                self.at = end
                return
        self.at = len(self.lexemes)


def _classify(lexeme: Lexeme, last: str) -> Lexeme:
    """The lexeme as the parser's state sees it; `lexemes` had to assume that brackets match."""
    terminal, text, start, end = lexeme
    if terminal == "BREAK":
        return Lexeme("SEP", text, start, end)
    if terminal in _WORD_TERMINALS and text:
        words = FIRST_WORDS if last in _STARTS else WORDS
        return Lexeme(words.get(text, "NAME"), text, start, end)
    return lexeme


def _track(openers: list[str], terminal: str) -> None:
    if terminal in _OPENING:
        openers.append(terminal)
    elif terminal in _CLOSING and openers:
        openers.pop()
