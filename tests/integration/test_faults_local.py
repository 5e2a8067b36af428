"""Every fault that names real labs is performed there, felt, and over when it is over; and the story ends as in `sim`.

`make test` plays two, CI all of them (marker `library`).
"""

import shutil

import pytest

from tests.integration.fault_stories import Tried, judged, story_of, told
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.faults.catalogue import catalogue
from ucmlab.cluster.local_faults.performing import WAYS

ROWS = [row.name for row in catalogue().values() if "local" in row.where]
CHOSEN = ("latency", "lose")
TRIED: dict[str, Tried] = {
    "drip": Tried(given={"every": "1s"}),
    "partition": Tried("pub,sub2 / sub1"),
    "swizzle": Tried("sub1,sub2", {"every": "3s"}),
    "broker-kill": Tried("broker"),
    "broker-slow": Tried("broker", {"each": "20ms"}),
    "restore-backup": Tried(given={"of": "installation"}, late=True),
    "restore-publisher": Tried("pub", {"of": "installation"}, late=True),
    "empty-disk": Tried(late=True),
    "bit-flip": Tried(late=True),
    "file-gone": Tried(late=True),
    "failpoint": Tried("pub"),
    "second-publisher": Tried("pub"),
    "late-will": Tried(dies=True),
}
"""How a row is tried, if not with its defaults on sub1 while the cluster is at work."""
RACES = {"two-operators"}
"""What a real lab leaves to chance: who of the two is first decides which certificates there are in the end, though not
whether all nodes have the same."""


def ends_alike(fault: str, tried: Tried, *, broker: str = "embedded") -> None:
    story = story_of(fault, tried)
    virtual, real = told(story, "sim"), told(story, "local", broker=broker)
    assert (virtual.verdict, virtual.trouble) == ("held", None), judged(virtual)
    assert (real.verdict, real.trouble) == ("held", None), judged(real)
    assert judged(real) == judged(virtual)
    if fault in RACES:
        return
    # Compared one by one first, so that a difference can be read.
    assert real.outcomes == virtual.outcomes
    assert real.stores == virtual.stores
    assert real.rows == virtual.rows
    assert real.loaded == virtual.loaded
    assert real.digest == virtual.digest


def test_every_row_that_names_real_labs_is_performed_by_them() -> None:
    assert set(WAYS) == set(ROWS)


@pytest.mark.slow
@pytest.mark.rule("S17")
@pytest.mark.parametrize("name", CHOSEN)
def test_a_story_with_a_fault_of_a_link_ends_in_real_processes_as_in_virtual_time(name: str) -> None:
    ends_alike(name, TRIED.get(name, Tried()))


@pytest.mark.slow
@pytest.mark.library
@pytest.mark.parametrize("name", [name for name in ROWS if name not in CHOSEN])
def test_a_story_with_any_other_fault_does_so_too(name: str) -> None:
    ends_alike(name, TRIED.get(name, Tried()))


@pytest.mark.slow
@pytest.mark.library
def test_an_old_snapshot_changes_nothing_in_either_mode() -> None:
    ends_alike("replay", Tried(given={"what": "snapshot"}, late=True, dies=True))


@pytest.mark.slow
@pytest.mark.library
@pytest.mark.skipif(shutil.which("mosquitto") is None, reason="Mosquitto is not installed")
@pytest.mark.parametrize("name", ["latency", "drip", "stall", "half-open", "lose", "forge"])
def test_links_suffer_and_rogues_speak_with_any_carrier(name: str) -> None:
    ends_alike(name, TRIED.get(name, Tried()), broker="mosquitto")


@pytest.mark.slow
@pytest.mark.library
@pytest.mark.skipif(shutil.which("mosquitto") is None, reason="Mosquitto is not installed")
@pytest.mark.parametrize("name", ["broker-refuses", "late-will"])
def test_what_only_our_broker_does_is_refused_with_another(name: str) -> None:
    with pytest.raises(Unusable, match="only the embedded broker"):
        told(story_of(name, TRIED.get(name, Tried())), "local", broker="mosquitto")


@pytest.mark.slow
@pytest.mark.library
@pytest.mark.parametrize("way", ["up", "down"])
@pytest.mark.parametrize("name", ["latency", "stall", "lose"])
def test_one_way_of_a_link_may_suffer_alone(name: str, way: str) -> None:
    ends_alike(name, Tried(given={"way": way}))
