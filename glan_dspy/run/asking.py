"""What a walk asks its models, one item at a time: subjects, a syllabus, a question, an answer; each as a record."""

from __future__ import annotations

import asyncio
from typing import Any

from glan_dspy.engines.base import Call
from glan_dspy.errors import BadReply
from glan_dspy.making import make_instruction, make_question, make_syllabus
from glan_dspy.program import GLAN
from glan_dspy.records import Instruction, Question, Rejected, Subject, Syllabus, merge_subjects, syllabus_id
from glan_dspy.run.branch import Branch
from glan_dspy.run.crew import Crew
from glan_dspy.run.rounds import Candidate


class Asking:
    """Asks by the hands of a crew. What is on file already is not asked again."""

    def __init__(self, crew: Crew, glan: GLAN) -> None:
        self.crew, self.glan, self.settings = crew, glan, glan.settings

    async def subjects(self, branch: Branch) -> tuple[Subject, ...]:
        """The merged subjects of all queries, in query order; a rejected query leaves its place empty."""
        s = self.settings
        # All are waited for, also when one fails: the others' replies are paid for and kept for the rerun.
        lists = await asyncio.gather(
            *(self._subject_query(branch, query) for query in range(s.num_subject_queries)), return_exceptions=True
        )
        for failure in lists:
            if isinstance(failure, BaseException):
                raise failure
        outlines = [(o.name, o.level, o.subtopics) for replies in lists for o in replies]  # type: ignore[union-attr]
        return merge_subjects(branch.discipline, outlines, s.max_number_of_subjects, s.max_number_of_subtopics)

    async def _subject_query(self, branch: Branch, query: int) -> list[Any]:
        s, item = self.settings, f"{branch.discipline.id}.{query}"
        try:
            reply, _ = await self.crew.ask(
                branch,
                "subjects",
                item,
                lambda: self.glan.subjects.acall(
                    discipline=branch.discipline.name,
                    max_subjects=s.max_number_of_subjects,
                    max_subtopics=s.max_number_of_subtopics,
                    language=s.curriculum_language,
                ),
                keep=True,
            )
        except BadReply as bad:
            reject(branch, item, "subjects", bad, branch.discipline.model_dump())
            return []
        return list(reply.subjects)

    async def syllabus(self, branch: Branch, subject: Subject) -> Syllabus | None:
        """The subject's syllabus, from the file or the model; None where the model gave none that can be used."""
        id = syllabus_id(subject.id)
        if known := branch.syllabi.get(id):
            return known
        if branch.is_settled(id):
            return None
        made: Syllabus
        try:
            made, _ = await self.crew.ask(branch, "syllabus", id, lambda: self._design(subject), keep=True)
        except BadReply as bad:
            reject(branch, id, "syllabus", bad, subject.model_dump())
            return None
        branch.add_syllabus(made)
        return made

    async def _design(self, subject: Subject) -> Syllabus:
        s = self.settings
        designed = await self.glan.syllabus.acall(
            subject=subject, max_sessions=s.max_number_of_session_name, language=s.curriculum_language
        )
        return make_syllabus(subject, designed, s.max_number_of_session_name)

    async def question(self, branch: Branch, candidate: Candidate, *, keep: bool) -> Question | None:
        """The candidate's question, written down; None where it was rejected. `keep`: its reply is kept, too."""
        s, subject, syllabus = self.settings, candidate.group.subject, candidate.group.syllabus
        assert syllabus is not None

        def made(question: str = "", question_call: str = "") -> Question:
            return make_question(
                s,
                subject,
                syllabus,
                candidate.sample,
                id=candidate.id,
                question=question,
                question_call=question_call,
                held_out=candidate.held_out,
            )

        try:
            reply, call = await self.crew.ask(
                branch,
                "question",
                candidate.id,
                lambda: self.glan.question.acall(
                    subject=subject, syllabus=syllabus, sample=candidate.sample, language=s.language
                ),
                keep=keep,
            )
        except BadReply as bad:
            reject(branch, candidate.id, "question", bad, made().model_dump())
            return None
        question = made(reply.question, call.id)
        branch.add_question(question)
        return question

    async def answer(self, branch: Branch, question: Question) -> tuple[Instruction, Call] | None:
        """The question with its answer, and the call that brought it; None where it was rejected."""
        s = self.settings
        try:
            reply, call = await self.crew.ask(
                branch,
                "answer",
                question.id,
                lambda: self.glan.answer.acall(
                    question=question.question,
                    language=question.language or s.language,
                    subject=question.subject,
                    level=question.level,
                ),
            )
        except BadReply as bad:
            reject(branch, question.id, "answer", bad, question.model_dump())
            return None
        return make_instruction(s, question, reply.answer, call), call


def reject(branch: Branch, id: str, stage: str, bad: BadReply, item: dict[str, Any]) -> None:
    """Puts away an item whose replies could not be used, with the last of them."""
    branch.reject(Rejected(id=id, stage=stage, reason=bad.reason, detail=bad.detail, raw=bad.raw, item=item))
