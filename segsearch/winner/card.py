"""The card of a study's winner."""

from datetime import UTC, datetime
from typing import Literal

from segsearch.artefacts.formats import ONNX, libraries
from segsearch.data.dataset import Dataset
from segsearch.deployment.artefact import Artefact, Timing
from segsearch.deployment.card import Card, Retrained, Rival
from segsearch.deployment.onnx import Exported
from segsearch.provenance import versions
from segsearch.study.config import StudyConfig
from segsearch.study.pick import Pick
from segsearch.study.record import TrialRecord


def rival(record: TrialRecord, miou: float, latency_ms: float, reason: Literal["missed", "slower", "gone"]) -> Rival:
    """Name a network that was not taken; see `Rival` for what its figures are of."""
    return Rival(
        name=record.name,
        spec=record.spec_id,
        trial=record.number,
        miou=miou,
        latency_ms=latency_ms,
        reason=reason,
    )


def winner_card(
    config: StudyConfig,
    record: TrialRecord,
    dataset: Dataset,
    *,
    weights: str,
    retrained: Retrained | None,
    exported: Exported,
    made: tuple[Artefact, ...],
    shipped: str,
    artefact_miou: float | None,
    timing: Timing | None,
    budget_fps: float | None,
    pick: Pick | None,
    rivals: tuple[Rival, ...],
) -> Card:
    """Gather all that is known of an exported network; the ONNX file is the first of ``made``.

    ``artefact_miou`` and ``timing`` are of the file that is ``shipped``.
    """
    latency = record.quoted
    scores = record.counted
    assert latency is not None and scores is not None, "only trained networks are exported"
    assert record.params is not None and record.macs is not None
    return Card(
        name=record.name,
        spec=record.spec_id,
        point=record.point,
        study=config.name,
        data=dataset.name,
        weights=weights,
        retrained=retrained,
        classes=dataset.classes,
        size_hw=latency.size_hw,
        params=record.params,
        macs=record.macs,
        images=scores.images,
        miou=record.miou,
        standard_error=scores.standard_error,
        iou=scores.iou,
        artefact_miou=artefact_miou,
        report_miou=record.report_scores.miou if record.report_scores else None,
        search=Timing(
            latency_ms=latency.median_ms,
            covers="mask",
            backend=latency.backend,
            device=latency.where,
            precision=latency.precision,
            threads=latency.threads if latency.device_kind == "cpu" else None,
            fresh_process=latency is record.confirmed,
            steady=latency.steady,
        ),
        artefact=timing,
        shipped=None if shipped == ONNX else shipped,
        budget_fps=budget_fps,
        pick=pick,
        rivals=rivals,
        agreement=made[0].agreement,
        artefacts=made,
        recipe=record.recipe_id,
        settings=record.recipe.model_dump(mode="json"),
        seed=record.seed,
        versions=versions() | libraries(),
        file=ONNX,
        sha256=exported.sha256,
        opset=exported.opset,
        nodes=exported.nodes,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
