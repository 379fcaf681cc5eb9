"""The disciplines file: read, refused, written, voted on."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glan_dspy.errors import UserError
from glan_dspy.outline import (
    Entry,
    named_disciplines,
    parse_outline,
    problem_with,
    read_disciplines,
    read_outline,
    vote,
    write_outline,
)
from glan_dspy.records import Discipline, normalise, slug

ROOT = Path(__file__).parent.parent


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "list.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def entries_of(text: str) -> list[Entry]:
    return list(parse_outline(Path("list.txt"), text))


def names_in(text: str) -> list[str]:
    return [entry.name for entry in entries_of(text)]


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        read_disciplines(path)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 400
    assert str(path) in message
    return message


# --- reading --------------------------------------------------------------------------------------


def test_headings_group_the_lines_below_them() -> None:
    text = "Zero\n# Science\nOptics\n## Life\nBotany\n## Earth\nGeology\n\n# Arts\nDance\n"
    assert entries_of(text) == [
        Entry("", "", "Zero", 1),
        Entry("Science", "", "Optics", 3),
        Entry("Science", "Life", "Botany", 5),
        Entry("Science", "Earth", "Geology", 7),
        Entry("Arts", "", "Dance", 10),
    ]


def test_a_file_as_an_editor_saves_it_is_read(tmp_path: Path) -> None:
    path = write(tmp_path, "\ufeff# Science\r\n\r\n  Optics  \r\n\tWave   mechanics\r\n \r\n#Arts\r\nDance")
    assert read_disciplines(path) == (
        Discipline(name="Optics", field="Science"),
        Discipline(name="Wave mechanics", field="Science"),
        Discipline(name="Dance", field="Arts"),
    )


def test_a_struck_line_is_left_out() -> None:
    assert names_in("Optics\n-Alchemy\n- Astrology\n  -  Phrenology\n-- Numerology\nBotany") == ["Optics", "Botany"]


def test_a_struck_heading_takes_all_below_it() -> None:
    text = "# A\na1\n## B\nb1\n- ## C\nc1\n## D\nd1\n-# E\ne1\n## F\nf1\n# G\ng1"
    assert names_in(text) == ["a1", "b1", "d1", "g1"]


def test_a_struck_sub_field_ends_where_the_next_field_begins() -> None:
    assert names_in("# A\n-## B\nb1\n# C\nc1\n## D\nd1") == ["c1", "d1"]


def test_a_struck_line_may_hold_anything() -> None:
    assert names_in("-../../etc/passwd\n- " + "x" * 10_000 + "\nOptics") == ["Optics"]


@pytest.mark.parametrize(
    "name",
    [
        "TCP/IP networks",
        "I/O and storage",
        "Client/server computing",
        "C# and .NET",
        ".NET programming",
        "24/7 operations...",
        "Aerospace (incl. ballistics) & propulsion, advanced",
        "광학",
        "光学工程",
        "البصريات",
        "प्रकाशिकी",
        "Оптика",
        "ทัศนศาสตร์",
        "Vật lý đại cương",
        "Señales y sistemas — ñandú",
        "Emoji studies 😀👩‍🔬",
        "A",
        "x" * 200,
    ],
)
def test_names_in_any_script_and_with_slashes_are_names(tmp_path: Path, name: str) -> None:
    assert read_disciplines(write(tmp_path, name)) == (Discipline(name=name),)
    assert named_disciplines([name]) == (Discipline(name=name),)


# --- refusing -------------------------------------------------------------------------------------

BAD_LINES = {
    "/etc/passwd": "path",
    "../secrets": "path",
    "./list.txt": "path",
    "~/.ssh/id_rsa": "path",
    "C:\\Windows\\System32": "path",
    "c:/temp": "path",
    "\\\\server\\share": "path",
    "a/../../b": "path",
    "a\\..\\b": "path",
    "..": "path",
    "x" * 201: "201 characters",
    "lorem ipsum " * 900: "characters",
    "Opt\x00ics": "control",
    "Opt\x07ics": "control",
    "\x1b[31mOptics\x1b[0m": "control",
    "Opt\tics": "control",
    "Opt\x7fics": "control",
}


@pytest.mark.parametrize(("line", "why"), BAD_LINES.items(), ids=range(len(BAD_LINES)))
def test_a_line_that_is_no_name_is_refused_with_its_number(tmp_path: Path, line: str, why: str) -> None:
    message = refusal(write(tmp_path, f"# Field\n\nBotany\n{line}\nGeology\n"))
    assert "line 4" in message
    assert why in message


@pytest.mark.parametrize("character", ["\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85"])
def test_a_control_character_that_python_takes_for_a_line_end_is_refused(tmp_path: Path, character: str) -> None:
    assert "line 2" in refusal(write(tmp_path, f"Botany\nOpt{character}ics\n"))


def test_a_line_number_is_the_editors() -> None:
    assert entries_of("Arts\u2028and crafts\nOptics")[-1].line == 2


@pytest.mark.parametrize(
    "twin",
    ["Wave Optics", "WAVE OPTICS", "wave  optics", " Wave\u00a0Optics ", "Ｗａｖｅ Ｏｐｔｉｃｓ", "Wave\u3000Optics"],
)
def test_a_name_that_comes_twice_is_refused_with_both_lines(tmp_path: Path, twin: str) -> None:
    message = refusal(write(tmp_path, f"# A\nWave Optics\n# B\n\n{twin}\n"))
    assert "line 2" in message
    assert "line 5" in message


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    assert "UTF-8" in refusal(write(tmp_path, "Géologie".encode("latin-1")))
    assert "UTF-8" in refusal(write(tmp_path, "Optics\n".encode("utf-16")))
    assert "byte 7" in refusal(write(tmp_path, b"Optics\n\xff\xfe"))


@pytest.mark.parametrize("text", ["", "\n\n", "\ufeff", "# Science\n## Life\n", "- Optics\n-# A\nDance\n"])
def test_a_file_that_names_nothing_is_refused(tmp_path: Path, text: str) -> None:
    assert "no discipline" in refusal(write(tmp_path, text))


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    assert "--disciplines-filepath" in refusal(tmp_path / "missing.txt")
    assert "cannot read" in refusal(tmp_path)


@pytest.mark.parametrize(
    "names", [[""], ["  "], ["Optics", "optics"], ["../etc"], ["Op\ntics"], ["x" * 201], ["Optics", "\x00"]]
)
def test_a_bad_name_on_the_command_line_is_refused_in_one_line(names: list[str]) -> None:
    with pytest.raises(UserError, match="--discipline") as caught:
        named_disciplines(names)
    assert "\n" not in str(caught.value)


def test_names_on_the_command_line_are_the_disciplines_in_order() -> None:
    assert named_disciplines([" Wave   optics", "Dance"]) == (Discipline(name="Wave optics"), Discipline(name="Dance"))
    assert named_disciplines([]) == ()


def test_a_third_level_of_headings_is_no_discipline() -> None:
    with pytest.raises(UserError, match="line 2"):
        entries_of("# Science\n### Optics\nLenses")


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    try:
        entries = entries_of(text)
    except UserError as error:
        assert "\n" not in str(error)
    else:
        assert all(problem_with(entry.name) == "" for entry in entries)
        assert all(entry.name == " ".join(entry.name.split()) for entry in entries)


# --- writing --------------------------------------------------------------------------------------

words = st.text(alphabet="abcABC é광학-#/.", min_size=1, max_size=8).map(lambda text: " ".join(text.split()))
headings = words.filter(lambda text: text and not text.startswith(("#", "-")))
names = headings.filter(lambda name: not problem_with(name))


@st.composite
def outlines(draw: st.DrawFn) -> list[tuple[str, str, str]]:
    """Lines as a disciplines file groups them: each heading once, a field's own disciplines before its sub-fields."""
    lines = []
    for field in draw(st.one_of(st.just([""]), st.lists(headings, max_size=3, unique=True))):
        subs = ["", *draw(st.lists(headings, max_size=3, unique=True))]
        for sub in subs:
            lines += [(field, sub, name) for name in draw(st.lists(names, max_size=3))]
    return lines


