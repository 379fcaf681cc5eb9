"""The metric: its one number, its words, and each of its parts."""

from __future__ import annotations

from typing import Any

import dspy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glan_dspy.errors import UserError
from glan_dspy.optimize import parts_curriculum as curriculum
from glan_dspy.optimize import parts_pair as pair
from glan_dspy.optimize.metric import LEFT, STAGES, Metric, Score
from glan_dspy.optimize.parts_form import answer_form, question_form
from glan_dspy.optimize.parts_others import Others
from glan_dspy.optimize.parts_words import repeated, stems, term
from glan_dspy.optimize.rows import Row, example_of
from glan_dspy.records import ClassSession, Discipline, Sample, Subject, Syllabus, subject_id, syllabus_id
from glan_dspy.signatures import SubjectOutline
from tests.gates.odd import ODD, odd_text
from tests.gates.scored import rows_of
from tests.optimize.pairs import HONEST, ROW, SAMPLE, SUBJECT, SYLLABUS, score

EN, KO = HONEST["English"], HONEST["Korean"]


def row_of(subject: str, *sessions: tuple[str, ...], level: int = 300) -> Row:
    """A row whose sample is the first session with all its concepts."""
    identity = subject_id(Discipline(name="Anything"), subject)
    return Row(
        split="val",
        discipline="Anything",
        subject=Subject(id=identity, discipline="Anything", name=subject, level=level, subtopics=("basics", "uses")),
        syllabus=Syllabus(
            id=syllabus_id(identity),
            subject_id=identity,
            sessions=tuple(ClassSession(name=f"About {names[0]}", key_concepts=names) for names in sessions),
        ),
        sample=Sample(strategy="single", sessions=(0,), concepts=(sessions[0],)),
    )


def judged(judge: Any, question: str = KO.question, answer: str = KO.answer, language: str = "Korean") -> Score:
    metric = Metric(language, judge=judge)
    return metric(example_of(ROW, language), dspy.Prediction(question=question, answer=answer))


# --- the number ----------------------------------------------------------------------------------


def test_the_value_is_the_product_over_the_parts() -> None:
    told = score("English", f"Question: {EN.question}", EN.answer)
    assert {part: value for part, value in told.parts.items() if value < 1} == {"question.format": 0.5}
    assert told.value == pytest.approx(LEFT + (1 - LEFT) * 0.5)


def test_each_further_fault_costs_more() -> None:
    one = score("Korean", KO.question, EN.answer)
    two = score("Korean", EN.question, EN.answer)
    assert 1 == score("Korean", *KO).value > one.value > two.value > 0


def test_a_stage_that_gave_nothing_is_worth_nothing_and_says_why() -> None:
    missing = dspy.Prediction(question=EN.question, failed="truncated: the reply reached its token limit")
    told = Metric("English")(example_of(ROW, "English"), missing)
    assert told.value == 0 and told.parts["answer.given"] == 0
    assert "the answer is missing or empty (truncated: the reply reached its token limit)" in told.words


def test_one_stage_alone_is_not_blamed_for_the_other() -> None:
    pairs = dspy.Prediction(question=EN.question, answer="")
    metric, example = Metric("English"), example_of(ROW, "English")
    assert metric(example, pairs, stage="question").value == 1
    assert metric(example, pairs, stage="answer").value == 0


def test_a_stage_alone_is_told_of_itself_only() -> None:
    told = score("Korean", EN.question, KO.answer, stage="question")
    assert told.words.startswith("Question: It is not in Korean") and "Answer" not in told.words
    assert all(name.startswith("question.") for name in told.parts)


def test_the_words_name_what_is_missing_and_what_would_be_right() -> None:
    told = score(
        "English", EN.question.replace("coherence length", "purity").replace("path difference", "gap"), EN.answer
    )
    assert 'It does not use "path difference" and "coherence length"' in told.words
    assert '"path difference", "coherence length" and "diffraction grating" together' in told.words


def test_nothing_wrong_is_said_so() -> None:
    assert score("English", *EN).words.count("nothing is wrong") == 2


def test_an_unknown_stage_is_a_users_error() -> None:
    with pytest.raises(UserError, match="stage 'questions' is unknown; --stage is one of subjects, syllabus, question"):
        Metric("English", stages=("questions",))


