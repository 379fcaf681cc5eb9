"""Benchmarks' items are found in whatever dress; texts that share a phrase, a template or a topic with them are not."""

from __future__ import annotations

import gzip
import os
import pickle
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glan_dspy.errors import UserError
from glan_dspy.gates.contamination import Overlap, read_benchmarks
from glan_dspy.gates.contamination_words import characters_a_word, words_of
from tests.gates.odd import ODD, odd_text
from tests.gates.scored import rows_of, scored

ITEMS = rows_of("contamination_items")
INNOCENT = rows_of("contamination_innocent")
WITHIN = [row for row in ITEMS if row["kind"] != "tiny"]
BEFORE = "Here is a problem that a reader sent to the editor of our paper last spring. "
AFTER = " Explain every step, name the assumptions that you make, and check the result."


def index(*rows: dict[str, Any]) -> Overlap:
    overlap = Overlap()
    for row in rows:
        overlap.add("own", row["id"], row["text"])
    return overlap


ALL = index(*ITEMS)


def finds(row: dict[str, Any]) -> bool:
    """Whether the text of this row is found, as the item that was planted in it."""
    verdict = ALL.find(row["text"])
    assert verdict is None or verdict.reason == "contaminated"
    return verdict is not None and row["id"] in (None, verdict.found["item"])


def planted(row: dict[str, Any], text: str) -> dict[str, Any]:
    return {"id": row["id"], "text": text, "falls": True}


def respaced(text: str) -> str:
    return "\n\t" + text.replace(" ", " \u00a0\n ").replace(".", " . ").replace(",", " ,")


def with_one_word_changed(row: dict[str, Any]) -> list[dict[str, Any]]:
    """The item once for every word (every fifth character where they are words) that is another one."""
    words = words_of(row["text"])
    characters = characters_a_word(words) > 1.3
    between, other = ("", "龘") if characters else (" ", "kumquat")
    return [
        planted(row, between.join([*words[:at], other, *words[at + 1 :]]))
        for at in range(0, len(words), 5 if characters else 1)
    ]


def english_words(row: dict[str, Any]) -> float:
    words = words_of(row["text"])
    return len(words) / characters_a_word(words)


# --- what is found --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dress", "rows"),
    [
        (str, ITEMS),
        (str.upper, ITEMS),
        (str.title, ITEMS),
        (respaced, ITEMS),
        (lambda text: BEFORE + text + AFTER, WITHIN),
        (lambda text: f"질문: {text}\n\n답을 쓰시오.", WITHIN),
        (lambda text: f"問題：{text} 以上の問いに答えよ。", [row for row in WITHIN if row["kind"] != "japanese"]),
        (lambda text: " ".join(row["text"] for row in INNOCENT) + "\n" + text + "\n", WITHIN),
    ],
    ids=["verbatim", "upper case", "title case", "spaces", "in English", "in Korean", "in Japanese", "far down"],
)
def test_items_are_found_in_any_dress(dress: Callable[[str], str], rows: list[dict[str, Any]]) -> None:
    assert scored("planted", [planted(row, dress(row["text"])) for row in rows], "falls", finds).recall == 1


def test_items_of_20_words_are_found_with_any_one_word_changed() -> None:
    long = [row for row in ITEMS if english_words(row) >= 20]
    assert len(long) >= 25
    rows = [changed for row in long for changed in with_one_word_changed(row)]
    assert scored("one word changed", rows, "falls", finds).recall >= 0.95


def test_innocent_texts_are_let_through() -> None:
    assert len(INNOCENT) >= 60
    rows = [{"id": None, "falls": False, **row} for row in INNOCENT]
    rows += [{"id": None, "falls": False, "text": BEFORE + row["text"] + AFTER} for row in INNOCENT]
    rows += [planted(row, row["text"]) for row in ITEMS]
    assert scored("innocent", rows, "falls", finds) == (1, 1)


def test_a_verdict_tells_the_item_and_the_span() -> None:
    assert ALL.find("During which phase of mitosis do sister chromatids separate and move apart?") is None
    verdict = ALL.find("During which phase of mitosis do sister chromatids separate and move toward opposite ends?")
    assert verdict is not None
    assert verdict.found["kind"] == "13-gram"
    assert (
        verdict.found["span"] == "during which phase of mitosis do sister chromatids separate and move toward opposite"
    )
    assert (verdict.found["benchmark"], verdict.found["item"]) == ("own", "m8")
    assert verdict.found["coverage"] == pytest.approx(13 / 18, abs=0.001)
    assert "own m8" in verdict.detail and "72%" in verdict.detail


def test_latex_and_units_match_however_they_are_spaced() -> None:
    one = r"Show that $\int_0^1 3x\,dx = \left(\frac{3}{2}\right)$ holds for a rope of 12kg that hangs from a crane."
    other = r"Show that $$\int_{0}^{1} 3 x dx=(\frac {3}{2})$$ holds for a rope of 12 kg that hangs from a crane."
    verdict = index({"id": "x", "text": one}).find(other)
    assert verdict is not None and verdict.found["kind"] == "exact"


