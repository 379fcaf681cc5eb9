"""Programs beside one another: the same rows and seeds, and differences that are no larger than they are sure."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random

import dspy
import orjson
import pytest
from dspy.lm15 import Request, Response
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from glan_dspy.cli.evaluate import show_outputs
from glan_dspy.cli.main import run
from glan_dspy.optimize.compare import measured, paired
from glan_dspy.optimize.compile import Progress
from glan_dspy.optimize.contest import Entry, Trial, contest, differences, entries_as_json
from glan_dspy.optimize.journal import Log
from glan_dspy.optimize.metric import Metric
from glan_dspy.optimize.rows import example_of
from glan_dspy.settings import Settings
from tests.loopback_thread import running
from tests.optimize.workshop import NAMES, School, carried_out, few, few_in, models_of, order

PAIR = ("question", "answer")
SCORES = st.lists(st.floats(0, 1), min_size=1, max_size=30)


@settings(max_examples=25)
@given(SCORES, st.integers(0, 9))
def test_a_program_beside_itself_does_not_differ(scores: list[float], seed: int) -> None:
    assert paired(scores, scores, seed) == (0.0, 0.0, 0.0)


@settings(max_examples=25)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=30))
def test_the_interval_holds_the_mean_and_turns_round_with_the_programs(rows: list[tuple[float, float]]) -> None:
    before, after = [list(side) for side in zip(*rows, strict=True)]
    there, back = paired(before, after), paired(after, before)
    assert there.low - 1e-9 <= there.mean <= there.high + 1e-9
    assert back.mean == pytest.approx(-there.mean)
    assert back.low == pytest.approx(-there.high, abs=0.02)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng, covered = Random(1), 0
    for trial in range(30):
        before = [rng.random() for _ in range(40)]
        after = [value + rng.gauss(0.1, 0.2) for value in before]
        found = paired(before, after, trial)
        covered += found.low <= 0.1 <= found.high
    assert covered >= 25  # 95 % of 30 is 28; the paired bootstrap of 40 rows falls a little short of it


def test_pairing_sees_a_small_gain_that_differences_between_rows_would_hide() -> None:
    rng = Random(2)
    before = [rng.random() for _ in range(40)]
    assert paired(before, [value + 0.02 for value in before]).low > 0


def test_every_program_gets_the_same_requests_but_for_its_prompts(tmp_path: Path) -> None:
    program = str(carried_out(order(tmp_path / "vi.json", "gepa", 60), School(), few(6)).path)

    class Remembering(School):
        def __init__(self) -> None:
            super().__init__()
            self.seeds: Counter[tuple[str, int | None]] = Counter()

        async def complete(self, request: Request) -> Response:
            self.seeds[request.model, request.config.seed] += 1
            return await super().complete(request)

    chosen = Settings(language="Vietnamese", model_name="pupil")
    trial = Trial(chosen, NAMES, ("built-in", program), PAIR, few(6).test)
    school, log = Remembering(), Log(tmp_path / "log")
    with models_of(school, log) as models:
        entries = contest(trial, models, Progress())
    assert all(count == 2 for (model, _), count in school.seeds.items() if model == "pupil")
    told = entries_as_json(entries, trial)
    assert [entry["program"] for entry in told["programs"]] == ["built-in", program]
    better = told["differences"][0]
    assert better["value"]["low"] > 0
    assert better["question.language"]["mean"] == 1.0
    assert differences(entries, 0)[0]["value"].mean == pytest.approx(better["value"]["mean"])


def test_one_text_for_all_rows_is_found_out_whichever_thread_is_first() -> None:
    rows = [example_of(row, "English") for row in few(6).test]

    def lazy(**inputs: object) -> dspy.Prediction:
        return dspy.Prediction(question="Why does a bridge need joints that can move in summer? Explain with figures "
                               "of your own for a span of 200 metres, and say what happens without them.",
                               answer="Steel grows when it is warm. " * 8)  # fmt: skip

    scores = [[one.score.value for one in measured(lazy, rows, lambda: Metric("English"), n)] for n in (1, 6)]
    assert scores[0] == scores[1]


def test_an_error_in_one_row_is_no_score_of_nothing() -> None:
    def broken(**inputs: object) -> dspy.Prediction:
        raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError):
        measured(broken, [example_of(row, "English") for row in few(3).test], lambda: Metric("English"), 2)


def test_the_command_shows_the_parts_the_difference_and_the_outputs_beside_one_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    carried_out(order(tmp_path / "vi.json", "bootstrap", 6), School(), few(6))
    monkeypatch.chdir(tmp_path)
    with running() as (url, server):
        server.engine = School()  # type: ignore[assignment]
        words = ["evaluate", "--program", "built-in", "--program", "vi.json", "--language", "Vietnamese",
                 "--model-name", "pupil", "--judge-model", "examiner", "--base-url", url,
                 "--valset", str(few_in(tmp_path / "rows.jsonl", 6))]  # fmt: skip
        assert run([*words, "--show", "1"]) == 0
        shown = capsys.readouterr().out
        assert run([*words, "--json"]) == 0
        asked = server.engine.asked.total()  # type: ignore[attr-defined]
        told = orjson.loads(capsys.readouterr().out)
        # Another effort, and so another reply: what is on file answers another question.
        assert run([*words, "--reasoning-effort", "high", "--json"]) == 0
        assert server.engine.asked.total() == 2 * asked  # type: ignore[attr-defined]
    assert "built-in" in shown and "difference" in shown and "question.language" in shown
    assert "level 100" in shown
    assert told["rows"] == 6 and told["programs"][1]["value"] > 0.8
    assert asked == 6 * 2 * 3  # the second command found everything in its folder


def test_what_a_model_or_a_file_says_steers_no_terminal_and_is_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "Optics [/b] \x1b]0;pwned\x07"
    row = few(1).test[0]
    row = row.model_copy(update={"subject": row.subject.model_copy(update={"name": hostile})})
    judged = measured(
        lambda **_: dspy.Prediction(question=hostile, answer=hostile),
        [example_of(row, "English")],
        lambda: Metric("English"),
        1,
    )
    show_outputs(Console(), [Entry("built-in", judged)], 1)
    shown = capsys.readouterr().out
    assert "[/b]" in shown and "␛]0;pwned" in shown and "\x1b]0" not in shown


def test_a_file_that_is_no_program_is_named_before_anything_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "no.json").write_text("[]")
    assert run(["evaluate", "--program", "no.json", "--language", "Korean", "--model-name", "rehearsal"]) == 1
    assert "program no.json is not the state of a DSPy program" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
