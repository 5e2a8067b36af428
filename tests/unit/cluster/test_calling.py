"""How a real node opens a connection: whatever stands in the way is told, and ends nothing but the connection."""

import pytest

from tests.contract.handshaking import key_pem
from tests.unit.node.authorities import issue
from ucmlab.cluster.calling import Caller
from ucmlab.cluster.simkeys import sim_key
from ucmlab.cluster.tls_contexts import Identity
from ucmlab.node.commands import OpenTls
from ucmlab.node.events import TlsOpened


class Keys:
    """Of one identity."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    def identity(self, service: str, unit: str) -> Identity:
        del service, unit
        return self._identity


def to(address: str) -> OpenTls:
    return OpenTls(
        "t",
        service="Cisco CallManager",
        unit="CallManager",
        node="",
        listener="",
        address=address,
        name="sub1.lab.test",
        checks_name=False,
        trusted=(),
        ec_only=False,
        speaks="sip",
    )


async def test_an_identity_that_openssl_does_not_present_is_told() -> None:
    ca = issue("Corp Root CA", sim_key(1, "rsa-2048"))
    leaf = issue("pub.lab.test", sim_key(2, "rsa-2048"), ca, ca=False)
    mixed_up = Identity(chain=(leaf.der,), key=key_pem(ca.key))
    opened = await Caller(Keys(mixed_up)).open_tls(to("127.0.0.1:5061"))
    assert opened.outcome == "unreachable"
    assert opened.text.startswith("CallManager cannot be presented: ")


async def test_a_listener_that_is_closed_has_no_address_and_is_told_as_in_virtual_time() -> None:
    key = sim_key(1, "rsa-2048")
    identity = Identity(chain=(issue("pub.lab.test", key).der,), key=key_pem(key))
    assert await Caller(Keys(identity)).open_tls(to("")) == TlsOpened("t", "unreachable", text="nobody listens there")


@pytest.mark.parametrize(
    ("address", "found"), [("ldap.corp.test:636", ("127.1.2.3", 4242)), ("127.0.0.1:636", ("127.0.0.1", 636))]
)
def test_a_name_that_the_lab_knows_leads_to_its_server_whatever_the_port(address: str, found: tuple[str, int]) -> None:
    caller = Caller(Keys(Identity(chain=(), key=b"")), None, {"ldap.corp.test": ("127.1.2.3", 4242)})
    assert caller._where(address) == found
