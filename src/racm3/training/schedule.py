"""Learning rate as a function of the step: linear warm-up, then linear decay (RA-CM3 §4.1)."""


def learning_rate(step: int, *, peak: float, warmup: int, steps: int, floor: float = 0.0) -> float:
    """The rate for update number `step` (from 0): up to `peak`, then down to `floor * peak`."""
    if step < warmup:
        return peak * (step + 1) / warmup
    left = (steps - step) / max(1, steps - warmup)
    return peak * max(floor, min(1.0, left))
