"""What lies in a new lab's home: keys, passwords, accounts and settings, all made before a node's first start."""

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from ucmlab.broker.access import AccessRule, Account, make_account
from ucmlab.cluster.access_rules import member_rules, observer_rules
from ucmlab.cluster.bus_ca import Pair, issue_broker_certificate, make_bus_ca
from ucmlab.cluster.labfile import Credentials, KeptCa, LabFile, write_json
from ucmlab.node.config import Member, NodeConfig
from ucmlab.node.keyring import KeyRing
from ucmlab.node.privatefile import private_folder, write_private
from ucmlab.node.sealing import BusIdentity

OBSERVER = "observer"
_PASSWORD_BYTES = 18
"""144 random bits, 24 characters that need no quoting in a shell, an URL or a dotenv file."""
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def build_home(home: Path, lab: LabFile, *, default_cas: Sequence[KeptCa], image: tuple[bytes, ...]) -> None:
    """Fill a new folder with a lab.

    Args:
        home: the folder.
        lab: which lab.
        default_cas: what stands in for the CAs that its release ships.
        image: those of their certificates (DER) that nodes have in their stores.

    Raises:
        OSError: it cannot be written; what was written stays.
    """
    private_folder(home)
    for folder in ("bus", "nodes", "logs"):
        private_folder(home / folder)
    identities = {node.name: BusIdentity.make() for node in lab.topology.nodes}
    credentials = _make_credentials()
    write_json(home / "lab.json", lab)
    write_json(home / "credentials.json", credentials)
    write_json(home / "default_cas.json", default_cas)
    write_json(home / "bus" / "accounts.json", _accounts(lab, identities, credentials))
    _build_bus_ca(home / "bus", lab.cluster)
    for node in lab.topology.names:
        _build_node(home / "nodes" / node, _node_config(lab, node, identities, image), identities[node])


def _build_bus_ca(folder: Path, cluster: str) -> None:
    authority = make_bus_ca(cluster)
    write_private(folder / "ca.pem", authority.certificate)
    write_private(folder / "ca.key.pem", authority.key)
    issue_for_broker(authority, folder / "broker.pem", ())


def _build_node(home: Path, config: NodeConfig, identity: BusIdentity) -> None:
    private_folder(home)
    write_json(home / "node.json", config)
    identity.save(KeyRing(home).bus_file)


def _node_config(
    lab: LabFile, node: str, identities: Mapping[str, BusIdentity], image: tuple[bytes, ...]
) -> NodeConfig:
    topology = lab.topology
    members = tuple(
        Member(each.name, each.role, identities[each.name].signing_public, identities[each.name].sealing_public)
        for each in topology.nodes
    )
    return NodeConfig(
        name=node,
        role=next(each.role for each in topology.nodes if each.name == node),
        cluster=lab.cluster,
        domain=topology.domain,
        release=topology.release,
        profile=topology.profile,
        replication=topology.replication,
        timing=topology.timing,
        seed=lab.seed,
        members=members,
        der_pkcs7=topology.der_pkcs7,
        strict_uploads=topology.strict_uploads,
        default_cas=image,
    )


def _accounts(lab: LabFile, identities: Mapping[str, BusIdentity], credentials: Credentials) -> tuple[Account, ...]:
    publisher = lab.topology.publisher
    # A member's client id is its name and nobody else's, so that no other account can take its session over.
    members = [
        _account(name, identity.password, member_rules(lab.cluster, name, publisher=publisher), client_id="%u")
        for name, identity in identities.items()
    ]
    return (*members, _account(OBSERVER, credentials.observer_password, observer_rules(lab.cluster), client_id=None))


def _account(name: str, password: str, rules: tuple[AccessRule, ...], *, client_id: str | None) -> Account:
    return make_account(name, password.encode(), salt=secrets.token_bytes(16), rules=rules, client_id=client_id)


def _make_credentials() -> Credentials:
    words = [secrets.token_urlsafe(_PASSWORD_BYTES) for _ in range(4)]
    return Credentials("administrator", words[0], "ccmadministrator", words[1], "reader", words[2], OBSERVER, words[3])


def issue_for_broker(authority: Pair, path: Path, hosts: Sequence[str]) -> None:
    """Issue the broker's certificate for these addresses and those of loopback; write it with its key."""
    pair = issue_broker_certificate(authority, (*_LOOPBACK, *hosts))
    # One file, because two cannot be replaced in one step, and a certificate with another's key stops the broker.
    write_private(path, pair.key + pair.certificate)
