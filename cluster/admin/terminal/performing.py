"""What each command of `commands.toml` does."""

from collections.abc import Mapping

from ucmlab.cluster.admin.terminal import certificates, platform, services, settings
from ucmlab.cluster.admin.terminal.console import Perform

PERFORMED: Mapping[str, Perform] = (
    dict(certificates.COMMANDS) | dict(services.COMMANDS) | dict(platform.COMMANDS) | dict(settings.COMMANDS)
)
"""By `CommandRow.does`."""
