"""`ucmlab doctor`: examinations of what a lab is to use and does not come with."""

from ucmlab.cluster.cli.lazy import Entry, LazyGroup

_CLI = "ucmlab.cluster.cli"
CHECKS = {
    "broker": Entry(f"{_CLI}.doctor_broker:broker", "Whether an MQTT broker can carry a lab, and what would differ.")
}
"""What can be examined; a new examination is a line here and a command of its own."""
doctor = LazyGroup(name="doctor", entries=CHECKS, help="Examine what a lab is to use and does not come with.")
