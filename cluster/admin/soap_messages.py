"""SOAP 1.1 envelopes of Control Center Services: read from what clients send, made for what they get (W2.1, W2.2).

The body's first child says what is asked for, never the header `SOAPAction`, which some clients leave out. Names count
without their namespace, as some write them with and some without. No I/O.
"""

from collections.abc import Iterator, Mapping, Sequence

import msgspec
from lxml import etree

NAMESPACE = "http://schemas.cisco.com/ast/soap"
ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
_TRUE = ("true", "1")
DEPTH_LIMIT = 32
"""Elements inside each other: requests have five."""
Value = str | int | bool | Mapping[str, "Value"] | Sequence["Value"]
"""Text, or elements by name; of a list each is an element of that name."""


class SoapFault(Exception):
    """What a client is told when nothing came of its request."""

    def __init__(self, text: str, *, by_client: bool = True) -> None:
        """`text`: the fault string; `by_client`: whether the request was wrong, or this end."""
        super().__init__(text)
        self.text = text
        self.by_client = by_client


class Asked(msgspec.Struct, frozen=True):
    """One element of a request: its text, and the elements in it."""

    name: str
    text: str
    children: tuple["Asked", ...]

    def all(self, name: str) -> Iterator["Asked"]:
        """The elements of a name that lie right in this one."""
        return (child for child in self.children if child.name == name)

    def first(self, *names: str) -> "Asked | None":
        """The first that has one of these names."""
        return next((child for child in self.children if child.name in names), None)

    def said(self, name: str) -> str:
        """The text of an element; empty if it is not there, is empty, or is nil."""
        found = self.first(name)
        return "" if found is None else found.text

    def items(self, name: str) -> list[str]:
        """The texts of a repeated element, and of `item` elements inside of it: clients write the one or the other."""
        found: list[str] = []
        for each in self.all(name):
            inner = [item.text for item in each.all("item")]
            found += inner or ([each.text] if each.text else [])
        return found


def read_envelope(data: bytes) -> Asked:
    """What is asked for.

    Raises:
        SoapFault: it is no envelope, or has a document type, which SOAP forbids (SOAP 1.1, 3).
    """
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
    )
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise SoapFault(f"the request is no XML: {error}") from error
    if root.getroottree().docinfo.doctype:
        raise SoapFault("the request has a document type")
    body = next((child for child in root if _local(child) == "Body"), None)
    asked = None if body is None else next((child for child in body if isinstance(child.tag, str)), None)
    if _local(root) != "Envelope" or asked is None:
        raise SoapFault("the request is no SOAP envelope with a body")
    return _read(asked, 0)


def response(operation: str, value: Value) -> bytes:
    """The answer to an operation: `<operation>Response` with what is in it."""
    envelope, body = _envelope()
    _write(body, f"{operation}Response", value)
    return etree.tostring(envelope, xml_declaration=True, encoding="UTF-8")


def fault(error: SoapFault) -> bytes:
    """A fault."""
    envelope, body = _envelope()
    made = etree.SubElement(body, f"{{{ENVELOPE}}}Fault")
    side = "Client" if error.by_client else "Server"
    etree.SubElement(made, "faultcode").text = f"soapenv:{side}"
    etree.SubElement(made, "faultstring").text = _printable(error.text)
    return etree.tostring(envelope, xml_declaration=True, encoding="UTF-8")


def _envelope() -> tuple[etree._Element, etree._Element]:
    spaces = {"soapenv": ENVELOPE, "ns1": NAMESPACE}
    envelope = etree.Element(f"{{{ENVELOPE}}}Envelope", nsmap=spaces)
    return envelope, etree.SubElement(envelope, f"{{{ENVELOPE}}}Body")


def _write(parent: etree._Element, name: str, value: Value) -> None:
    if isinstance(value, Sequence) and not isinstance(value, str):
        for each in value:
            _write(parent, name, each)
        return
    made = etree.SubElement(parent, f"{{{NAMESPACE}}}{name}")
    if isinstance(value, Mapping):
        for inner, content in value.items():
            _write(made, inner, content)
    else:
        made.text = str(value).lower() if isinstance(value, bool) else _printable(str(value))


def _read(element: etree._Element, depth: int) -> Asked:
    if depth > DEPTH_LIMIT:
        raise SoapFault("the request has elements too deep in others")
    children = tuple(_read(child, depth + 1) for child in element if isinstance(child.tag, str))
    nil = element.get(_NIL, "").strip() in _TRUE
    return Asked(_local(element), "" if nil else (element.text or "").strip(), children)


def _local(element: etree._Element) -> str:
    return etree.QName(element).localname if isinstance(element.tag, str) else ""


def _printable(text: str) -> str:
    """What XML can say of a text: no control characters."""
    return "".join(each if each.isprintable() or each in "\t\n" else "\N{REPLACEMENT CHARACTER}" for each in text)
