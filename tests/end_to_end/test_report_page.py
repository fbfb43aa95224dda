"""The report page in a real headless Chromium: what a reader sees and can do."""

from __future__ import annotations

import json
import os
import shutil
from html import unescape
from pathlib import Path

import numpy as np
import pytest

from bandits import Experiment, agent, environment
from bandits.analysis import load
from bandits.answers import by_environment
from bandits.plots.bands import thinned
from bandits.plots.heights import height_of
from bandits.plots.theory import bound_name
from bandits.report import write_report
from bandits.report.charts import MOST_POINTS
from bandits.report.page import json_for_html
from bandits.runs import start
from bandits.scheduler import Settings

HOSTILE = "<script>alert(1)</script>"
BREAKOUT = '"></script><img src=x onerror=alert(2)>'
STUDY = Experiment(
    name="study",
    summary="<b>bold</b> & sure",
    environments=[
        environment("bernoulli", means=[0.2, 0.5]).named("coins </script><script>alert(3)</script>"),
        environment("bernoulli", means=[0.3, 0.4, 0.5]),
    ],
    agents=[agent("ucb1").named(HOSTILE), agent("kl_ucb").named(BREAKOUT), agent("uniform")],
    horizon=1000,
    replications=30,
    extras=("pulls",),
)
COLOURS = """
const canvas = arguments[0].querySelector("canvas");
const copy = Object.assign(document.createElement("canvas"), { width: canvas.width, height: canvas.height });
const drawn = copy.getContext("2d", { willReadFrequently: true });
drawn.drawImage(canvas, 0, 0);
const seen = drawn.getImageData(0, 0, canvas.width, canvas.height).data;
let count = 0;
"""
FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A run with its report."""
    folder = tmp_path_factory.mktemp("runs") / "r"
    start(STUDY, folder, Settings("serial"))
    write_report(folder)
    return folder


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    """Debian's Chromium, told to keep a record of what it prints and asks for."""
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and chromedriver):
        reason = "no browser: the report page was not tested (apt-get install chromium chromium-driver)"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in [*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    started = webdriver.Chrome(options=options, service=webdriver.ChromeService(chromedriver))
    yield started
    started.quit()


class Page:
    """The report in the browser, at 1280 x 1000 unless told otherwise."""

    def __init__(self, driver, place: Path) -> None:
        self.driver, self.uri = driver, (place / "report.html").as_uri()
        self.resize(1280, 1000)
        self.prefer("light")
        driver.get(self.uri)
        self.plots = driver.find_elements("css selector", ".plot")

    def resize(self, width: int, height: int) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def prefer(self, scheme: str) -> None:
        """Set what the system prefers."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def run(self, script: str, *arguments):
        return self.driver.execute_script(script, *arguments)

    def settle(self) -> None:
        """Let the curves be drawn."""
        self.driver.execute_async_script("requestAnimationFrame(() => setTimeout(arguments[0], 50))")

    def pixels(self, plot: int, agent: int) -> int:
        """How many pixels of a plot have nearly the colour of an agent."""
        self.settle()
        return self.run(
            COLOURS
            + """
            const colour = JSON.parse(document.getElementById("data").textContent).agents[arguments[1]].color;
            const wanted = [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16));
            for (let i = 0; i < seen.length; i += 4)
              count += seen[i + 3] > 200 && wanted.every((c, k) => Math.abs(c - seen[i + k]) < 12);
            return count;
            """,
            self.plots[plot],
            agent,
        )

    def hover(self, plot: int, share: float) -> str:
        """Point at a share of a plot's width, and return what the page says there."""
        from selenium.webdriver.common.action_chains import ActionChains

        over = self.plots[plot].find_element("css selector", ".u-over")
        x = int((share - 0.5) * over.rect["width"])
        ActionChains(self.driver).move_to_element(over).move_to_element_with_offset(over, x, 0).perform()
        self.settle()
        return self.plots[plot].find_element("css selector", ".tip").text

    def press(self, selector: str) -> None:
        button = self.driver.find_element("css selector", selector)
        self.run("arguments[0].scrollIntoView({block: 'center'})", button)
        button.click()
        self.settle()

    def requests(self) -> list[str]:
        """Everything asked for since the last call, but for pages in the browser itself and what the page carries."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        urls = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
        return [url for url in urls if not url.startswith(("data:", "chrome:"))]


@pytest.fixture
def page(driver, place):
    driver.get("about:blank")
    for kind in ("browser", "performance"):
        driver.get_log(kind)
    opened = Page(driver, place)
    opened.settle()
    yield opened
    assert [entry["message"] for entry in driver.get_log("browser")] == []


def test_every_curve_is_drawn(page):
    assert len(page.plots) == 4  # regret and ratio on two environments
    for plot in range(4):
        page.run("arguments[0].scrollIntoView()", page.plots[plot])
        assert min(page.pixels(plot, agent) for agent in range(3)) > 30


def test_pointing_shows_value_and_interval_of_the_log(page, place):
    log = load(place)
    curve = log.curve(log.cells[2])
    shown = page.hover(0, 0.9).splitlines()
    at = curve.t.tolist().index(int(shown[0].removeprefix("t = ").replace(",", "")))
    value, low, high = (float(x.strip("[],")) for x in shown[shown.index("uniform") + 1].split())
    assert value == pytest.approx(curve.mean[at], rel=1e-3)
    assert low == pytest.approx(curve.mean[at] - curve.half_width[at], rel=1e-3)
    assert high == pytest.approx(curve.mean[at] + curve.half_width[at], rel=1e-3)
    early = page.hover(0, 0.5).splitlines()
    assert 25 <= int(early[0].removeprefix("t = ")) <= 40  # the middle of a logarithmic axis from 1 to 1000
    assert any("bound" in line for line in early)


def test_axes_end_where_those_of_the_drawings_do(page, place):
    """The rule stands twice, here in the page's script, because agents are switched on and off there."""
    opened, said, wanted = load(place), [], []
    for plot in page.plots:
        page.run("arguments[0].scrollIntoView()", plot)
        page.settle()
        said.append(page.run("return arguments[0].parentElement.querySelector('.note').textContent", plot))
    for cells in by_environment(opened.cells).values():
        theory = {bound_name(cells[0].bound): float(cells[0].bound.at(cells[0].checkpoints[-1:])[0])}
        regret = {facts.agent: opened.curve(facts).mean for facts in cells}
        ratio = {facts.agent: opened.ratio(facts).mean for facts in cells}
        wanted += [height_of(regret, theory)[1], height_of(ratio, least=1.2)[1]]
    assert said == [f"leaves the panel: {', '.join(names)}".replace("\u00a0", " ") if names else "" for names in wanted]
    assert any(wanted)


