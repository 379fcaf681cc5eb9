"""The sums and pictures of a report, on counts that can be done by hand."""

from __future__ import annotations

import doctest
from collections import Counter
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glan_dspy.publish.report import charts, lengths, numbers, page, sample, tree
from glan_dspy.publish.report.charts import in_level_order
from glan_dspy.publish.report.lengths import Lengths
from glan_dspy.publish.report.sample import First, longest
from glan_dspy.publish.report.spending import Spending
from glan_dspy.publish.report.timeline import BARS, Timeline
from glan_dspy.publish.report.tree import MOST, Grown, Node, as_json, room, whole_tree
from glan_dspy.records import Discipline, Subject


@pytest.mark.parametrize("module", [charts, lengths, numbers, page, sample, tree], ids=lambda module: module.__name__)
def test_the_examples_in_the_docstrings_are_true(module: ModuleType) -> None:
    assert doctest.testmod(module).failed == 0


# --- the tree ---------------------------------------------------------------------------------------------------


def grown(name: str, subjects: int, sessions: int) -> Grown:
    """A discipline with one record for each session of each subject."""
    listed = [
        Subject(id=f"s{n}", discipline=name, name=f"{name} {n}", level=100, subtopics=(), place=(n, subjects))
        for n in range(subjects)
    ]
    found = Grown(Discipline(name=name), listed)
    for subject in listed:
        for n in range(sessions):
            found.add({"subject": subject.name, "level": 100, "sessions": [f"session {n}"]})
    return found


def size(node: Node) -> int:
    return 1 + sum(map(size, node.children))


@pytest.mark.parametrize(("disciplines", "subjects", "sessions"), [(1, 300, 40), (123, 15, 30), (7_000, 2, 3)])
def test_a_tree_of_any_size_has_a_limited_number_of_parts_and_every_record(
    disciplines: int, subjects: int, sessions: int
) -> None:
    part = grown("D", subjects, sessions).cut(room(disciplines))
    root = whole_tree((f"field {n % 8}", part) for n in range(disciplines))
    assert size(root) <= MOST + 100 and root.records == disciplines * subjects * sessions
    if root.children[0].children:
        assert sum(node.records for node in root.children) == root.records


def test_what_finds_no_room_is_told_by_how_many_there_are() -> None:
    found = grown("Optics", 10, 1)
    for _ in range(5):
        found.add({"subject": "Optics 7", "level": 100, "sessions": ["session 0", "session 1"]})
    first, *others = found.cut(4).children
    assert (first.name, first.records) == ("Optics 7", 6)
    assert (others[-1].folded, others[-1].records) == (7, 7)
    assert as_json(found.cut(0)) == ["Optics", 15]


def test_rejects_are_counted_where_they_fell() -> None:
    found = grown("Optics", 2, 1)
    found.reject({"subject": "Optics 1", "sessions": ["session 0"]})
    found.reject({"name": "Optics 1", "subtopics": [], "level": 100})
    found.reject({"name": "Optics", "field": ""})
    optics = found.cut(10)
    assert optics.rejected == 3 and {one.name: one.rejected for one in optics.children} == {
        "Optics 0": 0,
        "Optics 1": 2,
    }
    assert optics.children[0].children[0].rejected == 1


def test_fields_are_left_out_where_there_are_no_two() -> None:
    one, two = Node("Optics", 3), Node("Dance", 2)
    assert [node.name for node in whole_tree([("", one), ("", two)]).children] == ["Optics", "Dance"]
    assert [node.name for node in whole_tree([("", one), ("Art", two)]).children] == ["Without a field", "Art"]


# --- lengths ----------------------------------------------------------------------------------------------------


def test_lengths_are_those_of_the_calls_and_others_estimated_by_them() -> None:
    found = Lengths()
    found.expect("a", "x" * 100)
    found.expect("b", "x" * 200)
    found.expect("", "x" * 51)
    found.expect(None, "x" * 40)
    found.came("a", 50)
    found.came("z", 7)
    found.close()
    found.end()
    assert found.estimated == 3 and found.tokens == Counter({50: 1, 100: 1, 26: 1, 20: 1})


def test_levels_stand_by_their_number_whatever_a_file_calls_a_level() -> None:
    levels = Counter({"high school": 1, "200": 1, "①": 1, "²": 1, "30": 1})
    assert [level for level, _ in in_level_order(levels)] == ["30", "200", "high school", "①", "²"]


def test_without_a_single_call_four_bytes_are_a_token() -> None:
    found = Lengths()
    found.expect("", "日本語で")
    found.end()
    assert found.tokens == Counter({3: 1})


@given(st.lists(st.integers(1, 5_000), min_size=1, max_size=60))
def test_a_histogram_has_every_text_in_a_column_inside_the_picture(tokens: list[int]) -> None:
    found = Lengths()
    found.tokens.update(tokens)
    drawn = charts.histogram(found)
    assert sum(int(one.title.split(": ")[1].split()[0].replace(",", "")) for one in drawn.columns) == len(tokens)
    assert len(drawn.columns) <= charts.BINS + 2 and max(one.height for one in drawn.columns) == 100
    assert all(one.x >= 0 and one.x + one.width <= 100.01 for one in drawn.columns)


