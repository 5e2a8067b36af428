"""PEM gone wrong: labels, line ends, Base64, headers, marks, what stands around a block, blocks inside blocks."""

import re
from collections.abc import Callable
from random import Random

LABELS = (
    "CERTIFICATE",
    "X509 CERTIFICATE",
    "X.509 CERTIFICATE",
    "TRUSTED CERTIFICATE",
    "PKCS7",
    "PKCS #7 SIGNED DATA",
    "CMS",
    "PKCS12",
    "CERTIFICATE REQUEST",
    "NEW CERTIFICATE REQUEST",
    "X509 CRL",
    "PUBLIC KEY",
    "PRIVATE KEY",
    "RSA PRIVATE KEY",
    "EC PRIVATE KEY",
    "ENCRYPTED PRIVATE KEY",
    "OPENSSH PRIVATE KEY",
    "certificate",
    "CERTIFICATE ",
    " CERTIFICATE",
    "",
    "-",
    "CERTIFICATE-----\n-----BEGIN CERTIFICATE",
    "Ünïcode",
    "A" * 5_000,
)
HEADERS = (
    "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,0123456789ABCDEF\n\n",
    "Comment: a certificate\n",
    "X-Very-Long: " + "x" * 2_000 + "\n\n",
    "\n",
    "Bag Attributes\n    friendlyName: pub\nsubject=CN = pub\n",
)
NOISE = ("=", "==", " ", "\n", "\0", "-", "_", ".", "é", "\ufeff", "=3D", "*", "\\n", "-----", "\t")
_LABEL = re.compile(rb"-----(BEGIN|END) ([^\r\n-]*)-----")


def roughened(random: Random, file: bytes) -> bytes:
    """The file with one or two things wrong with its text."""
    for _ in range(random.choice((1, 1, 2))):
        file = random.choice(_CHANGES)(random, file)
    return file


def _line_ends(random: Random, file: bytes) -> bytes:
    return file.replace(b"\n", random.choice((b"\r\n", b"\r", b"\n\n", b" \n", b"\n\t", b"", b"\x0b", b"\\n")))


def _mark(random: Random, file: bytes) -> bytes:
    return random.choice((b"\xef\xbb\xbf", b"\xff\xfe", b"\n\n", b"# a note\n", b"\0", b"-----", b"0\x82")) + file


def _wide(random: Random, file: bytes) -> bytes:
    return file.decode("latin-1").encode(random.choice(("utf-16", "utf-16-le", "utf-32", "cp037")), errors="replace")


def _relabel(random: Random, file: bytes) -> bytes:
    """All labels of the file, or one of them, so that beginning and end disagree."""
    label, at = random.choice(LABELS).encode(), random.randint(0, 3)
    found = iter(range(1_000_000))
    return _LABEL.sub(lambda told: _told(told, label) if not at or next(found) == at - 1 else told[0], file)


def _told(told: re.Match[bytes], label: bytes) -> bytes:
    return b"-----%b %b-----" % (told[1], label)


def _lower(_: Random, file: bytes) -> bytes:
    return _LABEL.sub(lambda told: told[0].lower(), file)


def _dashes(random: Random, file: bytes) -> bytes:
    return file.replace(b"-----", random.choice((b"----", b"------", b"- - -", "—————".encode())), random.randint(1, 4))


def _headers(random: Random, file: bytes) -> bytes:
    first, end, rest = file.partition(b"\n")
    return first + end + random.choice(HEADERS).encode() + rest


def _noise(random: Random, file: bytes) -> bytes:
    at = random.randint(0, len(file))
    return file[:at] + random.choice(NOISE).encode() + file[at:]


def _padding(random: Random, file: bytes) -> bytes:
    return file.replace(b"=", b"") if random.random() < 0.5 else file.replace(b"\n-----END", b"=\n-----END")


def _other_alphabet(_: Random, file: bytes) -> bytes:
    return file.replace(b"+", b"-").replace(b"/", b"_")


def _cut(random: Random, file: bytes) -> bytes:
    return file[: random.randint(0, len(file))] if random.random() < 0.5 else file[random.randint(0, len(file)) :]


def _twice(random: Random, file: bytes) -> bytes:
    """Once more, behind or inside of itself."""
    at = random.choice((len(file), random.randint(0, len(file))))
    return file[:at] + file + file[at:]


def _without_a_line(random: Random, file: bytes) -> bytes:
    lines = file.split(b"\n")
    del lines[random.randrange(len(lines))]
    return b"\n".join(lines)


def _swapped_lines(random: Random, file: bytes) -> bytes:
    lines = file.split(b"\n")
    one, other = random.randrange(len(lines)), random.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return b"\n".join(lines)


def _flip(random: Random, file: bytes) -> bytes:
    if not file:
        return file
    at = random.randrange(len(file))
    return file[:at] + bytes((file[at] ^ 1 << random.randrange(8),)) + file[at + 1 :]


_CHANGES: tuple[Callable[[Random, bytes], bytes], ...] = (
    _line_ends,
    _line_ends,
    _mark,
    _wide,
    _relabel,
    _relabel,
    _lower,
    _dashes,
    _headers,
    _noise,
    _noise,
    _padding,
    _other_alphabet,
    _cut,
    _twice,
    _without_a_line,
    _swapped_lines,
    _flip,
)
