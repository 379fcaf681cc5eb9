"""The page in a real browser: what a reader does with it, and what a hostile record cannot."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Keys

from benchmarks.browser import CHROMIUM, DRIVER, Browser
from glan_dspy.cli.main import run as glan
from glan_dspy.publish.report.write import report
from glan_dspy.records import Rejected
from glan_dspy.run.store import Run
from tests.publish.made import pair

HOSTILE = (
    "</script><script>window.hit = 1</script><!-- <img src=x onerror='window.hit = 1'> {{7*7}} ${7*7} <%= 7*7 %> "
    "\u2028\u2029 &lt;b&gt; <svg onload=window.hit=1> javascript:window.hit=1 ]]> \\u003cb\\u003e"
    ' " onmouseover="window.hit=1" <style>body{display:none}</style><meta http-equiv=refresh content=0;url=//x.test>'
    "\n```html\n<iframe src=//x.test></iframe>\n```\n\u202eright to left\u202c"
)

NAME = HOSTILE.splitlines()[0].strip()
"""Of a discipline."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A rehearsal over two fields, with rejects, and with records in which everything is hostile."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "disciplines.txt").write_text(f"# Science\nOptics\nAlgebra\n# Art\nDance\n{NAME}\n")
    words = ("--model-name", "rehearsal?wrong_language=0.15", "--language", "English", "-o", str(folder / "run"))
    assert glan(("generate", "--disciplines-filepath", str(folder / "disciplines.txt"), *words)) == 0
    run = Run(folder / "run")
    bad = {"subject": HOSTILE, "subtopics": (HOSTILE,), "sessions": (HOSTILE,), "key_concepts": (HOSTILE,)}
    more = {"strategy": HOSTILE, "language": HOSTILE, "question_model": HOSTILE, "answer_model": HOSTILE}
    one = pair(1, run.disciplines()[3].name, id=HOSTILE, question=HOSTILE, answer=HOSTILE, **bad, **more)
    shelf = run.shelf(run.disciplines()[3])
    shelf.append("instructions", one)
    fallen = one.model_copy(update={"id": "fell", "subject": "Ballet"})
    shelf.append(
        "rejected",
        Rejected(id="fell", stage=HOSTILE, reason=HOSTILE, detail=HOSTILE, raw=f"-{HOSTILE}", item=fallen.model_dump()),
    )
    call = {"id": HOSTILE, "stage": HOSTILE, "item": HOSTILE, "model": HOSTILE, "finish_reason": HOSTILE, "time": 1e9}
    shelf.append("calls", call, {**call, "error": HOSTILE})
    shelf.close()
    return run


