"""Curation: what falls across disciplines, what is written, and that nothing else changes."""

from __future__ import annotations

import tempfile
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glan_dspy.errors import UserError
from glan_dspy.gates.sketch import alike, sketch
from glan_dspy.publish.export import accepted
from glan_dspy.records import Discipline, Instruction, normalise
from glan_dspy.run.about import VERSION
from glan_dspy.run.curate import Rules, curate
from glan_dspy.run.decisions import dropped
from glan_dspy.run.near import Heap
from glan_dspy.run.status import status
from glan_dspy.run.store import Run
from glan_dspy.settings import Settings

WORDS = ["".join(Random(at).choices("bcdfghklmnpqrstvwxz", k=7)) for at in range(4000)]
"""Words of one's own for every question: two of them share nothing unless told to."""


def text(start: int, count: int = 40) -> str:
    return " ".join(WORDS[start : start + count]) + "?"


def changed(question: str, *places: int) -> str:
    """The question with other words at these places."""
    words = question.split()
    for place in places:
        words[place] = "another" + "abcdefghij"[place % 10] * 3
    return " ".join(words)


def pair(id: str, question: str, answer: str = "Because it is so.") -> Instruction:
    return Instruction(
        id=id, question=question, answer=answer, discipline="", subject="s", level=100, answer_model="none"
    )


def make(folder: Path, **disciplines: list[Instruction]) -> Run:
    """A run with these accepted pairs; `Optics_holdout=` are the test set of Optics."""
    run = Run(folder / "run")
    listed = [Discipline(name=name) for name in disciplines if not name.endswith("_holdout")]
    run.write_about(
        {
            "version": VERSION,
            "kind": "generate",
            "created": 0,
            "settings": Settings().model_dump(mode="json"),
            "disciplines": [discipline.model_dump() for discipline in listed],
        }
    )
    for discipline in listed:
        shelf = run.shelf(discipline)
        shelf.append("instructions", *disciplines[discipline.name])
        if tests := disciplines.get(f"{discipline.name}_holdout"):
            shelf.append("holdout", *tests)
        shelf.close()
    return run


def reasons(run: Run) -> dict[str, str]:
    return {id: reason for discipline in run.disciplines() for id, reason in dropped(run.shelf(discipline)).items()}


def decisions(run: Run) -> list[dict[str, Any]]:
    return [line for discipline in run.disciplines() for line in run.shelf(discipline).read("decisions")]


def benchmark(folder: Path, *items: str) -> Path:
    path = folder / "riddles.jsonl"
    path.write_text("".join(f'{{"question": "{item}"}}\n' for item in items), encoding="utf-8")
    return path


# --- what falls -----------------------------------------------------------------------------------


def test_the_first_in_run_order_stays(tmp_path: Path) -> None:
    question = text(0)
    run = make(
        tmp_path,
        Optics=[pair("a", question), pair("b", text(50))],
        Waves=[pair("c", question.upper()), pair("d", changed(question, 5))],
    )
    summary = curate(run, Rules(0.7))
    assert reasons(run) == {"c": "duplicate", "d": "near_duplicate"}
    assert (summary.judged, dict(summary.dropped)) == (4, {"duplicate": 1, "near_duplicate": 1})
    found = {line["id"]: line["found"] for line in decisions(run)}
    assert found["c"] == {"id": "a", "similarity": 1.0}
    assert found["d"]["id"] == "a" and 0.7 <= found["d"]["similarity"] < 1


def test_questions_with_other_numbers_stay(tmp_path: Path) -> None:
    run = make(tmp_path, Optics=[pair("a", f"{text(0)} 5")], Waves=[pair("b", f"{text(0)} 7")])
    assert curate(run, Rules(0.7)).dropped == {}


def test_only_equal_questions_fall_at_a_limit_of_one(tmp_path: Path) -> None:
    run = make(tmp_path, Optics=[pair("a", text(0)), pair("b", changed(text(0), 3)), pair("c", f" {text(0)}")])
    curate(run, Rules(1.0))
    assert reasons(run) == {"c": "duplicate"}


def test_in_a_chain_what_is_only_like_a_dropped_one_stays(tmp_path: Path) -> None:
    first = text(0)
    second = changed(first, 3, 9, 15)
    third = changed(second, 21, 27, 33)
    run = make(tmp_path, Optics=[pair("a", first)], Waves=[pair("b", second)], Sound=[pair("c", third)])
    curate(run, Rules(0.7))
    assert reasons(run) == {"b": "near_duplicate"}


