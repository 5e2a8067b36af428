"""What takes long to load is loaded beside the loop, once for all who wait for it.

The loading belongs to the executor and not to whoever asked first: who is cut off while he waits leaves it as it is for
the others and for the next. There is no task that could outlive anybody.
"""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

Loaded = TypeVar("Loaded")


class NotLoaded(Exception):
    """It could not be loaded; the text says what, and why."""


class OneLoad(Generic[Loaded]):
    """Something that is loaded when it is first asked for."""

    def __init__(self, what: str, load: Callable[[], Loaded]) -> None:
        """Load nothing.

        Args:
            what: it is, for people.
            load: makes it; it is called in a thread.
        """
        self._what = what
        self._load = load
        self._loading: asyncio.Future[Loaded] | None = None

    def loaded(self) -> Loaded | None:
        """It, if it is there by now."""
        found = self._loading
        return None if found is None or not found.done() or found.cancelled() or found.exception() else found.result()

    async def get(self) -> Loaded:
        """It, as soon as it is there.

        Raises:
            NotLoaded: to all who waited. Who asks afterwards has it tried again.
        """
        if self._loading is None:
            self._loading = asyncio.get_running_loop().run_in_executor(None, self._load)
            self._loading.add_done_callback(self._ended)
        try:
            return await asyncio.shield(self._loading)
        except Exception as error:
            raise NotLoaded(f"{self._what} cannot be loaded: {type(error).__name__}: {error}") from error

    def _ended(self, loading: "asyncio.Future[Loaded]") -> None:
        if loading.cancelled() or loading.exception() is not None:
            self._loading = None
