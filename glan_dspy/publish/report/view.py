"""A run as the page shows it: what its template fills in, and what its script reads."""

from __future__ import annotations

from collections import Counter
from shlex import quote
from typing import Any

from glan_dspy import __version__
from glan_dspy.publish.again import content_settings, generate_command, name_of_run, on_lines, without_folder
from glan_dspy.publish.report import charts
from glan_dspy.publish.report.gather import Gathered
from glan_dspy.publish.report.numbers import money
from glan_dspy.publish.report.sample import Rows
from glan_dspy.publish.report.spending import ORDER
from glan_dspy.publish.report.tree import as_json, brief, whole_tree
from glan_dspy.publish.report.words import stage
from glan_dspy.run.store import Run
from glan_dspy.settings import role

Json = dict[str, Any]


def view(run: Run, found: Gathered, now: float) -> Json:
    """What the template fills in."""
    about = run.about()
    names = [one["name"] for one in about["disciplines"]] if about.get("disciplines") else []
    rejected = found.fallen.total()
    records = found.coverage.pairs.total()
    return {
        "name": name_of_run(run.path),
        "version": __version__,
        "now": now,
        "unit": "pairs" if found.of == "instructions" else "questions",
        "records": records,
        "rejected": rejected,
        "rejected_share": rejected / (records + rejected) if records + rejected else None,
        "disciplines": len(names),
        "survey": found.survey,
        "simulated": found.simulated or _is_simulated(about),
        "models": _models(found, about),
        "languages": charts.parts(_named(found.by("language"), "not told").most_common()),
        "levels": charts.parts(charts.in_level_order(_named(found.by("level"), "none")), most=18),
        "strategies": charts.parts(_named(found.by("strategy"), "none").most_common()),
        "lengths": _lengths(found),
        "coverage": found.coverage.told(names, found.novelty),
        "tenths": _tenths(found),
        "fallen": _fallen(found),
        "copies": _copies(found),
        "sampled": found.sample.sizes,
        **_spending(found),
        **_going_on(run, found, about),
        "spoilt": {name: count for name, count in sorted(found.spoilt.items()) if count},
        "settings": _settings(about),
        "about": {"versions": {}, "program_digest": "not known", "created": "not known", **about},
        "again": on_lines(generate_command(about, name_of_run(run.path))),
    }


def data(found: Gathered, rows: Rows, order: list[str]) -> Json:
    """What the page's script reads."""
    disciplines = [found.disciplines[name] for name in order if name in found.disciplines]
    return {
        "unit": "pair" if found.of == "instructions" else "question",
        "fields": len({field for field, _ in disciplines}) > 1,
        "tree": as_json(whole_tree(disciplines)),
        "rows": rows.rows,
        "models": [without_folder(model) for model in rows.models],
    }


def _named(counts: Counter[str], nothing: str) -> Counter[str]:
    """With a name for what has none."""
    named = Counter[str]()
    for name, count in counts.items():
        named[name or nothing] += count
    return named


def _is_simulated(about: Json) -> bool:
    from glan_dspy.engines.rehearsal import is_rehearsal

    settings = about["settings"]
    names = (settings.get("model_name"), settings.get("model_name_for_answer"))
    return any(is_rehearsal(name) for name in names if isinstance(name, str))


def _models(found: Gathered, about: Json) -> dict[str, str]:
    """Who wrote what: by the records, or where there are none by the settings."""
    settings = about["settings"]
    asked = settings.get("model_name") or ""
    told = {
        "curriculum": [settings.get("model_name_for_curriculum") or asked],
        "questions": [name for name, _ in found.by("question_model").most_common(4)] or [asked],
        "answers": [name for name, _ in found.by("answer_model").most_common(4) if name]
        or [settings.get("model_name_for_answer") or asked],
    }
    if about.get("kind") == "answer":
        del told["curriculum"]
    named = {what: ", ".join(without_folder(name) or "not told" for name in names) for what, names in told.items()}
    return named if len(set(named.values())) > 1 else {"all": next(iter(named.values()))}


