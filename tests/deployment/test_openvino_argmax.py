import numpy as np

from segsearch.deployment.onnx import Exported, OnnxModel
from segsearch.deployment.openvino import core, read_model
from tests.deployment.networks import pictures


def test_openvino_gives_the_artefacts_masks_by_its_fast_argmax(exported: Exported, model: OnnxModel) -> None:
    read = read_model(exported.path)
    tops = [node.get_attributes() for node in read.get_ops() if node.get_type_name() == "TopK"]
    assert [top["stable"] for top in tops] == [False]
    compiled = core().compile_model(read, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for image in pictures(2):
        mask = compiled(np.ascontiguousarray(image.transpose(2, 0, 1))[None])[0][0]
        assert mask.dtype == np.uint8 and (mask == model.predict(image)).mean() >= 0.999
