"""`policy-server status` as a table for the terminal."""

import io

from rich.console import Console
from rich.table import Table

from robot_contract.messages import PolicyStatus, ServerStatus


def render_status(status: ServerStatus, *, width: int = 110) -> str:
    a, b = status.batch_seconds
    table = Table(title=None, expand=False)
    for heading in ("policy", "state", "sessions", "served", "refused", "interface", "digest"):
        table.add_column(heading, justify="right" if heading in ("sessions", "served") else "left")
    for policy in status.policies:
        table.add_row(
            policy.name,
            policy.state,
            str(policy.sessions),
            str(policy.served),
            _refused(policy),
            policy.interface_digest[:12],
            policy.policy_digest[:12],
        )
    out = io.StringIO()
    console = Console(file=out, width=width, color_system=None)
    console.print(
        f"policy-server {status.version} on {status.device or 'nothing yet'}, up {_duration(status.uptime)},"
        f" {status.queue_length} waiting, a batch of B takes {a * 1e3:.1f} + {b * 1e3:.2f} B ms"
    )
    console.print(table)
    return out.getvalue()


def _refused(policy: PolicyStatus) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in sorted(policy.refused.items())) or "none"


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