def test_an_agent_is_switched_off_and_on_everywhere(page):
    chip = ".agents button[data-agent='2']"
    page.press(chip)
    assert page.driver.find_element("css selector", chip).get_attribute("aria-pressed") == "false"
    assert page.pixels(0, 2) == page.pixels(1, 2) == 0
    assert page.pixels(0, 0) > 30
    assert "uniform" not in page.hover(0, 0.9)
    page.press(chip)
    assert min(page.pixels(0, 2), page.pixels(1, 2)) > 30


def test_axes_become_logarithmic_and_linear(page):
    def middle() -> int:
        return int(page.hover(0, 0.5).splitlines()[0].removeprefix("t = "))

    assert middle() < 50
    page.press("#switch-log-t")
    assert page.plots[0].get_attribute("data-t") == "linear"
    assert 450 < middle() < 550
    before = page.plots[0].screenshot_as_png
    page.press("#switch-log-y")
    assert page.plots[0].get_attribute("data-y") == "log"
    assert page.plots[0].screenshot_as_png != before
    assert page.pixels(0, 2) > 30


def test_bands_are_switched_off(page):
    def painted() -> int:
        page.settle()
        script = "for (let i = 3; i < seen.length; i += 4) count += seen[i] > 0; return count;"
        return page.run(COLOURS + script, page.plots[0])

    with_bands = painted()
    page.press("#switch-bands")
    assert painted() < 0.9 * with_bands


def test_nothing_is_asked_of_anybody(page):
    page.press("#switch-log-t")
    page.run("scrollTo(0, document.body.scrollHeight)")
    page.settle()
    assert page.requests() == [page.uri]


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_no_page_scrolls_sideways(page, width):
    page.resize(width, 844)
    page.settle()
    page.run("for (const details of document.querySelectorAll('details')) details.open = true")
    assert page.run("return document.documentElement.scrollWidth <= innerWidth")
    assert page.run("return document.querySelector('.plot canvas').getBoundingClientRect().right <= innerWidth")


def test_names_of_users_stay_text(page):
    assert page.driver.title == "study"
    assert page.run("return document.querySelectorAll('script').length") == 3
    assert page.run("return document.querySelectorAll('img[onerror], b:not(header b):not(.tip b)').length") == 0
    chips = [chip.text for chip in page.driver.find_elements("css selector", ".agents button[data-agent]")]
    assert chips[:3] == [HOSTILE, BREAKOUT, "uniform"]
    assert HOSTILE in page.hover(0, 0.9)
    assert HOSTILE in page.driver.find_element("css selector", ".results").text
    page.driver.find_element("css selector", ".matrix td[data-pair]").click()
    assert "is better than" in page.driver.find_element("css selector", ".said").text


