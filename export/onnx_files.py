"""Graphs as ONNX files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from ..adain.media.atomic import replacing
from .eigen import eigh
from .graphs import Graph

OPSET = 20
"""Of the operators. ONNX Runtime knows it since 1.17, of January 2024."""

_LARGE = 1000
"""Numbers of a tensor that is worth being stored in half its size."""


def write_onnx(graph: Graph, path: Path, metadata: Mapping[str, str]) -> None:
    """Write `graph` to `path`, whole or not at all. Raises OSError."""
    examples = tuple(example for _, example, _ in graph.inputs)
    program = torch.onnx.export(
        torch.export.export(graph, examples, dynamic_shapes=graph.sizes, strict=False),
        input_names=[name for name, _, _ in graph.inputs],
        output_names=graph.outputs,
        opset_version=OPSET,
        custom_translation_table={torch.ops.aten._linalg_eigh.default: eigh},
        external_data=False,
        verbose=False,
    )
    assert program is not None  # it is, for whoever exports by torch.export
    model = program.model_proto
    _strip(model.graph)
    _name_sizes(model.graph)
    _store_small(model)
    helper.set_model_props(model, dict(metadata))
    with replacing(path) as temporary:
        onnx.save(model, temporary)


def _strip(graph: onnx.GraphProto) -> None:
    """Leave out where in whose files each node comes from."""
    del graph.metadata_props[:]
    for part in (*graph.node, *graph.initializer, *graph.value_info, *graph.input, *graph.output):
        del part.metadata_props[:]
        part.doc_string = ""
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                _strip(attribute.g)


def _name_sizes(graph: onnx.GraphProto) -> None:
    """Call the dimensions of any size by their names where torch has numbered them."""
    names = {}
    for value in graph.input:
        sides = value.type.tensor_type.shape.dim
        known = ("batch", "", "height", "width") if value.name == "picture" else ("batch",)
        names |= {side.dim_param: name for side, name in zip(sides, known, strict=False) if name and side.dim_param.isidentifier()}
    for value in (*graph.input, *graph.output):
        for side in value.type.tensor_type.shape.dim:
            if side.dim_param in names:
                side.dim_param = names[side.dim_param]


def _store_small(model: onnx.ModelProto) -> None:
    """Store weights that half precision holds exactly so, and cast them where they are used: most runtimes do that once, when they load."""
    casts = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.data_type == TensorProto.FLOAT and values.size >= _LARGE and np.array_equal(half := values.astype(np.float16), values):
            name = tensor.name
            tensor.CopyFrom(numpy_helper.from_array(half, f"{name}.half"))
            casts.append(helper.make_node("Cast", [tensor.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
