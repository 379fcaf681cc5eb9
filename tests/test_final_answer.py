"""What an answer ends in, and when two of them say the same."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glan_dspy.final_answer import agree, final_answer


@pytest.mark.parametrize(
    ("text", "ends_in"),
    [
        (r"… so that \boxed{\frac{1}{2}} is left.", "1/2"),
        (r"First \boxed{3}, and then $$v = \boxed{12.5\,\text{m/s}}$$", "12.5"),
        (r"\boxed{\text{B}}", "B"),
        ("Answer: (B), since it floats.\n\nThe others sink, as 1 of 4 does.", "B"),
        ("**Answer:** $x = -3$", "-3"),
        ("The correct option is (D).", "D"),
        ("### Final answer\n\n**C**", "C"),
        ("따라서 정답은 1,234입니다.", "1234"),
        ("因此答案是42。", "42"),
        ("答えは 12 個です。", "12"),
        ("उत्तर: ४२", "42"),
        ("الجواب هو ٣٫١٤", "3.14"),
        ("Die Antwort ist 3,14 m.", "3.14"),
        ("Ответ: −5", "-5"),
        ("Đáp án là 7", "7"),
        ("The mass is therefore **4.2 kg**.", "4.2"),
        ("a = 4.2 m/s^2", "4.2"),
        (r"x = 1.5 \times 10^{8} m", "1.5e8"),
        ("1.5 × 10⁸ m/s²", "1.5e8"),
        ("In all 1,00,000 rupees", "100000"),
        ("In all 1.234.567,5 euros", "1234567.5"),
        ("In all 1,234,567.5 dollars", "1234567.5"),
        ("That leaves 2/3.", "2/3"),
    ],
)
def test_an_answer_ends_in_a_number_or_a_choice(text: str, ends_in: str) -> None:
    assert final_answer(text) == ends_in


@pytest.mark.parametrize(
    "text",
    [
        "",
        "… which explains the war.",
        "In 1789 the revolution began, and much followed from it in all of Europe.",
        "The gas is CO2",
        "Answer: A good idea",
        "Answer: 1/0",
        "It holds for x_1",
        "A\nlong story",
    ],
)
def test_prose_ends_in_neither(text: str) -> None:
    assert final_answer(text) is None


@pytest.mark.parametrize(
    ("one", "other"), [("3.14", "3.1416"), ("1/3", "0.33"), ("1.5e8", "150000000"), ("42", "42.0"), ("-3", "-3")]
)
def test_numbers_agree_up_to_the_rounding_of_the_coarser(one: str, other: str) -> None:
    assert agree(one, other) and agree(other, one)


@pytest.mark.parametrize(
    ("one", "other"), [("100", "101"), ("3", "-3"), ("B", "C"), ("B", "2"), ("2", "B"), ("42", None), ("1/2", "1/3")]
)
def test_others_do_not(one: str, other: str | None) -> None:
    assert not agree(one, other)


@given(
    st.text(max_size=300)
    | st.text(alphabet=r"0123456789.,/eE+-^{}\×* 10boxedanswer:is=()ABC٣४", max_size=80)
    | st.from_regex(r"(Answer: |\\boxed\{)?[-+]?\d{0,40}[.,/]?\d{0,40}(e\d{0,6})?(\}| m)?", fullmatch=True)
)
def test_whatever_the_text_the_result_is_a_letter_or_a_number_that_agrees_with_itself(text: str) -> None:
    found = final_answer(text)
    if found is not None:
        assert found in "ABCDE" or isinstance(Fraction(found), Fraction)
        assert agree(found, found)


@given(st.integers(-(10**12), 10**12))
def test_a_whole_number_is_found_however_its_thousands_are_marked(number: int) -> None:
    plain = str(number)
    assert final_answer(f"The result: {number:,} apples.") == plain
    assert final_answer(f"Answer: {number:,}") == plain
    assert final_answer(f"x = {number}") == plain
