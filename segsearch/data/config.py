"""Which data set, and how it is cut: plain values as they stand in a study file."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from segsearch.errors import InputError, unknown
from segsearch.export.images import Fit
from segsearch.frozen import Frozen

Side = Annotated[int, Field(ge=16, le=8192)]
SizeHW = tuple[Side, Side]
"""Height and width in pixels."""


class DataConfig(Frozen):
    """What all data sets share: ``size``, to which images (bilinear) and labels to learn from (nearest) are brought.

    It is what a network sees when it is deployed, measured and scored. Training crops are cut from it (`Recipe.crop`),
    and scores are counted at the labels' own size.
    """

    name: str
    size: SizeHW

    @model_serializer(mode="wrap")
    def _with_name(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # The name is a default of its class and would be left out of canonical JSON: two data sets could share an id.
        return {"name": self.name, **handler(self)}


class StreetsData(DataConfig):
    """Drawn street scenes (`segsearch.data.streets`): ``train`` and ``val`` are numbers of images."""

    name: Literal["streets"] = "streets"
    size: SizeHW = (128, 192)
    train: Annotated[int, Field(ge=1, le=1_000_000)] = 160
    val: Annotated[int, Field(ge=1, le=1_000_000)] = 40
    seed: Annotated[int, Field(ge=0)] = 0


class Holdout(Frozen):
    """Frames of each training sequence kept back as search signal.

    Each sequence is cut into ``blocks`` stretches; stretch ``fold`` validates, and ``gap`` frames either side of it are
    not learnt from, as neighbours of a validated frame show nearly the same picture.
    """

    blocks: Annotated[int, Field(ge=2, le=100)] = 5
    fold: Annotated[int, Field(ge=0)] = 0
    gap: Annotated[int, Field(ge=0, le=1000)] = 2

    @model_validator(mode="after")
    def _fold_exists(self) -> "Holdout":
        if self.fold >= self.blocks:
            raise ValueError(f"fold < blocks must hold, but got fold={self.fold}, blocks={self.blocks}")
        return self


class FileData(DataConfig):
    """What data sets of files share: where they lie, and how images of another shape are brought to ``size``."""

    root: Annotated[str, Field(min_length=1)]
    fit: Fit = Field(
        default="stretch", description="stretch: each axis by its own factor; pad: whole, with a margin to ignore"
    )


class CamVidData(FileData):
    """CamVid in SegNet's layout: ``root`` holds train, trainannot, val, valannot."""

    layout: ClassVar[tuple[str, ...]] = ("train", "trainannot", "val", "valannot")
    """Folders by which a folder of this data set is known."""

    name: Literal["camvid"] = "camvid"
    size: SizeHW = (360, 480)
    holdout: Holdout = Holdout()


class FolderData(FileData):
    """Any images and label PNGs: ``root`` is the YAML file that describes them (`segsearch.data.folder`)."""

    name: Literal["folder"] = "folder"


DataSpec = Annotated[StreetsData | CamVidData | FolderData, Field(discriminator="name")]

CONFIGS: dict[str, type[StreetsData] | type[CamVidData] | type[FolderData]] = {
    "streets": StreetsData,
    "camvid": CamVidData,
    "folder": FolderData,
}


def parse_data(data: object, place: object) -> StreetsData | CamVidData | FolderData:
    """Read a data set's description from plain data.

    Raises:
        InputError: no mapping, an unknown name, or a field that does not hold.
    """
    if not isinstance(data, dict):
        raise InputError(place, f"must be a mapping of keys to values, got {type(data).__name__}")
    if "name" not in data:
        raise InputError(f"{place}.name", "is missing", CONFIGS)
    if not isinstance(data["name"], str) or data["name"] not in CONFIGS:
        raise unknown(f"{place}.name", data["name"], CONFIGS)
    return CONFIGS[data["name"]].parse(data, place)