def test_light_and_dark_follow_the_system_and_a_switch(page):
    def paper() -> str:
        page.settle()
        return page.run("return getComputedStyle(document.body).backgroundColor")

    assert paper() == "rgb(255, 255, 255)"
    page.press("#switch-dark")
    dark = paper()
    assert dark != "rgb(255, 255, 255)"
    page.press("#switch-dark")
    assert paper() == "rgb(255, 255, 255)"
    page.prefer("dark")
    assert paper() == dark


def test_printing_takes_every_curve_on_light_paper_and_gives_the_screen_back(page):
    page.press("#switch-dark")
    page.run("dispatchEvent(new Event('beforeprint'))")
    assert min(page.pixels(plot, 1) for plot in range(4)) > 30
    assert page.run("return document.documentElement.dataset.theme") == "light"
    page.run("dispatchEvent(new Event('afterprint'))")
    assert page.run("return document.documentElement.dataset.theme") == "dark"


# what is on the page whatever the browser


FAILING = """
from bandits import Experiment, agent, environment, register_agent
@register_agent("broken", source="here")
class Broken:
    def __init__(self, problem, streams): pass
    def act(self, t, context=None): raise RuntimeError("<i>no</i> idea")
    def update(self, t, action, feedback): pass
EXPERIMENT = Experiment(name="failing", environments=[environment("bernoulli", means=[0.2, 0.5])],
                        agents=[agent("broken"), agent("pooled_ucb"), agent("ucb1")], horizon=30, replications=3)
"""


def test_failures_and_pairs_left_out_are_named(bandits, plugin, tmp_path):
    assert bandits("run", plugin(FAILING), "--out", "r", "--quiet", "--backend", "serial", "--report").code == 1
    page = (tmp_path / "r/report.html").read_text()
    assert "<h2>Failures</h2>" in page
    assert "RuntimeError: &lt;i&gt;no&lt;/i&gt; idea" in page
    assert "<i>no" not in page
    assert "<li>pooled_ucb on bernoulli(means=[0.2, 0.5]): needs" in page


def test_a_run_without_a_replication_has_a_page(bandits, plugin, tmp_path):
    bandits("run", plugin(FAILING), "--only", "broken", "--out", "r", "--quiet", "--backend", "serial", "--pulls")
    assert bandits("report", "r").code == 0
    assert "<h2>Failures</h2>" in (tmp_path / "r/report.html").read_text()


def test_a_report_is_of_one_run(bandits, place):
    shutil.copytree(place, "runs/a")
    shutil.copytree(place, "runs/b")
    answer = bandits("report", "runs/*")
    assert answer.code == 2
    assert "runs/* stands for 2 runs; a report is of one run" in answer.err


def test_the_page_says_how_to_run_it_again_and_it_does(bandits, tmp_path, monkeypatch):
    bandits("run", "quickstart", "--horizon", 50, "--replications", 4, "--out", "r", "--quiet", "--backend", "serial")
    bandits("report", "r")
    page = (tmp_path / "r/report.html").read_text()
    assert "<pre>bandits run quickstart --horizon 50 --replications 4 --seed 1</pre>" in page
    declaration = unescape(page.split("<pre class=wrapped>")[1].split("</pre>")[0])
    (tmp_path / "declaration.json").write_text(declaration)
    code = unescape(page.split("<pre>import json")[1].split("</pre>")[0])
    exec("import json" + code, {"__name__": "__main__"})
    assert load("again").summary()["regret"].equals(load("r").summary()["regret"])


def test_no_command_by_name_is_given_for_another_declaration(bandits, tmp_path):
    small = ("--horizon", 50, "--replications", 4, "--quiet", "--backend", "serial")
    bandits("run", "quickstart", *small, "--set", "ucb1.c=1.5", "--only", "ucb1", "--out", "r", "--report")
    assert "bandits run quickstart" not in (tmp_path / "r/report.html").read_text()


def test_curves_keep_at_most_200_points_with_both_ends():
    for n in (1, 2, 199, 200, 201, 1000, 100_000):
        kept = thinned(n, MOST_POINTS)
        assert len(kept) == n if n <= 200 else 100 <= len(kept) <= 200
        assert (kept[0], kept[-1]) == (0, n - 1)
        assert (np.diff(kept) > 0).all()


def test_data_cannot_leave_its_script_element():
    text = json_for_html({"a": "</script><!--", "b": float("1.5")})
    assert not set("<>&") & set(text)
    assert json.loads(text) == {"a": "</script><!--", "b": 1.5}
