import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segsearch.data.contact_sheet import contact_sheet, save_contact_sheet
from segsearch.data.dataset import IGNORE
from segsearch.data.palette import CAMVID_COLOURS, blend, distinct, paint
from segsearch.errors import InputError


@pytest.mark.parametrize("count", [2, 19, 150, 255])
def test_many_colours_all_differ(count: int) -> None:
    colours = distinct(count)
    assert len(set(colours)) == count
    assert all(0 <= c <= 255 for colour in colours for c in colour)


def test_paint_and_blend() -> None:
    label = np.array([[0, 10], [IGNORE, 3]], np.uint8)
    assert paint(label, CAMVID_COLOURS).tolist()[0] == [[128, 128, 128], [0, 128, 192]]
    assert paint(label, CAMVID_COLOURS)[1, 0].tolist() == [0, 0, 0]
    image = np.full((2, 2, 3), 100, np.uint8)
    mixed = blend(image, label, CAMVID_COLOURS, 0.25)
    assert mixed[1, 0].tolist() == [100, 100, 100]
    assert mixed[0, 1].tolist() == [75, 107, 123]


def test_contact_sheet_is_written_whole_or_refused(tmp_path: Path) -> None:
    sheet = contact_sheet(columns=2, rows=1, size_hw=(24, 36))
    assert sheet.shape == (6 + 2 * 24 + 2 + 6, 6 + 2 * 42, 3)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        save_contact_sheet(tmp_path / "file" / "sheet.png", contact_sheet(columns=1, rows=1, size_hw=(24, 36)))
    save_contact_sheet(tmp_path / "sheet.png", sheet)
    assert Image.open(io.BytesIO((tmp_path / "sheet.png").read_bytes())).size == sheet.shape[1::-1]
