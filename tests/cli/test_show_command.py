"""`glan show`: records as a person reads them, and as a pipe takes them."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from glan_dspy.cli.main import run as glan
from glan_dspy.records import Question, Rejected
from glan_dspy.run.store import Run
from tests.processes import command, environment
from tests.publish.made import add, make_run, pair

MATHS = (
    "Let $x_1*y_2*z$ be **given**.\n\\[\n\\frac{a}{b} \\leq \\alpha_1\n\\]\n"
    "The last line is so long that a terminal of eighty columns would have to break it somewhere."
)
EVIL = "red \x1b[31m \x1b]0;title\x07 \x9b2J back\x08 \u202eturned\r\nover\rcarriage <script>{{7*7}}"
KOREAN = "임계각 $\\theta_c$를 **구하시오**.\n1. 하나\n2. 둘"

PAIRS = [
    pair(1, question=MATHS, answer="It is \\(x\\).", sessions=("Lenses",), key_concepts=("focus", "image")),
    pair(2, question=KOREAN, language="Korean", level=300),
    pair(3, question=EVIL, answer=EVIL, subject="Bad \x1b[2J\nname"),
    pair(4, "Algebra", level=500, answer="42", reasoning="Hm. " * 200),
    pair(5, held_out=True),
]

Show = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    return make_run(Path("run"), PAIRS)


@pytest.fixture
def show(run: Run, capsys: pytest.CaptureFixture[str]) -> Show:
    def call(*words: str, code: int = 0) -> str:
        """What it writes to stdout; with a code of 1 its one line on stderr."""
        assert glan(["show", "run", *words]) == code
        out, err = capsys.readouterr()
        assert err.count("\n") == code and "Traceback" not in err
        return err if code else out

    return call


def ids(out: str) -> list[str]:
    return re.findall(r"^── (\S+)", out, re.MULTILINE)


def test_a_pipe_gets_every_pair_with_its_texts_as_they_are(show: Show) -> None:
    out = show()
    assert ids(out) == [one.id for one in PAIRS[:4]]
    assert f"Question\n\n{MATHS}\n\nAnswer\n\nIt is \\(x\\).\n" in out and KOREAN in out
    assert "sessions    Lenses\nconcepts    focus, image\n" in out and "level 500" in out
    assert "thoughts    800 characters" in out and "Hm. Hm." not in out


def test_nothing_steers_the_terminal_unless_it_is_asked_for_in_a_pipe(show: Show) -> None:
    out = show()
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", out)
    assert "red ␛[31m ␛]0;title␇ <U+009B>2J back␈ <U+202E>turned\nover␍carriage <script>{{7*7}}" in out
    assert "subject     Bad ␛[2J name" in out
    assert EVIL in show("--raw", PAIRS[2].id)


def test_json_is_one_object_a_line_and_holds_everything(show: Show, run: Run) -> None:
    run.shelf(run.disciplines()[0]).append("judgements", judgement(PAIRS[0].id, 4.5))
    out = show("--json")
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", out)
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["score"] for row in rows] == [4.5, None, None, None]
    assert [
        {**one.model_dump(mode="json"), "score": row["score"]} for one, row in zip(PAIRS, rows, strict=False)
    ] == rows


def judgement(id: str, score: float) -> dict[str, Any]:
    return {
        "id": id,
        "scores": {"fits": 4},
        "score": score,
        "why": "Good.",
        "votes": None,
        "model": "judge",
        "call": "",
    }


def test_the_filters_are_those_of_an_export(show: Show, run: Run) -> None:
    run.shelf(run.disciplines()[0]).append("judgements", judgement(PAIRS[0].id, 4.5), judgement(PAIRS[1].id, 2))
    assert ids(show("--only", "level >= 300")) == [PAIRS[1].id, PAIRS[3].id]
    assert ids(show("--min-score", "4")) == [PAIRS[0].id] and "score       4.50" in show("--min-score", "4")
    assert ids(show("--only", "score < 3")) == [PAIRS[1].id]
    assert ids(show("--holdout")) == [PAIRS[4].id]
    assert ids(show("-n", "2")) == [PAIRS[0].id, PAIRS[1].id]
    told = show("--min-score", "5", code=1)
    assert "nothing of run is left: 2 have no judgement, 2 score less than 5.0; `glan judge run`" in told
    assert "--only 'level >': column 8" in show("--only", "level >", code=1)


def test_what_was_dropped_comes_with_why_and_in_the_models_words(show: Show, run: Run) -> None:
    shelf = run.shelf(run.disciplines()[0])
    asked = Question.model_validate(pair(9).model_dump())
    item = asked.model_dump()
    shelf.append(
        "rejected",
        Rejected(id="first", stage="question", reason="language", detail="Thai where English was asked for",
                 found={"is": "th"}, raw=asked.question, item=item),
        Rejected(id="second", stage="answer", reason="truncated", raw="It goes on \x1b[1m and", item=item),
        Rejected(id="third", stage="syllabus", reason="wrong_shape", raw='{"a": 1}', item={"name": "Lenses"}),
    )  # fmt: skip
    shelf.append("decisions", {"id": PAIRS[1].id, "decision": "dropped", "reason": "duplicate", "detail": "of another"})
    out = show("--rejected")
    assert ids(out) == ["first", "second", "third", PAIRS[1].id]
    assert "question: language, Thai where English was asked for\nfound is    th" in out
    assert out.count(asked.question) == 2 and "Reply, as it came\n\nIt goes on ␛[1m and\n" in out
    assert "rejected  syllabus: wrong_shape\nname      Lenses\n\nReply, as it came\n\n" in out
    assert "curate: duplicate, of another" in out and KOREAN in out
    assert ids(show("--rejected", "--only", 'stage == "answer" and subject == "Basics of Optics"')) == ["second"]
    assert ids(show()) == [one.id for one in PAIRS[:4] if one != PAIRS[1]]
    row = json.loads(show("--rejected", "--json", "-n", "1"))
    assert (row["reason"], row["found"], row["item"]["subject"]) == ("language", {"is": "th"}, "Basics of Optics")
    assert "nothing that was rejected has a score" in show("--rejected", "--min-score", "3", code=1)
    assert "--only held_out" in show("--rejected", "--holdout", code=1)


def test_after_a_repair_only_what_is_still_rejected_is_shown_with_its_newest_reason(show: Show, run: Run) -> None:
    shelf = run.shelf(run.disciplines()[0])
    for id, reason in ((PAIRS[0].id, "truncated"), ("x", "empty"), ("x", "refusal")):
        shelf.append("rejected", Rejected(id=id, stage="answer", reason=reason, item=pair(9).model_dump()))
    run.write_about({**run.about(), "repairs": [{"where": "True"}]})
    out = show("--rejected")
    assert ids(out) == ["x"] and "answer: refusal" in out


def test_one_record_by_its_id_or_its_beginning_and_what_became_of_it(show: Show, run: Run) -> None:
    first = PAIRS[0].id
    for start in (first, first[:6]):
        assert show(start).startswith(f"── {first} · accepted ──\n")
    assert " · held out ──" in show(PAIRS[4].id) and "Hm. Hm. Hm." in show(PAIRS[3].id)
    shelf = run.shelf(run.disciplines()[0])
    shelf.append("decisions", {"id": first, "decision": "dropped", "reason": "holdout", "detail": "as in the test set"})
    assert "accepted, and dropped by curate: holdout, as in the test set" in show(first)
    shelf.append("questions", Question(id="17", question="Why?", subject="Talk", level="easy"))
    shelf.append("rejected", Rejected(id="175", stage="answer", reason="empty", item=pair(9).model_dump()))
    assert "── 17 · a question without its answer yet ──" in show("17") and "── 175 · rejected ──" in show("175")
    assert json.loads(show("17", "--json"))["level"] == "easy"


def test_an_id_that_is_none_or_many_gets_a_line_that_helps(show: Show, run: Run) -> None:
    add(run, [pair(20, id="abcd1"), pair(21, id="abcd2")])
    assert "'abcd' begins 2 ids of run (abcd1, abcd2); give more" in show("abcd", code=1)
    assert "no record whose id begins with 'ffffffff'; `glan show run`" in show("ffffffff", code=1)
    assert "no record 'abc'; give 4 or more characters" in show("abc", code=1)
    assert "names one record, and --only" in show("abcd1", "--only", "level > 1", code=1)
    path = run.shelf(run.disciplines()[0]).path / "instructions.jsonl"
    path.write_text('{"id": "broken1", "question": 7}\n')
    assert "names 'broken1', and no line there holds its record whole" in show("broken1", code=1)


def test_lineage_leads_from_the_discipline_to_the_prompts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ("--model-name", "rehearsal?server_error=0.2", "--language", "English", "--discipline", "Optics")
    assert glan(["generate", *words, "--draft-first"]) == 0
    shelf = Run(Path("runs/first")).shelf(Run(Path("runs/first")).disciplines()[0])
    id, subject = next(iter(shelf.ids("instructions"))), shelf.subjects()[0]
    capsys.readouterr()
    assert glan(["show", "runs/first", id, "--lineage"]) == 0
    out = capsys.readouterr().out
    out = out[out.index("Where it comes") :]
    parts = ["Where it comes from", "discipline", "subject", "level", "▸ session", "concepts", "Calls",
             "subjects.draft", "syllabus.extract", "question.write", "answer.write", "cost", "$0.00 for this record",
             "Prompt of subjects.draft", "Prompt of answer.write", "Question:"]  # fmt: skip
    places = [out.index(part) for part in parts]
    assert places == sorted(places), dict(zip(parts, places, strict=True))
    assert glan(["show", "runs/first", "--lineage", "--json", "-n", "12"]) == 0
    rows = [json.loads(line)["lineage"] for line in capsys.readouterr().out.splitlines()]
    assert len(rows) == 12 and {row["state"] for row in rows} == {"accepted"}
    assert all(row["calls"]["answer"][-1]["finish_reason"] == "stop" and len(row["prompts"]) == 6 for row in rows)
    assert subject.id in {row["subject"]["id"] for row in rows} and all(row["cost_usd"] == 0 for row in rows)
    failed = next(row for row in rows if any(call["error"] for call in row["calls"]["question"]))
    assert glan(["show", "runs/first", failed["id"], "--lineage"]) == 0
    out = capsys.readouterr().out
    assert " · ServerError 500 · " in out and " · attempt 2 · " in out


def test_a_program_that_is_gone_is_said_in_the_place_of_the_prompts(show: Show, run: Run) -> None:
    about = run.about()
    run.write_about({**about, "settings": {**about["settings"], "program": "gone.json"}})
    out = show(PAIRS[0].id, "--lineage")
    assert "Prompts\nnone  cannot read the program gone.json" in out and "Where it comes from" in out


def test_a_run_that_has_only_questions_shows_them_and_one_that_has_nothing_says_so(show: Show, run: Run) -> None:
    for discipline in run.disciplines():
        for path in run.shelf(discipline).path.iterdir():
            path.unlink()
    assert "run has no accepted pairs yet; `glan generate -o run` goes on with it" in show(code=1)
    assert "nothing of run was rejected" in show("--rejected", code=1)
    run.shelf(run.disciplines()[0]).append("questions", Question(id="q", question="Why?", subject="Talk", level=100))
    assert ids(show()) == ["q"] and "Answer" not in show()


def test_the_first_pages_need_no_more_than_the_first_files(show: Show, run: Run) -> None:
    path = run.shelf(run.disciplines()[1]).path / "instructions.jsonl"
    path.unlink()
    path.mkdir()  # whoever opens it fails
    assert ids(show("-n", "3")) == [one.id for one in PAIRS[:3]]


def test_a_run_that_goes_on_is_read_and_not_touched(show: Show, run: Run) -> None:
    path = run.shelf(run.disciplines()[0]).path / "instructions.jsonl"
    with path.open("ab") as file:
        file.write(b'{"id":"torn')
    with run.lock():
        before = {file: (file.stat().st_mtime_ns, file.stat().st_size) for file in run.path.rglob("*")}
        assert len(ids(show())) == 4 and len(ids(show(PAIRS[1].id))) == 1
        assert before == {file: (file.stat().st_mtime_ns, file.stat().st_size) for file in run.path.rglob("*")}


# --- in a process of its own ----------------------------------------------------------------------------------------


def test_a_reader_that_leaves_is_no_mistake(run: Run) -> None:
    add(run, (pair(number, answer="x" * 5000) for number in range(100, 150)))
    words = " ".join(f"'{word}'" for word in command("show", "run"))
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {words} | head -3"], env=environment(), capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"") and done.stdout.count(b"\n") == 3


def on_a_terminal(*words: str, **env: str) -> tuple[int, str]:
    """(exit code, what the terminal got) of `glan show run WORDS` on a terminal of 80 columns."""
    code = "import sys; from glan_dspy.cli import main; main()"
    shown = b""
    process, terminal = pty.fork()
    if process == 0:
        more = {"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24", "PAGER": "", **env}
        os.execve(sys.executable, [sys.executable, "-c", code, "show", "run", *words], environment(**more))
    try:
        while block := os.read(terminal, 1 << 16):
            shown += block
    except OSError:  # how Linux tells that the other end is closed
        pass
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), shown.decode().replace("\r\n", "\n")


SGR = re.compile(r"\x1b\[[0-9;]*m")


def test_a_terminal_gets_markdown_drawn_and_no_escape_but_colours(run: Run) -> None:
    code, out = on_a_terminal()
    plain = SGR.sub("", out)
    lines = [line.rstrip() for line in plain.splitlines()]
    assert code == 0 and SGR.search(out)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", plain)
    assert "Let $x_1*y_2*z$ be given." in lines and "    \\frac{a}{b} ≤ α_1" in lines
    assert all(len(line) <= 80 for line in lines)
    assert "임계각 $θ_c$를 구하시오." in plain and " 1. 하나" in plain


@pytest.mark.parametrize(
    ("words", "env"), [((), {"NO_COLOR": "1"}), (("--raw",), {}), ((), {"TERM": "dumb"}), ((), {"PAGER": "cat"})]
)
def test_colours_are_left_out_where_they_are_not_wanted(run: Run, words: tuple[str, ...], env: dict[str, str]) -> None:
    code, out = on_a_terminal(*words, **env)
    # NO_COLOR is about colours: bold and underlined are not among them.
    assert code == 0 and not re.search(r"\x1b\[(?!0?[1234]?m)", out)
    assert ("**given**" in out) is bool(words)


def test_a_pager_that_is_left_early_ends_it_and_one_that_fails_is_said(run: Run) -> None:
    add(run, (pair(number, answer="x" * 5000) for number in range(100, 400)))
    code, out = on_a_terminal(PAGER="head -n 2")
    assert code == 0 and out.count("\n") == 2
    code, out = on_a_terminal(PAGER="false")
    assert code == 1 and "glan: the pager false ended with code 1; PAGER=less" in out and "Traceback" not in out


def test_dspy_is_brought_in_for_prompts_alone(run: Run) -> None:
    code = "import sys; from glan_dspy.cli import run; run(['show', 'run']); sys.exit('dspy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True).returncode == 0
