"""Topic names and topic filters: what is well formed, what matches what (MQTT 4.7).

One place for the broker, its access rules and everybody else who compares topics. `$share` is not known here: a shared
subscription's prefix is the subscriber's business with the broker, not part of the filter.
"""

from functools import lru_cache

MAX_LEVELS = 200
"""Levels of a topic or filter: Mosquitto's TOPIC_HIERARCHY_LIMIT, so that 65,535 slashes cost nobody."""
MAX_BYTES = 65_535
"""Length of a string on the wire, in bytes of UTF-8 (MQTT 1.5.4)."""


class InvalidTopic(ValueError):
    """A topic name or filter that MQTT does not allow."""

    def __init__(self, text: str, why: str) -> None:
        super().__init__(f"{text[:100]!r}: {why}")
        self.text = text
        self.why = why


class TooDeep(InvalidTopic):
    """A topic name or filter that MQTT allows, and we do not."""


def validate_topic(topic: str) -> None:
    """Checks a name that a message is published under.

    Raises:
        InvalidTopic: it is empty, too long, too deep, or holds a wildcard or a null character.
    """
    _check_text(topic)
    if "+" in topic or "#" in topic:
        raise InvalidTopic(topic, "wildcards are for filters, not for topic names")


@lru_cache(maxsize=512)
def validate_filter(filter_: str) -> None:
    """Checks a filter that a client subscribes to.

    Raises:
        InvalidTopic: it is empty, too long, too deep, holds a null character, or a wildcard that does not fill a level.
    """
    _check_text(filter_)
    levels = filter_.split("/")
    for level in levels[:-1]:
        if "#" in level:
            raise InvalidTopic(filter_, "# is allowed as the last level only")
    for level in levels:
        if len(level) > 1 and ("+" in level or "#" in level):
            raise InvalidTopic(filter_, "a wildcard fills a whole level")


def is_wildcard(filter_: str) -> bool:
    """Whether the filter can match more than the one topic of its own name."""
    return "+" in filter_ or "#" in filter_


def filter_matches(filter_: str, topic: str) -> bool:
    """Whether a message on the (valid) topic goes to a subscription with the (valid) filter."""
    if filter_ == topic:
        return True
    if not is_wildcard(filter_):
        return False
    return levels_match(filter_.split("/"), topic.split("/"))


def levels_match(pattern: list[str], topic: list[str]) -> bool:
    """`filter_matches` on levels already split; for callers who match one filter against many topics."""
    # 4.7.2: a wildcard at the first level never matches a topic that begins with $.
    if topic[0][:1] == "$" and pattern[0] in ("+", "#"):
        return False
    last = len(topic) - 1
    for index, level in enumerate(pattern):
        if level == "#":
            return True
        if index > last or (level not in ("+", topic[index])):
            return False
        if index == last:
            # "a/#" matches "a" as well: the parent belongs to the # (4.7.1.2).
            return len(pattern) == index + 1 or pattern[index + 1] == "#"
    return False


def filter_covers(allowed: str, requested: str) -> bool:
    """Whether every topic that `requested` can match is matched by `allowed`.

    Errs on the safe side: `+/#` covers all that `#` does, but the answer is no.
    """
    if allowed == requested:
        return True
    want = requested.split("/")
    grant = allowed.split("/")
    if want[0][:1] == "$" and grant[0] in ("+", "#"):
        return False
    for index, level in enumerate(grant):
        if level == "#":
            return True
        if index == len(want) or want[index] == "#" or (level not in ("+", want[index])):
            return False
        if index == len(want) - 1:
            return len(grant) == index + 1 or grant[index + 1] == "#"
    return False


def _check_text(text: str) -> None:
    if not text:
        raise InvalidTopic(text, "at least one character is needed")
    if "\0" in text:
        raise InvalidTopic(text, "the null character is not allowed")
    if len(text) > MAX_BYTES or len(text.encode(errors="surrogatepass")) > MAX_BYTES:
        raise InvalidTopic(text, f"longer than {MAX_BYTES} bytes")
    if text.count("/") >= MAX_LEVELS:
        raise TooDeep(text, f"more than {MAX_LEVELS} levels")
