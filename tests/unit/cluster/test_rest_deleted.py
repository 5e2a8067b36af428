"""A signing request that somebody deletes while another is told of it (wire-interfaces 1.2)."""

from typing import cast

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from tests.playbook import config
from tests.unit.node.certificate_factory import ec_key, name
from ucmlab.cluster.admin import rest
from ucmlab.cluster.admin.accounts import make_admin
from ucmlab.cluster.admin.desk import Caller, Desk
from ucmlab.cluster.admin.rest import CertificateApi
from ucmlab.cluster.admin.website import CALLER
from ucmlab.node.commands import Reply
from ucmlab.node.events import AnyOperation
from ucmlab.node.rulebook import RuleBook


def request() -> bytes:
    made = x509.CertificateSigningRequestBuilder(name("pub.lab.test")).sign(ec_key(), SHA256())
    return made.public_bytes(Encoding.DER)


class FakeDesk:
    """Makes requests; what waits is what a test says."""

    rulebook = RuleBook.load("14SU2")
    config = config("pub")

    def __init__(self, waiting: dict[str, bytes]) -> None:
        self.waiting = waiting

    async def operate(self, operation: AnyOperation, caller: Caller) -> Reply:
        del operation, caller
        return Reply("7", "done")

    def requests(self) -> dict[str, bytes]:
        return self.waiting


@pytest.mark.parametrize(("waiting", "status"), [({"tomcat": request()}, 200), ({}, 404)])
async def test_a_request_that_is_gone_is_not_told_as_an_empty_one(
    monkeypatch: pytest.MonkeyPatch, waiting: dict[str, bytes], status: int
) -> None:
    async def body(_: web.Request) -> dict[str, object]:
        return {"service": "tomcat"}

    monkeypatch.setattr(rest, "_body", body)
    api = CertificateApi(cast("Desk", FakeDesk(waiting)))
    make = next(handle for method, path, handle in api._routes() if (method, path) == ("POST", "/csr"))
    caller = Caller(make_admin("a", "b", "platform", privilege=4), "rest", "127.0.0.1", "127.0.0.1")
    answer = await make(cast("web.Request", {CALLER: caller}))
    assert (answer.status, answer.body.get("reason", "")) == (status, "" if status == 200 else "csr_missing")
    assert ("csr" in answer.body) is (status == 200)
