"""Where stories come from: the library by name, a user's own file by path."""

import importlib.util
import pkgutil
import sys
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from types import ModuleType

from ucmlab.cluster.errors import Unusable
from ucmlab.scenarios import library
from ucmlab.scenarios.story import Story


def library_names() -> list[str]:
    """The library's stories by name; importing none of them."""
    return sorted(module.name for module in pkgutil.iter_modules(library.__path__))


def library_story(name: str) -> Story:
    """The library's story of that name.

    Raises:
        Unusable: there is none.
    """
    if name not in library_names():
        raise Unusable(
            f"no story is named {name!r}; `ucmlab list` shows the library, a file of yours is named by its path"
        )
    stories = _stories(import_module(f"{library.__name__}.{name}"))
    return next(story for story in stories if story.name == name)


def load(name_or_path: str) -> list[Story]:
    """The story of that name, or all stories of that file.

    Raises:
        Unusable: no such story or file, no story in it, or it cannot be imported.
    """
    if name_or_path in library_names():
        return [library_story(name_or_path)]
    if name_or_path.endswith(".py") or "/" in name_or_path or Path(name_or_path).exists():
        return _from_file(Path(name_or_path))
    return [library_story(name_or_path)]


def load_all(names_or_paths: Iterable[str]) -> list[Story]:
    """All that are named, each once, in that order.

    Raises:
        Unusable: as `load`; or two different stories share a name, and so would share a report.
    """
    stories: dict[str, Story] = {}
    for story in (story for each in names_or_paths for story in load(each)):
        known = stories.setdefault(story.name, story)
        if known.path != story.path:
            raise Unusable(f"two stories are named {story.name}: in {known.path} and in {story.path}; rename one")
    return list(stories.values())


def _from_file(path: Path) -> list[Story]:
    if not path.is_file():
        raise Unusable(f"no such file: {path}")
    stories = _stories(_imported(path.resolve()))
    if not stories:
        raise Unusable(f"no story in {path}; decorate an async function with @scenario(...)")
    return stories


def _imported(path: Path) -> ModuleType:
    # A name of its own, so that a user's `demo.py` or `json.py` hides no module and is hidden by none.
    name = f"ucmlab_story_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise Unusable(f"{path} is no Python file; a story's file ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(path.parent))  # what lies beside a story can be imported, as with `python FILE`
    try:
        spec.loader.exec_module(module)
    except Unusable:
        raise
    except (Exception, SystemExit) as error:  # whatever a user's file does at import: one line, no stack trace
        raise Unusable(f"{path} cannot be imported: {_one_line(error, path)}") from error
    finally:
        sys.path.remove(str(path.parent))
    return module


def _stories(module: ModuleType) -> list[Story]:
    file = Path(module.__file__ or "").resolve()
    found = (value for value in vars(module).values() if isinstance(value, Story))
    return [story for story in found if story.path == file]


def _one_line(error: BaseException, path: Path) -> str:
    line = error.lineno if isinstance(error, SyntaxError) else None
    trace = error.__traceback__
    while line is None and trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    text = " ".join(str(error.msg if isinstance(error, SyntaxError) else error).split())
    return f"{type(error).__name__}: {text}" + (f" (line {line})" if line else "")
