"""The main job: a run's disciplines walked down to their pairs; and answers for questions that came from a file."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from itertools import islice

from glan_dspy.connect import connect
from glan_dspy.errors import UserError
from glan_dspy.program import open_program
from glan_dspy.records import Discipline, Question, normalise
from glan_dspy.run.begin import begin
from glan_dspy.run.benchmarks import benchmarks_of
from glan_dspy.run.cluster import in_cluster
from glan_dspy.run.cluster_session import ray_session, require_ray, wants_ray
from glan_dspy.run.command import Display, walked
from glan_dspy.run.coordinate import coordinated
from glan_dspy.run.money import known_tariffs
from glan_dspy.run.quota import Quota, open_quota
from glan_dspy.run.store import Run
from glan_dspy.run.tally import Outcome
from glan_dspy.run.walk import Answering, Walk
from glan_dspy.settings import Settings


def generate(
    run: Run, settings: Settings, disciplines: Iterable[Discipline], display: Display = lambda walk: nullcontext()
) -> Outcome:
    """Walks the run until it is complete or stopped. Raises UserError before anything is paid for."""
    disciplines = tuple(disciplines)
    glan = open_program(settings)
    require_own_folders(disciplines)
    # What the user must mend is told before the run directory is made.
    require_models(settings)
    open_quota(run, settings, disciplines, save=False)
    benchmarks = benchmarks_of(settings)

    def make() -> Walk:
        return Walk(run, glan, disciplines, open_quota(run, settings, disciplines), benchmarks)

    with ray_session(settings) as in_ray, run.lock():
        begin(run, "generate", settings, disciplines, glan.digest)
        if in_ray:
            open_quota(run, settings, disciplines)
            return in_cluster(run, settings, in_ray, glan.digest, display)
        if (settings.workers or 1) > 1:
            quota = open_quota(run, settings, disciplines)
            return coordinated(run, settings, disciplines, quota, display)
        return walked(run, settings, glan, make, display)


def answer(
    run: Run, settings: Settings, questions: Iterable[Question], display: Display = lambda walk: nullcontext()
) -> Outcome:
    """Answers questions that came from a file; those that the run already holds are not added again.

    They are let go of as soon as they are in the run's files: of an iterator nothing is left in memory then.
    """
    grouped: dict[str, dict[str, Question]] = {}
    for question in questions:
        grouped.setdefault(normalise(question.discipline), {})[question.id] = question
    del questions
    disciplines = {name: Discipline(name=next(iter(some.values())).discipline) for name, some in grouped.items()}
    if run.exists:
        disciplines = {normalise(old.name): old for old in run.disciplines()} | disciplines

    glan, everything = open_program(settings), tuple(disciplines.values())
    require_own_folders(everything)
    require_models(settings, answers_only=True)

    def take_in() -> None:
        for name, discipline in disciplines.items():
            shelf = run.shelf(discipline)
            known = shelf.ids("questions")
            new = (q for id, q in grouped.pop(name, {}).items() if id not in known)
            while some := tuple(islice(new, 1000)):
                shelf.append("questions", *some)
            shelf.close()

    with ray_session(settings) as in_ray, run.lock():
        begin(run, "answer", settings, everything, glan.digest)
        take_in()
        if in_ray:
            return in_cluster(run, settings, in_ray, glan.digest, display, "answer")
        if (settings.workers or 1) > 1:
            return coordinated(run, settings, everything, Quota(settings), display, "answer")
        return walked(run, settings, glan, lambda: Answering(run, glan, everything), display, answers_only=True)


def require_own_folders(disciplines: Iterable[Discipline]) -> None:
    folders = [discipline.folder for discipline in disciplines]
    if len(set(folders)) < len(folders):
        raise UserError("two disciplines would share one folder; rename one of them")


def require_models(settings: Settings, *, answers_only: bool = False) -> None:
    """Raises UserError where a key is missing, a name is wrong, with a cap a price is not known, or what cannot be."""
    several = f"--ray {settings.ray}" if wants_ray(settings) else f"--workers {settings.workers or 1}"
    if settings.batch and several != "--workers 1":
        raise UserError(
            f"{several} with --batch: batches wait for hours and need no second process; leave one of the two out"
        )
    require_ray(settings)
    connect(settings, answers_only=answers_only)
    known_tariffs(settings, answers_only=answers_only)
