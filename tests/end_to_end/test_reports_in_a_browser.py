"""A report in a real browser: it opens fast, runs nothing of its rows, and its keys, filters and colours work."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from browser import CHROMIUM, Browser, browser
from reported import HOSTILE

from dspec.compiler.compile.reports.facts import (
    ComparedRow,
    LabelPair,
    ReportFacts,
    RowLook,
    RowTable,
    TrialPoint,
)
from dspec.compiler.compile.reports.page import page_of
from dspec.compiler.data.rows import Example
from dspec.runtime.artifact.artifact import Score
from dspec.runtime.schema.usage import Flaws, Spent

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium"),
]
LABELS = ("billing", "refund", "shipping")


def look(label: str, gold: str) -> RowLook:
    right = label == gold
    return RowLook(
        float(right),
        {"label": label},
        "right" if right else f"expected {gold}",
        Spent(1, 40, 4, 10**6),
        Flaws(),
    )


def facts(count: int) -> ReportFacts:
    """Of every ten rows one fell and three rose; hostile texts among them."""
    rows: list[ComparedRow] = []
    for number in range(count):
        gold = LABELS[number % 3]
        text = HOSTILE[number % len(HOSTILE)] if number % 7 == 0 else f"a note, number {number}"
        other = LABELS[(number + 1) % 3]
        before = look(gold if number % 10 in (0, 4, 5) else other, gold)
        after = look(gold if number % 10 in (1, 2, 3, 4, 5) else other, gold)
        rows.append(ComparedRow(Example(number, {"text": text}, {"label": gold}), before, after))
    score = Score(metric="right", score=0.5, low=0.4, high=0.6, n=count)
    table = RowTable(
        *("eval ship", "texts.test, held out", "right", "labeller", "tuned"),
        *(("text",), ("label",), ("label",), tuple(rows), score, score, None),
        ("label", "label"),
        LabelPair("label", "label", LABELS),
        unseen=True,
    )
    trials = tuple(
        TrialPoint(
            number,
            "search",
            f"trial {number}",
            0.3 + number / 100,
            0.3 + number / 100,
            Spent(number, 9, 9, number),
        )
        for number in range(1, 31)
    )
    return ReportFacts("tuned", "tuned", "labeller", tables=(table,), trials=trials, start=score)


async def opened(tab: Browser, folder: Path, count: int, **shown: Any) -> float:
    page = folder / f"{count}.html"
    if not page.exists():
        page.write_bytes(page_of(facts(count)))
    took = await tab.open(page, **shown)
    assert tab.problems == []
    assert all(address.startswith("file:") for address in tab.requests)
    return took


async def count_of(tab: Browser) -> str:
    return str(await tab.run("document.getElementById('count').textContent"))


async def test_many_rows_are_a_window_and_nothing_in_them_runs(tmp_path: Path) -> None:
    async with browser() as tab:
        await opened(tab, tmp_path, 10_000)
        assert await count_of(tab) == "10,000 rows"
        assert await tab.run("document.querySelectorAll('.line').length") < 60
        await tab.run("document.getElementById('grid').focus()")
        await tab.press("End")
        assert await tab.run("document.querySelector('.line[aria-selected=true] .id').textContent") == "10000"
        assert await tab.run("document.querySelectorAll('.line').length") < 60
        assert await tab.run("document.title") == "tuned · dspec report"
        assert await tab.run("document.querySelectorAll('main img, .line svg, .line script').length") == 0
        # The policy holds: a script that gets in after all does not run.
        await tab.run(
            "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.taken = 1'}))"
        )
        assert await tab.run("window.taken === undefined")


async def test_keys_and_filters(tmp_path: Path) -> None:
    async with browser() as tab:
        await opened(tab, tmp_path, 100)
        expected = {
            "fell": "10 of 100 rows",
            "rose": "30 of 100 rows",
            "flipped": "40 of 100 rows",
            "wrong": "50 of 100 rows",
        }
        for name, said in expected.items():
            await tab.press("f")
            assert (
                await tab.run("document.querySelector('[data-filter][aria-pressed=true]').dataset.filter")
                == name
            )
            assert await count_of(tab) == said
        await tab.press("f")
        await tab.press("ArrowDown", "j", "ArrowUp", "Enter")
        assert await tab.run("document.getElementById('row').open")
        assert "eval ship, row 2" in await tab.run("document.getElementById('row').innerText")
        await tab.press("ArrowDown")
        assert "eval ship, row 3" in await tab.run("document.getElementById('row').innerText")
        await tab.press("Escape", "/")
        assert await tab.run("document.activeElement.id") == "search"
        await tab.press(*"number 57")
        assert await count_of(tab) == "1 of 100 rows"
        await tab.press("Escape", "?")
        assert await tab.run("document.getElementById('help').open")
        await tab.press("Escape")
        await tab.run("document.querySelector('#confusion td.d1 button').click()")
        shown = await tab.run("[...document.querySelectorAll('.line .gold')].map((one) => one.textContent)")
        assert set(shown) == {"billing"}
        await tab.run("document.querySelector('[data-sort=move]').click()")
        assert (
            await tab.run("document.querySelector('[data-sort=move]').getAttribute('aria-sort')")
            == "ascending"
        )


async def test_the_matrix_adds_up(tmp_path: Path) -> None:
    async with browser() as tab:
        await opened(tab, tmp_path, 100)
        cells = await tab.run(
            "[...document.querySelectorAll('#confusion td button')].map((one) => +one.textContent)"
        )
        assert sum(cells) == 100
        right = await tab.run(
            "[...document.querySelectorAll('#confusion td.d1')].reduce((sum, one) => sum + +one.innerText, 0)"
        )
        assert right == 50


def luminance(colour: str) -> float:
    parts = [float(one) / 255 for one in re.findall(r"[\d.]+", colour)[:3]]
    linear = [one / 12.92 if one <= 0.03928 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 1280])
async def test_every_text_can_be_read_and_nothing_overflows(dark: bool, width: int, tmp_path: Path) -> None:
    looked = """(() => {
      const shown = [];
      for (const one of document.querySelectorAll('main *, .top *')) {
        if (![...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim())) continue;
        const style = getComputedStyle(one);
        if (!one.checkVisibility() || one.closest('#chart') || one.matches('.zero')) continue;
        let back = one;
        while (back && /(, 0\\)|transparent)$/.test(getComputedStyle(back).backgroundColor)) back = back.parentElement;
        shown.push([one.className || one.tagName, style.color, back ? getComputedStyle(back).backgroundColor : 'rgb(255,255,255)']);
      }
      return JSON.stringify(shown);
    })()"""
    async with browser() as tab:
        await opened(tab, tmp_path, 100, width=width, dark=dark)
        for name, colour, ground in json.loads(await tab.run(looked)):
            if "color(" in colour + ground:
                continue
            light, deep = sorted((luminance(colour), luminance(ground)), reverse=True)
            assert (light + 0.05) / (deep + 0.05) >= 4.5, (name, colour, ground)
        assert await tab.run("document.documentElement.scrollWidth") <= width
