"""Ensemble is one run for both: it gathers members and draws nothing.

With `size`, DSPy draws members anew for every request, from a generator without a seed; here the input says
who answers.
"""

from __future__ import annotations

from ..ensemble import SPEC, run
from .faithful import Faithful

FAITHFUL = Faithful(run, SPEC.calls)
