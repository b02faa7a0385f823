"""`policy-server status` as a table for the terminal."""

from robot_contract.messages import PolicyStatus, ServerStatus

HEADINGS = ("policy", "state", "sessions", "served", "refused", "interface", "digest")


def render_status(status: ServerStatus) -> str:
    a, b = status.batch_seconds
    summary = (
        f"policy-server {status.version} on {status.device or 'nothing yet'}, up {_duration(status.uptime)}, "
        f"{status.queue_length} waiting, a batch of B takes {a * 1e3:.1f} + {b * 1e3:.2f} B ms"
    )
    rows = [HEADINGS, *(_row(policy) for policy in status.policies)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    rule = "  ".join("-" * width for width in widths)
    return "\n".join([summary, "", lines[0].rstrip(), rule, *(line.rstrip() for line in lines[1:])])


def _row(policy: PolicyStatus) -> tuple[str, ...]:
    return (
        policy.name,
        policy.state,
        str(policy.sessions),
        str(policy.served),
        _refused(policy),
        policy.interface_digest[:12],
        policy.policy_digest[:12],
    )


def _refused(policy: PolicyStatus) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in sorted(policy.refused.items())) or "none"


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
