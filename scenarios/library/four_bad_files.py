"""C-45."""

from datetime import timedelta

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import NoEncryption, pkcs12

from ucmlab.scenarios import Lab, scenario

OF_4104_BITS = b"""\
-----BEGIN CERTIFICATE-----
MIIEyzCCArKgAwIBAgICQQQwDQYJKoZIhvcNAQELBQAwHDEaMBgGA1UEAwwRTGFy
Z2UgS2V5IFJvb3QgQ0EwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBa
MBwxGjAYBgNVBAMMEUxhcmdlIEtleSBSb290IENBMIICIzANBgkqhkiG9w0BAQEF
AAOCAhAAMIICCwKCAgIA+D9NNfqyi0lUWwz+wy0I4fPEW5+OaemD3JYAQ7fpLZbP
rpb7TYLgcrmTw1DZ83ESV9feLiYA7q1/AQhcqD9R2xEnxx1BUMaUBQMTocochz+a
k5XimNl8YnbBmwBgWwlPSlqCnHwLbByK2/a78Dzdl3dKXLwjWMXN4YnRpnei0zW/
nUqJMbCGpHRPsLE1B7lchoUgkIiCpzCWoGWz2/+R1kxy1mxS6bnFMZfPfqQbuqWd
xA+mUYICq8ogMI3xuKaqJQwbqvE+XR2Rdl4nspYdUQtN323ohNMUpIDYozGPD/55
DAW262CB/4M6NrqVEq3Lvcz2/5FOEWGJbA9FZCLrAE+jnetoSk25ZhYhst/pfnwh
CyKQz2PgjaPb8KHNZO0EnzUb1JNmGD/1ZS6DdubltFNf3wqw0WkNjALOd+N3aXV4
ShDoujXkGb2UFfSHfRYKr7HJ9mXPF8FEEvCGm30q16CmV/5mqDwy67LeFmKCVdPW
jhNvxvFavCXknMysOukBgHINAywl/jl8/JvmDkpF681W+o95fWFJtk8IooVuKtyt
BQUO60KAbHDy/b5245xDZBbsTPgw+vd8RQk/jhGPuSz8g5UzsUIrd1w99z0UrJGj
QeJVHPsHWq3MW7xRWGxH6T2pY2T1k9T3DWdeAGHyGaHHPpQJ4QCgj5lxDHGb+Vv/
AgMBAAGjEzARMA8GA1UdEwEB/wQFMAMBAf8wDQYJKoZIhvcNAQELBQADggICAMuj
qar9TrrPZn/TLasmxU3DpKA0dfdvYrCpwD/nvLyNKk5h3vbSp5ffoIA41kfkTdVg
fh4pmI99As7M1ujfRup0tk/gNJXFt7XcEzgP5z8vCCDYdU1tr9gmi1xfJ2oX3+oc
H0QXsGYe+q3kVL4M6OBQRf525WYZX0lh6qcB5Q1wlGZeE3lQt944u2d/KTJNjRfI
HPdZaPpnfW1TCWzKBQ8z8VWPrSJATggvEDK/H6vPDRxQL0uZdPpL6+vp2GhrQM5p
pdpHmI1C9JmtaaM5YViOHitQBc1f+im7aZb3Anda6amx4kYeMiMZbLPRFJZNdAN0
r3DUT82IyPYGbiD7l9uLrsM04IFK6wwaLhQYe8tFdXHftgmWv1MFM/AaNwm5muFb
CpVeYiSs5TsCgDJMiu8SeIF81rzZ0ijMJOI7Hs3T+SU5ARyW9cxYBExhKGeCQ7wI
u0wGpoS3lBsDwM7CyytD74CqKXCjTEzEZVTBpNXHHEzDgV1+mwH0mn1Q1G1eIbC8
MTL0yHlkgZi/eZq4I4YBCEjSNwTjjba3n0fy0YOOQk8fjhQWbIowefrbFw07DqXm
ubfhEzH46DwkqzsOUsoc9d+p1U/bHyAfKsGOvxLa8+K5yVRFYFKsd6pfJxik/T+q
Qlgf0wOfiFSIOxCzZRk1F76ZMkMr9lUxQOCZNxQPzA==
-----END CERTIFICATE-----
"""
"""A root whose key is a little too long; made once, its private key is gone."""


@scenario(nodes="pub sub1", release="14SU2", tags="certificates C-45")
async def four_bad_files(lab: Lab) -> None:
    """A wildcard, a key over 4096 bits, an expired certificate and a PKCS#12 file are uploaded, twice each.

    Each stops at its own check, in the order of the product's (B.10): what the file is, how long the key and what the
    name, then its dates. Nothing is written, so nothing is replicated.
    """
    pub, sub1 = lab.nodes
    root = await lab.ca("Corp Root CA")
    csr = (await pub.generate_csr("tomcat")).pem
    month_ago = lab.now - timedelta(days=30)
    wildcard = await root.sign(csr, san=("*.lab.test",))
    expired = await root.sign(csr, not_before=month_ago - timedelta(days=1), not_after=month_ago)
    key = ec.derive_private_key(45, ec.SECP256R1())
    files = {
        "wildcard": wildcard.pem,
        "key_over_4096": OF_4104_BITS,
        "expired": expired.pem,
        "format": pkcs12.serialize_key_and_certificates(None, key, None, None, NoEncryption()),
    }
    before = [(node.files("tomcat-trust"), node.identity("tomcat")) for node in lab.nodes]

    async with lab.step("Each is uploaded to tomcat-trust", expect="four refusals, four reasons"):
        for reason, data in files.items():
            (await sub1.upload("tomcat-trust", data)).must_be("refused", reason)

    async with lab.step("And to tomcat, where a request waits", expect="the same"):
        for reason, data in files.items():
            (await pub.upload("tomcat", data)).must_be("refused", reason)

    after = [(node.files("tomcat-trust"), node.identity("tomcat")) for node in lab.nodes]
    lab.check(before == after, "no file and no identity changed")
    (await pub.upload("tomcat-trust", root.pem)).must_be("done")
    (await pub.upload("tomcat", (await root.sign(csr)).pem)).must_be("done")
    await lab.converged(within="31m")
