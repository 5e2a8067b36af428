"""What each command of `commands.toml` does."""

from collections.abc import Mapping

from ucmlab.cluster.admin.terminal import certificates, default_cas, modes, platform, services, settings
from ucmlab.cluster.admin.terminal.console import Perform

PERFORMED: Mapping[str, Perform] = {
    name: perform
    for module in (certificates, default_cas, services, platform, modes, settings)
    for name, perform in module.COMMANDS.items()
}
"""By `CommandRow.does`."""
