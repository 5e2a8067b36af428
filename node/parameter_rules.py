"""What an administrator may set, judged on the node that is asked and again by the publisher (A.21, B.16, R-174).

A parameter is set where its page is: the cluster's anywhere, a side's on a node of it, a mode on the node itself. What
is edited on a page takes effect with its Save, all of it at once or, where one value will not do, none (R-206).
"""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches

from ucmlab.broker.messages import Setting
from ucmlab.node.config import NodeConfig
from ucmlab.node.context import Context
from ucmlab.node.errors import Refusal
from ucmlab.node.events import SetParameter
from ucmlab.node.parameters import Parameter
from ucmlab.node.rule_rows import Role
from ucmlab.node.rulebook import RuleBook
from ucmlab.node.settings import Settings, after

KIND = "parameter"
"""Of the proposal, and of the log's entry."""
CLUSTER = "cluster"
FIPS, COMMON_CRITERIA = "FIPS Mode", "Common Criteria Mode"


def judge_set(context: Context, request: SetParameter) -> tuple[Setting, ...]:
    """What an administrator's Save sets.

    Raises:
        Refusal: there is no such parameter, it is set elsewhere, or may not have that value; of several, on which page
            each of them is.
    """
    config = context.config
    roles = {member.name: member.role for member in config.members}
    edited = edits(context.rulebook, request.values)
    settings = list[Setting]()
    for row, value in edited:
        if request.place not in (CLUSTER, config.name):
            raise Refusal("parameter_place", f"{row.name} of {request.place} is set on {request.place} itself")
        settings.append(Setting(place_of(row, request.place, roles), row.name, row.judge(value)))
    check_modes(context.set_parameters, settings)
    return tuple(settings)


def edits(rulebook: RuleBook, values: Iterable[tuple[str, str]]) -> list[tuple[Parameter, str]]:
    """What is edited on one page: the parameters, and what was written there.

    Raises:
        Refusal: `parameter_place`, they are not on one page; `parameter_value`, one is there twice; as of `find`.
    """
    found = [(find(rulebook, name), value) for name, value in values]
    first, names = found[0][0], list[str]()
    for row, _ in found:
        if row.page != first.page:
            told = f"{first.name} is on the page {first.page}, {row.name} on {row.page}: save each page by itself"
            raise Refusal("parameter_place", told)
        if row.name in names:
            raise Refusal("parameter_value", f"{row.name} is given twice; say which value it is to have")
        names.append(row.name)
    return found


def place_of(row: Parameter, target: str, roles: Mapping[str, Role]) -> str:
    """Where the value is kept that is meant by `cluster`, or by a node; `roles` are those of all nodes.

    Raises:
        Refusal: `parameter_place`, the cluster has several.
    """
    if target != CLUSTER:
        return row.place(target, roles[target])
    if row.scope == "node":
        raise Refusal("parameter_place", f"{row.name} is each node's own; name a node instead of {CLUSTER}")
    if row.scope == "side" and "imp" in roles.values():
        text = "Unified CM and IM and Presence have each their own"
        raise Refusal("parameter_place", f"{row.name}: {text}; name a node of the side that is meant")
    return row.place(*next(iter(roles.items())))


def judge_again(
    rulebook: RuleBook, config: NodeConfig, settings: Settings, proposed: tuple[Setting, ...], *, origin: str
) -> tuple[Setting, ...]:
    """What of a proposal is to be appended: nothing of what is so already.

    Raises:
        Refusal: as of `judge_set`; nothing that the node found is believed.
    """
    role = {member.name: member.role for member in config.members}.get(origin)
    if role is None:
        raise Refusal("permission", f"{origin} is no member of this cluster")
    wanted, judged = dict[tuple[str, str], Setting](), list[Setting]()
    for each in proposed:
        row = find(rulebook, each.name)
        if each.place != row.place(origin, role):
            raise Refusal("parameter_place", f"{row.name} of {each.place} is not set on {origin}")
        setting = Setting(each.place, row.name, row.judge(each.value))
        judged.append(setting)
        if settings.get((setting.place, setting.name), row.default) != setting.value:
            wanted[setting.place, setting.name] = setting
    check_modes(settings, judged)
    return tuple(wanted.values())


def check_modes(settings: Settings, wanted: Sequence[Setting]) -> None:
    """See that a node in Common Criteria mode is in FIPS mode, before and when all of it is set (B.16).

    Raises:
        Refusal: `parameter_value`.
    """
    for each in wanted:
        _check_mode(settings, each)
        _check_mode(after(settings, wanted), each)


def _check_mode(settings: Settings, setting: Setting) -> None:
    on = {name for name in (FIPS, COMMON_CRITERIA) if settings.get((setting.place, name)) == "true"}
    if setting.name == COMMON_CRITERIA and setting.value == "true" and FIPS not in on:
        text = f"{COMMON_CRITERIA} needs {FIPS}; set {FIPS} of {setting.place} to true first"
        raise Refusal("parameter_value", text)
    if setting.name == FIPS and setting.value == "false" and COMMON_CRITERIA in on:
        text = f"{COMMON_CRITERIA} needs {FIPS}; set {COMMON_CRITERIA} of {setting.place} to false first"
        raise Refusal("parameter_value", text)


def find(rulebook: RuleBook, name: str) -> Parameter:
    """A parameter by its name, in upper or lower case.

    Raises:
        Refusal: `release`, another one has it; `not_found`, with the nearest names.
    """
    known = {each.casefold(): row for each, row in rulebook.parameters.items()}
    row = known.get(name.casefold())
    if row is not None:
        return row
    for release in rulebook.releases:
        if any(name.casefold() == each.casefold() for each in RuleBook.load(release, rulebook.profile).parameters):
            raise Refusal("release", f"the parameter {name}, which {release} has")
    near = get_close_matches(name.casefold(), known, n=3, cutoff=0.5)
    told = " or ".join(repr(known[each].name) for each in near) or "none that is like it"
    raise Refusal("not_found", f"There is no parameter {name!r}; there is {told}")


def parameter_text(rulebook: RuleBook, reason: str, name: str, detail: str = "") -> str:
    """What a refusal about a parameter says: the product has texts of its own for certificates alone."""
    if reason == "publisher_unreachable":
        return f"The publisher's database cannot be reached; {detail}"
    told = detail or f"{name} was refused"
    return rulebook.refusal_text(reason, detail=told, release=rulebook.release.name) if reason == "release" else told


def tell_set(context: Context, settings: Settings, op_id: str = "") -> None:
    """Have the node read what its replica says is set, and the journal what is new of it (R-009)."""
    known, rows, me, changed = context.set_parameters, context.rulebook.parameters, context.config, list[str]()
    for place, name in sorted(known.keys() | settings.keys()):
        default = rows[name].default if name in rows else ""
        old, new = (each.get((place, name), default) for each in (known, settings))
        if old != new:
            context.record("parameter_set", op_id, place=place, parameter=name, old=old, new=new)
            if name in rows and rows[name].place(me.name, me.role) == place:
                changed.append(name)
    known.clear()
    known.update(settings)
    for name in changed:
        context.parameter_changed(name)