@pytest.fixture(scope="module")
def page(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report(run, tmp_path_factory.mktemp("pages") / "report.html").path


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    missing = [str(path) for path in (CHROMIUM, DRIVER) if not path.exists()]
    if missing:  # on somebody's laptop; .ci/run sees to it that there is one, and says so
        why = f"no {' and no '.join(missing)}: apt-get install chromium chromium-driver"
        pytest.fail(why) if os.environ.get("BROWSER_TESTS") == "must" else pytest.skip(why)
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture
def browser(window: Browser, page: Path) -> Iterator[Browser]:
    """The page, just opened. After each test: no word on the console, no request but for the page."""
    window.said(), window.asked_for()
    window.open(page)
    yield window
    assert window.said() == []
    assert set(window.asked_for()) == {page.as_uri()}
    assert window.script("return performance.getEntriesByType('resource').length") == 0
    assert window.script("return window.hit") is None


def tiles(browser: Browser) -> list[str]:
    return [one.get_attribute("aria-label") or "" for one in browser.all(".tile")]


def crumbs(browser: Browser) -> list[str]:
    return browser.texts(".crumbs li")


def click(browser: Browser, selector: str, text: str = "") -> None:
    """On the first of them that has this text."""
    next(one for one in browser.all(selector) if text in (one.get_attribute("textContent") or "")).click()


# --- the taxonomy -----------------------------------------------------------------------------------------------


def test_the_treemap_opens_down_to_sessions_and_comes_back_by_mouse(browser: Browser) -> None:
    assert crumbs(browser) == ["The whole run"]
    assert {label.split(":")[0] for label in tiles(browser)} == {"Science", "Art"}
    click(browser, ".tile", "Science")
    assert {label.split(":")[0] for label in tiles(browser)} == {"Optics", "Algebra"}
    click(browser, ".tile", "Optics")
    assert all(": level " in label for label in tiles(browser))
    subject = browser.all(".tile")[0]
    name = browser.script("return arguments[0].querySelector('.name').textContent", subject)
    subject.click()
    assert crumbs(browser) == ["The whole run", "Science", "Optics", name]
    sessions = tiles(browser)
    assert sessions and not any("Opens" in label for label in sessions)
    browser.all(".tile")[0].click()  # a session holds nothing more
    assert tiles(browser) == sessions
    click(browser, ".crumbs button", "Science")
    assert crumbs(browser) == ["The whole run", "Science"]
    click(browser, ".crumbs button", "The whole run")
    assert {label.split(":")[0] for label in tiles(browser)} == {"Science", "Art"}


def test_the_treemap_is_moved_in_by_keys(browser: Browser) -> None:
    first = browser.tab_to(".tile").get_attribute("aria-label") or ""
    browser.press(Keys.ARROW_RIGHT)
    second = browser.focused.get_attribute("aria-label") or ""
    assert {first.split(":")[0], second.split(":")[0]} == {"Science", "Art"}
    assert second[:7] in browser.text(".readout")
    browser.press(Keys.ARROW_LEFT)
    assert browser.focused.get_attribute("aria-label") == first
    browser.press(Keys.END, Keys.HOME, Keys.ENTER)
    assert crumbs(browser) == ["The whole run", first.split(":")[0]]
    assert "tile" in (browser.focused.get_attribute("class") or "")
    browser.press(Keys.ENTER, Keys.ENTER)
    assert len(crumbs(browser)) == 4
    browser.press(Keys.ESCAPE, Keys.ESCAPE, Keys.BACKSPACE)
    assert crumbs(browser) == ["The whole run"]
    assert browser.focused.get_attribute("aria-label") == first
    browser.press(Keys.ESCAPE)
    assert crumbs(browser) == ["The whole run"]


def test_what_has_the_focus_is_seen(browser: Browser) -> None:
    for selector in (".skip", ".bar a", "#theme", ".tile", ".list summary", "#search", "select", ".row"):
        browser.tab_to(selector)
        style = "const s = getComputedStyle(document.activeElement); return s.outlineStyle + ' ' + s.outlineWidth"
        kind, width = browser.script(style).split()
        assert kind != "none" and float(width.removesuffix("px")) >= 1, selector


def test_the_list_tells_what_the_tiles_show_and_opens_it_too(browser: Browser) -> None:
    browser.one(".list summary").click()
    assert sorted(browser.texts(".list tbody th")) == ["Art", "Science"]
    counts = [int(text) for text in browser.texts(".list tbody tr td:nth-child(2)")]
    click(browser, ".list tbody button", "Science")
    assert crumbs(browser) == ["The whole run", "Science"]
    assert sum(int(text) for text in browser.texts(".list tbody tr td:nth-child(2)")) in counts


# --- the sample -------------------------------------------------------------------------------------------------


def test_search_and_filters_leave_what_fits(browser: Browser) -> None:
    every = len(browser.all(".row"))
    total = int(browser.text(".pane [role=status]").split()[0])
    assert every == min(40, total)
    browser.one("#search").send_keys("optics conceptthatisnowhere")
    assert browser.text(".pane [role=status]").startswith("0 of ") and "No record fits." in browser.text(".rows")
    click(browser, ".rows button", "Clear")
    assert len(browser.all(".row")) == every
    browser.one("#search").send_keys("optics")
    found = browser.texts(".row .meta")
    assert 0 < len(found) <= every and int(browser.text(".pane [role=status]").split()[0]) < total
    click(browser, "#filter-outcome option", "rejected: language")
    assert browser.all(".row") and all("language" in text for text in browser.texts(".row .meta"))
    assert "Spanish where English was asked for" in browser.text(".record .outcome") or "asked for" in browser.text(
        ".record .outcome"
    )
    assert "The reply as it came" in browser.texts(".record h3") or "Question" in browser.texts(".record h3")


def test_more_rows_come_when_they_are_asked_for(browser: Browser) -> None:
    total = int(browser.text(".pane [role=status]").split()[0])
    assert total > 40
    browser.one(".more").click()
    assert len(browser.all(".row")) == total and not browser.all(".more")


def test_a_record_is_chosen_by_keys_and_says_how_it_came_about(browser: Browser) -> None:
    click(browser, "#filter-discipline option", "Optics")
    click(browser, "#filter-outcome option", "accepted")
    browser.tab_to(".row")
    browser.press(Keys.ARROW_DOWN)
    chosen = browser.all(".row")[1]
    assert chosen.get_attribute("aria-expanded") == "true" and chosen == browser.focused
    terms = dict(zip(browser.texts(".lineage dt"), browser.texts(".lineage dd"), strict=True))
    assert terms["Discipline"] == "Optics" and terms["Id"] == chosen.get_attribute("data-id")
    assert all(terms[name] for name in ("Subject", "Level", "Class sessions", "Key concepts", "Strategy"))
    stages = browser.texts(".calls tbody th")
    assert stages[:2] == ["subjects.list", "syllabus.design"] and stages[-2:] == ["question.write", "answer.write"]
    assert "Its own calls cost $0." in browser.text(".record > .small:last-child")


# --- what is hostile --------------------------------------------------------------------------------------------


def test_a_hostile_record_stays_text(browser: Browser, run: Run) -> None:
    scripts = browser.script("return document.scripts.length")
    browser.one("#search").send_keys("onmouseover")
    for state in ("accepted", "rejected"):
        click(browser, "#filter-outcome option", state)
        assert len(browser.all(".row")) >= 1
        shown = browser.text(".record")
        assert NAME in shown and "{{7*7}} ${7*7}" in browser.texts(".record .text")[0]
        assert browser.texts(".record .text code")[0] == "<iframe src=//x.test></iframe>"
    click(browser, ".tile", "Art")
    click(browser, ".tile", "</script>")
    assert NAME in crumbs(browser)[-1]
    assert browser.script("return document.scripts.length") == scripts == 2
    assert not browser.all("img, iframe, svg[onload], main style, main meta, .record b")
    assert browser.script("return document.body.textContent.includes('{{7*7}}')")
    assert browser.one("body").is_displayed() and browser.script("return location.protocol") == "file:"


def test_what_would_get_through_all_the_same_is_stopped_by_the_policy(window: Browser, page: Path) -> None:
    window.open(page)
    window.script("""
        window.seen = [];
        document.addEventListener("securitypolicyviolation", (event) => window.seen.push(event.violatedDirective));
        for (const [tag, name, value] of [["a", "onclick", "window.hit = 1"], ["p", "style", "color: red"]]) {
            const element = document.createElement(tag);
            try { element.setAttribute(name, value); } catch { window.seen.push(name); }
            document.body.append(element);
            element.click();
        }
        const image = document.createElement("img");
        image.src = "https://x.test/pixel.png";
        document.body.append(image);
        try { document.body.innerHTML = "<b>"; } catch { window.seen.push("innerHTML"); }
        try { document.createElement("script").textContent = "window.hit = 1"; } catch { window.seen.push("script"); }
    """)
    window.driver.set_script_timeout(5)
    window.driver.execute_async_script("setTimeout(arguments[0], 100)")
    seen = set(window.script("return window.seen"))
    assert {"innerHTML", "script", "img-src", "style-src-attr"} <= seen and {"script-src-attr", "onclick"} & seen
    assert window.script("return window.hit") is None
    assert window.said() and not [url for url in window.asked_for() if url.startswith("https:") and "x.test" not in url]


# --- how it looks -----------------------------------------------------------------------------------------------


def background(browser: Browser) -> int:
    """How light the page is, 0 to 765."""
    color: str = browser.script("return getComputedStyle(document.body).backgroundColor")
    return sum(int(part) for part in color.removeprefix("rgb(").removesuffix(")").split(","))


def test_dark_and_light_follow_the_system_until_the_button_is_pressed(browser: Browser, page: Path) -> None:
    assert background(browser) > 600 and browser.text("#theme") == "Dark"
    browser.look(1300, dark=True)
    assert background(browser) < 150 and browser.text("#theme") == "Light"
    browser.one("#theme").click()
    assert background(browser) > 600 and browser.text("#theme") == "Dark"
    browser.look(1300, dark=False)
    browser.one("#theme").send_keys(Keys.ENTER)
    assert background(browser) < 150


def test_on_a_phone_nothing_runs_off_the_side_and_a_record_opens_in_its_place(browser: Browser, page: Path) -> None:
    browser.open(page, width=390, height=844)
    overflow = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert browser.script(overflow) <= 0
    assert not browser.all(".record")
    browser.one("#search").send_keys("onmouseover")
    browser.all(".row")[0].click()
    assert browser.script("return document.querySelector('.record').previousElementSibling.className") == "row"
    assert browser.script(overflow) <= 0
    browser.all(".row")[0].send_keys(Keys.ESCAPE)
    assert not browser.all(".record") and browser.focused == browser.all(".row")[0]
    browser.one(".tile").click()
    assert len(crumbs(browser)) == 2 and browser.script(overflow) <= 0


def test_on_paper_the_controls_are_gone_and_the_record_is_there(browser: Browser) -> None:
    browser.look(760, media="print", dark=True)
    assert background(browser) == 765
    assert not any(browser.one(selector).is_displayed() for selector in (".top", ".controls", ".pane"))
    assert browser.one(".record").is_displayed() and browser.one(".tile").is_displayed()
