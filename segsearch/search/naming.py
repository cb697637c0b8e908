"""Names for people: what a network mostly is, and enough of its id to tell it from others."""

from segsearch.space.nodes import Point


def network_name(point: Point, spec_id: str) -> str:
    """Name a sampled network by its encoder and fusion: ``resnet18x0.75/fam#1a2b3c4d``, ``fpe-p3q9/meu#1a2b3c4d``."""
    if "encoder" not in point or "fusion" not in point:
        return f"network#{spec_id[:8]}"
    return f"{_encoder(point)}/{point['fusion']}#{spec_id[:8]}"


def _encoder(point: Point) -> str:
    family = str(point["encoder"])
    if family == "timm":
        return str(point["encoder.timm.model"]).partition("@")[0]
    inside = {name.removeprefix(f"encoder.{family}."): value for name, value in point.items()}
    variant, depth = str(inside.get("variant", "")), inside.get("depth", 1.0)
    if variant:
        # df1 and lite0 say their family themselves; xception's a does not
        family = variant if family.endswith(variant.rstrip("0123456789")) else f"{family}-{variant}"
    if isinstance(depth, int):
        family += str(depth)
    elif depth != 1.0:
        family += f"-d{depth}"
    if "p" in inside and "q" in inside:
        family += f"-p{inside['p']}q{inside['q']}"
    width = float(point.get("encoder_width", 1.0))
    return family if width == 1.0 else f"{family}x{width:g}"