# --- calls ------------------------------------------------------------------------------------------------------


def call(**more: object) -> dict[str, object]:
    line = {"id": "c", "stage": "answer.write", "prompt_tokens": 10, "completion_tokens": 5, "cost_usd": 0.5}
    return {**line, "finish_reason": "stop", "seconds": 2.0, "time": 1e9, **more}


def test_calls_are_summed_by_stage_in_the_order_of_a_run() -> None:
    found = Spending()
    assert found.add(call()) == 5
    assert found.add(call(reasoning_tokens=3, ask=1, finish_reason="length")) == 2
    assert found.add(call(stage="subjects.list", cost_usd=None, reserved_usd=0.25)) == 5
    assert found.add({"id": "d", "stage": "answer.write", "error": "ServerError", "reserved_usd": 0.1}) == 0
    assert list(found.stages) == ["subjects", "answer"]
    answer, whole = found.stages["answer"], found.whole
    assert (answer.calls, answer.again, answer.failed, answer.reasoning) == (2, 1, 1, 3)
    assert answer.cost == pytest.approx(1.1) and answer.seconds == 4
    assert (whole.calls, whole.prompt, whole.completion, whole.unpriced) == (3, 30, 15, 1)
    assert found.endings == Counter({("answer", "stop"): 1, ("answer", "length"): 1, ("subjects", "stop"): 1})
    assert found.errors == Counter({("answer", "ServerError"): 1})


@pytest.mark.parametrize(
    "odd",
    [
        {"stage": 3},
        {"id": None},
        {"prompt_tokens": "10"},
        {"completion_tokens": 1.5},
        {"cached_tokens": -1},
        {"cost_usd": "free"},
        {"seconds": [2]},
        {"time": 1e300},
        {"time": -1},
    ],
)
def test_an_edited_call_is_refused_and_counts_nowhere(odd: dict[str, object]) -> None:
    found = Spending()
    with pytest.raises(ValueError):
        found.add(call(**odd))
    assert found.stages == {} and found.time.drawn()[1] == []


@given(st.lists(st.integers(0, 40 * 86_400), min_size=1, max_size=40), st.integers(1, 39))
def test_a_timeline_has_every_call_in_few_bars_however_it_was_put_together(moments: list[int], at: int) -> None:
    whole, first, second = Timeline(), Timeline(), Timeline()
    for index, moment in enumerate(moments):
        for line in (whole, first if index < at else second):
            line.add(1e9 + moment, "answer", 10, 0.5)
    first.merge(second)
    width, bars = whole.drawn()
    assert (width, bars) == first.drawn() and len(bars) <= BARS
    assert sum(bar.stages.get("answer", [0])[0] for bar in bars) == len(moments)
    assert bars[0].start <= 1e9 + min(moments) and 1e9 + max(moments) < bars[-1].start + width


def test_a_timeline_of_very_many_moments_holds_few_bars() -> None:
    found = Timeline()
    for second in range(0, 30 * 86_400, 600):
        found.add(1e9 + second, "question", 1, 0.0)
    width, bars = found.drawn()
    assert width == 86_400 and len(bars) == 31
    assert sum(bar.stages["question"][0] for bar in bars) == 4_320


def test_a_stack_is_as_high_as_its_stages_together() -> None:
    found = Timeline()
    for stage, moment in (("question", 0), ("answer", 0), ("answer", 0), ("question", 5)):
        found.add(1e9 + moment, stage, 10, 0.0)
    drawn = charts.times(*found.drawn(), ["question", "answer"], numbers.money)
    calls, tokens = drawn.stacks
    assert (calls.name, calls.most, tokens.most) == ("Calls", "3", "30")
    first = [piece for piece in calls.pieces if piece.x < 10]
    assert [(piece.stage, round(piece.y), round(piece.height)) for piece in first] == [
        ("question", 67, 33),
        ("answer", 0, 67),
    ]


# --- the sample -------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 3_000), max_size=30), st.integers(0, 20_000))
def test_texts_are_cut_to_the_room_and_no_more_than_needed(sizes: list[int], space: int) -> None:
    limit = longest(sorted(sizes), space)
    taken = sum(min(size, limit) for size in sizes)
    assert taken <= space
    if any(size > limit for size in sizes):
        assert sum(min(size, limit + 1) for size in sizes) > space


@given(st.sets(st.text(max_size=8), max_size=40), st.randoms())
def test_the_first_ids_are_the_same_in_any_order_and_any_portions(ids: set[str], random: object) -> None:
    def first(some: list[str]) -> First:
        found = First(7)
        for id in some:
            found.offer(id, "folder")
        return found

    listed = sorted(ids)
    other = first(listed[len(listed) // 2 :])
    other.merge(first(listed[: len(listed) // 2]))
    assert first(listed[::-1]).best(5) == first(listed).best(5) == other.best(5)
