"""How much the soak tests do, by `UCMLAB_SOAK`: `short` (default; what CI runs, minutes), `full` (`make soak`, hours).

A soak test takes its size from here and tells what it did with `record_property`, which `make soak` prints:

    record_property("seeds", summary.seeds)
"""

import os

CHOICES = ("short", "full")
CHOSEN = os.environ.get("UCMLAB_SOAK", "short")
if CHOSEN not in CHOICES:
    raise RuntimeError(f"UCMLAB_SOAK={CHOSEN!r}: there are {' and '.join(CHOICES)}")


def _size(*, short: int, full: int) -> int:
    return full if CHOSEN == "full" else short


JOBS = min(4, os.cpu_count() or 1)
"""Processes of a search."""
SEEDS = _size(short=2_000, full=100_000)
"""Schedules tried in each of `modern` and `faithful`."""
FOUND_WITHIN = _size(short=1_000, full=1_000)
"""Seeds within which each planted bug is found."""
DENSITIES = CHOSEN == "full"
"""Whether the search goes on after its first find, to tell how often each planted bug is found."""
SHRUNK_SEEDS = _size(short=1, full=5)
"""Failing seeds of each planted bug that are shrunk, for the median of their steps."""
REPLAYED_SEEDS = _size(short=5, full=100)
REPLAYS = _size(short=3, full=20)
"""Replays of each of them, each in a process of its own with a hash seed of its own."""
EXHAUSTIVE_DEPTH = _size(short=2, full=4)
EXHAUSTIVE_DEPARTURES = 1
"""Operations of the check that tries every order, and how often a schedule departs from the plain one."""
KILLS = _size(short=20, full=100)
"""Deaths by `kill -9` under load, in each of `modern` and `faithful`: 200 in all."""
MUTATED_PACKETS = _size(short=50_000, full=1_000_000)
MUTATED_MESSAGES = _size(short=50_000, full=1_000_000)
MUTATED_UPLOADS = _size(short=30_000, full=1_000_000)
"""Files, requests and orders."""
HANDSHAKES = _size(short=3_000, full=100_000)
"""Made-up chains that the decision function and OpenSSL both judge, without dates."""
DATED_HANDSHAKES = _size(short=300, full=10_000)
"""The same with dates: each is a process."""
MALFORMED = _size(short=3_000, full=100_000)
"""Requests to the web interfaces of a node."""
HOSTILE_LOGINS = _size(short=400, full=8_000)
"""Clients of a node's command line that are none."""
LOAD_MINUTES = float(os.environ.get("UCMLAB_LOAD_MINUTES", _size(short=2, full=30)))
"""Machine time of the load whose memory and descriptors are watched."""
RESTARTS = _size(short=200, full=2_000)
"""Restarts of services over a lab of 21 nodes, 200 a minute."""
IDLE_S = _size(short=20, full=60)
"""Machine time for which a lab that does nothing is watched."""
TIMEOUT_S = _size(short=600, full=3 * 3600)
"""After which a soak test that hangs ends with every stack, unless it says otherwise itself."""