def test_equal_calls_in_equal_order_score_equally() -> None:
    def run() -> list[Score]:
        metric = Metric("English")
        calls = [(EN, ROW), (KO, ROW), (EN, row_of("Other", ("path", "lamp"))), (EN, ROW)]
        return [metric(example_of(row, "English"), dspy.Prediction(**one._asdict())) for one, row in calls]

    assert run() == run()


@settings(max_examples=60)
@given(odd_text(), odd_text(), st.sampled_from(["English", "Korean", "Zulu", "Thai"]))
def test_no_text_raises_and_every_value_is_a_share(question: str, answer: str, language: str) -> None:
    told = score(language, question, answer)
    assert 0 <= told.value <= 1 and all(0 <= value <= 1 for value in told.parts.values())


@pytest.mark.parametrize("text", ODD.values(), ids=ODD.keys())
def test_odd_texts_score_without_an_error(text: str) -> None:
    text = text[:50_000]
    assert 0 <= score("English", text, text).value <= 1


FAULTY: dict[str, dict[str, Any]] = {
    "question.language": {"question": KO.question},
    "question.format": {"question": f"Question: {EN.question}"},
    "question.self_contained": {"question": f"{EN.question} Use the table above."},
    "question.length": {"question": "Find it."},
    "question.said_once": {"question": f"{EN.question} {EN.question}"},
    "question.own_words": {"question": "Path difference, coherence length, diffraction grating."},
    "question.concepts": {"question": "Find the path difference of two lamps."},
    "question.level": {"question": f"{EN.question} At which Brewster angle?"},
    "answer.language": {"answer": KO.answer},
    "answer.format": {"answer": f"Answer: {EN.answer}"},
    "answer.whole": {"answer": "DO NOT KNOW"},
    "answer.length": {"answer": "254 lines."},
    "answer.said_once": {"answer": f"{EN.answer} {EN.answer}"},
    "answer.related": {"answer": "The lender is deceived, so the promise is broken whether or not he finds out."},
    "answer.adds": {"answer": EN.question},
    "subjects.language": {"subjects": [SubjectOutline(name=KO.question, level=100, subtopics=[KO.answer])]},
    "subjects.distinct": {"subjects": [SubjectOutline(name="Optics", level=100, subtopics=["a", "b"])] * 2},
    "subjects.covering": {"subjects": [SubjectOutline(name="Optics", level=100, subtopics=["a"])]},
    "syllabus.language": {"sessions": [ClassSession(name=KO.question, key_concepts=(KO.answer,))]},
    "syllabus.distinct": {"sessions": [SYLLABUS.sessions[0]] * 2},
    "syllabus.ordered": {"sessions": [ClassSession(name=f"Part {n}", key_concepts=("a", "b")) for n in (2, 1)]},
    "syllabus.sized": {"sessions": [ClassSession(name="Light", key_concepts=("rays",))]},
    "syllabus.covering": {"sessions": SYLLABUS.sessions[:2]},
}


@pytest.mark.parametrize(("part", "made"), FAULTY.items(), ids=FAULTY.keys())
def test_every_part_finds_its_fault_and_lowers_the_value(part: str, made: dict[str, Any]) -> None:
    stage = part.partition(".")[0]
    prediction = dspy.Prediction(**{**EN._asdict(), **made})
    told = Metric("English", stages=STAGES)(example_of(ROW, "English"), prediction, stage)
    assert told.parts[part] < 1 and told.value < 1


def test_no_part_is_without_its_fault_above() -> None:
    metric, example = Metric("English", stages=STAGES), example_of(ROW, "English")
    whole = dspy.Prediction(subjects=SUBJECTS, sessions=list(SESSIONS), **EN._asdict())
    parts = {name for name in metric(example, whole).parts if not name.endswith((".given", ".for_this_row"))}
    assert parts == set(FAULTY)


# --- the judge, and what is left out ---------------------------------------------------------------


def test_without_a_judge_concepts_level_and_correctness_are_left_out_in_another_language() -> None:
    metric = Metric("Korean")
    assert set(metric.left_out) == {"question.concepts", "question.level", "answer.correct"}
    told = metric(example_of(ROW, "Korean"), dspy.Prediction(**KO._asdict()))
    assert not set(metric.left_out) & set(told.parts)
    assert "judge" in metric.left_out["question.concepts"]


