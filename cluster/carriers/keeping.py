"""What a lab's home keeps of a broker that is somebody else's: an account and a certificate, apart from `lab.json`.

bus/broker-account.json    user name and password for all members (0600)
bus/broker-ca.pem          what the broker's certificate is checked with, as `--broker-ca` named it
"""

from pathlib import Path

import msgspec

from ucmlab.broker.bus import BusEndpoint
from ucmlab.cluster.carriers.choice import Carrier, SharedAccount, read_carrier
from ucmlab.cluster.carriers.reaching import system_authorities
from ucmlab.cluster.errors import Unusable
from ucmlab.cluster.labfile import read_json, write_json
from ucmlab.node.privatefile import write_private

_ACCOUNT, _AUTHORITY = "broker-account.json", "broker-ca.pem"


def read_authority(path: Path) -> bytes:
    """The file that `--broker-ca` names.

    Raises:
        Unusable: it cannot be read, or is no certificate in PEM.
    """
    try:
        found = path.read_bytes()
    except OSError as error:
        raise Unusable(f"--broker-ca {path}: {error.strerror or error}") from error
    if b"-----BEGIN CERTIFICATE-----" not in found:
        raise Unusable(f"--broker-ca {path} holds no certificate in PEM")
    return found


def keep(home: Path, carrier: Carrier, authority: bytes | None) -> None:
    """Write what is to be kept into a new home."""
    if carrier.account is not None:
        write_json(home / "bus" / _ACCOUNT, carrier.account)
    if authority is not None:
        write_private(home / "bus" / _AUTHORITY, authority)


def kept_carrier(home: Path, text: str) -> Carrier:
    """The carrier of a home whose `lab.json` says `text`."""
    carrier = read_carrier(text)
    path = home / "bus" / _ACCOUNT
    if not path.exists():
        return carrier
    return msgspec.structs.replace(carrier, account=read_json(path, SharedAccount))


def through(carrier: Carrier, home: Path, own: BusEndpoint, *, cluster: str) -> BusEndpoint:
    """A client's endpoint on somebody else's broker; `own` is with the lab's own accounts and bus CA.

    A broker that was given no account is taken for one that knows the lab's, as `ucmlab broker` does.

    Raises:
        Unusable: nothing here says whom to trust for its certificate.
    """
    authority = home / "bus" / _AUTHORITY
    trusted = own.ca_file
    if carrier.tls and authority.exists():
        trusted = str(authority)
    elif carrier.tls and carrier.account is not None:
        trusted = system_authorities()
    endpoint = msgspec.structs.replace(own, host=carrier.host, port=carrier.port, ca_file=trusted)
    if carrier.account is None:
        return endpoint
    account = carrier.account
    # Client ids are the whole broker's there, and two labs may have a node of one name.
    client_id = f"{cluster}-{own.client_id}"
    return msgspec.structs.replace(endpoint, client_id=client_id, username=account.username, password=account.password)
