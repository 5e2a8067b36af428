"""Copies of a node's folder: links beside certificates stay links, wherever they point, and come back."""

from pathlib import Path

import pytest

from tests.unit.node.disk_model import assert_linked, certificate
from ucmlab.cluster.backups import Backups
from ucmlab.node.commands import RemoveFile, WriteFile
from ucmlab.node.disk import NodeDisk
from ucmlab.node.layout import HomeLayout
from ucmlab.node.rulebook import RuleBook

RULES = RuleBook.load("14SU2")


@pytest.mark.rule("B.5")
def test_a_copy_has_the_links_and_what_the_node_does_later_does_not_change_it(tmp_path: Path) -> None:
    home, outside = tmp_path / "sub1", tmp_path / "outside.pem"
    disk = NodeDisk(home, RULES, publisher=False)
    disk.load()
    for number in range(3):
        disk.perform(WriteFile("tomcat-trust", f"{number}.pem", certificate(number), "", ""))
    folder = HomeLayout(home, RULES).trust_folders["tomcat-trust"]
    (folder / "aaaaaaaa.0").symlink_to(outside)
    backups = Backups(tmp_path / "backups", HomeLayout(home, RULES))
    backups.take("before")
    before = listed(folder)
    disk.perform(RemoveFile("tomcat-trust", "1.pem"))
    disk.perform(WriteFile("tomcat-trust", "2.pem", certificate(3), "", ""))
    disk.close()
    assert listed(backups.place("before") / folder.relative_to(home)) == before != listed(folder)
    backups.restore("before")
    assert listed(folder) == before
    disk = NodeDisk(home, RULES, publisher=False)
    assert [(file.name, file.der) for file in disk.load().files] == [(f"{at}.pem", certificate(at)) for at in range(3)]
    disk.close()
    assert_linked(home)


def listed(folder: Path) -> dict[str, str]:
    """Each name in a folder, and where it points or what it holds."""
    return {
        path.name: str(path.readlink()) if path.is_symlink() else path.read_text() for path in sorted(folder.iterdir())
    }