def test_in_the_language_of_the_curriculum_only_correctness_is_left_out() -> None:
    assert set(Metric("English").left_out) == {"answer.correct"}


def test_a_curriculum_in_the_language_itself_puts_its_words_back() -> None:
    row = row_of("Optik der Wellen", ("Gangunterschied der Strahlen", "Länge der Kohärenz", "Strichgitter der Beugung"))
    metric, german = Metric("German"), HONEST["German"]
    told = metric(example_of(row, "German"), dspy.Prediction(**german._asdict()))
    assert told.parts["question.concepts"] == 1 and "question.concepts" not in metric.left_out


def test_a_language_that_cannot_be_told_is_left_out_and_said() -> None:
    metric = Metric("Zulu")
    told = metric(example_of(ROW, "Zulu"), dspy.Prediction(**EN._asdict()))
    assert "question.language" not in told.parts and "Zulu" in metric.left_out["question.language"]


def test_what_a_judge_says_is_part_of_the_value_and_of_the_words() -> None:
    told = judged(lambda example, prediction: {"concepts": 0.5, "level": 1.0, "correct": 0.0})
    assert told.parts["question.concepts"] == 0.5 and told.parts["answer.correct"] == 0
    assert told.value == pytest.approx((LEFT + (1 - LEFT) * 0.5) * LEFT)
    assert "must make the student use" in told.words and "answer must be right" in told.words


def test_with_a_judge_nothing_is_left_out() -> None:
    assert Metric("Korean", judge=lambda example, prediction: {}).left_out == {}


def test_a_judge_decides_over_the_words() -> None:
    told = judged(lambda *_: {"concepts": 0.25}, EN.question, EN.answer, "English")
    assert told.parts["question.concepts"] == 0.25


def test_a_judge_cannot_excuse_a_question_that_needs_what_is_not_there() -> None:
    told = judged(lambda *_: {"self_contained": 1.0}, f"{EN.question} Use the table above.", EN.answer, "English")
    assert told.parts["question.self_contained"] == 0


def test_a_judge_is_not_asked_about_half_a_pair() -> None:
    def never(*_: Any) -> dict[str, float]:
        raise AssertionError("asked")

    assert judged(never, KO.question, " ").value == 0


@pytest.mark.parametrize("said", [7.0, -1.0, float("nan"), float("inf")])
def test_a_judge_cannot_leave_the_scale(said: float) -> None:
    assert 0 <= judged(lambda *_: {"correct": said}).parts["answer.correct"] <= 1


# --- honest work of other kinds ----------------------------------------------------------------------

PROOF = (
    row_of("Abstract Algebra", ("coset", "normal subgroup"), ("ideal", "quotient ring")),
    "Let $G$ be a finite group and $H$ a subgroup of index 2. Compare the left cosets of $H$ with its right cosets and "
    "prove that $H$ is a normal subgroup. Then show, inside the symmetric group $S_3$, that index 3 does not suffice.",
    "Since the index is 2, there are two left cosets, $H$ and $G \\setminus H$, and the same two right cosets. For "
    "$g \\notin H$ both $gH$ and $Hg$ are the complement of $H$, so $gH = Hg$ and $H$ is normal.\n\nIn $S_3$ take "
    "$K = \\{e, (12)\\}$, of index 3. With $g = (13)$ we get $gK = \\{(13), (123)\\}$ and $Kg = \\{(13), (132)\\}$. "
    "These differ, so $K$ is not normal.",
)
PROGRAM = (
    row_of("Introduction to Programming", ("loop invariant", "off-by-one error"), ("parameter", "recursion")),
    "The function below should return the sum of the first n numbers of a list, but an off-by-one error makes it skip "
    "one of them.\n\n```python\ndef total(xs, n):\n    s = 0\n    for i in range(1, n):\n        s += "
    "xs[i]\n    return s\n"
    "```\n\nFind the error, correct the code, and state a loop invariant that proves the corrected version right.",
    "The loop starts at index 1, so `xs[0]` is never added: that is the off-by-one error. Start at 0 instead:\n\n"
    "```python\ndef total(xs, n):\n    s = 0\n    for i in range(n):\n        s += xs[i]\n    return s\n```\n\nThe "
    "invariant: before the pass with index i, s holds the sum of xs[0] to xs[i-1]. It is true at first, "
    "when s is 0 and "
    "nothing was added; each pass keeps it; after the last pass i is n, so s is the sum of the first n numbers.",
)
ESSAY = (
    row_of("Introduction to Ethics", ("categorical imperative", "perfect duty", "maxim"), ("virtue", "golden mean")),
    "Mara promises to repay a loan although she knows that she will not be able to. State the maxim on "
    "which she acts and "
    "test it with Kant's categorical imperative. Does she break a perfect duty or an imperfect one? "
    "Defend your verdict "
    "against a critic who says that nobody would be harmed if the lender never finds out.",
    "Her maxim is: when I need money, I will promise to repay it though I know that I cannot. Made a universal law, it "
    "undoes itself, for where everyone promised so, nobody would lend, and the promise could not do its work. A maxim "
    "that cannot even be thought as a law breaks a perfect duty, so hers does.\n\nThe critic counts harm, but the test "
    "asks about the will, not about what follows from it. Mara uses the lender's trust as a mere means "
    "whether or not he "
    "finds out; secrecy changes what he feels, not how she treated him.",
)


