"""DS0299: a name in capitals. It would stand in a file of `compiler/diagnostics/codes/`."""

from __future__ import annotations

from ..fixes import replace
from ..record import Diagnostic
from .base import Code, Finding
from .snippets import MODULE

DS0299 = Code(
    "DS0299",
    "warning",
    "a name in capitals",
    "Names are read by people, who take capitals for shouting.",
    MODULE + "module SECOND = Predict(Route)\n",
    MODULE + "module second = Predict(Route)\n",
)


class Shouting(Finding, frozen=True):
    """A name that is all capitals."""

    code = DS0299

    def told(self) -> Diagnostic:
        quiet = self.where.text.lower()
        return self.says(f"`{self.where.text}` is in capitals", "loud", fixes=(replace(self.where, quiet),))