@given(outlines())
def test_what_is_written_is_read_back(lines: list[tuple[str, str, str]]) -> None:
    assert [entry[:3] for entry in entries_of(write_outline(lines))] == lines


def test_a_written_file_is_one_to_edit() -> None:
    lines = [("Science", "", "Optics"), ("Science", "Life", "Botany"), ("Arts", "Stage", "Dance")]
    assert write_outline(lines) == "# Science\nOptics\n## Life\nBotany\n\n# Arts\n## Stage\nDance\n"


def test_the_same_sub_field_in_two_fields_is_headed_twice() -> None:
    lines = [("A", "Theory", "x"), ("B", "Theory", "y")]
    assert [entry[:3] for entry in entries_of(write_outline(lines))] == lines


def test_a_fields_own_discipline_after_a_sub_field_stays_its_own() -> None:
    lines = [("Science", "Life", "Botany"), ("Science", "", "Optics")]
    assert [entry[:3] for entry in entries_of(write_outline(lines))] == lines


# --- voting ---------------------------------------------------------------------------------------


def voted(*texts: str) -> list[str]:
    return [name for _, _, name in vote([entries_of(text) for text in texts])]


def test_what_most_people_kept_is_kept() -> None:
    assert voted("a\nb\nc", "a\n- b\nc", "a\nb\n- c") == ["a", "b", "c"]
    assert voted("a\nb", "a\n-b", "-a\n-b") == ["a"]


