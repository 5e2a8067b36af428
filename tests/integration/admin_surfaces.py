"""The three interfaces of a real node, each as a script would use it for the steps of a renewal (wire-interfaces 1-3).

What one of them changed another must see: so a step is the same call on each, where the interface has it at all.
"""

from collections.abc import Sequence
from typing import Protocol

from tests.integration.command_line import CommandLine
from tests.integration.interfaces import Api, Door, client, logged_in, states


class Surface(Protocol):
    """What certificates can be managed through."""

    def make_csr(self, node: str, unit: str) -> None: ...

    def csr(self, node: str, unit: str) -> str:
        """The request that waits, PEM; empty if none does."""

    def trust(self, node: str, unit: str, cas: Sequence[str]) -> None: ...

    def install(self, node: str, unit: str, leaf: str) -> None: ...

    def identity(self, node: str, unit: str) -> str:
        """PEM."""

    def trusted(self, node: str, unit: str) -> set[str]:
        """The names of the files in the unit's trust store."""

    def restart(self, node: str, service: str) -> None: ...


class Rest:
    """The certificate management API; that it restarts services is our own (W1.6)."""

    def __init__(self, lab: CommandLine) -> None:
        self._lab = lab

    def make_csr(self, node: str, unit: str) -> None:
        self._post(node, "/csr", {"service": unit, "distribution": "this-server"})

    def csr(self, node: str, unit: str) -> str:
        found = Api(self._lab, node).get("/snapshot/server")["identities"]
        (request,) = (each["csr"] for each in found if each["service"] == unit)
        return str(request)

    def trust(self, node: str, unit: str, cas: Sequence[str]) -> None:
        # One text with all of them, as a client pastes a bundle (W1.4).
        self._post(node, "/trust/certificates", {"service": [unit], "certificates": ["".join(cas)]})

    def install(self, node: str, unit: str, leaf: str) -> None:
        self._post(node, "/identity/certificates", {"service": unit, "certificates": [leaf]})

    def identity(self, node: str, unit: str) -> str:
        return str(Api(self._lab, node).get("/identity/certificate", service=unit)["certificate"])

    def trusted(self, node: str, unit: str) -> set[str]:
        found = Api(self._lab, node).get("/trust/certificate", service=unit)["certificates"]
        return {each["filename"] for each in found}

    def restart(self, node: str, service: str) -> None:
        self._post(node, "/services", {"service": service, "action": "restart"})

    def _post(self, node: str, path: str, body: object) -> None:
        answer = Api(self._lab, node).post(path, body)
        assert answer.status_code == 200, answer.text


class Ssh:
    """The platform's command line."""

    def __init__(self, lab: CommandLine) -> None:
        self._lab = lab

    def make_csr(self, node: str, unit: str) -> None:
        assert f"Successfully Generated CSR for {unit}" in self._said(node, f"set csr gen {unit}", "no")[-1]

    def csr(self, node: str, unit: str) -> str:
        listed, shown = self._said(node, "show csr list own", f"show csr own {unit}")
        return shown if f"{unit}/{unit}.csr" in listed.splitlines() else ""

    def trust(self, node: str, unit: str, cas: Sequence[str]) -> None:
        for ca in cas:
            said = self._said(node, f"set cert import trust {unit}", ca + "\r")
            assert f"Successfully imported certificate for {unit}-trust." in said[-1]

    def install(self, node: str, unit: str, leaf: str) -> None:
        said = self._said(node, f"set cert import own {unit}", leaf + "\r")
        assert f"Successfully imported certificate for {unit}." in said[-1]

    def identity(self, node: str, unit: str) -> str:
        shown = self._said(node, f"show cert own {unit}")[0]
        return shown[shown.index("-----BEGIN") :]

    def trusted(self, node: str, unit: str) -> set[str]:
        names = [line.partition(":")[0] for line in self._said(node, "show cert list trust")[0].splitlines()]
        return {name.partition("/")[2] for name in names if name.startswith(f"{unit}-trust/")}

    def restart(self, node: str, service: str) -> None:
        assert f"{service}[STARTED]  " in self._said(node, f"utils service restart {service}")[0]

    def _said(self, node: str, *lines: str) -> list[str]:
        answers = Door(self._lab, node).spoken("set cli pagination off", *lines)
        return [answer.replace("\r\n", "\n") for answer in answers[1:]]


class Soap:
    """Control Center, which knows services and no certificates."""

    def __init__(self, lab: CommandLine) -> None:
        self._lab = lab

    def restart(self, node: str, service: str) -> None:
        order = {"NodeName": None, "ControlType": "Restart", "ServiceList": {"item": [service]}}
        with logged_in(self._lab) as session:
            answer = client(self._lab, session, node=node).soapDoControlServices(order)
        assert states(answer) == {service: "Started"}
