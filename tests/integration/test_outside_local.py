"""Mail and syslog of real processes through real sockets: they end as in virtual time, whatever the servers do."""

import re
import subprocess
import sys
from collections.abc import Sequence

import msgspec
import pytest

from tests.integration.outside_story import Told
from tests.rules import ROOT
from ucmlab.cluster.outside.received import Logged, Mail

OTHER = re.compile(r"ClusterID=[^]]*|_[0-9a-f]{16,}")


def told(mode: str) -> Told:
    done = subprocess.run(
        [sys.executable, "-m", "tests.integration.outside_story", mode],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=200,
    )
    return msgspec.json.decode(done.stdout, type=Told)


@pytest.mark.slow
@pytest.mark.rule("R-085", "R-177", "R-178", "R-180", "R-184")
def test_servers_that_are_slow_hang_or_are_gone_never_block_a_node_and_both_modes_tell_the_same() -> None:
    virtual, real = told("sim"), told("local")
    assert (virtual.verdict, virtual.failed) == ("held", [])
    assert (real.verdict, real.failed) == ("held", [])
    assert (len(real.mail), len(real.syslog)) == (18, 45)
    assert alike(real.mail) == alike(virtual.mail)
    assert alike(real.syslog) == alike(virtual.syslog)
    assert real.events == virtual.events


def alike(found: Sequence[Mail | Logged]) -> list[Mail | Logged]:
    """Without what is another in every lab: its name, and the numbers of its certificates."""
    return [msgspec.structs.replace(each, text=OTHER.sub("", each.text)) for each in found]