def test_what_any_disciplines_test_set_asks_falls(tmp_path: Path) -> None:
    run = make(
        tmp_path,
        Optics=[pair("a", text(100)), pair("b", changed(text(0), 5))],
        Waves=[pair("c", text(0)), pair("d", text(200))],
        Waves_holdout=[pair("t", text(0)), pair("u", text(0))],
    )
    summary = curate(run, Rules(0.7))
    assert reasons(run) == dict.fromkeys("bc", "holdout")
    assert summary.judged == 4


def test_what_holds_a_benchmarks_item_falls_in_question_or_answer(tmp_path: Path) -> None:
    item = text(0, 25).rstrip("?")
    told, answered = pair("a", f"Read this: {item}"), pair("b", text(100), answer=f"As in {item}, so here.")
    run = make(tmp_path, Optics=[told, answered, pair("c", text(200))])
    summary = curate(run, Rules(0.7, (benchmark(tmp_path, item, text(500)),)))
    assert reasons(run) == dict.fromkeys("ab", "contaminated")
    hits = summary.benchmarks["riddles"]
    assert (hits.items, hits.pairs, len(hits.found), len(hits.examples)) == (2, 2, 1, 2)


def test_a_contaminated_pair_is_no_reason_for_another_to_fall(tmp_path: Path) -> None:
    item = text(0, 25).rstrip("?")
    run = make(tmp_path, Optics=[pair("a", text(100), answer=item)], Waves=[pair("b", text(100))])
    curate(run, Rules(0.7, (benchmark(tmp_path, item),)))
    assert reasons(run) == {"a": "contaminated"}


def test_what_has_no_words_or_half_a_character_is_judged_like_all(tmp_path: Path) -> None:
    run = make(tmp_path, Optics=[pair("a", "???"), pair("b", "!!!"), pair("c", ""), pair("d", "\ud800"), pair("e", "")])
    curate(run, Rules(0.7))
    assert reasons(run) == {"e": "duplicate"}


# --- what is written ------------------------------------------------------------------------------


def test_the_same_command_again_writes_nothing(tmp_path: Path) -> None:
    run = make(tmp_path, Optics=[pair("a", text(0)), pair("b", text(0))])
    assert curate(run, Rules(0.7)).written == 1
    before = decisions(run)
    again = curate(run, Rules(0.7))
    assert (again.written, again.dropped["duplicate"], decisions(run)) == (0, 1, before)


def test_another_limit_brings_pairs_back_and_drops_them_again(tmp_path: Path) -> None:
    run = make(tmp_path, Optics=[pair("a", text(0)), pair("b", changed(text(0), 4))])
    curate(run, Rules(0.7))
    kept = curate(run, Rules(0.99))
    assert (kept.restored, kept.written, reasons(run)) == (1, 1, {})
    assert curate(run, Rules(0.99)).written == 0
    curate(run, Rules(0.7))
    assert [line["decision"] for line in decisions(run)] == ["dropped", "kept", "dropped"]
    assert [line["settings"]["near"] for line in decisions(run)] == [0.7, 0.99, 0.7]


def test_exports_and_status_leave_out_what_fell(tmp_path: Path) -> None:
    run = make(tmp_path, Optics=[pair("a", text(0)), pair("b", text(0))], Waves=[pair("c", text(50))])
    assert [found.id for found in accepted(run)] == ["a", "b", "c"]
    curate(run, Rules(0.7))
    assert [found.id for found in accepted(run)] == ["a", "c"]
    numbers = status(run)
    assert (numbers["instructions"], numbers["curated"]) == (2, {"duplicate": 1})


def test_a_dry_run_counts_and_writes_nothing(tmp_path: Path) -> None:
    run = make(tmp_path, Optics=[pair("a", text(0)), pair("b", text(0))])
    (run.path / ".curate-of-another-process").mkdir()

    def times() -> dict[Path, int]:
        """A folder's is that of the last file that was made or removed in it, as no read-only one lets it be."""
        return {path: path.stat().st_mtime_ns for path in (run.path, *run.path.rglob("*"))}

    before = times()
    summary = curate(run, Rules(0.7), dry_run=True)
    assert (summary.written, summary.dropped["duplicate"]) == (1, 1)
    assert times() == before


def test_a_dry_run_counts_what_another_process_is_writing(tmp_path: Path) -> None:
    run = make(tmp_path, Optics=[pair("a", text(0)), pair("b", text(0))])
    with run.lock():
        assert curate(run, Rules(0.7), dry_run=True).judged == 2


