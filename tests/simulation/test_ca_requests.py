"""The product's own requests at a third-party CA: a whole cluster in virtual time."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from tests.simulation.stories import told
from ucmlab.cluster.ca.authority import der_of
from ucmlab.cluster.ca.differences import differences
from ucmlab.cluster.ca.requests import read_request
from ucmlab.node.certificates import parse
from ucmlab.scenarios import Lab

UNITS = {
    "pub": ("tomcat", "tomcat-ECDSA", "CallManager", "CallManager-ECDSA", "CAPF", "ipsec", "TVS"),
    "imp1": ("cup", "cup-ECDSA", "cup-xmpp", "cup-xmpp-s2s", "ipsec", "tomcat"),
}


@pytest.mark.rule("R-142", "R-145", "R-039", "X-01")
def test_a_ca_that_honours_requests_gives_every_identity_what_it_asks_for() -> None:
    async def story(lab: Lab) -> None:
        issuing = await lab.ca("Corp Issuing CA", parent=await lab.ca("Corp Root CA"))
        for node, units in UNITS.items():
            for unit in units:
                asked = (await lab.node(node).generate_csr(unit)).pem
                leaf = await issuing.sign(asked)
                request, made = read_request(asked), x509.load_pem_x509_certificate(leaf.pem)
                lab.check(differences(request, made) == [], f"{unit} on {node} got what it asked for")
                lab.check(made.subject == request.subject, "its subject")
                lab.check(made.public_key() == request.public_key, "its key")
                lab.check(isinstance(made.signature_hash_algorithm, hashes.SHA256), "signed with SHA-256")
                lab.check(parse(der_of(made)).is_ca == (unit == "CAPF"), "CAPF alone is an authority")

    told(story)


@pytest.mark.rule("R-032", "R-031")
def test_a_ca_that_ignores_or_changes_requests_shows() -> None:
    async def story(lab: Lab) -> None:
        strict = await lab.ca("Strict CA", key="ec-256", honours_extension_request=False)
        loose = await lab.ca("Loose CA", key="ec-256")
        asked = (await lab.node("pub").generate_csr("tomcat")).pem
        request = read_request(asked)
        names = [str(name.value) for each in request.extensions
                 if isinstance(each.value, x509.SubjectAlternativeName) for name in each.value]  # fmt: skip
        ignored = x509.load_pem_x509_certificate((await strict.sign(asked)).pem)
        lab.check(
            [line.split()[0] for line in differences(request, ignored)]
            == ["keyUsage", "extendedKeyUsage", "subjectAltName"],
            "neither usages nor names",
        )
        changed = x509.load_pem_x509_certificate((await loose.sign(asked, san=[*names, "www.lab.test"])).pem)
        lab.check(differences(request, changed) == ["subjectAltName has besides www.lab.test"], "one name more")

    told(story)
