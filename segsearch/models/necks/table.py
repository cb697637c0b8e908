"""The table of necks. A new one is a class, a row here, a spec in spec.neck, an arm of `fusion` in the space."""

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
