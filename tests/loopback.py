"""The doubles of tests are on this machine, where nothing goes by default."""

import json

from daemon.config.sections import OutgoingSettings

OUTGOING = OutgoingSettings(allow=("127.0.0.0/8", "::1"))
"""The setting that tests give their daemon."""
LOOPBACK = OUTGOING.policy
"""And its policy."""
IN_ENVIRONMENT = {"STOPGAP_OUTGOING__ALLOW": json.dumps(OUTGOING.allow)}
"""The setting for a daemon that is a process."""
