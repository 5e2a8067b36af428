"""Time that is the same on every machine: how many lines of Python something runs."""

import gc
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def lines_run(act: Callable[[], object]) -> int:
    """How many lines of Python something takes, those of what it calls among them."""
    count = 0

    def step(_frame: FrameType, event: str, _argument: object) -> Callable[..., Any]:
        nonlocal count
        count += event == "line"
        return step

    before, collecting = sys.gettrace(), gc.isenabled()
    gc.disable()  # what other tests have left is finalized in lines of its own, whenever that may be
    sys.settrace(step)
    try:
        act()
    finally:
        sys.settrace(before)
        if collecting:
            gc.enable()
    return count
