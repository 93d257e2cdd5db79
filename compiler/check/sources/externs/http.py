"""http: one request to a server, with the inputs as JSON."""

from __future__ import annotations

from dspec.runtime.tools.http import METHODS

from ....data.sources.base import SourceParameter
from .base import ADDRESS, KEY, ExternSource
from .web import check_web

SOURCE = ExternSource(
    name="http",
    doc="One request to a server: the inputs as JSON, the answer checked by the declared type.",
    parameters=(
        ADDRESS,
        SourceParameter(
            "method",
            "choice",
            default=METHODS[0],
            choices=METHODS,
            doc="`GET` and `DELETE` have the inputs in the address, the others in the body.",
        ),
        *KEY,
    ),
    check=check_web,
)
