"""A CA with its responder, for tests of who asks: the lab's own (`ucmlab.cluster.ca`), at the playbook's clock."""

from datetime import datetime

from cryptography import x509

from tests.playbook import WALL, Playbook, config
from ucmlab.cluster.ca.authority import der_of
from ucmlab.cluster.ca.keys import PrivateKey, simulation_keys
from ucmlab.cluster.ca.office import Books, Office, open_root
from ucmlab.cluster.ca.requests import server_request
from ucmlab.cluster.ca.responder import Responder, make_signer
from ucmlab.cluster.ca.terms import Terms
from ucmlab.node.commands import AskOcsp
from ucmlab.node.events import OcspAnswered
from ucmlab.node.instant import Instant, to_datetime
from ucmlab.node.revocation import Verdict

URL = "http://ocsp.corp.test:2560"


class World:
    """One CA, one responder, one clock."""

    def __init__(
        self, signer: str = "ca", *, title: str = "Corp Root CA", key: str = "ec-256", wall: int = WALL
    ) -> None:
        self.wall = wall
        self._keys = simulation_keys()
        self._first = sum(map(ord, title))
        self.office: Office = open_root(
            title, self._key(key), Books(), now=self.now, serials=lambda count: self._first * 1000 + count
        )
        self.responder = self.responder_of(signer)

    def now(self) -> datetime:
        return to_datetime(self.wall)

    def responder_of(self, signer: str) -> Responder:
        return Responder(self.office, make_signer(signer, self.office, lambda: self._key("ec-256"), serial=77))

    def _key(self, kind: str) -> PrivateKey:
        return self._keys(kind)

    @property
    def root(self) -> bytes:
        return der_of(self.office.authority.certificate)

    @property
    def signer(self) -> bytes:
        return der_of(self.responder.signer.certificate)

    def leaf(self, name: str = "ldap.corp.test", *, ocsp: str = URL, not_after: datetime | None = None) -> bytes:
        """A server's certificate."""
        request = server_request(name, self._key("ec-256").public_key())
        return der_of(self.office.sign(request, Terms.of(ocsp=ocsp), not_after=not_after))

    def revoke(self, certificate: bytes, reason: str = "keyCompromise") -> None:
        self.office.revoke(serial_of(certificate), reason)

    def unhold(self, certificate: bytes) -> None:
        self.office.unhold(serial_of(certificate))


def serial_of(certificate: bytes) -> str:
    return f"{x509.load_der_x509_certificate(certificate).serial_number:x}"


class Desk:
    """A node with OCSP on, a CA's world, and the verdicts that were told."""

    def __init__(self, signer: str = "ca", *, cc: bool = False, on: bool = True, release: str = "14SU2") -> None:
        self.play = Playbook(config(release=release))
        self.play.start()
        self.world = World(signer)
        self.told: list[Verdict] = []
        self.answered: list[str] = []
        self.set(**({"Enable OCSP": "true"} if on else {}), **({"Common Criteria Mode": "true"} if cc else {}))

    def set(self, **values: str) -> None:
        context, row = self.play.core.context, self.play.rulebook.parameters
        for name, value in values.items():
            place = row[name].place(self.play.config.name, self.play.config.role)
            context.set_parameters[place, name] = row[name].judge(value)
        self.within(self.play.core.parameters_changed)

    def within(self, act: object, *arguments: object) -> list[AskOcsp]:
        """Have a machine do something as if an event had come; what is asked of responders."""
        play = self.play
        context = play.core.context
        context.begin(Instant(play.lab, WALL + play.lab + play.wall_offset), "")
        assert callable(act)
        act(*arguments)
        for command in context.commands:
            play.commands.append(command)
            play._perform(command)
        return [each for each in context.commands if isinstance(each, AskOcsp)]

    def ask(self, leaf: bytes, *, issuer: bytes | None = None, reason: str = "handshake:syslog") -> list[AskOcsp]:
        given = self.world.root if issuer is None else issuer
        return self.within(lambda: self.play.core.revocation.ask(leaf, given, reason=reason, done=self.told.append))

    def answer(self, asked: AskOcsp) -> None:
        """The responder answers."""
        self.world.wall = self.wall
        self.answered.append(asked.token)
        self.play.does(OcspAnswered(asked.token, self.world.responder.answer(asked.request)))

    def fail(self, asked: AskOcsp, trouble: str = "refused") -> None:
        self.answered.append(asked.token)
        self.play.does(OcspAnswered(asked.token, trouble=trouble))

    @property
    def wall(self) -> int:
        return WALL + self.play.lab

    def facts(self, name: str) -> list[dict[str, str | int | bool | None]]:
        return [each.fields for each in self.play.records(name)]

    def alarms(self) -> list[str]:
        return [str(each["alarm"]) for each in self.facts("alarm")]
