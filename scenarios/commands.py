"""`ucmlab list` and `ucmlab run`."""

import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import get_args

import click
import msgspec

from ucmlab.cluster.cli.keys import pressed_keys
from ucmlab.cluster.cli.options import upload_options
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.topology import Profile
from ucmlab.node.config import Policy
from ucmlab.scenarios import junit, report
from ucmlab.scenarios.classroom import Classroom
from ucmlab.scenarios.labs import run_story
from ucmlab.scenarios.loading import library_names, library_story, load, load_all
from ucmlab.scenarios.result import SCHEMA, Options, Result
from ucmlab.scenarios.story import Story
from ucmlab.scenarios.telling import Entry, Stage

EXIT_STATUS = {"held": 0, "failed": 1, "unusable": 2, "unknown": 3}
WORST_FIRST = ("unusable", "failed", "unknown", "held")

Ended = tuple[Story, Result | str]
"""A story and its result, or why it could not be told as asked."""


@click.command("list")
@click.option("--tag", help="Only stories with this tag.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_stories(tag: str | None, *, as_json: bool) -> None:
    """List the stories of the library."""
    stories = [story for story in map(library_story, library_names()) if tag is None or tag in story.tags]
    if as_json:
        click.echo(_json({"schema": SCHEMA, "stories": [_announce(story) for story in stories]}))
        return
    width = max((len(story.name) for story in stories), default=0)
    for story in stories:
        click.echo(f"{story.name.ljust(width)}  {story.title}")
    if not stories:
        click.echo(f"no story has the tag {tag}", err=True)


@click.command("run")
@click.argument("names", nargs=-1, metavar="NAME|PATH...")
@click.option("--all", "everything", is_flag=True, help="All stories of the library.")
@click.option(
    "--mode",
    type=click.Choice(["sim", "local"]),
    default="sim",
    show_default=True,
    help="Virtual time, or real processes.",
)
@click.option(
    "--broker", default="embedded", show_default=True, metavar="B", help="embedded, mosquitto, or a broker's URL."
)
@click.option("--broker-ca", type=click.Path(), help="What the certificate of the broker at a URL is checked with.")
@click.option("--release", help="Another release than the story's.")
@click.option("--profile", type=click.Choice(get_args(Profile)), help="Another profile than the story's.")
@click.option(
    "--replication",
    type=click.Choice(["auto", *get_args(Policy)]),
    help="Another replication policy than the story's.",
)
@click.option("--timing", type=click.Choice(["instant", "product"]), help="Other delays than the story's.")
@upload_options
@click.option("--seed", type=int, default=1, show_default=True, help="Delays and serials are drawn from it.")
@click.option(
    "--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Stories told at once, each in a process."
)
@click.option("--junit", "junit_file", type=click.Path(dir_okay=False), help="Write JUnit XML.")
@click.option("--report", type=click.Path(file_okay=False), help="Write DIR/<story>/result.json and the journal.")
@click.option("--step", is_flag=True, help="For a class: wait for a key before each step, show what it changed.")
@click.option("--keep", is_flag=True, help="Keep the homes of the nodes (mode local).")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON, and nothing else.")
def run_stories(
    names: tuple[str, ...],
    *,
    everything: bool,
    jobs: int,
    junit_file: str | None,
    step: bool,
    as_json: bool,
    **options: object,
) -> None:
    """Tell stories, by name from the library or by path, and judge them.

    Exit status: 0 all held, 1 one failed, 3 one could not be judged, 2 could not be carried out as asked.
    """  # Unusable from here ends the command with its line and status 2, as every command (cluster/cli/ending.py)
    asked = msgspec.convert(options, Options)
    stories = _asked_for(names, everything=everything)
    if step:
        _check_stage(jobs=jobs, as_json=as_json)
    ended = _on_stage(stories, asked) if step else list(_run(stories, asked, jobs=jobs, quiet=as_json))
    _write(ended, asked, junit_file)
    status = overall(ended)
    if as_json:
        results = [result.json() for result in _results(ended)]
        click.echo(_json({"schema": SCHEMA, "verdict": status, "results": results, "unusable": _unusable(ended)}))
    elif len(ended) > 1:
        click.echo(summary(ended))
    sys.exit(EXIT_STATUS[status])


def overall(ended: list[Ended]) -> str:
    """The worst of all endings: `unusable`, `failed`, `unknown` or `held`."""
    words = {_word(result) for _, result in ended}
    return next(word for word in WORST_FIRST if word in words)


def summary(ended: list[Ended]) -> str:
    """One line on all stories, and the names of those that did not hold."""
    words = [_word(result) for _, result in ended]
    counts = ", ".join(f"{words.count(word)} {word}" for word in reversed(WORST_FIRST) if word in words)
    others = [f"{story.name} ({word})" for (story, _), word in zip(ended, words, strict=True) if word != "held"]
    return f"{len(ended)} stories: {counts}" + ("".join(f"\n  {other}" for other in others))


def _word(result: Result | str) -> str:
    return "unusable" if isinstance(result, str) else result.verdict


def _asked_for(names: tuple[str, ...], *, everything: bool) -> list[Story]:
    if everything == bool(names):
        raise Unusable("name stories, or say --all; `ucmlab list` shows the library")
    return load_all(library_names() if everything else names)


def _run(stories: list[Story], options: Options, *, jobs: int, quiet: bool) -> Iterator[Ended]:
    """Tell them all, in their order; with several jobs each report is printed when its story is over."""
    if jobs == 1 or len(stories) == 1:
        yield from (live(story, options, quiet=quiet) for story in stories)
        return
    print_line: report.Printer = _silent if quiet else report.printer()
    # Spawned, not forked: a child of a program that may have threads must not begin with their locks.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(_told, _reference(story), story.name, options) for story in stories]
        by_future = dict(zip(futures, stories, strict=True))
        for future in as_completed(futures):
            result = future.result()
            if isinstance(result, str):
                _complain(by_future[future], result)
            else:
                for line in report.whole(by_future[future], options, result):
                    print_line(line)
        yield from ((by_future[future], future.result()) for future in futures)


def _check_stage(*, jobs: int, as_json: bool) -> None:
    if jobs > 1:
        raise Unusable("--step tells one story after the other; leave out --jobs")
    if as_json:
        raise Unusable("--step is for people to read and --json for programs; leave out one of them")
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise Unusable("--step waits for keys and needs a terminal; without one, leave it out")


def _on_stage(stories: list[Story], options: Options) -> list[Ended]:
    """Tell them one after the other, step by step; a key that ends one ends all."""
    ended: list[Ended] = []
    with pressed_keys() as keys:
        for story in stories:
            ended.append(live(story, options, quiet=False, stage=Classroom(keys, report.printer())))
            result = ended[-1][1]
            if isinstance(result, Result) and result.trouble is not None and result.trouble.cause == "people":
                break
    untold = [story.name for story in stories[len(ended) :]]
    if untold:
        click.echo(f"not told: {', '.join(untold)}")
    return ended


def live(story: Story, options: Options, *, quiet: bool, stage: Stage | None = None) -> Ended:
    """Tell one story here, and print each thing as it happens."""
    print_line: report.Printer = _silent if quiet else report.printer()
    for line in report.heading(story, options, width=report.width()):
        print_line(line)

    def listen(entry: Entry, began: int) -> None:
        for line in report.entry_lines(entry, began, width=report.width()):
            print_line(line)

    try:
        result = run_story(story, options, listen, stage)
    except Unusable as error:
        _complain(story, str(error))
        return story, str(error)
    for line in report.ending(result, width=report.width()):
        print_line(line)
    return story, result


def _reference(story: Story) -> str:
    return story.name if story.from_library else str(story.path)


def _told(reference: str, name: str, options: Options) -> Result | str:
    """Tell one story in a process of its own, which loads it again: a function does not travel."""
    story = next(story for story in load(reference) if story.name == name)
    try:
        return run_story(story, options, lambda _entry, _began: None)
    except Unusable as error:
        return str(error)


def _write(ended: list[Ended], options: Options, junit_file: str | None) -> None:
    if options.report is not None:
        for story, result in ended:
            if isinstance(result, Result):
                report.write(Path(options.report), story, options, result)
    if junit_file is not None:
        junit.write(Path(junit_file), _results(ended), _unusable(ended))


def _results(ended: list[Ended]) -> list[Result]:
    return [result for _, result in ended if isinstance(result, Result)]


def _unusable(ended: list[Ended]) -> dict[str, str]:
    return {story.name: result for story, result in ended if isinstance(result, str)}


def _announce(story: Story) -> dict[str, object]:
    return {
        "name": story.name,
        "title": story.title,
        "text": story.text,
        "tags": story.tags,
        "nodes": story.nodes,
        "release": story.release,
        "profile": story.profile,
        "replication": story.replication,
        "timing": story.timing,
        "der_pkcs7": story.der_pkcs7,
        "strict_uploads": story.strict_uploads,
        "path": str(story.path),
    }


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def _silent(line: report.Line) -> None:
    """Print nothing."""


def _complain(story: Story, why: str) -> None:
    click.echo(f"ucmlab: {story.name}: {why}", err=True)
