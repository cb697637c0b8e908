"""Outlines of cars, vans, lorries and buses."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Outline from tail to nose in parts of length and height; ``glass``: which strips of it; side windows likewise."""

    size_m: tuple[float, float, float]
    outline: tuple[tuple[float, float], ...]
    glass: tuple[int, ...]
    windows: tuple[tuple[tuple[float, float], ...], ...]
    wheels: tuple[float, ...]
    wheel_m: float = 0.32


_SALOON_SIDE = (
    ((0.24, 0.66), (0.31, 0.93), (0.46, 0.95), (0.46, 0.66)),
    ((0.48, 0.66), (0.48, 0.95), (0.57, 0.93), (0.70, 0.66)),
)
_HATCH_SIDE = (
    ((0.10, 0.64), (0.16, 0.92), (0.40, 0.95), (0.40, 0.64)),
    ((0.42, 0.64), (0.42, 0.95), (0.55, 0.93), (0.69, 0.64)),
)
_VAN_SIDE = (((0.66, 0.52), (0.66, 0.86), (0.76, 0.86), (0.86, 0.52)),)
_BUS_SIDE = tuple(((s, 0.42), (s, 0.85), (s + 0.13, 0.85), (s + 0.13, 0.42)) for s in (0.05, 0.2, 0.35, 0.5, 0.65, 0.8))

SHAPES = {
    "hatch": Shape(
        size_m=(4.0, 1.74, 1.47),
        outline=(
            (0.0, 0.14),
            (0.0, 0.5),
            (0.03, 0.62),
            (0.12, 0.96),
            (0.2, 1.0),
            (0.54, 0.99),
            (0.72, 0.64),
            (0.96, 0.53),
            (1.0, 0.42),
            (1.0, 0.14),
        ),
        glass=(2, 5),
        windows=_HATCH_SIDE,
        wheels=(0.18, 0.81),
    ),
    "saloon": Shape(
        size_m=(4.6, 1.8, 1.43),
        outline=(
            (0.0, 0.15),
            (0.0, 0.6),
            (0.03, 0.66),
            (0.18, 0.68),
            (0.3, 0.97),
            (0.38, 1.0),
            (0.54, 0.99),
            (0.71, 0.66),
            (0.96, 0.54),
            (1.0, 0.4),
            (1.0, 0.15),
        ),
        glass=(3, 6),
        windows=_SALOON_SIDE,
        wheels=(0.2, 0.81),
    ),
    "suv": Shape(
        size_m=(4.6, 1.88, 1.75),
        outline=(
            (0.0, 0.18),
            (0.0, 0.56),
            (0.02, 0.64),
            (0.07, 0.95),
            (0.12, 1.0),
            (0.56, 0.99),
            (0.7, 0.66),
            (0.95, 0.6),
            (1.0, 0.45),
            (1.0, 0.18),
        ),
        glass=(2, 5),
        windows=_HATCH_SIDE,
        wheels=(0.18, 0.81),
        wheel_m=0.37,
    ),
    "van": Shape(
        size_m=(5.2, 1.95, 2.2),
        outline=(
            (0.0, 0.12),
            (0.0, 0.97),
            (0.02, 1.0),
            (0.74, 1.0),
            (0.86, 0.55),
            (0.98, 0.45),
            (1.0, 0.36),
            (1.0, 0.12),
        ),
        glass=(3,),
        windows=_VAN_SIDE,
        wheels=(0.2, 0.82),
    ),
    "truck": Shape(
        size_m=(8.0, 2.4, 3.2),
        outline=((0.0, 0.18), (0.0, 1.0), (0.72, 1.0), (0.75, 0.82), (0.93, 0.82), (0.99, 0.5), (1.0, 0.16)),
        glass=(4,),
        windows=(((0.8, 0.5), (0.8, 0.76), (0.9, 0.76), (0.94, 0.5)),),
        wheels=(0.14, 0.28, 0.86),
        wheel_m=0.48,
    ),
    "bus": Shape(
        size_m=(11.0, 2.5, 3.0),
        outline=((0.0, 0.1), (0.0, 0.45), (0.0, 0.88), (0.01, 1.0), (0.98, 1.0), (0.995, 0.9), (1.0, 0.4), (1.0, 0.1)),
        glass=(1, 5),
        windows=_BUS_SIDE,
        wheels=(0.22, 0.74),
        wheel_m=0.48,
    ),
}
