"""KNNFewShot is one run for both: DSPy compiles nothing, so that there is no schedule to follow.

DSPy bootstraps an input's neighbours anew for every request. Which rows are neighbours, in which order they
show bootstrapped demos, and which rows fill them up are the same here. Two things can differ: the teacher's
own labels, because DSPy draws them from the neighbours of the request, and a row that is bootstrapped once
has but its own; and the order of the rows that fill up, which DSPy shuffles.
"""

from __future__ import annotations

from ..knn_few_shot import SPEC, run
from .faithful import Faithful

FAITHFUL = Faithful(run, SPEC.calls)
