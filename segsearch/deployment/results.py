"""What a mask is written as: an overlay or colours for people; class ids, polygons or runs for programs."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from segsearch.deployment.areas import Coco, geojson
from segsearch.deployment.images import Bytes, write_png
from segsearch.deployment.legend import GAP, legend
from segsearch.errors import InputError, unknown
from segsearch.files import check_folder, write_atomic

Form = Literal["overlay", "colours", "ids", "geojson", "coco"]
ENDINGS: dict[Form, str] = {
    "overlay": "_overlay.png",
    "colours": "_colours.png",
    "ids": "_mask.png",
    "geojson": ".geojson",
}
"""Of the files that one image leads to, in the order in which they are written; ``coco`` is one file for all."""
DRAWN: tuple[Form, ...] = ("overlay", "colours")
"""Pictures for people: of a video these are videos."""
COCO_FILE = "coco.json"


def check_forms(forms: Sequence[str], place: str) -> tuple[Form, ...]:
    """Give the forms in the order in which they are written. Raises InputError for one that is not known."""
    known: tuple[Form, ...] = (*ENDINGS, "coco")
    if strange := [form for form in forms if form not in known]:
        raise unknown(place, strange[0], known)
    return tuple(form for form in known if form in forms)


class Results:
    """Writes masks in the forms that are wanted."""

    def __init__(
        self,
        classes: Sequence[str],
        colours: Sequence[tuple[int, int, int]],
        out: Path,
        forms: Sequence[Form] = ("overlay",),
        *,
        blend: float = 0.5,
        with_legend: bool = False,
    ) -> None:
        """Keep what is the same for all images.

        Args:
            classes: names by class index.
            colours: RGB by class index.
            out: the folder for the results.
            forms: what is wanted.
            blend: how strongly the colours cover the image in an overlay, 0 to 1.
            with_legend: put the names of the classes below drawn pictures.

        Raises:
            InputError: ``blend`` is outside, or ``out`` cannot be a folder.
        """
        check_folder(out)
        if not 0 <= blend <= 1:
            raise InputError("blend", f"{blend} is outside", "0 to 1")
        self.forms = check_forms(forms, "forms")
        self._classes, self._colours, self._out, self._blend = classes, colours, out, blend
        self._with_legend, self._coco = with_legend, Coco(classes)
        self._legends: dict[int, Bytes] = {}

    def targets(self, name: Path, *, but: Sequence[Form] = ()) -> list[Path]:
        """Files that one image, or frame, leads to; without those of some forms."""
        stem = self._out / name
        return [stem.with_name(stem.name + ENDINGS[form]) for form in self.forms if form in ENDINGS and form not in but]

    def write(self, name: Path, image: Bytes, mask: Bytes, *, suffix: str = "", but: Sequence[Form] = ()) -> list[Path]:
        """Write one image, RGB, uint8 [H, W, 3], and its mask of class indices, uint8 [H, W]; return the files.

        Args:
            name: of the results, relative.
            image: at its own size.
            mask: of the same size.
            suffix: of the image's file, where ``name`` is without: readers of COCO look for the image by it.
            but: forms that are left out.

        Raises:
            InputError: a file cannot be written. MissingExtraError: polygons are wanted, and shapely is not installed.
        """
        wanted = [form for form in self.forms if form not in but]
        for form, path in zip((form for form in wanted if form in ENDINGS), self.targets(name, but=but), strict=True):
            if form == "geojson":
                write_atomic(path, json.dumps(geojson(mask, self._classes), ensure_ascii=False) + "\n", durable=False)
            else:
                write_png(path, mask if form == "ids" else self.drawn(form, image, mask))
        if "coco" in wanted:
            self._coco.add(name.as_posix().removesuffix(suffix) + suffix, mask)
        return self.targets(name, but=but)

    def finish(self) -> list[Path]:
        """Write what is one file for all images; return it."""
        if "coco" not in self.forms:
            return []
        write_atomic(self._out / COCO_FILE, json.dumps(self._coco.plain(), ensure_ascii=False) + "\n")
        return [self._out / COCO_FILE]

    def drawn(self, form: Form, image: Bytes, mask: Bytes) -> Bytes:
        """Draw an overlay, or the colours alone; with the legend below: RGB, uint8 [H, W, 3]."""
        picture = overlay(image, mask, self._colours, 1.0 if form == "colours" else self._blend)
        return np.concatenate([picture, self._below(picture.shape[1])]) if self._with_legend else picture

    def _below(self, width: int) -> Bytes:
        if width not in self._legends:
            words = dict(zip(self._classes, self._colours, strict=True))
            self._legends[width] = np.pad(
                np.asarray(legend(width, words)), ((GAP, 0), (0, 0), (0, 0)), constant_values=255
            )
        return self._legends[width]


def overlay(image: Bytes, mask: Bytes, colours: Sequence[tuple[int, int, int]], blend: float) -> Bytes:
    """Lay class colours over an image: ``(1 - blend) * image + blend * colour``, uint8 [H, W, 3].

    Args:
        image: RGB, uint8 [H, W, 3].
        mask: class indices, uint8 [H, W].
        colours: RGB by class index.
        blend: 0 shows the image, 1 the colours.
    """
    painted = np.array(colours, dtype=np.float32)[mask]
    mixed = (1 - blend) * image.astype(np.float32) + blend * painted
    return np.rint(mixed).astype(np.uint8)
