"""How many examples hypothesis makes: a fifth of them every day, all with `--hypothesis-profile=ci`."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

_WHOLE = 100
_PATIENT = (HealthCheck.too_slow,)

# On a busy machine a single example may take any time.
settings.register_profile("everyday", max_examples=_WHOLE // 5, deadline=None, suppress_health_check=_PATIENT)
settings.register_profile("ci", max_examples=_WHOLE, deadline=None, suppress_health_check=_PATIENT)


def examples(number: int, *suppressed: HealthCheck) -> settings:
    """So many examples in CI, and the profile's share of them elsewhere; `suppressed` are checks to leave out."""
    share = settings.default.max_examples / _WHOLE
    return settings(
        max_examples=max(1, round(share * number)), suppress_health_check=[*_PATIENT, *suppressed]
    )