def test_two_runs_over_equal_pairs_decide_alike(tmp_path: Path) -> None:
    pairs = [pair(str(at), changed(text(at % 7 * 100), at % 11)) for at in range(40)]
    found = []
    for name in ("one", "two"):
        run = make(tmp_path / name, Optics=pairs[:20], Waves=pairs[20:])
        curate(run, Rules(0.7))
        found.append([{**line, "time": 0} for line in decisions(run)])
    assert found[0] == found[1] and found[0]


def test_pairs_come_once_and_foreign_lines_are_passed_over(tmp_path: Path) -> None:
    run = make(tmp_path, Optics=[pair("a", text(0)), pair("a", text(0)), pair("b", text(50))])
    with (run.shelf(run.disciplines()[0]).path / "instructions.jsonl").open("ab") as file:
        file.write(b'{"id": 7, "question": null}\nnot JSON\n{"id": "torn')
    summary = curate(run, Rules(0.7))
    assert (summary.judged, summary.written) == (2, 0)


# --- the folder -----------------------------------------------------------------------------------


def test_nothing_temporary_is_left_and_what_a_killed_command_left_is_removed(tmp_path: Path) -> None:
    run = make(tmp_path, Optics=[pair("a", text(0)), pair("b", text(0))])
    left = run.path / ".curate-killed"
    left.mkdir()
    (left / "curate.duckdb").write_bytes(b"half")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    curate(run, Rules(0.7), tmp=elsewhere)
    curate(run, Rules(0.8))
    assert not list(run.path.glob(".curate*")) and not list(elsewhere.iterdir())


def test_a_benchmark_that_is_not_there_stops_it_before_anything_is_written(tmp_path: Path) -> None:
    run = make(tmp_path, Optics=[pair("a", text(0)), pair("b", text(0))])
    with pytest.raises(UserError, match=r"nothing\.jsonl"):
        curate(run, Rules(0.7, (tmp_path / "nothing.jsonl",)))
    assert not decisions(run) and not list(run.path.glob(".curate*"))


def test_a_folder_that_cannot_be_written_to_is_said_in_one_line(tmp_path: Path) -> None:
    run = make(tmp_path, Optics=[pair("a", text(0))])
    with pytest.raises(UserError, match="--tmp"):
        curate(run, Rules(0.7), tmp=tmp_path / "missing")


def test_a_run_that_is_being_written_is_left_alone(tmp_path: Path) -> None:
    run = make(tmp_path, Optics=[pair("a", text(0))])
    with run.lock(), pytest.raises(UserError, match="is being written"):
        curate(run, Rules(0.7))


def test_where_no_run_is_none_is_made(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no run"):
        curate(Run(tmp_path / "none"), Rules(0.7))
    assert not (tmp_path / "none").exists()


# --- sorting on disk ------------------------------------------------------------------------------


def fallen(questions: list[str], threshold: float = 0.7, fixed: int = 0) -> dict[int, int]:
    with tempfile.TemporaryDirectory() as folder, Heap(Path(folder), threshold) as heap:
        for place, question in enumerate(questions):
            heap.add(str(place), question)
        heap.settle(fixed)
        return {twin.row: twin.other for twin in heap.fallen(0, heap.rows)}


def test_near_duplicates_are_found_in_a_crowd_of_one_mould() -> None:
    rng = Random(3)
    mould = WORDS[:40]
    crowd = [" ".join(mould + rng.sample(WORDS[100:], 20)) for _ in range(3000)]
    again = [changed(question, 57) for question in crowd[::30]]
    found = fallen(crowd + again, 0.8)
    assert sum(row >= 3000 for row in found) >= 98
    assert sum(row < 3000 for row in found) == 0


def test_of_many_variants_one_stays() -> None:
    rng = Random(4)
    question = text(0, 60)
    variants = [changed(question, rng.randrange(59)) + f" {word}" for word in WORDS[1000:1500]]
    assert len(fallen([question, *variants])) == 500


def test_a_fixed_row_stays_whatever_it_is_like() -> None:
    assert fallen([text(0), text(0), changed(text(0), 3), text(0)], fixed=2) == {2: 0, 3: 0}


@settings(max_examples=10)
@given(st.lists(st.tuples(st.integers(0, 3), st.lists(st.integers(0, 38), max_size=4)), min_size=1, max_size=25))
def test_what_falls_is_like_an_earlier_one_that_stays(made: list[tuple[int, list[int]]]) -> None:
    questions = [changed(text(start * 100), *places) for start, places in made]
    found = fallen(questions)
    sketches = [sketch(normalise(question)) for question in questions]
    for row, other in found.items():
        assert other < row and (questions[row] == questions[other] or other not in found)
        assert alike(sketches[row], sketches[other], 0.7) is not None
    kept = [question for row, question in enumerate(questions) if row not in found]
    assert len(kept) == len(set(kept))
