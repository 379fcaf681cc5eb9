"""The last lines of a command on a run: what came out, and what to do next."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from shlex import quote
from typing import Any

import orjson

from glan_dspy.cli.main import BUG, DONE
from glan_dspy.errors import Stopped, UserError
from glan_dspy.gates.language import can_tell
from glan_dspy.run.store import Run
from glan_dspy.run.tally import Outcome
from glan_dspy.settings import Settings


def finish(run: Run, settings: Settings, outcome: Outcome, command: str = "generate", go_on: str = "") -> int:
    """Prints the result and gives back the exit code. Raises Stopped or UserError where the run is not done.

    `go_on` is the command that goes on, where it is more than `glan COMMAND -o RUN`.
    """
    tally, go_on = outcome.tally, go_on or f"glan {command} -o {quote(str(run.path))}" + go_on_flags(settings)
    made = tally.questions if settings.generate_question_only else tally.instructions
    say(
        f"{run.path}: {made:,} {'questions' if settings.generate_question_only else 'instructions'}"
        + (f" ({tally.found:,} of them from before)" if tally.found else "")
        + (f", {tally.held_out:,} held out" if tally.held_out else "")
        + (f", {sum(tally.rejected.values()):,} rejected ({told(tally.rejected)})" if tally.rejected.total() else "")
    )
    if not came_through(settings, outcome, go_on):
        return BUG
    if outcome.short:
        raise Stopped(f"{shortfall(settings, outcome)}. {enough(outcome, go_on, settings, run.path)}")
    say_what_is_next(run, settings, made, sum(tally.rejected.values()))
    return DONE


def say(line: str) -> None:
    """Prints the result. Whether anybody reads it does not change what came of the run, nor its exit code."""
    with suppress(BrokenPipeError):
        print(line)


def came_through(settings: Settings, outcome: Outcome, go_on: str) -> bool:
    """Whether no bug struck; it is shown otherwise. Raises Stopped or UserError, with `go_on`, where work is left."""
    if outcome.bugs:
        print(outcome.bugs[0], file=sys.stderr)
        print(
            f"glan: a bug in glan-dspy struck {len(outcome.bugs)} times, the rest went on; please report the lines "
            f"above. With a mended version: {go_on}",
            file=sys.stderr,
        )
        return False
    if outcome.tally.exhausted:
        number = f"{outcome.tally.exhausted:,}"
        print(
            f"glan: {number} syllabi have fewer combinations of sessions and concepts than questions were "
            f"planned; {settings.logfile_name} names them. More sessions, or fewer questions, would fit.",
            file=sys.stderr,
        )
    if unspoken(settings):
        print(f"glan: the simulated model speaks no {settings.language}: it wrote English instead", file=sys.stderr)
    elif settings.gates and not can_tell(settings.language):
        print(
            f"glan: the language gate does not know {settings.language!r}: it let every text through",
            file=sys.stderr,
        )
    if outcome.reason:
        raise UserError(f"{outcome.reason}. Nothing made so far is lost; mended, go on with: {go_on}")
    if outcome.budget:
        more = max(2 * (settings.max_cost or 0), 2 * outcome.needs)
        raise Stopped(f"the budget is reached: {outcome.budget}; go on with: {go_on} --max-cost {more:.6g}")
    if outcome.interrupted:
        raise Stopped(f"stopped; go on with: {go_on}")
    if outcome.failed:
        raise Stopped(f"not finished: {some(outcome.failed)}; {outcome.why}. Try again with: {go_on}")
    return True


def shortfall(settings: Settings, outcome: Outcome) -> str:
    """How many pairs are missing, where, and what became of the candidates."""
    pairs = {name: short for name, short in outcome.short.items() if short.pairs}
    test = {name: short for name, short in outcome.short.items() if short.test}
    lacks = [f"{sum(s.pairs for s in pairs.values()):,} pairs short of {settings.num_pairs:,}"] if pairs else []
    if test:
        lacks.append(f"{sum(s.test for s in test.values()):,} pairs short of the test sets in {some(list(test))}")
    bare = [name for name, short in pairs.items() if short.unplanned]
    dry = [name for name, short in pairs.items() if short.dry and name not in bare]
    spent = [name for name, short in pairs.items() if not short.dry]
    why = [f"subjects without a usable syllabus in {some(bare)}"] if bare else []
    why += [f"no combination of sessions and concepts is left in {some(dry)}"] if dry else []
    if spent or test:
        where = f" in {some(spent)}" if spent else ""
        why.append(
            f"the candidate budget of {settings.candidate_budget:g} questions a pair is used up{where} "
            f"(rejected: {told(outcome.tally.rejected) or 'none'})"
        )
    return f"{', '.join(lacks)}: {'; '.join(why)}"


def enough(outcome: Outcome, go_on: str, settings: Settings, run: Path) -> str:
    """What brings the missing pairs."""
    if any(short.unplanned for short in outcome.short.values()):
        return f"Ask for the syllabi again with: glan repair {quote(str(run))} --where 'stage == \"syllabus\"'"
    if all(short.dry and not short.test for short in outcome.short.values()):
        return "More sessions a syllabus or more subjects need another --out"
    more = settings.candidate_budget + (0.3 if not any(short.test for short in outcome.short.values()) else 2)
    return f"Go on with: {go_on} --candidate-budget {more:g}"


def say_what_is_next(run: Run, settings: Settings, made: int, rejected: int) -> None:
    if not made and rejected:
        line = f"nothing was accepted; {run.path}/disciplines/*/rejected.jsonl has every reply and why it was dropped"
    elif is_simulated(settings) or settings.generate_question_only:
        line = f"next: glan status {quote(str(run.path))}"
    else:
        to = quote(str(run.path / "train.jsonl"))
        line = f"next: glan export {quote(str(run.path))} --format messages --to {to}"
    print(line, file=sys.stderr)


def some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")


def is_simulated(settings: Settings) -> bool:
    from glan_dspy.engines.rehearsal import is_rehearsal

    return is_rehearsal(settings.question_model) or is_rehearsal(settings.answer_model)


def unspoken(settings: Settings) -> bool:
    from glan_dspy.engines.rehearsal import written_in

    return any(
        written_in(m, settings.language) != settings.language for m in (settings.question_model, settings.answer_model)
    )


def go_on_flags(settings: Settings) -> str:
    """What a run does not keep by itself: the headers, which may hold a key."""
    flags = " --generate-question-only" if settings.generate_question_only else ""
    return flags + (" --extra-header …" if settings.extra_header else "")


def same_command(name: str, run: Path, flags: Mapping[str, Any]) -> str:
    """The command that goes on, with what a run does not keep of this one. A cap is named anew, headers hold keys."""
    words = ["glan", name, quote(str(run))]
    for flag, value in flags.items():
        if value is None or flag in ("max_cost", "extra_header"):
            continue
        for one in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(one, bool):
                words.append(f"--{'' if one else 'no-'}{flag.replace('_', '-')}")
            else:
                text = orjson.dumps(one).decode() if isinstance(one, dict) else str(one)
                words.append(f"--{flag.replace('_', '-')} {quote(text)}")
    return " ".join([*words, *(["--extra-header …"] if flags.get("extra_header") else [])])


def told(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.most_common(5) if count)
