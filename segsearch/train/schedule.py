"""The learning rate of every step."""


def poly(step: int, total: int, *, base: float, power: float, warmup: int = 0) -> float:
    """Rate of step 0 .. total - 1: ``base * (1 - step / total) ** power`` (DeepLab, arXiv 1606.00915).

    The first ``warmup`` steps are scaled by ``(step + 1) / (warmup + 1)``, so neither they nor any later step is 0.
    """
    assert 0 <= step < total, f"step {step} of {total}"
    ramp = min(1.0, (step + 1) / (warmup + 1))
    return float(base * ramp * (1 - step / total) ** power)
