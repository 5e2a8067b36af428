"""What a story is: an async function over a lab, and the cluster that it wants to be told in."""

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from ucmlab.cluster.errors import Unusable
from ucmlab.scenarios.lab import Lab

Script = Callable[[Lab], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One story, as its file declares it. The options are defaults: `ucmlab run` may ask for others."""

    name: str
    title: str
    """The first line of the docstring."""
    text: str
    """The whole docstring."""
    path: Path
    tags: tuple[str, ...]
    nodes: tuple[str, ...]
    release: str
    profile: str
    replication: str
    timing: str
    der_pkcs7: bool
    strict_uploads: bool
    budget: str
    """Machine time after which a run is given up."""
    plant: str | None
    """A bug that is planted in the cores, in the simulation (`ucmlab explore --list-plants`)."""
    script: Script

    @property
    def from_library(self) -> bool:
        """Whether it is one of ours, and so has a name that `ucmlab run` knows."""
        return self.path.parent == Path(__file__).resolve().parent / "library"


def scenario(
    *,
    nodes: str = "pub sub1 sub2",
    release: str = "14SU2",
    profile: str = "seed",
    replication: str = "auto",
    timing: str = "product",
    der_pkcs7: bool = False,
    strict_uploads: bool = False,
    tags: str = "",
    budget: str = "2m",
    plant: str | None = None,
    **unbuilt: object,
) -> Callable[[Script], Story]:
    """Make a story of an async function. Names of nodes choose roles: `pub`, `sub*`, `tftp*`, `imp*`.

    Args:
        nodes: the nodes, the publisher first, separated by blanks.
        release: the product's release, as in `14SU2`.
        profile: which source's tables hold (`seed`, `english`, `tac`).
        replication: the replication policy (`auto`, `faithful`, `modern`, `legacy`).
        timing: `product` (delays as in the product) or `instant`.
        der_pkcs7: whether an upload may be a PKCS#7 chain in DER.
        strict_uploads: whether a certificate that lacks what its request asked for is refused.
        tags: words to select stories by.
        budget: machine time after which a run is given up.
        plant: a bug that is planted (`ucmlab explore --list-plants`); such a story is told in the simulation only.
        **unbuilt: what this version cannot do is refused by name.

    Raises:
        Unusable: an option is not built, or what is decorated is no story.
    """
    if unbuilt:
        options = ", ".join(f"{name}=" for name in sorted(unbuilt))
        raise Unusable(f"a story asks for {options} which is not built in this version; leave it out")

    def story(script: Script) -> Story:
        name = getattr(script, "__name__", "story")
        text = inspect.getdoc(script) or ""
        if not inspect.iscoroutinefunction(script):
            raise Unusable(f"the story {name} is no async function; write `async def {name}(lab: Lab) -> None`")
        if not text:
            raise Unusable(f"the story {name} has no docstring; its first line is the title that reports show")
        return Story(
            name=name,
            title=text.splitlines()[0].strip(),
            text=text,
            path=Path(inspect.getfile(script)).resolve(),
            tags=tuple(tags.split()),
            nodes=tuple(nodes.replace(",", " ").split()),
            release=release,
            profile=profile,
            replication=replication,
            timing=timing,
            der_pkcs7=der_pkcs7,
            strict_uploads=strict_uploads,
            budget=budget,
            plant=plant,
            script=script,
        )

    return story
