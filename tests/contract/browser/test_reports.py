"""Reports in a real browser: nothing is fetched, nothing is cut off, all of it can be read in light and in dark."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from changeover.cli.kubectl import Kubectl
from changeover.cli.report import migration

from tests.contract.browser.chromium import Tab, chromium
from tests.unit.cli.fake import MIGRATION, play
from tests.unit.cli.test_reports import NOW, finished_benchmark, promoted, reported

__all__ = ["play"]  # the fixture
pytestmark = pytest.mark.programs
HEIGHT, DESK, PHONE = 1400, 1000, 400  # CSS pixels
READABLE = 4.5  # contrast of text with what is behind it: WCAG 2.2, 1.4.3, level AA

# Of each piece of text: what it says, and its contrast (WCAG 2.2, "contrast ratio"). Backgrounds here are the body's.
CONTRASTS = """(() => {
  const parts = color => (color.match(/[\\d.]+/g) || []).map(Number);
  const light = rgb => rgb.slice(0, 3).map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const back = light(parts(getComputedStyle(document.body).backgroundColor));
  const found = [];
  for (const one of document.querySelectorAll('h1, h2, p, td, th, dt, dd, a, summary, svg text')) {
    if (!one.textContent.trim()) continue;
    const style = getComputedStyle(one), front = light(parts(one instanceof SVGElement ? style.fill : style.color));
    found.push([one.textContent.slice(0, 40), (Math.max(front, back) + .05) / (Math.min(front, back) + .05)]);
  }
  return found;
})()"""
CHARTS = """[...document.querySelectorAll('svg')].map(svg => {
  const box = svg.getBoundingClientRect(), texts = [...svg.querySelectorAll('text')].filter(t => t.textContent.trim());
  const cut = texts.filter(t => { const b = t.getBoundingClientRect(); return b.left < 0 || b.right > innerWidth; });
  return {width: box.width, height: box.height, marks: svg.querySelectorAll('path, rect, circle').length,
    texts: texts.length, cut: cut.map(t => t.textContent)};
})"""
BRIGHTNESS = """(async () => {
  const image = await createImageBitmap(await (await fetch('data:image/png;base64,%s')).blob());
  const canvas = new OffscreenCanvas(image.width, image.height), context = canvas.getContext('2d');
  context.drawImage(image, 0, 0);
  const pixels = context.getImageData(0, 0, image.width, image.height).data;
  let sum = 0;
  for (let i = 0; i < pixels.length; i += 4) sum += (pixels[i] + pixels[i + 1] + pixels[i + 2]) / 3;
  return [image.width, image.height, sum / (pixels.length / 4)];
})()"""


@pytest.fixture(scope="module")
def tab() -> Iterator[Tab]:
    with chromium() as found:
        yield found


@pytest.fixture(params=["benchmark", "migration"])
def page(request: pytest.FixtureRequest, play: Any, tmp_path: Path) -> Path:
    """A report as the command writes it."""
    path = tmp_path / f"{request.param}.html"
    if request.param == "benchmark":
        world = finished_benchmark()
        play(world)
        path.write_text(reported(world)[0])
        return path
    body = promoted(play).world.cluster.peek(MIGRATION)
    path.write_text(migration.make_report(body, migration.collect(Kubectl(), body, NOW), NOW))
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_report_can_be_read(tab: Tab, page: Path, scheme: str) -> None:
    tab.open(page, DESK, HEIGHT, scheme)
    contrasts = tab.ask(CONTRASTS)
    assert len(contrasts) > 50
    assert [(text, round(ratio, 2)) for text, ratio in contrasts if ratio < READABLE] == []
    charts = tab.ask(CHARTS)
    assert len(charts) == tab.ask("document.querySelectorAll('figure').length") > 0
    for chart in charts:
        assert chart["width"] > 300 and chart["height"] > 60 and chart["marks"] > 5 and chart["texts"] > 5, chart
        assert chart["cut"] == []
    width, height, brightness = tab.ask(BRIGHTNESS % base64.b64encode(tab.picture()).decode())
    assert (width, height) == (DESK, HEIGHT)
    assert brightness > 200 if scheme == "light" else brightness < 60
    assert tab.asked_for[1:] == [] or all(url.startswith("data:") for url in tab.asked_for[1:])
    assert tab.complaints == []


@pytest.mark.parametrize("width", [DESK, PHONE])
def test_nothing_stands_outside_the_window(tab: Tab, page: Path, width: int) -> None:
    """What is too wide scrolls in its own place; the page itself does not."""
    tab.open(page, width, HEIGHT, "light")
    assert tab.ask("document.documentElement.scrollWidth") <= width
    assert tab.ask("document.querySelector('h1').getBoundingClientRect().height") > 0


def test_numbers_that_are_folded_away_can_be_unfolded(tab: Tab, page: Path) -> None:
    tab.open(page, DESK, HEIGHT, "light")
    shown = "[...document.querySelectorAll('details table')].map(t => t.checkVisibility())"
    folded = tab.ask(shown)
    assert not any(folded)
    tab.ask("document.querySelectorAll('summary').forEach(one => one.click())")
    assert tab.ask(shown) == [True] * len(folded)


def test_what_is_taken_along_is_what_is_shown(tab: Tab, page: Path) -> None:
    """Each JSON behind a link, as the browser decodes it, has a row for each of its table's, and the same cells."""
    tab.open(page, DESK, HEIGHT, "light")
    pairs = tab.ask("""Promise.all([...document.querySelectorAll('table')].map(async table => {
      const link = table.parentElement.nextElementSibling.querySelector('a[download$=".json"]');
      const rows = [...table.tBodies[0].rows].map(row => [...row.cells].map(cell => cell.textContent));
      return [rows, await (await fetch(link.href)).text()];
    }))""")
    assert pairs
    for rows, data in pairs:
        assert [list(row.values()) for row in json.loads(data)] == rows
