"""The command: what it writes, of which runs, and that it leaves them as they are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from glan_dspy.cli.main import run as glan
from glan_dspy.errors import UserError
from glan_dspy.publish.report.gather import Task, gather
from glan_dspy.publish.report.portions import at_work, portions
from glan_dspy.publish.report.view import view
from glan_dspy.publish.report.write import report
from glan_dspy.run.coverage import coverage
from glan_dspy.run.status import plan_of, status
from glan_dspy.run.store import Run
from tests.publish.made import add, files_end_at, make_run, names, pair

FAULTS = "rehearsal?duplicate=0.2&wrong_language=0.1&truncate=0.1&server_error=0.05"


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A rehearsal over two fields in which things fell and failed, judged and curated since."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "disciplines.txt").write_text("# Science\nOptics\nAlgebra\n# Art\nDance\n")
    words = ("--disciplines-filepath", str(folder / "disciplines.txt"), "--model-name", FAULTS, "--language", "English")
    assert glan(("generate", *words, "--holdout", "1", "-o", str(folder / "run"))) == 0
    assert glan(("judge", str(folder / "run"), "--model-name-for-judge", "rehearsal", "--sample", "5")) == 0
    assert glan(("curate", str(folder / "run"), "--near", "0.5")) == 0
    return Run(folder / "run")


def data_of(path: Path) -> dict[str, Any]:
    """What the page's script reads."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', path.read_text(encoding="utf-8"))
    assert found
    data: dict[str, Any] = json.loads(found[1])
    return data


def everything_in(run: Run) -> dict[Path, tuple[bytes, int]]:
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in run.path.rglob("*") if path.is_file()}


# --- the figures ------------------------------------------------------------------------------------------------


def test_the_figures_are_those_of_status_and_coverage(walked: Run) -> None:
    seen, told, covered = view(walked, gather(walked), 0.0), status(walked), coverage(walked)
    assert seen["records"] == told["instructions"] == covered["pairs"] > 20
    assert seen["coverage"] == covered
    assert seen["rejected"] == sum(told["rejected"].values()) + sum(told["curated"].values()) > 0
    whole = seen["whole"]
    assert (whole.calls, whole.prompt, whole.completion) == (
        told["calls"],
        told["prompt_tokens"],
        told["completion_tokens"],
    )
    assert whole.failed > 0 and whole.cost == told["cost_usd"] == 0
    assert seen["complete"] is told["complete"] is True
    assert {part.label: part.number for part in seen["strategies"]}.keys() == {"single", "double"}
    assert sum(part.number for part in seen["levels"]) == seen["records"]
    assert [one["lengths"].texts for one in seen["lengths"]] == [seen["records"]] * 2
    assert [one["lengths"].estimated for one in seen["lengths"]] == [0, 0]


def test_the_tree_has_every_pair_once_but_for_sessions(walked: Run, tmp_path: Path) -> None:
    report(walked, tmp_path / "out.html")
    data = data_of(tmp_path / "out.html")
    root, pairs = data["tree"], status(walked)["instructions"]
    assert data["fields"] is True and [field[0] for field in root[4]] == ["Science", "Art"]
    assert root[1] == pairs == sum(field[1] for field in root[4])
    disciplines = [discipline for field in root[4] for discipline in field[4]]
    assert {one[0] for one in disciplines} == {"Optics", "Algebra", "Dance"}
    assert sum(one[1] for one in disciplines) == pairs == sum(subject[1] for one in disciplines for subject in one[4])
    subject = disciplines[0][4][0]
    assert int(subject[3]) >= 100 and sum(session[1] for session in subject[4]) >= subject[1]


def test_a_sampled_record_says_how_it_came_about(walked: Run, tmp_path: Path) -> None:
    report(walked, tmp_path / "out.html")
    data = data_of(tmp_path / "out.html")
    accepted = [row for row in data["rows"] if row["state"] == "accepted"]
    rejected = [row for row in data["rows"] if row["state"] == "rejected"]
    assert accepted and rejected and all(row["reason"] and row["stage"] for row in rejected)
    for row in accepted:
        assert row["question"] and row["answer"] and row["sessions"] and row["concepts"]
        stages = [call[0] for call in row["calls"]]
        assert {"subjects.list", "syllabus.design", "question.write", "answer.write"} <= set(stages)
        assert data["models"][row["calls"][0][10]] == FAULTS and row["cost"] == 0
    assert any("score" in row for row in accepted)


