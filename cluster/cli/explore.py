"""`ucmlab explore`: thousands of random schedules of operators and faults, judged by invariants, in virtual time."""

import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import get_args

import click
import msgspec

from ucmlab.cluster.bench.measuring import commit
from ucmlab.cluster.cli.ending import DONE, INDEFINITE, REFUSED
from ucmlab.cluster.cli.printing import print_result, print_table
from ucmlab.cluster.search.aftermath import Found, check_place, take_down
from ucmlab.cluster.search.campaign import Campaign, Summary, run_campaign, run_one
from ucmlab.cluster.search.families import FAMILIES
from ucmlab.cluster.search.findings import Change, update
from ucmlab.cluster.search.findings import read as read_findings
from ucmlab.cluster.search.findings import write as write_findings
from ucmlab.cluster.search.image import DEFAULT_NODES
from ucmlab.cluster.search.invariants import INVARIANTS, Judge
from ucmlab.cluster.search.plants import PLANTS
from ucmlab.cluster.search.workload import OPERATIONS
from ucmlab.cluster.topology import split_names
from ucmlab.node.config import Policy
from ucmlab.node.instant import SECOND
from ucmlab.node.rulebook import RuleBook

SHOWN = 10
"""Failing seeds that are listed; --json has them all."""


@click.command()
@click.option("--seeds", type=click.IntRange(min=1), default=1000, show_default=True, help="How many schedules to try.")
@click.option("--from", "first", type=click.IntRange(min=0), default=0, show_default=True, help="The first seed.")
@click.option("--jobs", type=click.IntRange(min=1, max=64), default=1, show_default=True, help="Processes to use.")
@click.option("--nodes", default=",".join(DEFAULT_NODES), show_default=True, help="The cluster's nodes.")
@click.option("--release", default="14SU2", show_default=True, help="The product's release.")
@click.option(
    "--replication",
    type=click.Choice(["auto", *get_args(Policy)]),
    default="modern",
    show_default=True,
    help="The replication policy.",
)
@click.option(
    "--judge",
    type=click.Choice(get_args(Judge)),
    default="all",
    show_default=True,
    help="Judge every invariant, or only those that the policy promises.",
)
@click.option("--list-invariants", is_flag=True, help="List the invariants and who promises them, and end.")
@click.option("--operations", type=click.IntRange(1, 1000), default=OPERATIONS, show_default=True, help="A schedule's.")
@click.option("--plant", type=click.Choice(list(PLANTS)), help="Plant a bug: the search is to find it.")
@click.option("--list-plants", is_flag=True, help="List the bugs that can be planted, and end.")
@click.option("--families", default="", help="Families of faults to draw from, with commas between; all by default.")
@click.option("--list-families", is_flag=True, help="List the families of faults, and end.")
@click.option("--stop-after", type=click.IntRange(min=1), help="End after so many failing seeds.")
@click.option(
    "--keep",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("ucmlab-findings"),
    show_default=True,
    help="Where failing seeds and their stories are written.",
)
@click.option("--no-keep", is_flag=True, help="Write nothing.")
@click.option("--shrink/--no-shrink", default=True, help="Shrink a seed of each of the first findings; by default, do.")
@click.option("--findings", type=click.Path(path_type=Path, dir_okay=False), help="Update a file of findings.")
@click.option("--journal", type=click.Path(path_type=Path, dir_okay=False), help="Write the first seed's journal.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def explore(
    *,
    seeds: int,
    first: int,
    jobs: int,
    nodes: str,
    release: str,
    replication: str,
    judge: str,
    list_invariants: bool,
    operations: int,
    plant: str | None,
    list_plants: bool,
    families: str,
    list_families: bool,
    stop_after: int | None,
    keep: Path,
    no_keep: bool,
    shrink: bool,
    findings: Path | None,
    journal: Path | None,
    as_json: bool,
) -> int:
    """Try random schedules of operators at work and of every kind of fault, and judge every step.

    Exit status: 0 every invariant held, 1 one did not, 3 a thousand seeds and more never saw what they must.
    """
    if list_plants:
        return _list_plants(as_json=as_json)
    if list_families:
        return _list_families(as_json=as_json)
    if list_invariants:
        return _list_invariants(as_json=as_json)
    if replication == "auto":
        replication = _policy_of(release)
    campaign = Campaign(
        seeds=seeds,
        first=first,
        nodes=split_names(nodes),
        release=release,
        replication=msgspec.convert(replication, Policy),
        operations=operations,
        plant=plant,
        families=split_names(families) if families else (),
        judge=msgspec.convert(judge, Judge),
    )
    if journal is not None:
        _write_journal(campaign, journal)
    if not no_keep:
        check_place(keep, "--keep")
    known = None if findings is None else read_findings(findings)
    summary = run_campaign(campaign, jobs=jobs, stop_after=stop_after, progress=_progress(seeds, quiet=as_json))
    folder = None if no_keep else keep
    found = take_down(campaign, summary.failed, folder, shrink=shrink, progress=_telling(quiet=as_json))
    changes: list[Change] = []
    if findings is not None and known is not None:
        now, changes = update(known, campaign, found, tried=summary.seeds, version=version("ucmlab"), commit=commit())
        write_findings(findings, now)
    (_print_json if as_json else _print)(campaign, summary, found, changes)
    return {"held": DONE, "failed": REFUSED, "unknown": INDEFINITE}[summary.verdict]


def _policy_of(release: str) -> Policy:
    try:
        return RuleBook.load(release).release.replication
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _list_plants(*, as_json: bool) -> int:
    if as_json:
        print_result({"plants": {name: {"text": p.text, "invariant": p.invariant} for name, p in PLANTS.items()}})
    else:
        rows = [(name, plant.invariant, plant.text) for name, plant in PLANTS.items()]
        print_table(("PLANT", "NOTICED BY", "WHAT IT DOES"), rows, empty="none")
    return DONE


