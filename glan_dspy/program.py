"""GLAN: the stages composed. `forward()` walks ONE path down the tree; run/walk.py walks it whole.

    discipline -> subjects -> syllabus -> one sample -> question -> answer

This is what DSPy's optimizers compile and what tests drive. `named_predictors()` reads as the method:
taxonomy.design, subjects.list, subjects.draft, …, answer.write. All predictors exist whatever the settings,
so that one compiled state fits every recipe.
"""

from __future__ import annotations

import random
from hashlib import sha256
from pathlib import Path
from typing import Any

import dspy
import orjson

from glan_dspy.connect import Models
from glan_dspy.engines.background import run_sync
from glan_dspy.engines.rehearsal import is_rehearsal
from glan_dspy.errors import UserError
from glan_dspy.making import make_syllabus
from glan_dspy.records import Discipline, Sample, Subject, Syllabus, merge_subjects
from glan_dspy.sampling import sample_syllabus
from glan_dspy.settings import Settings
from glan_dspy.stages import AnswerWriter, Options, QuestionWriter, Subjects, SyllabusDesign, Taxonomy

STATE_VERSION = 1


class GLANPrediction(dspy.Prediction):
    """Everything made on one path."""

    discipline: Discipline
    subjects: tuple[Subject, ...]
    subject: Subject
    syllabus: Syllabus
    sample: Sample
    question: str
    answer: str


class GLAN(dspy.Module):
    """The whole method as one program.

    >>> glan = GLAN(Settings(language="English", model_name="rehearsal"))
    >>> glan.connect(connect(glan.settings))          # from glan_dspy.connect import connect
    >>> glan(discipline="Optics").answer
    """

    def __init__(self, settings: Settings | None = None) -> None:
        super().__init__()
        self.settings = s = settings or Settings()
        curriculum = Options(s.curriculum_temperature, s.top_p, s.curriculum_max_tokens, s.seed, s.draft_first)
        self.taxonomy = Taxonomy(curriculum)
        self.subjects = Subjects(curriculum)
        self.syllabus = SyllabusDesign(curriculum)
        self.question = QuestionWriter(Options(s.question_temperature, s.top_p, s.question_max_tokens, s.seed))
        self.answer = AnswerWriter(Options(s.answer_temperature, s.top_p, s.answer_max_tokens, s.seed), s.answer_sees)

    def connect(self, models: Models) -> GLAN:
        """Gives every stage its model. Without this DSPy's own `dspy.configure(lm=…)` serves all of them."""
        for stage in (self.taxonomy, self.subjects, self.syllabus):
            stage.set_lm(models.curriculum)
        self.question.set_lm(models.question)
        self.answer.set_lm(models.answer)
        return self

    def forward(self, discipline: str, language: str | None = None, seed: int = 0) -> GLANPrediction:
        return run_sync(self.aforward(discipline, language, seed))

    async def aforward(self, discipline: str, language: str | None = None, seed: int = 0) -> GLANPrediction:
        """One path, chosen by `seed`. Raises BadReply when a stage's reply cannot be used."""
        s, home = self.settings, Discipline(name=discipline)
        language = language or s.language
        outlines = (
            await self.subjects.acall(
                discipline=discipline,
                max_subjects=s.max_number_of_subjects,
                max_subtopics=s.max_number_of_subtopics,
                language=s.curriculum_language,
            )
        ).subjects
        subjects = merge_subjects(
            home,
            ((o.name, o.level, o.subtopics) for o in outlines),
            s.max_number_of_subjects,
            s.max_number_of_subtopics,
        )
        subject = random.Random(seed).choice(subjects)
        designed = await self.syllabus.acall(
            subject=subject, max_sessions=s.max_number_of_session_name, language=s.curriculum_language
        )
        syllabus = make_syllabus(subject, designed, s.max_number_of_session_name)
        # One sample has no room for a share: the seed decides between the strategies.
        double = len(syllabus.sessions) > 1 and random.Random(f"{seed}/strategy").random() < s.double_share
        sample = sample_syllabus(syllabus, 1, float(double), seed)[0]
        question = (
            await self.question.acall(subject=subject, syllabus=syllabus, sample=sample, language=language)
        ).question
        answer = (
            await self.answer.acall(question=question, language=language, subject=subject.name, level=subject.level)
        ).answer
        return GLANPrediction(
            discipline=home,
            subjects=subjects,
            subject=subject,
            syllabus=syllabus,
            sample=sample,
            question=question,
            answer=answer,
        )

    # --- state: JSON, without an LM, with the field names beside it ---------------------------------

    def state(self) -> dict[str, Any]:
        """Prompts and demos of every predictor; no model, no endpoint, no key."""
        bare = self.deepcopy()
        bare.set_lm(None)
        found: dict[str, Any] = bare.dump_state()
        return found

    @property
    def digest(self) -> str:
        """16 hex digits that change when any prompt or demo does; in run.json of every run."""
        return sha256(orjson.dumps(self.state(), option=orjson.OPT_SORT_KEYS, default=str)).hexdigest()[:16]

    def saved_state(self) -> dict[str, Any]:
        """The state with what it takes to refuse it where it does not fit."""
        import glan_dspy

        return {
            **self.state(),
            "metadata": {"dependency_versions": {"dspy": dspy.__version__}},
            "glan": {"state_version": STATE_VERSION, "glan_dspy": glan_dspy.__version__, "fields": self._fields()},
        }

    def save(self, path: str | Path, *args: Any, **kwargs: Any) -> None:
        """Writes the state as JSON."""
        Path(path).write_bytes(orjson.dumps(self.saved_state(), option=orjson.OPT_INDENT_2, default=str))

    def load(self, path: str | Path, *args: Any, **kwargs: Any) -> None:
        """Takes the prompts and demos of a saved program. Raises UserError for a file of another shape.

        DSPy restores fields by position: without this check a program saved from other signatures would
        load, and put each description on the wrong field.
        """
        state = read_state(Path(path))
        about = state.get("glan", {})
        fields = about.get("fields") if isinstance(about.get("fields", {}), dict) else {}
        for name, mine in self._fields().items():
            if name not in state:
                raise UserError(
                    f"program {path} has no predictor {name!r}: it was not saved from GLAN; "
                    "`glan optimize` makes one that fits"
                )
            if fields is not None and fields.get(name) != mine:
                raise UserError(
                    f"program {path} was saved from other fields of {name}: {fields.get(name)}, "
                    f"this version has {mine}; compile it again with `glan optimize`"
                )
            refuse_damage(path, name, state[name], len(mine))
        try:
            self.load_state({name: {**state[name], "lm": None} for name in self._fields()})
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise UserError(f"program {path} is damaged ({type(error).__name__}: {error}); compile it again") from error

    def _fields(self) -> dict[str, list[str]]:
        return {name: list(predictor.signature.fields) for name, predictor in self.named_predictors()}


