"""The files that the README shows whole: `python -m tests.readme_files FOLDER` writes them there."""

import re
import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def readme_files() -> dict[str, str]:
    """Name to text of every code block that has a title."""
    text = README.read_text(encoding="utf-8")
    return dict(re.findall(r'```\w+ title="([\w.]+)"\n(.*?)```', text, re.DOTALL))


def write_readme_files(folder: Path) -> None:
    """Write them all."""
    for name, text in readme_files().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_readme_files(Path(sys.argv[1]))
