import pytest

from segsearch.deployment.metadata import Metadata
from segsearch.errors import InputError

FACTS = {
    "segsearch": "0.1.0",
    "classes": ["road", "a \"quoted\" | class, né"],
    "colours": [[1, 2, 3], [255, 0, 0]],
    "size_hw": [97, 203],
    "mean": [0.5, 0.5, 0.5],
    "std": [0.25, 0.25, 0.25],
    "notes": {"spec": "0123456789ab"},
}  # fmt: skip


def test_properties_are_text_and_read_back() -> None:
    facts = Metadata.parse(FACTS, "facts")
    properties = facts.to_properties()
    assert all(isinstance(v, str) for v in properties.values()) and properties["spec"] == "0123456789ab"
    assert Metadata.from_properties(properties, "m.onnx") == facts


def test_a_note_cannot_replace_a_fact() -> None:
    with pytest.raises(AssertionError, match="notes cannot replace"):
        Metadata.parse({**FACTS, "notes": {"classes": "x"}}, "facts").to_properties()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"segsearch": None}, "m.onnx: is not a model exported by segsearch"),
        ({"classes": None}, "m.onnx.classes: is missing"),
        ({"classes": "[road"}, "m.onnx: has damaged segsearch metadata"),
        ({"colours": "[[1, 2, 3]]"}, "2 classes have 1 colours"),
        ({"colours": "[[1, 2, 3], [256, 0, 0]]"}, "must be 0 to 255"),
        ({"size_hw": "[97]"}, "m.onnx.size_hw"),
    ],
)
def test_damage_is_one_line_with_the_path(change: dict[str, str | None], message: str) -> None:
    properties = Metadata.parse(FACTS, "facts").to_properties() | change
    with pytest.raises(InputError) as error:
        Metadata.from_properties({k: v for k, v in properties.items() if v is not None}, "m.onnx")
    assert message in str(error.value) and "\n" not in str(error.value)