@pytest.mark.parametrize(("row", "question", "answer"), [PROOF, PROGRAM, ESSAY], ids=["proof", "program", "essay"])
def test_proofs_programs_and_essays_score_high(row: Row, question: str, answer: str) -> None:
    told = score("English", question, answer, row)
    assert told.value > 0.7, told.words


# --- parts of a question ---------------------------------------------------------------------------

LABELLED = [
    "Question: ",
    "**Question 3:** ",
    "## Question\n",
    "Q: ",
    "Homework question: ",
    "질문: ",
    "【问题】",
    "問題：",
    "**Pregunta:** ",
    "Aufgabe 1: ",
    "Câu hỏi: ",
    "Swali: ",
    "السؤال: ",
    "Here is a question:\n\n",
    "Sure! ",
    "Certainly, here is a homework question for level 300:\n",
    "다음은 요청하신 문제입니다:\n",
    "以下は問題です：\n",
    "Voici la question :\n",
    "Aquí tienes una pregunta:\n",
]


@pytest.mark.parametrize("label", LABELLED)
def test_a_label_or_words_to_the_reader_before_the_question_are_found(label: str) -> None:
    assert question_form(label + EN.question, "English")[0] == 0.5


@pytest.mark.parametrize(
    "question",
    [
        "Consider the following problem: two trains leave at noon.",
        "The question of identity divides Locke and Reid. Who is right?",
        "Sure-footed mules carry 40 kg each. How many are needed for 1.2 t?",
        "Here are five measurements: 2, 3, 5, 8 and 13. Find their mean.",
        "다음 문제를 푸시오: x^2 = 9.",
        "Given:\n\n| x | y |\n|---|---|\n| 1 | 2 |\n\nFit a line.",
        "# Ohm's law\n\nA resistor of 5 ohms carries 2 A. Find the voltage.",
        "[Insulin] rises after a meal. Why?",
        "(a) Find x. (b) Find y. (c) Compare both, where x + y = 3 and x - y = 1.",
    ],
)
def test_a_question_that_opens_in_its_own_way_is_in_form(question: str) -> None:
    assert question_form(question, "English") == (1.0, "")


def test_the_corpus_of_innocent_questions_is_in_form_and_self_contained() -> None:
    innocent = [row for row in rows_of("leak") if not row["leak"]]
    assert [row for row in innocent if question_form(row["text"], "")[0] < 1] == []
    assert [row for row in innocent if pair.self_contained(row["text"], "")[0] < 1] == []


@pytest.mark.parametrize("where", ["as discussed in class", "in the previous exercise", "session 2 of this course"])
def test_a_question_that_leans_on_a_lesson_is_not_self_contained(where: str) -> None:
    assert pair.self_contained(f"Compute the mean of 2 and 3 {where}.", "English")[0] == 0


def test_one_concept_of_three_counts_a_third_and_a_session_left_out_counts_more() -> None:
    single = Sample(strategy="single", sessions=(0,), concepts=(("path difference", "coherence length", "thin film"),))
    assert pair.uses_concepts("A thin film floats.", single)[0] == pytest.approx(1 / 3, abs=0.001)
    both = "How does the path difference compare with the coherence length?"
    assert pair.uses_concepts(both, SAMPLE)[0] == 0.4
    assert pair.uses_concepts(f"{both} Use a diffraction grating.", SAMPLE) == (1.0, "")