def test_the_fullest_match_is_the_one_told() -> None:
    text = ITEMS[0]["text"]
    overlap = index({"id": "part", "text": " ".join(text.split()[:20])}, {"id": "all", "text": text})
    verdict = overlap.find(BEFORE + text)
    assert verdict is not None and verdict.found["item"] == "all"


# --- templates and short items --------------------------------------------------------------------

TEMPLATE = "What is the smallest whole number that leaves a remainder of {} when it is divided by {} as well as by {}?"


def test_a_template_of_many_items_is_no_match_but_each_item_is() -> None:
    filled = [TEMPLATE.format(n % 7, 11 + n, 300 + 7 * n) for n in range(400)]
    overlap = index(*({"id": str(n), "text": text} for n, text in enumerate(filled)))
    assert overlap.find(TEMPLATE.format(3, "seventeen", "ninety")) is None
    assert overlap.find(TEMPLATE.format("one", "two", "three") + AFTER) is None
    for n, text in enumerate(filled):
        verdict = overlap.find(BEFORE + text)
        assert verdict is not None and verdict.found["item"] == str(n)


def test_items_that_are_made_of_common_phrases_only_are_found_whole() -> None:
    # Every gram of 5 words stands in hundreds of these items: none of them has a rare one.
    heads = ["green glass jars", "heavy iron gates", "narrow paper boats"]
    texts = [
        f"how many {a} and {b} are in the {c} and how many {d} and {e} are in the {f} of the house"
        for a in heads for b in heads for c in heads for d in heads for e in heads for f in heads
    ]  # fmt: skip
    overlap = index(*({"id": str(n), "text": text} for n, text in enumerate(texts)))
    assert all(overlap.find(f"tell me {text} please") for text in texts[::7])
    assert overlap.find("how many heavy iron gates and green glass jars does a castle need?") is None


@pytest.mark.parametrize(
    ("item", "inside"),
    [
        ("What is the capital of Mongolia?", True),
        ("What is the value of x?", False),
        ("Which of the following is not true?", False),
        ("Define osmosis.", False),
        ("다음 중 옳지 않은 것은 무엇인가?", False),
        ("下列说法中正确的是哪一项", False),
        ("世界上海拔最高的淡水湖位于哪个国家？", True),
    ],
)
def test_a_short_item_is_found_inside_a_text_if_it_says_anything(item: str, inside: bool) -> None:
    overlap = index({"id": "x", "text": item})
    assert overlap.find(item.upper()) is not None
    assert (overlap.find(f"(a) {item} (b) Why?") is not None) == inside


def test_equal_items_are_one_and_the_first_is_told() -> None:
    overlap = index(
        {"id": "a", "text": "Who painted the Night Watch?"}, {"id": "b", "text": "who painted the night watch"}
    )
    verdict = overlap.find("who painted the night watch")
    assert len(overlap) == 2
    assert verdict is not None and verdict.found["item"] == "a"


def test_an_empty_index_and_empty_items_find_nothing() -> None:
    assert Overlap().find(BEFORE) is None
    overlap = index({"id": "a", "text": ""}, {"id": "b", "text": " ?! "})
    assert len(overlap) == 2
    assert overlap.find("") is None and overlap.find("?") is None


def test_another_process_finds_the_same() -> None:
    texts = [changed["text"] for row in ITEMS[:12] for changed in with_one_word_changed(row)] + [
        row["text"] for row in INNOCENT
    ]
    here = [ALL.find(text) for text in texts]
    assert [pickle.loads(pickle.dumps(ALL)).find(text) for text in texts] == here
    code = (
        "import pickle, sys\n"
        "overlap, texts = pickle.load(sys.stdin.buffer)\n"
        "sys.stdout.buffer.write(pickle.dumps([overlap.find(text) for text in texts]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=pickle.dumps((ALL, texts)),
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )
    assert pickle.loads(done.stdout) == here


# --- free text ------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_odd_text_is_survived(text: str) -> None:
    ALL.find(text)
    index({"id": "odd", "text": text}).find(text)


@given(odd_text(), odd_text())
def test_free_text_is_survived_and_found_in_itself(one: str, other: str) -> None:
    overlap = index({"id": "one", "text": one}, {"id": "other", "text": other})
    assert (overlap.find(one) is not None) == bool(words_of(one))
    overlap.find(one + other)


@given(st.text(), st.text(), st.sampled_from(WITHIN), st.randoms(use_true_random=False))
def test_a_plant_in_any_surroundings_is_found(before: str, after: str, row: dict[str, Any], rng: random.Random) -> None:
    # A letter right before the plant would make another word of its first one.
    around = [INNOCENT[rng.randrange(len(INNOCENT))]["text"] for _ in range(2)]
    assert ALL.find(f"{around[0]} {before}\n. {row['text']} .\n{after} {around[1]}") is not None


# --- files ----------------------------------------------------------------------------------------