def test_several_processes_count_what_one_does(walked: Run) -> None:
    alone, disciplines = gather(walked), walked.disciplines()
    task = Task(walked.path, plan_of(walked), "instructions", 100)
    assert portions(walked, disciplines) == [disciplines]
    together = task(())
    with at_work(task.__call__, [(one,) for one in disciplines]) as results:
        for some in results:
            together.merge(some)
    together.questions.end()
    together.survey.end(task.plan)
    assert together.kinds == alone.kinds and together.fallen == alone.fallen
    assert together.questions.tokens == alone.questions.tokens
    whole = [one.spending.whole for one in (together, alone)]
    for spent in whole:
        spent.seconds = round(spent.seconds, 6)  # a sum of floats in another order
    assert whole[0] == whole[1] and together.spending.endings == alone.spending.endings
    assert together.spending.time.drawn() == alone.spending.time.drawn()
    assert together.sample.ids() == alone.sample.ids()
    assert vars(together.survey) == vars(alone.survey)
    listed = [one.name for one in disciplines]
    assert together.coverage.told(listed, alone.novelty) == alone.coverage.told(listed, alone.novelty)


# --- runs of all kinds ------------------------------------------------------------------------------------------


def test_a_run_with_questions_only_is_shown_by_its_questions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--model-name", "rehearsal", "--language", "English", "--discipline", "Optics")
    assert glan(("generate", *words, "--generate-question-only", "-o", str(tmp_path / "run"))) == 0
    assert glan(("report", str(tmp_path / "run"), "-o", str(tmp_path / "out.html"))) == 0
    assert "out.html: 20 questions, " in capsys.readouterr().out
    data, text = data_of(tmp_path / "out.html"), (tmp_path / "out.html").read_text(encoding="utf-8")
    assert data["unit"] == "question" and data["tree"][1] == 20
    assert {row["state"] for row in data["rows"]} == {"question"}
    assert "The next command answers them" in text and f"glan generate -o {tmp_path}/run</code>" in text


