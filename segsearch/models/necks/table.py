"""The table of necks. All places of a new one: docs/extend.md."""

from segsearch.models.necks.aggregate import Aggregate
from segsearch.models.necks.base import Neck, Site
from segsearch.models.necks.bidirectional import Bidirectional
from segsearch.models.necks.skip import Skip
from segsearch.models.necks.topdown import TopDown
from segsearch.spec.neck import NeckSpec

NECKS: dict[str, type[TopDown | Bidirectional | Aggregate | Skip]] = {
    "topdown": TopDown,
    "bidirectional": Bidirectional,
    "aggregate": Aggregate,
    "skip": Skip,
}


def build_neck(spec: NeckSpec, site: Site) -> Neck:
    """Build the neck that ``spec`` names."""
    return NECKS[spec.kind](spec, site)  # type: ignore[arg-type]  # the row fits the kind