def read(*paths: Path, field: str | None = None) -> list[tuple[str, str, str]]:
    return list(read_benchmarks(paths, field))


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.jsonl", '{"question": "Why?", "answer": "No."}\n\n{"question": "Who?"}\n', [("1", "Why?"), ("3", "Who?")]),
        ("a.jsonl", '{"task_id": "T/0", "prompt": "def f():"}\n', [("T/0", "def f():")]),
        ("a.jsonl", '{"id": 0, "choices": ["x"], "problem": "P"}\n', [("0", "P")]),
        ("a.jsonl", '{"input": "", "instruction": "Do it."}\n{"input": "", "instruction": ""}\n', [("1", "Do it.")]),
        ("a.jsonl", '{"question": {"stem": "S", "choices": []}}\n"bare"\n', [("1", "S"), ("2", "bare")]),
        ("a.jsonl", '{"prompt": [{"role": "user", "content": "Hi"}]}\n', [("1", "Hi")]),
        ("a.ndjson", '\ufeff{"question": "Q"}', [("1", "Q")]),
        ("a.json", '[{"question": "Q", "id": "x"}, "bare"]', [("x", "Q"), ("2", "bare")]),
        ("a.json", '{"version": 1, "data": [{"problem": "P"}]}', [("1", "P")]),
        ("a.json", '{"q1": {"question": "Q"}, "q2": {"question": "R"}}', [("q1", "Q"), ("q2", "R")]),
        ("a.csv", 'question,answer\n"Why, then?\nSay.",x\nWho?,y\n', [("2", "Why, then?\nSay."), ("3", "Who?")]),
        ("a.tsv", "id\tquestion\n7\tWhy?\n", [("7", "Why?")]),
        ("a.txt", "Why?\n\nWho?\n", [("1", "Why?\n"), ("3", "Who?\n")]),
    ],
)
def test_items_are_read_from_each_format(
    tmp_path: Path, name: str, content: str, expected: list[tuple[str, str]]
) -> None:
    assert read(written(tmp_path / name, content)) == [("a", item, text) for item, text in expected]


def test_a_named_field_is_read_wherever_it_lies(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", '{"question": "no", "my": {"own": "Yes."}}\n')
    assert read(path, field="my.own") == [("a", "1", "Yes.")]
    headless = written(tmp_path / "b.csv", "Why?,x,y\nWho?,z\n")
    assert read(headless, field="1") == [("b", "1", "Why?"), ("b", "2", "Who?")]


def test_a_folder_gives_its_files_in_order_with_their_paths_as_names(tmp_path: Path) -> None:
    written(tmp_path / "all/b/test.jsonl", '{"question": "B"}\n')
    written(tmp_path / "all/README.md", "nothing")
    with gzip.open(tmp_path / "all/a.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write('{"question": "A"}\n')
    assert read(tmp_path / "all") == [("all/a", "1", "A"), ("all/b/test", "1", "B")]


def test_parquet_is_read(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = [{"question": f"Q{n}", "other": n, "nested": {"own": f"N{n}"}} for n in range(2500)]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "a.parquet")
    found = read(tmp_path / "a.parquet")
    assert len(found) == 2500 and found[-1] == ("a", "2500", "Q2499")
    assert read(tmp_path / "a.parquet", field="nested.own")[7] == ("a", "8", "N7")
    with pytest.raises(UserError, match="question, other, nested"):
        read(tmp_path / "a.parquet", field="prompt")


@pytest.mark.parametrize(
    ("name", "content", "field", "message"),
    [
        ("a.jsonl", '{"question": "Q"}\n{"question"\n', None, "a.jsonl, line 2: not JSON"),
        ("a.jsonl", '{"question": "Q"}\n7\n', None, "a.jsonl, line 2: must be an object or a text, and is int"),
        ("a.jsonl", "\n", None, "holds no items"),
        ("a.txt", "\n\n", None, "holds no items"),
        (
            "a.jsonl",
            '{"foo": "Q", "bar": 1}\n',
            None,
            "no row has a field named .* foo, bar; name it with --against-field",
        ),
        ("a.jsonl", '{"question": "Q"}\n', "prompt", 'no row has text in "prompt" .*: question'),
        ("a.json", '{"question": "Q"', None, "a.json: not JSON"),
        ("a.json", '{"a": [1], "b": [2]}', None, "must hold a list"),
        ("a.json", "[[1]]", None, "row 1: must be an object"),
        ("a.csv", 'question\n"open\n', None, "a.csv, line 2"),
        ("a.parquet", "no parquet", None, "not a Parquet file"),
        ("a.jsonl.gz", "no gzip", None, "cannot read it"),
        ("a.docx", "x", None, "unknown format; allowed endings are .jsonl"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(
    tmp_path: Path, name: str, content: str, field: str | None, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        read(written(tmp_path / name, content), field=field)


def test_a_path_that_is_not_there_is_told_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no such file"):
        read_benchmarks([tmp_path / "none.jsonl"])
    with pytest.raises(UserError, match="holds no file that ends in"):
        read_benchmarks([tmp_path])


def test_bytes_that_are_no_text_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"question": "\xff\xfe"}\n')
    with pytest.raises(UserError, match="UTF-8"):
        read(path)
