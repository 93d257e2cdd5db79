"""The documentation as a site: built strictly, whole without a network, and searched in a browser from a folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from browser import CHROMIUM, browser
from pages import ROOT, USER_PAGES

SITE = ROOT / "docs" / "site"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `dev.py site` builds it, elsewhere."""
    folder = tmp_path_factory.mktemp("made")
    gather = [sys.executable, str(SITE / "pages.py"), str(folder / "pages")]
    build = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--quiet",
        "-f",
        f"{folder}/pages/mkdocs.yml",
    ]
    for command in (gather, build):
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        )
        assert (done.returncode, done.stdout + done.stderr) == (0, "")
    return folder / "site"


class _Addresses(HTMLParser):
    """What a page has the browser fetch, and where it leads."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.led: list[str] = []
        self.names: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.names |= {given["id"]} if "id" in given else set()
        if tag == "a" and "href" in given:
            self.led.append(given["href"])
        elif tag == "link" and given.get("rel") not in ("canonical", "next", "prev", "alternate"):
            self.fetched.append(given.get("href", ""))
        elif "src" in given:
            self.fetched.append(given["src"])


def test_everything_is_in_the_folder_and_every_link_leads_somewhere(site: Path) -> None:
    """Files that pages, styles and scripts ask for, and the anchors of links."""
    read: dict[Path, _Addresses] = {}
    for page in site.rglob("*.html"):
        read[page.resolve()] = addresses = _Addresses()
        addresses.feed(page.read_text(encoding="utf-8"))
    assert len(read) > 60
    for page, addresses in read.items():
        for address in addresses.fetched + addresses.led:
            parts = urlsplit(address)
            if page.name == "404.html" or parts.scheme == "data":
                continue  # the page for a server to show: its addresses begin at the server's root
            if parts.scheme:
                assert address in addresses.led, f"{page.name} fetches {address}"
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            assert target.exists(), f"{page.name}: {address}"
            if parts.fragment and target in read:
                assert unquote(parts.fragment) in read[target].names | {"__comments"}, (
                    f"{page.name}: {address}"
                )
    for style in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(https?:)?//", style.read_text(encoding="utf-8")), style.name


def test_every_page_is_found_from_the_navigation() -> None:
    def paths(entries: object) -> list[str]:
        match entries:
            case str(path):
                return [path]
            case list(several):
                return [path for one in several for path in paths(one)]
            case dict(named):
                return [path for one in named.values() for path in paths(one)]
            case _:
                raise TypeError(entries)

    text = (SITE / "mkdocs.yml").read_text(encoding="utf-8")
    navigation = yaml.safe_load(text[text.index("\nnav:") :])["nav"]
    assert [next(iter(kind)) for kind in navigation] == [
        *("Start", "Tutorial", "How-to", "Reference", "Explanation")
    ]
    listed = paths(navigation)
    assert len(listed) == len(set(listed))
    assert {page.relative_to(ROOT).as_posix() for page in USER_PAGES} <= set(listed)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
async def test_a_reader_searches_without_a_server_and_without_a_mouse(site: Path) -> None:
    shown = "getComputedStyle(document.body).getPropertyValue('--md-default-bg-color').trim()"
    async with browser() as tab:
        backgrounds: list[str] = []
        for dark, width in ((False, 1280), (True, 1280), (True, 390)):
            await tab.open(site / "docs" / "embedding.html", width=width, dark=dark)
            backgrounds.append(await tab.run(shown))
            assert await tab.run("document.documentElement.scrollWidth") == width, "nothing is off the side"
        assert backgrounds[0] != backgrounds[1] == backgrounds[2]

        await tab.open(site / "docs" / "embedding.html")
        await tab.press("/")
        assert await tab.run("document.activeElement.matches('.md-search__input')")
        for letter in "stubs":
            await tab.press(letter)
        found = """new Promise((done) => { const look = () => {
            const first = document.querySelector('.md-search-result__link');
            first ? done(first.href) : setTimeout(look, 50); }; look(); })"""
        assert "/docs/" in await tab.run(found)
        await tab.press("ArrowDown")
        assert await tab.run("document.activeElement.matches('.md-search-result__link')")
        assert tab.problems == []
        assert [one for one in tab.requests if not one.startswith(("file:", "data:", "about:"))] == []
