"""Where stories come from, and what is said when there is none."""

from pathlib import Path

import pytest

from ucmlab.cluster.errors import Unusable
from ucmlab.scenarios.loading import library_names, library_story, load, load_all

STORY = '''
from ucmlab.scenarios import Lab, scenario

@scenario(nodes="pub sub1", tags="mine small", timing="instant")
async def my_story(lab: Lab) -> None:
    """Its title.

    And what it is about.
    """
'''


def write(folder: Path, text: str, name: str = "mine.py") -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


def test_a_story_is_loaded_from_a_users_file(tmp_path: Path) -> None:
    [story] = load(write(tmp_path, STORY))
    assert (story.name, story.title, story.nodes, story.tags) == (
        "my_story",
        "Its title.",
        ("pub", "sub1"),
        ("mine", "small"),
    )
    assert (story.release, story.replication, story.timing) == ("14SU2", "auto", "instant")
    assert not story.from_library


def test_a_users_file_may_import_what_lies_beside_it(tmp_path: Path) -> None:
    write(tmp_path, "ANSWER = 42\n", "my_helpers.py")
    [story] = load(write(tmp_path, "import my_helpers\n" + STORY))
    assert story.name == "my_story"


def test_the_library_is_loaded_by_name() -> None:
    [story] = load("demo")
    assert story.from_library
    assert story.nodes == ("pub", "sub1", "sub2")


@pytest.mark.parametrize("name", library_names())
def test_a_library_file_holds_one_story_of_its_own_name(name: str) -> None:
    assert [story.name for story in load(name)] == [name]
    assert library_story(name).tags


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("x = 1\n", r"^no story in .*mine\.py; decorate an async function with @scenario"),
        ("x = 1 / 0\n", r"^.*mine\.py cannot be imported: ZeroDivisionError: division by zero \(line 1\)$"),
        ("def broken(:\n", r"^.*mine\.py cannot be imported: SyntaxError: invalid syntax \(line 1\)$"),
        ("raise SystemExit(4)\n", r"^.*mine\.py cannot be imported: SystemExit: 4 \(line 1\)$"),
        (STORY.replace('tags="mine small"', "phones=6"), r"^a story asks for phones= which is not built"),
        (STORY.replace("async def", "def"), r"^the story my_story is no async function"),
        (STORY.replace('"""', "'''").replace("'''Its", "x = '''Its"), r"^the story my_story has no docstring"),
    ],
)
def test_a_file_that_is_no_story_is_refused_in_one_line(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(Unusable, match=why) as refused:
        load(write(tmp_path, text))
    assert "\n" not in str(refused.value)


def test_a_missing_file_and_an_unknown_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match=r"^no such file: .*absent\.py$"):
        load(str(tmp_path / "absent.py"))
    with pytest.raises(Unusable, match=r"^no story is named 'absent'"):
        load("absent")


def test_two_stories_of_one_name_are_refused(tmp_path: Path) -> None:
    first, second = write(tmp_path, STORY), write(tmp_path, STORY, "other.py")
    with pytest.raises(Unusable, match=r"^two stories are named my_story"):
        load_all([first, second])
    assert [story.name for story in load_all([first, first])] == ["my_story"]
