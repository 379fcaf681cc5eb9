"""Files of what comes after making (the test set, judgements, votes, decisions, rejections), spoilt between commands.

No command falls over them, none of them costs a pair, and what they held is made again by the command that made it.
"""

from __future__ import annotations

import pytest

from tests.faults.case import Case, ids
from tests.faults.check import export
from tests.faults.conftest import Hurting
from tests.faults.test_files import DAMAGES, files
from tests.loopback_thread import pairs

KINDS = ("holdout", "judgements", "votes", "decisions", "rejected")
SHORT = ("garbage in the middle",)
GOALS = ["--num-pairs", "45", "--holdout", "3", "--candidate-budget", "3"]


def said(case: Case, *words: str) -> str:
    command = case.start(*words)
    case.note(code := command.wait())
    assert code == 0, command.said
    assert "Traceback" not in command.said
    return command.stdout


def judge(case: Case) -> None:
    ask = ["--base-url", case.host.base_url, "--model-name-for-judge", "sim"]
    said(case, "judge", case.out, *ask, "--votes", "2", "--sample", "20")


def everything(case: Case) -> None:
    said(case, *case.words, *GOALS)
    judge(case)
    said(case, "curate", case.out, "--near", "0.5")


def spoil(case: Case, damage: str) -> None:
    for kind in KINDS:
        for path in files(case.run, kind):
            path.write_bytes(DAMAGES[damage](path.read_bytes()))
            case.row.times += 1


@pytest.mark.parametrize(
    "damage", [*SHORT, *(pytest.param(name, marks=pytest.mark.long) for name in DAMAGES if name not in SHORT)]
)
def test_what_comes_after_making_is_spoilt_and_no_pair_is_lost(hurting: Hurting, damage: str) -> None:
    case = hurting(f"afterwork {damage}", "plain")
    everything(case)
    made, before = pairs(case.run), export(case)
    paid = case.paid()
    spoil(case, damage)
    for words in (["status"], ["status", "--json"], ["show"], ["report"]):
        said(case, words[0], case.out, *words[1:])
    assert set(pairs(case.run)) == set(made) and case.paid() == paid  # looking buys nothing and changes nothing
    said(case, "generate", "-o", case.out)
    judge(case)
    said(case, "curate", case.out, "--near", "0.5")
    after = export(case)
    case.row.pairs = len(after)
    case.row.lost = len({pair[0] for pair in before} - {pair[0] for pair in after} - {pair[0] for pair in made})
    case.record(case.row)
    assert set(pairs(case.run)) >= set(made) and len(after) == len(set(after)) >= 45
    assert len(set(ids(case.run, "holdout"))) >= 9
