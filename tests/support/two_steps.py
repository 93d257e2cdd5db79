"""A model that answers in two steps: in words as long as it may, and then what those words say in the layout."""

from __future__ import annotations

import re

from keeping import Tokens, draw, keeps, prompt_tokens, tokens_of
from scripted import Asked, Reply

from dspec.runtime.models.protocol import Answer
from dspec.runtime.schema.usage import Usage

_GIVEN = re.compile(r"(?:^|\n\n)(\w+):\n(.*?)(?=\n\n\w+:\n|\n\nAnswer with|\Z)", re.S)
_SAID = re.compile(r"^(\w+) is (.*)$", re.M)


def free(asked: Asked) -> bool:
    """Whether it is asked for an answer in its own words."""
    return "in your own words" in asked.request.messages[0].content


def said(asked: Asked) -> dict[str, str] | None:
    """What the words say that it is to take outputs from; None where it is asked for something else."""
    for message in asked.request.messages:
        if message.role == "user" and message.content.startswith("[[ ## answer ## ]]\n"):
            return dict(_SAID.findall(message.content))
    return None


def in_two_steps(reply: Reply, tokens: Tokens, *, unreadable: int = 11) -> Reply:
    """The reply in two steps, each as long as `max_tokens` allows. Of the second one in `unreadable` is nothing but words
    the first time."""
    other = keeps(reply, tokens, unreadable=0)

    def answer(asked: Asked) -> Answer:
        request = asked.request
        number = draw(request)
        most = (request.lm.max_tokens or 0) * (1 if tokens == "bytes" else 4)
        if free(asked):
            turns = [one.content for one in request.messages if one.role != "system"]
            while turns[-1].startswith("That answer"):
                del turns[-2:]
            wanted = tuple(re.findall(r"`(\w+)`", turns[-1].rpartition("Answer with")[2]))
            pairs = zip(turns[:-1:2], turns[1::2], strict=False)
            demos = tuple((dict(_GIVEN.findall(user)), dict(_GIVEN.findall(said))) for user, said in pairs)
            given = reply(Asked(dict(_GIVEN.findall(turns[-1])), demos, wanted, request))
            assert isinstance(given, dict)
            text = "".join(f"{name} is {given[name]}\n" for name in wanted)
            text += f"because of {number} " * most
        elif (found := said(asked)) is not None:
            first = len([one for one in request.messages if one.role == "user"]) == 1
            text = "\n\n".join(
                f"[[ ## {name} ## ]]\n{found.get(name, '?')}" for name in asked.wanted if name != "completed"
            )
            if unreadable and first and number % unreadable == 0:
                text = "[[ ## nothing" * most
        else:
            made = other(asked)
            assert isinstance(made, Answer)
            return made
        text = text.encode()[:most].decode(errors="ignore")
        return Answer(text, Usage(prompt_tokens(request, tokens), tokens_of(text, tokens)))

    return answer