def test_answers_to_questions_from_a_file_have_no_curriculum(tmp_path: Path) -> None:
    lines = [{"question": "Why is the sky blue?", "subject": "Optics", "level": "easy"}, {"question": "What is 2 + 2?"}]
    (tmp_path / "questions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    words = ("--questions-filepath", str(tmp_path / "questions.jsonl"), "--model-name", "rehearsal")
    assert glan(("answer", *words, "--language", "English", "-o", str(tmp_path / "run"))) == 0
    report(Run(tmp_path / "run"), tmp_path / "out.html")
    text = (tmp_path / "out.html").read_text(encoding="utf-8")
    assert "the questions came from a file" in text and "estimated from their bytes, four a token" in text
    assert {row["subject"] for row in data_of(tmp_path / "out.html")["rows"] if "subject" in row} == {"Optics"}


@pytest.mark.parametrize("disciplines", [(), ("Optics",)])
def test_a_run_with_nothing_in_it_says_so(tmp_path: Path, disciplines: tuple[str, ...]) -> None:
    run = make_run(tmp_path / "run", [pair(1, name) for name in disciplines])
    for path in run.path.rglob("*.jsonl"):
        path.unlink()
    assert report(run, tmp_path / "out.html").records == 0
    text = (tmp_path / "out.html").read_text(encoding="utf-8")
    for words in ("Not complete", "nothing to cover yet", "Nothing was dropped so far", "No call was made yet"):
        assert words in text
    assert data_of(tmp_path / "out.html")["rows"] == []


def test_a_run_json_that_says_next_to_nothing_is_enough(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", [pair(1)])
    listed = [one.model_dump() for one in run.disciplines()]
    run.write_about({"version": 1, "settings": {}, "disciplines": listed})
    assert report(run, tmp_path / "out.html").records == 1


def test_a_run_that_is_still_going_is_read_and_left_alone(walked: Run, tmp_path: Path) -> None:
    with walked.lock():
        torn = walked.shelf(walked.disciplines()[0]).path / "instructions.jsonl"
        whole = torn.read_bytes()
        torn.write_bytes(whole + b'{"id":"torn","question":"Wh')
        before = everything_in(walked)
        done = report(walked, tmp_path / "out.html")
        assert everything_in(walked) == before
        torn.write_bytes(whole)
    assert done.spoilt == {} and done.records == status(walked)["instructions"]


def test_the_same_run_gives_the_same_sample(walked: Run, tmp_path: Path) -> None:
    first, second = (report(walked, tmp_path / name).path for name in ("a.html", "b.html"))
    assert data_of(first) == data_of(second)


def test_a_thousand_pairs_take_less_than_a_megabyte(tmp_path: Path) -> None:
    long = "An answer of many words, λ and ≤ among them. " * 60
    pairs = (pair(n, f"D{n % 40}", answer=f"{n} {long}", question=f"{n} {long}") for n in range(1000))
    done = report(make_run(tmp_path / "run", pairs), tmp_path / "out.html")
    assert done.records == 1000 and done.size < 1_000_000
    rows = data_of(tmp_path / "out.html")["rows"]
    assert len(rows) == 200 and all(isinstance(row["answer"], list) for row in rows)
    shown, left = rows[0]["answer"]
    assert len(shown) + left == len(f"0 {long}") + len(shown.split()[0]) - 1


# --- bad input --------------------------------------------------------------------------------------------------


def test_rows_edited_by_hand_are_passed_over_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = make_run(Path("run"), [pair(n) for n in range(5)])
    shelf = run.shelf(run.disciplines()[0])
    good = json.loads((shelf.path / "instructions.jsonl").read_text().splitlines()[0])
    odd = {"level": {}, "subject": ["x"], "sessions": 5, "key_concepts": [[1], 2], "language": ["x"], "strategy": None}
    edited: list[Any] = [{**good, "id": "blank", "answer": " "}, {"id": "x"}, ["a"], 7, {**good, "id": "odd", **odd}]
    call = {"id": "c", "stage": "answer.write", "item": "i", "prompt_tokens": 3, "completion_tokens": 4, "time": 1e9}
    calls: list[Any] = [call, {**call, "prompt_tokens": "3"}, {**call, "time": -1}, {**call, "cost_usd": "1"}, {}]
    for name, rows in (("instructions", edited), ("calls", calls), ("subjects", [{"id": 1}]), ("rejected", [{}])):
        with (shelf.path / f"{name}.jsonl").open("ab") as file:
            file.writelines(json.dumps(row).encode() + b"\n" for row in rows)
            file.write(b"{broken\n")
    assert glan(["report", "run"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("report.html: 6 pairs, ") and err.count("\n") == 1
    said = "passed over: 14 lines hold nothing usable (5 in calls.jsonl, 5 in instructions.jsonl, 2 in rejected.jsonl"
    assert said in err
    text = Path("report.html").read_text(encoding="utf-8")
    assert "<strong>14 lines were passed over</strong>" in text and "5 in <code>calls.jsonl</code>" in text


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("folder", "-o folder is a folder; name a file, such as folder/report.html"),
        ("out.jsonl", "-o out.jsonl: a browser opens files that end in .html; name one, such as out.html"),
        ("run/disciplines/out.html", "-o run/disciplines/out.html lies where the run keeps its own files"),
        ("run/run.json", "a browser opens files that end in .html"),
        ("file/out.html", "cannot write file/out.html: "),
    ],
)
def test_a_place_where_no_page_can_be_is_said_in_one_line(
    tmp_path: Path, out: str, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = make_run(Path("run"), [pair(1)])
    Path("folder").mkdir()
    Path("file").write_text("x")
    before = everything_in(run)
    assert glan(["report", "run", "-o", out]) == 1
    printed, err = capsys.readouterr()
    assert printed == "" and err.count("\n") == 1 and said in err
    assert everything_in(run) == before and names(tmp_path) == ["file", "folder", "run"]


@pytest.mark.parametrize(
    ("about", "said"),
    [
        (None, "is no run: it has no run.json"),
        (b"{", "cannot read"),
        (b"[]", "is not the description of a run"),
        (b'{"version": 99, "settings": {}, "versions": {"glan_dspy": "9.0"}}', "newer version of glan-dspy (9.0)"),
    ],
)
def test_what_is_no_run_is_said(tmp_path: Path, about: bytes | None, said: str) -> None:
    (tmp_path / "run").mkdir()
    if about is not None:
        (tmp_path / "run/run.json").write_bytes(about)
    with pytest.raises(UserError) as caught:
        report(Run(tmp_path / "run"), tmp_path / "out.html")
    assert said in str(caught.value) and names(tmp_path) == ["run"]


def test_a_file_of_the_run_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", [pair(1)])
    (run.shelf(run.disciplines()[0]).path / "calls.jsonl").mkdir()
    with pytest.raises(UserError, match=r"cannot read .*calls.jsonl: Is a directory"):
        report(run, tmp_path / "out.html")
    assert names(tmp_path) == ["run"]


def test_a_full_disk_leaves_the_old_page_and_nothing_else(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", [pair(1)])
    (tmp_path / "out.html").write_text("old")
    with files_end_at(2000), pytest.raises(UserError, match=r"cannot write .*out.html: File too large; nothing was"):
        report(run, tmp_path / "out.html")
    assert names(tmp_path) == ["out.html", "run"] and (tmp_path / "out.html").read_text() == "old"


def test_a_page_may_lie_in_the_runs_folder_and_is_replaced(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", [pair(1)])
    report(run, run.path / "report.html")
    add(run, [pair(2)])
    assert report(run, run.path / "report.html").records == 2
