"""Who listens for TLS connections, and what nodes connect to others for (domain.md A.2, B.14, R-166; design 6)."""

import pytest

from tests.unit.node.rule_tables import books, differences, in_release, read
from ucmlab.node.rulebook import RuleBook

LISTENERS = """
    # name         service                                     port  speaks  presents                       ciphers  client    trusts             when
    https          Cisco Tomcat                                443   website    tomcat tomcat-ECDSA            https    none      -                  -          # R-008, W1
    https_alt      Cisco Tomcat                                8443  website    tomcat tomcat-ECDSA            https    none      -                  -          # R-008, W2.1
    ssh            System SSH                                  22    ssh     -                              all      none      -                  -          # W3.1
    tvs            Cisco Trust Verification Service            2445  -       TVS                            all      none      -                  -          # B.11
    capf           Cisco Certificate Authority Proxy Function  3804  -       CAPF                           all      none      -                  -          # B.12
    sip_tls        Cisco CallManager                           5061  sip     CallManager CallManager-ECDSA  all      required  CallManager-trust  -          # R-105
    sip_oauth      Cisco CallManager                           5090  sip     tomcat tomcat-ECDSA            https    none      -                  sip_oauth  # B.14
    sip_oauth_mra  Cisco CallManager                           5091  sip     tomcat tomcat-ECDSA            https    required  tomcat-trust       sip_oauth  # B.14
    cti_tls        Cisco CTIManager                            2749  -       CallManager                    all      required  CallManager-trust  -          # ours
    tftp_https     Cisco Tftp                                  6971  http    tomcat                         all      none      -                  -          # R-071
    tftp_mra       Cisco HAProxy                               6972  http    CallManager CallManager-ECDSA  all      optional  CallManager-trust  -          # B.14
    haproxy        Cisco HAProxy                               9443  http    CallManager CallManager-ECDSA  all      required  CallManager-trust  -          # B.14
    ipsec          IPsec                                       4500  -       ipsec                          all      required  ipsec-trust        -          # ours
"""  # noqa: E501  a table
CLIENTS = """
    # name               service                            presents     trusts                        listener   checks_name
    sip                  Cisco CallManager                  CallManager  CallManager-trust          sip_tls    -  # R-166
    web                  Cisco Tomcat                       tomcat       tomcat-trust               https_alt  yes  # R-194
    ldap                 Cisco DirSync                      -            tomcat-trust directory-trust  -          yes  # R-024, R-192
    ldap_authentication  Cisco Tomcat                       -            tomcat-trust               -          yes  # C-04
    ipsec                IPsec                              ipsec        ipsec-trust                ipsec      -  # R-192
    cti                  Cisco CTIManager                   CallManager  CallManager-trust          cti_tls    -  # R-192
    syslog               Cisco Syslog Agent                 -            tomcat-trust               -          yes  # R-166
    filebeat             -                                  -            tomcat-trust               -          yes  # R-166
    ils                  Cisco Intercluster Lookup Service  tomcat       tomcat-trust               -          -  # R-166
    lbm                  Cisco Location Bandwidth Manager   tomcat       tomcat-trust               -          -  # R-166
"""  # noqa: E501  a table


@pytest.mark.rule("R-008", "R-071", "R-099", "R-107", "B.14")
def test_the_listeners_of_each_release() -> None:
    columns = "name service port speaks presents ciphers client trusts when"
    for release, _, book in books():
        expected = {
            row["name"]: {
                "service": row["service"],
                "port": int(row["port"]),
                "speaks": row["speaks"],
                "presents": tuple(unit for unit in row["presents"].split() if unit in book.units),
                "ciphers": row["ciphers"],
                "client": row["client"],
                "trusts": tuple(row["trusts"].split()),
                "when": row["when"] or None,
            }
            for row in read(LISTENERS, columns)
            if row["service"] != "Cisco HAProxy" or in_release(release, "12.5..")
        }
        assert differences(book.listeners, expected) == []


@pytest.mark.rule("R-024")
def test_the_clients_of_each_release() -> None:
    columns = "name service presents trusts listener checks_name"
    for _, _, book in books():
        expected = {
            row["name"]: {
                "service": row["service"],
                "presents": tuple(row["presents"].split()),
                "trusts": tuple(unit for unit in row["trusts"].split() if unit in book.units),
                "listener": row["listener"],
                "checks_name": row["checks_name"] == "yes",
            }
            for row in read(CLIENTS, columns)
        }
        assert differences(book.clients, expected) == []


def test_no_two_listeners_of_a_node_have_one_port_or_one_name_with_another_address() -> None:
    book = RuleBook.load("15")
    ports = [row.port for row in book.listeners.values()]
    assert len(ports) == len(set(ports))
    assert all(client.listener in {"", *book.listeners} for client in book.clients.values())