def test_other_forms_of_a_concepts_words_count() -> None:
    sample = Sample(strategy="single", sessions=(0,), concepts=(("pH", "weak acids", "titration curve"),))
    assert pair.uses_concepts("Titrate a weak acid and draw the curve of its pH.", sample) == (1.0, "")


def test_a_concept_that_is_taught_later_is_beyond_the_level() -> None:
    value, words = pair.learned_only(f"{EN.question} At which Brewster angle?", SAMPLE, SYLLABUS)
    assert value == 0.5 and '"Brewster angle"' in words
    assert pair.learned_only(EN.question, SAMPLE, SYLLABUS) == (1.0, "")


def test_a_question_of_the_curriculums_own_words_has_few_of_its_own() -> None:
    assert pair.own_words("Relate path difference, coherence length and diffraction.", SUBJECT, SYLLABUS)[0] == 0
    assert pair.own_words(EN.question, SUBJECT, SYLLABUS) == (1.0, "")


def test_the_language_of_a_text_is_named_where_it_is_wrong() -> None:
    told = pair.in_language(EN.question, "Korean")
    assert told is not None and told[0] == 0 and "English where Korean was asked for" in told[1]
    assert pair.in_language(KO.question, "Korean") == (1.0, "")


def test_a_text_that_says_half_of_itself_again_says_nothing_once() -> None:
    assert pair.said_once(f"{EN.question} {EN.question} {EN.question}")[0] == 0
    assert pair.said_once(EN.question) == (1.0, "")


def test_length_rises_to_enough_and_falls_beyond_the_limit() -> None:
    values = [pair.long_enough("word " * count, 20, 60, 100)[0] for count in (1, 10, 15, 70, 100, 200)]
    assert values[0] == values[5] == 0 and values[2] == values[3] == 1
    assert 0 < values[1] < 1 and 0 < values[4] < 1


def test_a_text_said_twice_repeats_half_of_itself() -> None:
    assert repeated(EN.question) == 0
    assert repeated(f"{EN.question} {EN.question}") == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Waves, waved", ["wave", "waved"]),
        ("격자는 격자를", ["격자", "격자"]),
        ("光路差", ["光路", "路差"]),
        ("0.30 mm", ["0.30", "mm"]),
        ("प्रश्नों", ["प्रश्"]),
        ("", []),
    ],
)
def test_forms_of_a_word_have_one_stem(text: str, expected: list[str]) -> None:
    assert stems(text) == expected


def test_a_concept_of_little_words_still_has_stems() -> None:
    assert term("to be") and term("pH") == {"ph"}


# --- parts of an answer ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "label", ["Answer: ", "**Solution:**\n", "답변: ", "Sure! ", "Here is the answer:\n", "解答："]
)
def test_a_label_before_the_answer_is_found(label: str) -> None:
    assert answer_form(label + EN.answer)[0] == 0.5


def test_an_answer_that_is_a_program_alone_is_in_form() -> None:
    assert answer_form("```python\nprint(sum(range(10)))\n```") == (1.0, "")


def test_the_corpora_of_innocent_answers_are_in_form_and_whole() -> None:
    answers = [row["text"] for row in rows_of("refusal") if not row["refusal"]]
    assert [text for text in answers if answer_form(text)[0] < 1 or pair.whole(text, 2048)[0] < 1] == []


def test_an_answer_adds_to_its_question_and_takes_it_up() -> None:
    assert pair.adds(EN.question, EN.answer) == pair.related(EN.question, EN.answer) == (1.0, "")
    assert pair.adds(EN.question, EN.question)[0] == 0
    assert pair.related(EN.question, ESSAY[2])[0] == 0


def test_an_answer_at_its_limit_in_the_middle_of_a_sentence_is_not_whole() -> None:
    assert pair.whole("The lamp shines and the " * 10, limit=60)[0] == 0
    assert pair.whole("The lamp shines and the " * 10, limit=600)[0] == 1


