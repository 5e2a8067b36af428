"""What things are called in a script: times, nodes, and certificates, which a lab of its own makes anew."""

from ucmlab.cluster.search.case import Case
from ucmlab.cluster.search.image import cluster_image
from ucmlab.cluster.search.material import ROOTS, material
from ucmlab.cluster.search.workload import Act
from ucmlab.node.certificates import parse
from ucmlab.node.instant import MINUTE, SECOND


def spelled(microseconds: int) -> str:
    """A duration as stories write it: `5m`, `31m`, `1m30s`, `0.25s`."""
    minutes, rest = divmod(microseconds, MINUTE)
    seconds = f"{rest / SECOND:.6f}".rstrip("0").rstrip(".") + "s" if rest else ""
    return (f"{minutes}m" if minutes else "") + seconds or "0s"


def variable(node: str) -> str:
    """A node's name as a Python name."""
    return node.replace("-", "_")


class Certificates:
    """The certificates of one case: those that operators bring, and those of its nodes."""

    def __init__(self, case: Case) -> None:
        """Look at what the acts bring and delete."""
        image = cluster_image(case.nodes, case.release, case.replication)
        self.brought = [number for number in range(len(material())) if any(_uses(act, number) for act in case.acts)]
        self._identities = {
            parse(der).fingerprint: (node, unit)
            for node, disk in reversed(image.disks.items())
            for unit, der in disk.identities.items()
        }

    def founding(self, number: int) -> str:
        """The line that makes one of them."""
        # Of two certificates of one name the later start counts; what a story founds without one began a day ago.
        later = ", not_before=lab.now - timedelta(hours=12)" if number >= ROOTS else ""
        return f'{self.name(number)} = await lab.ca("{title(number)}", key="ec-256"{later})'

    def name(self, number: int) -> str:
        """Its Python name."""
        return "root" if len(self.brought) == 1 else f"root{number}"

    def fingerprint(self, fingerprint: str) -> str:
        """An expression for a fingerprint in the story's own lab."""
        for number in self.brought:
            if material()[number].fingerprint == fingerprint:
                return f"{self.name(number)}.fingerprint"
        if fingerprint in self._identities:
            node, unit = self._identities[fingerprint]
            return f'{variable(node)}.identity("{unit}")'
        return f'"{fingerprint}"'

    def called(self, fingerprint: str) -> str:
        """What a title calls it."""
        for number, each in enumerate(material()):
            if each.fingerprint == fingerprint:
                return title(number)
        if fingerprint in self._identities:
            node, unit = self._identities[fingerprint]
            return f"The {unit} certificate of {node}"
        return f"Certificate {fingerprint[:12]}"

    def beginning_with(self, prefix: str) -> str | None:
        """The whole fingerprint of which the judges tell the beginning."""
        known = [*(each.fingerprint for each in material()), *self._identities]
        return next((each for each in known if each.startswith(prefix)), None)


def title(number: int) -> str:
    """The common name of one of the search's certificates."""
    return material()[number].name.partition(" #")[0]


def _uses(act: Act, number: int) -> bool:
    if act.kind == "upload":
        return act.number == number
    return act.kind == "delete" and act.text == material()[number].fingerprint
