"""Which data set, and how it is cut: plain values as they stand in a study file."""

from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from segsearch.deployment.images import Fit
from segsearch.errors import InputError, unknown
from segsearch.frozen import Frozen, HeightByWidth, ShownName, YesNo

Side = Annotated[int, Field(ge=16, le=8192)]
SizeHW = Annotated[
    tuple[Side, Side],
    HeightByWidth,
    Field(description="height and width in pixels that images are brought to: [512, 1024] or 512x1024"),
]
Fitted = Annotated[
    Fit,
    Field(description="of images of another shape: stretch, each axis by its own factor; pad, with a margin to ignore"),
]


class DataConfig(Frozen):
    """What all data sets share: ``size``, to which images (bilinear) and labels to learn from (nearest) are brought.

    It is what a network sees when it is deployed, measured and scored. Training crops are cut from it (`Recipe.crop`),
    and scores are counted at the labels' own size.
    """

    name: str
    size: SizeHW

    @property
    def title(self) -> str:
        """Name for people, and for folders of runs."""
        return self.name

    @model_serializer(mode="wrap")
    def _with_name(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # The name is a default of its class and would be left out of canonical JSON: two data sets could share an id.
        return {"name": self.name, **handler(self)}


class StreetsData(DataConfig):
    """Drawn street scenes (`segsearch.data.streets`): ``train`` and ``val`` are numbers of images."""

    name: Literal["streets"] = "streets"
    size: SizeHW = (128, 192)
    train: int = Field(default=160, ge=1, le=1_000_000, description="images to learn from")
    val: int = Field(default=40, ge=1, le=1_000_000, description="images that validate")
    seed: int = Field(default=0, ge=0, description="of what is drawn")


class Holdout(Frozen):
    """Frames of each training sequence kept back as search signal.

    Each sequence is cut into ``blocks`` stretches; stretch ``fold`` validates, and ``gap`` frames either side of it are
    not learnt from, as neighbours of a validated frame show nearly the same picture.
    """

    blocks: int = Field(default=5, ge=2, le=100, description="stretches that each training sequence is cut into")
    fold: int = Field(default=0, ge=0, description="the stretch that validates, counted from 0")
    gap: int = Field(default=2, ge=0, le=1000, description="frames beside it, on either side, that are not learnt from")

    @model_validator(mode="after")
    def _fold_exists(self) -> "Holdout":
        if self.fold >= self.blocks:
            raise ValueError(f"fold < blocks must hold, but got fold={self.fold}, blocks={self.blocks}")
        return self


class FittedData(DataConfig):
    """Data whose images may have any shape: what brings them to ``size``."""

    fit: Fitted = "stretch"


class FileData(FittedData):
    """What data sets of files share: where they lie."""

    root: str = Field(min_length=1, description="where the data lies")


class CamVid(FileData):
    """What both label sets of CamVid share: ``split`` says what is learnt and what validates.

    ``holdout``: blocks of train validate, and the official val is only reported, as searches need it. ``official``:
    train is learnt whole, and val validates. ``trainval``: both are learnt, for a last training before the test; val
    then tells nothing of new images. The official test split is never read.
    """

    split: Literal["holdout", "official", "trainval"] = Field(
        default="holdout",
        description="blocks of train validate; or the official val does; or both are learnt, for a last training",
    )
    holdout: Holdout = Field(default=Holdout(), description="which blocks of train validate")

    @model_validator(mode="after")
    def _holdout_is_used(self) -> "CamVid":
        if self.split != "holdout" and self.holdout != Holdout():
            raise ValueError(f"has a holdout, which split: {self.split} does not use")
        return self


class CamVidData(CamVid):
    """CamVid with SegNet's 11 grey ids: ``root`` holds train, trainannot, val, valannot."""

    name: Literal["camvid"] = "camvid"
    size: SizeHW = (360, 480)


class CamVidColourData(CamVid):
    """CamVid with 11 of its 32 original colours, the rest ignored: scores do not compare with those on `CamVidData`.

    ``root`` holds 701_StillsRaw_full and LabeledApproved_full, divided by train.txt and val.txt or, without them, as
    SegNet did; or train, train_labels, val, val_labels. In Kaggle's copy these hold another split than papers use.
    """

    name: Literal["camvid_colour"] = "camvid_colour"
    size: SizeHW = (720, 960)


class CityscapesData(FileData):
    """Cityscapes' 19 classes: ``root`` holds leftImg8bit and gtFine; with ``coarse``, gtCoarse is learnt from, too."""

    name: Literal["cityscapes"] = "cityscapes"
    size: SizeHW = (1024, 2048)
    coarse: YesNo = Field(default=False, description="learn from the coarsely labelled images, too")


class Ade20kData(FileData):
    """ADE20K's SceneParsing-150: ``root`` (ADEChallengeData2016) holds images and annotations.

    The size takes most images, 4:3, with their short side at 512, as papers do.
    """

    name: Literal["ade20k"] = "ade20k"
    size: SizeHW = (512, 704)
    fit: Fitted = "pad"


class PascalContextData(FileData):
    """Pascal Context's 59 classes, background ignored: ``root`` (VOC2010) holds JPEGImages, ImageSets and PNG labels.

    The labels are those that mmsegmentation (SegmentationClassContext) or PaddleSeg (Context) prepare.
    """

    name: Literal["pascal_context"] = "pascal_context"
    size: SizeHW = (512, 512)
    fit: Fitted = "pad"


class MapillaryData(FileData):
    """Mapillary Vistas: ``root`` holds training and validation; ``classes: cityscapes`` merges v1.2 to those 19."""

    name: Literal["mapillary"] = "mapillary"
    size: SizeHW = (1024, 1376)
    fit: Fitted = "pad"
    version: Literal["v1.2", "v2.0"] = Field(default="v1.2", description="of the labels")
    classes: Literal["vistas", "cityscapes"] = Field(
        default="vistas", description="its own, or merged to the 19 of Cityscapes, which needs v1.2"
    )

    @model_validator(mode="after")
    def _can_be_merged(self) -> "MapillaryData":
        if self.classes == "cityscapes" and self.version != "v1.2":
            raise ValueError(f"classes: cityscapes merges the labels of version v1.2, but got version {self.version}")
        return self


class FolderData(FileData):
    """Any images and label PNGs: ``root`` is the YAML file that describes them (`segsearch.data.folder`)."""

    name: Literal["folder"] = "folder"

    @property
    def title(self) -> str:
        """The name of the file that describes it."""
        return Path(self.root).stem


class OwnData(FittedData):
    """What a script gives by `segsearch.data.own.own_data`, and only while it runs: no file can describe it."""

    name: Literal["own"] = "own"
    label: ShownName = Field(description="what the script calls it")

    @property
    def title(self) -> str:
        """What the script calls it."""
        return self.label


AnyData = (
    StreetsData
    | CamVidData
    | CamVidColourData
    | CityscapesData
    | Ade20kData
    | PascalContextData
    | MapillaryData
    | FolderData
    | OwnData
)
DataSpec = Annotated[AnyData, Field(discriminator="name")]

CONFIGS: dict[str, type[AnyData]] = {kind.model_fields["name"].default: kind for kind in get_args(AnyData)}


def parse_data(data: object, place: object) -> AnyData:
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