def test_a_text_belongs_to_the_row_that_had_it_first() -> None:
    others = Others()
    assert [others.unlike(row, EN.question)[0] for row in ("a", "a", "b", "a")] == [1, 1, 0, 1]
    assert others.unlike("b", EN.question.replace("500", "1200"))[0] == 0
    assert others.unlike("b", EN.answer)[0] == 1


# --- the curriculum ----------------------------------------------------------------------------------

SUBJECTS = [
    SubjectOutline(name="Geometrical Optics", level=100, subtopics=["lenses", "mirrors"]),
    SubjectOutline(name="Wave Optics", level=300, subtopics=["interference", "diffraction"]),
    SubjectOutline(name="Quantum Optics", level=700, subtopics=["photon states", "cavities"]),
]


def curriculum_score(language: str = "English", **made: Any) -> Score:
    metric = Metric(language, stages=tuple(made) if "sessions" not in made else ("syllabus",))
    return metric(example_of(ROW, language), dspy.Prediction(**made))


def test_a_good_list_of_subjects_and_a_good_syllabus_score_high() -> None:
    assert curriculum_score(subjects=SUBJECTS).value == 1
    assert curriculum_score(sessions=list(SYLLABUS.sessions)).value == 1


@pytest.mark.parametrize(
    "subjects",
    [
        [],
        SUBJECTS[:1] * 5,
        [SubjectOutline(name=f"Optics {n}", level=100 * n, subtopics=["light", "lenses"]) for n in range(1, 7)],
        [one.model_copy(update={"level": 300, "subtopics": ["optics"]}) for one in SUBJECTS],
        [SubjectOutline(name=" ", level=100, subtopics=["a", "b"])],
    ],
    ids=["none", "one five times", "numbered", "one level and one subtopic", "nameless"],
)
def test_a_careless_list_of_subjects_scores_low(subjects: list[SubjectOutline]) -> None:
    assert curriculum_score(subjects=subjects).value < 0.4


SESSIONS = SYLLABUS.sessions


@pytest.mark.parametrize(
    "sessions",
    [
        [],
        [SESSIONS[0]] * 4,
        [SESSIONS[0].model_copy(update={"name": f"Session {n}"}) for n in range(1, 5)],
        [one.model_copy(update={"key_concepts": ("light",)}) for one in SESSIONS],
        [one.model_copy(update={"key_concepts": (EN.question,) * 3}) for one in SESSIONS],
    ],
    ids=["none", "one four times", "numbered", "one concept for all", "sentences for terms"],
)
def test_a_careless_syllabus_scores_low(sessions: list[ClassSession]) -> None:
    assert curriculum_score(sessions=sessions).value < 0.4


def test_a_curriculum_in_another_language_scores_low() -> None:
    assert curriculum_score("Korean", subjects=SUBJECTS).value < 0.4
    assert curriculum_score("Korean", sessions=list(SESSIONS)).value < 0.4


@pytest.mark.parametrize(
    "names",
    [
        ("Week 2: Waves", "Week 1: Rays", "Week 3: Photons"),
        ("Waves", "Photons", "Introduction to Light"),
        ("Final Review", "Waves", "Photons", "Lasers"),
        ("파동", "광자", "광학 입문"),
    ],
)
def test_sessions_out_of_order_lose_half(names: tuple[str, ...]) -> None:
    sessions = [ClassSession(name=name, key_concepts=("one", "two")) for name in names]
    assert curriculum.sessions_ordered(sessions)[0] == 0.5


def test_sessions_that_leave_a_subtopic_out_are_told() -> None:
    value, words = curriculum.sessions_cover(SESSIONS[:2], SUBJECT)
    assert value == pytest.approx(2 / 3, abs=0.001) and '"polarization"' in words


def test_one_syllabus_for_all_subjects_scores_low() -> None:
    metric = Metric("English", stages=("syllabus",))
    made = dspy.Prediction(sessions=list(SESSIONS))
    assert metric(example_of(ROW, "English"), made).value == 1
    assert metric(example_of(row_of("Other", ("lamp", "lens")), "English"), made).value < 0.4


def test_all_stages_at_once_are_one_product() -> None:
    metric = Metric("English", stages=STAGES)
    made = dspy.Prediction(subjects=SUBJECTS, sessions=list(SESSIONS), **EN._asdict())
    assert metric(example_of(ROW, "English"), made).value == 1