def _lengths(found: Gathered) -> list[Json]:
    kinds = [("Questions", found.questions), ("Answers", found.answers)]
    return [
        {
            "name": name,
            "lengths": lengths,
            "mean": lengths.total / lengths.texts,
            "median": lengths.below(0.5),
            "p95": lengths.below(0.95),
            "longest": max(lengths.tokens),
            "histogram": charts.histogram(lengths),
        }
        for name, lengths in kinds
        if lengths.texts
    ]


def _tenths(found: Gathered) -> list[charts.Column]:
    """The share of new phrases in each tenth of the disciplines' questions, of a whole height of 100 %."""
    shares = found.novelty.tenths
    if any(share is None for share in shares):
        return []
    names = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "last")
    titles = [f"The {name} tenth: {share:.0%} new phrases" for name, share in zip(names, shares, strict=True)]
    drawn = charts.columns([share or 0 for share in shares], titles, gap=0.2)
    return [column._replace(height=round(100 * (share or 0), 2)) for column, share in zip(drawn, shares, strict=True)]


def _fallen(found: Gathered) -> list[Json]:
    counts = found.fallen.most_common(60)
    most = counts[0][1] if counts else 1
    return [
        {"stage": brief(stage(name)), "reason": brief(why), "count": count, "width": round(100 * count / most, 2)}
        for (name, why), count in counts
        if count
    ]


def _copies(found: Gathered) -> Json:
    told = {kind: Counter[str]() for kind in ("duplicate", "near_duplicate")}
    for (name, why), count in found.fallen.items():
        if why in told:
            told[why]["curate" if name == "curate" else "made"] += count
    where = [(name, count) for name, count in found.coverage.alike.most_common(8) if count > 1]
    shares = {name: count / found.coverage.questions[name] for name, count in where}
    return {
        "told": told,
        "total": sum(counts.total() for counts in told.values()),
        "questions": found.coverage.questions.total(),
        "where": [(part, shares[part.label]) for part in charts.parts(where)],
    }


def _spending(found: Gathered) -> Json:
    spending = found.spending
    width, bars = spending.time.drawn()
    ends = Counter[str]()
    for (_, ending), count in spending.endings.items():
        ends[ending] += count
    kinds = Counter[str]()
    for (_, kind), count in spending.errors.items():
        kinds[kind] += count
    return {
        "stages": spending.stages,
        "whole": spending.whole,
        "times": charts.times(width, bars, list(spending.stages), money) if bars else None,
        "first_call": spending.time.first,
        "last_call": spending.time.last,
        "known_stages": ORDER,
        "ends": [name for name, _ in ends.most_common(8)],
        "endings": spending.endings,
        "kinds": [name for name, _ in kinds.most_common(8)],
        "errors": spending.errors,
    }


def _going_on(run: Run, found: Gathered, about: Json) -> Json:
    """How far the run is, and the command that comes next."""
    survey, only_questions = found.survey, bool(about["settings"].get("generate_question_only"))
    where = quote(str(run.path))
    command = f"glan {about.get('kind', 'generate')} -o {where}"
    if not survey.complete and only_questions:
        command += " --generate-question-only"
    if survey.complete and not only_questions:
        command = f"glan export {where} --to train.jsonl" + (" --allow-rehearsal" if found.simulated else "")
    settled = survey.questions if only_questions else survey.instructions
    if found_by_items := not (only_questions or about["settings"].get("num_pairs")):
        settled += survey.rejected.total() + survey.curated.total()
    return {
        "of_what": "items" if found_by_items else "questions" if only_questions else "pairs",
        "complete": survey.complete,
        "only_questions": only_questions,
        "command": command,
        "begun": sum(count > 0 for count in found.coverage.pairs.values()),
        "settled": min(settled, survey.planned),
        "share": min(1.0, settled / survey.planned) if survey.planned else 0.0,
    }


def _settings(about: Json) -> dict[str, str]:
    """What decided the pairs and differs from the defaults, then how fast it was to be and for how much."""
    found = content_settings(about)
    for name in ("max_cost", "rpm", "tpm", "concurrency", "batch"):
        value = about["settings"].get(name)
        if value not in (None, False) and role(name) == "pace":
            found[name] = value
    return {name.replace("_", "-"): _told(value) for name, value in found.items()}


def _told(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
