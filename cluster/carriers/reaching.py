"""Whether a broker can be reached, found out before anything depends on it, and said in one line."""

import contextlib
import socket
import ssl

import aiomqtt

from ucmlab.broker.bus import BusEndpoint
from ucmlab.cluster.errors import Unusable

PATIENCE_S = 10.0
_LOGIN = {4, 5, 0x86, 0x87}
"""CONNACK codes that speak of name and password, of 3.1.1 and of 5."""
_REASONS: dict[type[BaseException], str] = {
    ssl.SSLError: "it does not speak TLS there, or not with us; is it mqtt:// and not mqtts://?",
    socket.gaierror: "there is no host of that name",
    ConnectionRefusedError: "nothing listens there",
    TimeoutError: f"no answer within {PATIENCE_S:g} s",
}
"""The first that fits."""


async def reach(endpoint: BusEndpoint) -> None:
    """Connect once, and go.

    Raises:
        Unusable: it is not there, is no MQTT broker, is not who it should be, or lets us not in.
    """
    where = f"{endpoint.host}:{endpoint.port}"
    try:
        async with client_of(endpoint, timeout=PATIENCE_S):
            pass
    except aiomqtt.MqttError as error:
        raise Unusable(f"the broker at {where} cannot be used: {_why(error, endpoint)}") from None


def client_of(endpoint: BusEndpoint, *, timeout: float | None = None) -> aiomqtt.Client:
    """A client with a clean session, not connected yet; what its calls wait for is aiomqtt's to say, if nobody does.

    Raises:
        Unusable: the file of the authority's certificate cannot be used.
    """
    return aiomqtt.Client(
        endpoint.host,
        endpoint.port,
        identifier=endpoint.client_id,
        username=endpoint.username or None,
        password=endpoint.password or None,
        protocol=aiomqtt.ProtocolVersion.V5,
        clean_start=True,
        timeout=timeout,
        tls_context=tls_context(endpoint),
    )


def tls_context(endpoint: BusEndpoint) -> ssl.SSLContext | None:
    """What checks the broker's certificate.

    Raises:
        Unusable: the file of the authority's certificate cannot be used.
    """
    if endpoint.ca_file is None:
        return None
    try:
        return ssl.create_default_context(cafile=endpoint.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise Unusable(f"{endpoint.ca_file} holds no certificates in PEM: {error.strerror or error}") from error


def system_authorities() -> str:
    """The file of the authorities that this machine trusts.

    Raises:
        Unusable: there is none.
    """
    paths = ssl.get_default_verify_paths()
    found = paths.cafile or paths.openssl_cafile
    with contextlib.suppress(OSError), open(found, "rb"):  # noqa: PTH123  only whether it can be read
        return found
    raise Unusable("this machine has no file of trusted authorities; name the broker's with --broker-ca FILE")


def _why(error: aiomqtt.MqttError, endpoint: BusEndpoint) -> str:
    cause: BaseException | None = error
    while cause is not None:
        found = _known(cause, endpoint)
        if found is not None:
            return found
        cause = cause.__cause__ or cause.__context__
    return str(error)


def _known(cause: BaseException, endpoint: BusEndpoint) -> str | None:
    code = getattr(getattr(cause, "rc", None), "value", getattr(cause, "rc", None))
    if code in _LOGIN:
        return f"it refuses user {endpoint.username!r}; is the password right, and may that user connect?"
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({cause.verify_message}); name its authority with the CA option"
    for kind, why in _REASONS.items():
        if isinstance(cause, kind):
            return why
    return (cause.strerror or str(cause)) if isinstance(cause, OSError) else None