def refuse_damage(path: str | Path, name: str, state: dict[str, Any], fields: int) -> None:
    """Raises UserError where a predictor's state is not one that DSPy can take over whole."""
    signature = state.get("signature")
    whole = (
        isinstance(signature, dict)
        and isinstance(signature.get("instructions"), str)
        and isinstance(signature.get("fields"), list)
        and isinstance(state.get("demos"), list)
    )
    if not whole:
        raise UserError(f"program {path} is damaged at {name}: instructions, fields or demos are missing")
    if len(state["signature"]["fields"]) != fields:
        raise UserError(
            f"program {path} has {len(state['signature']['fields'])} fields in {name}, this version has {fields}; "
            "compile it again with `glan optimize`"
        )


def read_state(path: Path) -> dict[str, Any]:
    try:
        state = orjson.loads(path.read_bytes())
    except OSError as error:
        raise UserError(f"cannot read the program {path}: {error.strerror}") from None
    except ValueError:
        raise UserError(f"program {path} is not JSON; `glan optimize -o {path}` writes one") from None
    if not isinstance(state, dict) or not all(isinstance(value, dict) for value in state.values()):
        raise UserError(f"program {path} is not the state of a DSPy program")
    return state


def open_program(settings: Settings) -> GLAN:
    """The program of these settings, with the compiled prompts of `settings.program` where it names a file."""
    glan = GLAN(settings)
    if settings.program:
        glan.load(settings.program)
    return glan


def misfits(settings: Settings) -> list[str]:
    """In a sentence each, how the program of these settings was tuned for something else; nothing where it fits.

    A program that was not tuned, or says nothing of it, fits everything.
    """
    if not settings.program:
        return []
    found: list[str] = []
    retuned: set[str] = set()
    for block in tuned_blocks(read_state(Path(settings.program))):
        stages = [stage for stage in block["stages"] if stage not in retuned]
        retuned.update(stages)
        found += [f"program {settings.program} was {told}" for told in _misfits_of(block, stages, settings) if stages]
    return list(dict.fromkeys(found))


def tuned_blocks(state: dict[str, Any]) -> list[dict[str, Any]]:
    """What the state says of its tuning, the last one first; a block that does not name its stages is no block."""
    last = state.get("tuned", {})
    earlier = last.get("earlier")
    blocks = [last, *(earlier if isinstance(earlier, list) else [])]
    return [block for block in blocks if isinstance(block, dict) and isinstance(block.get("stages"), list)]


def _misfits_of(block: dict[str, Any], stages: list[str], settings: Settings) -> list[str]:
    language = settings.language if {"question", "answer"} & set(stages) else settings.curriculum_language
    used = {"question": settings.question_model, "answer": settings.answer_model}
    asked = list(dict.fromkeys(used.get(stage, settings.curriculum_model) for stage in stages))
    models = block.get("models")
    model = models.get("task") if isinstance(models, dict) else None
    found = []
    if block.get("language", language) != language:
        found.append(f"tuned for {block['language']}, not for {language}")
    if model and (others := [name for name in asked if name != model]):
        found.append(f"tuned for model {model!r}, not for {others[0]!r}")
    if block.get("simulated") and not all(is_rehearsal(name) for name in asked):
        found.append("tuned on a simulated model: its prompts are a rehearsal's")
    return found
