"""Walking through an ``onnx.ModelProto``: nodes of all its graphs, attributes, and what is written in the file."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt


def attribute(node: Any, name: str, default: Any = None) -> Any:
    """Value of a node's attribute, or ``default``."""
    import onnx

    return next((onnx.helper.get_attribute_value(a) for a in node.attribute if a.name == name), default)


def place(node: Any) -> str:
    """Name of a node, or of what it makes."""
    return str(node.name or (node.output[0] if node.output else node.op_type))


def nodes(model: Any) -> Iterator[Any]:
    """Give all nodes, those in the branches of If and in the bodies of Loop and Scan too."""
    return (node for graph in graphs(model.graph) for node in graph.node)


def graphs(graph: Any) -> Iterator[Any]:
    """Give a graph and all that lie inside its nodes."""
    yield graph
    for node in graph.node:
        for a in node.attribute:
            for inner in (*([a.g] if a.HasField("g") else []), *a.graphs):
                yield from graphs(inner)


def initializers(model: Any) -> Iterator[Any]:
    """Give the weights of all graphs."""
    return (weight for graph in graphs(model.graph) for weight in graph.initializer)


def tensors(model: Any) -> Iterator[Any]:
    """Give all arrays of a model, in whatever part of it: weights, attributes, branches, functions, training."""
    import onnx

    parts = [model]
    while parts:
        for field, value in parts.pop().ListFields():
            if field.message_type is None:
                continue
            for part in [value] if hasattr(value, "ListFields") else value:
                if isinstance(part, onnx.TensorProto):
                    yield part
                else:
                    parts.append(part)


def is_outside(tensor: Any) -> bool:
    """Whether an array's numbers lie in another file: it is never opened."""
    return bool(tensor.external_data) or tensor.data_location != 0


class Constants(Mapping[str, npt.NDArray[Any]]):
    """All values that are written in the file, by name; read when they are looked at.

    One that lies outside of the file has a name here and no numbers.
    """

    def __init__(self, model: Any) -> None:
        made = (node for node in nodes(model) if node.op_type == "Constant")
        self._tensors = {weight.name: weight for weight in initializers(model)} | {n.output[0]: n for n in made}

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        """Give the numbers."""
        import onnx

        held = self._tensors[name]
        if not isinstance(held, onnx.TensorProto):  # a node that makes it
            held = onnx.helper.get_attribute_value(held.attribute[0])
        if not isinstance(held, onnx.TensorProto):
            return np.asarray(held)
        if is_outside(held):
            raise KeyError(name)
        return np.asarray(onnx.numpy_helper.to_array(held))

    def __contains__(self, name: object) -> bool:
        """Tell whether it is written, here or outside."""
        return name in self._tensors

    def __iter__(self) -> Iterator[str]:
        """Give the names."""
        return iter(self._tensors)

    def __len__(self) -> int:
        """Count them."""
        return len(self._tensors)
