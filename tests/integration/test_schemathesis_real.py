"""The certificate API against the OpenAPI file that a real node serves, by schemathesis (wire-interfaces 1).

It knows nothing but that file: it makes requests of it, right ones and wrong ones, and holds the answers against it.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.clients import WHAT_THEY_NEED, run
from tests.integration.command_line import CommandLine, Forked, new_root, running
from tests.integration.interfaces import Api
from ucmlab.cluster.admin.rest import BASE

pytestmark = WHAT_THEY_NEED
SETTINGS = Path(__file__).with_name("schemathesis.toml")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    with running(tmp_path_factory.mktemp("schemathesis"), Forked, nodes="pub,sub1") as made:
        yield made


def test_every_answer_is_one_that_the_file_describes(lab: CommandLine, tmp_path: Path) -> None:
    api = Api(lab, "pub")
    store = api.get("/trust/certificate", service="CallManager")["certificates"]
    named = {"SOME CA": new_root(tmp_path).read_text(), "SOME FILE": store[0]["filename"]}
    settings = tmp_path / "schemathesis.toml"
    text = SETTINGS.read_text()
    for name, meant in named.items():
        text = text.replace(json.dumps(name), json.dumps(meant))
    settings.write_text(text)
    place = f"https://{api.address}:{api.https}{BASE}/openapi.json"
    account = ("--auth", ":".join(api.account), "--tls-verify", "false")
    told = ("--checks", "all", "--continue-on-failure", "--no-color")
    status, said = run("schemathesis", "--config-file", settings, "run", place, *account, *told, folder=tmp_path)
    assert status == 0, said
    # All but `GET /openapi.json`: it passes over the operation that it has read the file by.
    operations = api.get("/openapi.json")["paths"].values()
    assert f"Tested: {sum(map(len, operations)) - 1}\n" in said
    cases = re.search(r"(\d+) generated, (\d+) passed", said)
    assert cases is not None
    assert int(cases[1]) == int(cases[2]) > 500

    # Not only what is refused: of each kind of change some were made.
    events = (json.loads(line) for line in lab.must("events", "--json", "--name", "audit").splitlines())
    done = Counter(each["kind"] for each in events if each.get("outcome") == "done")
    kinds = {"generatecsr", "regenerate", "generateselfsigned", "upload", "delete", "regenerateauthz", "orderservice"}
    assert done.keys() == kinds | {"deletecsr"}
    assert "Traceback" not in "".join(path.read_text() for path in (lab.home / "logs").iterdir())
    assert api.get("/snapshot/server")["server"] == "pub", "it is up, and the account is not locked"
    lab.must("wait", "--converged", "--within", "60s")
