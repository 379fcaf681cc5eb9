"""30 % faults of every kind at once: each item is accepted with its own answer, or rejected with its true reason."""

from __future__ import annotations

import pytest

from tests.bad_records import check_every_reason_is_true, check_nothing_is_lost, check_nothing_is_shifted
from tests.bad_server import BadServer
from tests.faults.check import check_log, status
from tests.faults.conftest import Hurting
from tests.faults.modes import in_modes
from tests.loopback_thread import rows
from tests.processes import Spawning


@pytest.mark.parametrize("mode", in_modes("plain", leave_out=("batch",)))
@pytest.mark.parametrize("disciplines", [6, pytest.param(40, marks=pytest.mark.long)])
def test_mixed_faults(hurting: Hurting, mode: str, disciplines: int) -> None:
    server, commands = BadServer(share=0.3), None if disciplines < 10 else Spawning()
    case = hurting("30 % mixed faults", mode, disciplines=disciplines, commands=commands, server=server)
    command = case.start(*case.words, "--no-gates")  # the server's texts are much alike
    if case.over(command) != 0:
        case.finish(command)
    case.row.times = server.kinds.total() - server.kinds["well"]
    case.row.pairs, case.row.again = len(rows(case.run, "instructions")), server.paid_again
    case.record(case.row)
    check_nothing_is_lost(case.run, disciplines)
    check_nothing_is_shifted(case.run)
    check_every_reason_is_true(case.run, server)
    assert case.row.again == 0
    told = status(case)
    assert told["instructions"] == case.row.pairs and told["rejected"]
    check_log(case)
