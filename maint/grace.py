"""How long a recorder may be silent and still count as living: as long as the policy's own passes wait for it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # whoever only looks, under the shipped default, needs no policy
    from policies import Policy

GRACE = 86_400.0
"""Seconds of silence up to which a recorder counts as living, where no pass of the policy says it."""


def grace_of(policy: "Policy | None", now: float) -> float:
    """Seconds of silence up to which a recorder counts as living: what the policy's own passes wait for.

    ``None`` is the shipped default, whose passes wait for `GRACE`.
    """
    if policy is None:
        return GRACE
    from maint.contract import known_passes  # noqa: PLC0415  all passes, which are known where there is a policy

    passes = known_passes()
    waits = [
        now - options.idle_for.before(now, policy.zone)  # type: ignore[attr-defined]
        for options in policy.passes
        if passes[options.pass_name].judges_liveness
    ]
    return min(waits, default=GRACE)
