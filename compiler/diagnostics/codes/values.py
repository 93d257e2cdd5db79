"""DS066: values that are written out where one is given."""

from __future__ import annotations

from ..record import Diagnostic
from .base import Code, Finding

ORDER = """\
dspec 1

lm mini { model = "openai/gpt-4o-mini" }
record Order { field sku: str; field count: int }
module pack = Predict(sig(order: Order, note: str -> boxes: int))
"""


def packed(order: str) -> str:
    return (
        ORDER
        + f'test one {{ program = pack; given order = {order}; given note = "soon"; expect boxes > 0 }}\n'
    )


SEEN = """\
dspec 1

lm mini { model = "openai/gpt-4o-mini" }
module see = Predict(sig(photo: image -> caption))
test one { program = see; given photo = "PHOTO"; expect len(caption) > 0 }
"""


DS0660 = Code(
    "DS0660",
    "error",
    "value that is not written out",
    'The value of a record is written like a call, `Order(sku = "A7", count = 2)`, and that of a dict '
    "`dict(A7 = 2)`. It is a literal: what stands in it is known when the file is read, so it reads no names.",
    packed('Order(sku = "A7", count = 2); expect order != Order(sku = "A7", count = boxes)')
    .replace("order: Order, note: str ->", "order: Order, note: str -> packed: Order,")
    .replace("expect order", "expect packed"),
    packed('Order(sku = "A7", count = 2)'),
)


class NotWrittenOut(Finding, frozen=True):
    """A field of a record's value, or an entry of a dict's, that is computed from names."""

    code = DS0660
    name: str

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.name}` must be a literal, and this is computed",
            "not a literal",
            help="what is written out holds literals only; of a record or dict, compare the fields one by one",
        )


class EntryWithoutName(Finding, frozen=True):
    """An argument of `dict(…)` without a key."""

    code = DS0660

    def told(self) -> Diagnostic:
        return self.says("an entry of a dict needs a key", "no key", help="write `dict(key = value)`")


DS0661 = Code(
    "DS0661",
    "error",
    "picture, recording or file that cannot be given",
    "What a test or a demo gives to an input of this type is what a row would have: a path beside the source and inside the "
    "project, a URL, or a `data:` URL, written as a literal text, or a list of such.",
    SEEN.replace("PHOTO", "lost.png"),
    SEEN.replace("PHOTO", "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///ywAAAAAAQABAAACAUwAOw=="),
)


class NoMedium(Finding, frozen=True):
    """What is given to the input `name` is nothing that can be sent: `why`."""

    code = DS0661
    name: str
    why: str
    kind: str

    def told(self) -> Diagnostic:
        return self.says(
            f"`{self.name}` cannot be given this: {self.why}",
            "not a picture, recording or file"
            if not self.why.startswith("`")
            else "not found, or of another kind",
            help="write a path beside this file" + ("" if self.kind == "audio" else ", or a URL"),
        )