def _list_families(*, as_json: bool) -> int:
    drawn = {family: list(dict.fromkeys(each.fault for each in kinds)) for family, kinds in FAMILIES.items()}
    if as_json:
        print_result({"families": drawn})
    else:
        rows = [(family, ", ".join(faults)) for family, faults in drawn.items()]
        print_table(("FAMILY", "FAULTS (ucmlab fault list)"), rows, empty="none")
    return DONE


def _list_invariants(*, as_json: bool) -> int:
    if as_json:
        print_result({"invariants": INVARIANTS})
    else:
        rows = [(row.id, ", ".join(row.policies), row.text) for row in INVARIANTS.values()]
        print_table(("ID", "PROMISED BY", "WHAT HOLDS"), rows, empty="none")
    return DONE


def _progress(seeds: int, *, quiet: bool) -> Callable[[int, int], None]:
    def show(done: int, failed: int) -> None:
        click.echo(f"\r{done}/{seeds} seeds, {failed} failed", nl=False, err=True)

    return show if sys.stderr.isatty() and not quiet else lambda done, failed: None


def _telling(*, quiet: bool) -> Callable[[str], None]:
    def tell(text: str) -> None:
        click.echo(f"\r{text}", err=True)

    return tell if sys.stderr.isatty() and not quiet else lambda text: None


def _print(campaign: Campaign, summary: Summary, found: list[Found], changes: list[Change]) -> None:
    if sys.stderr.isatty():
        click.echo("\r", nl=False, err=True)
    for result in summary.failed[:SHOWN]:
        first = result.violations[0]
        click.echo(f"seed {result.seed}: {first.invariant} at {first.at / SECOND:.1f} s on {first.node}: {first.text}")
    for invariant, why in _not_promised(campaign, summary).items():
        click.echo(f"{campaign.replication} does not promise {invariant}: {why}")
    if summary.failed:
        click.echo(f"again: {again(campaign, summary.failed[0].seed)} --journal journal.jsonl")
    for line in (*_found_lines(found), *_change_lines(changes)):
        click.echo(line)
    for text in summary.missing if summary.verdict == "unknown" else ():
        click.echo(text)
    click.echo(
        f"{summary.verdict}: {summary.seeds} seeds of {len(campaign.nodes)} nodes in {campaign.replication}, "
        f"{len(summary.failed)} failed; {summary.per_minute:,.0f} seeds a minute, "
        f"{summary.events / max(1, summary.seeds):.0f} events a seed"
    )


def _found_lines(found: list[Found]) -> Iterator[str]:
    for each in found:
        if each.shrunk is not None:
            case = each.shrunk.case
            seen = f"{each.shrunk.violation.invariant} {each.shrunk.violation.text}"
            size = f"{_counted(len(case.acts), 'step')} on {_counted(len(case.nodes), 'node')}"
            yield f"shrunk: seed {case.seed} to {size}: {seen}"
        if each.story is not None:
            yield f"  ucmlab replay {each.story}"
    kept = sum(len(each.kept) for each in found)
    if kept:
        folder = Path(found[0].kept[0]).parent
        yield f"kept in {folder}: {_counted(kept, 'failing seed')} of {_counted(len(found), 'finding')}"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _change_lines(changes: list[Change]) -> Iterator[str]:
    for change in changes:
        finding = change.finding
        yield f"{finding.status}{' and rare' if finding.rare else ''}: {finding.key}; {change.why}"


def _not_promised(campaign: Campaign, summary: Summary) -> dict[str, str]:
    """The invariants that were broken and that the policy does not promise, and why."""
    broken = dict.fromkeys(each.invariant for result in summary.failed for each in result.violations)
    reasons = {invariant: INVARIANTS[invariant].broken_by.get(campaign.replication, "") for invariant in broken}
    return {invariant: why for invariant, why in reasons.items() if why}


def _print_json(campaign: Campaign, summary: Summary, found: list[Found], changes: list[Change]) -> None:
    print_result(
        {
            "verdict": summary.verdict,
            "missing": summary.missing,
            "felt": summary.felt,
            "sights": summary.sights,
            "campaign": campaign,
            "not_promised": _not_promised(campaign, summary),
            "seeds": summary.seeds,
            "events": summary.events,
            "seconds": round(summary.seconds, 3),
            "failed": [
                {"seed": result.seed, "again": again(campaign, result.seed), "violations": result.violations}
                for result in summary.failed
            ],
            "found": found,
            "findings": changes,
        }
    )


def again(campaign: Campaign, seed: int) -> str:
    """The command that plays one seed of a campaign again."""
    words = ["ucmlab explore --seeds 1 --from", str(seed), "--replication", campaign.replication]
    if campaign.nodes != DEFAULT_NODES:
        words += ["--nodes", ",".join(campaign.nodes)]
    if campaign.release != "14SU2":
        words += ["--release", campaign.release]
    if campaign.operations != OPERATIONS:
        words += ["--operations", str(campaign.operations)]
    if campaign.families:
        words += ["--families", ",".join(campaign.families)]
    if campaign.judge != "all":
        words += ["--judge", campaign.judge]
    if campaign.plant is not None:
        words += ["--plant", campaign.plant]
    return " ".join(words)


def _write_journal(campaign: Campaign, path: Path) -> None:
    run = run_one(campaign, campaign.first)
    encode = msgspec.json.Encoder(order="deterministic").encode
    try:
        path.write_bytes(b"".join(encode(line) + b"\n" for line in run.world.journal))
    except OSError as error:
        raise click.UsageError(f"cannot write {path}: {error.strerror}; name a file in a folder that exists") from error