def test_a_tie_loses() -> None:
    assert voted("a\nb", "a") == ["a"]
    assert voted("a", "a", "b", "b") == []


def test_one_voter_decides_alone_and_none_decides_nothing() -> None:
    assert voted("a\nb") == ["a", "b"]
    assert vote([]) == []
    assert voted("") == []


def test_a_removed_field_takes_its_descendants() -> None:
    mine, struck = "# A\n## S\nx\ny\n# B\nz", "-# A\n## S\nx\ny\n# B\nz"
    assert voted(mine, struck, struck) == ["z"]
    assert voted(mine, mine, struck) == ["x", "y", "z"]


def test_a_removed_sub_field_takes_its_disciplines() -> None:
    mine, struck = "# A\nw\n## S\nx", "# A\nw\n-## S\nx"
    assert voted(mine, struck, struck) == ["w"]


def test_a_node_added_by_most_is_added() -> None:
    assert voted("# A\nx", "# A\nx\nnew", "# A\nx\nnew\n# B\nalso", "# A\n# B\nalso\nx") == ["x"]
    assert voted("# A\nx", "# A\nx\nnew", "# A\nx\nnew") == ["x", "new"]
    assert vote([entries_of(text) for text in ("# A\nx", "# A\nx\n# B\ny", "# B\ny\n# A\nx")]) == [
        ("A", "", "x"),
        ("B", "", "y"),
    ]


def test_a_place_counts_as_a_part_of_the_vote() -> None:
    # Each voter moved it elsewhere: no place has a majority.
    assert voted("# A\nx", "# B\nx", "# C\nx") == []


def test_spelling_and_the_order_of_first_appearance_are_the_first_voters() -> None:
    assert voted("# A\nWave Optics\nDance", "# a\ndance\nwave optics", "-x") == ["Wave Optics", "Dance"]


def test_a_discipline_written_twice_by_one_voter_counts_once() -> None:
    assert voted("a\na\na", "b", "b") == ["b"]


def test_what_is_won_is_grouped_by_its_fields() -> None:
    first, second = "# A\nx\n# B\ny", "# A\nx\nz\n# B\ny"
    assert vote([entries_of(text) for text in (first, second, second)]) == [
        ("A", "", "x"),
        ("A", "", "z"),
        ("B", "", "y"),
    ]


small = st.sampled_from(["", "A", "B"])
ballots = st.lists(
    st.lists(st.builds(Entry, small, small, st.sampled_from("xyz"), st.just(1)), max_size=5), min_size=1, max_size=5
)


@given(ballots)
def test_a_discipline_wins_exactly_where_more_than_half_name_it_there(outlines: list[list[Entry]]) -> None:
    won = vote(outlines)
    support = Counter(place for entries in outlines for place in {entry[:3] for entry in entries})
    assert len(set(won)) == len(won)
    assert set(won) == {place for place, votes in support.items() if 2 * votes > len(outlines)}


def test_the_winners_survive_being_written() -> None:
    won = vote([entries_of(text) for text in ("# F\n## S\nx", "# F\ny\n## S\nx", "# F\ny")])
    assert [entry[:3] for entry in entries_of(write_outline(won))] == won


# --- the file we ship -----------------------------------------------------------------------------


def test_the_shipped_file_is_the_papers_table() -> None:
    disciplines = read_disciplines(ROOT / "disciplines.txt")
    assert len(disciplines) == 123
    assert len({normalise(discipline.name) for discipline in disciplines}) == 123
    assert len({slug(discipline.name) for discipline in disciplines}) == 123
    assert set(Counter(discipline.field for discipline in disciplines)) == {
        "Academic-Humanities",
        "Academic-Social Science",
        "Academic-Natural Science",
        "Academic-Applied Science",
        "Academic-Formal Science",
        "Industry-Manufacturing",
        "Industry-Services",
        "Industry-Agriculture",
    }


def test_the_shipped_file_begins_with_a_heading() -> None:
    assert read_outline(ROOT / "disciplines.txt")[0] == Entry("Academic-Humanities", "", "American history", 2)
