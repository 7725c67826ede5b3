"""Conversion of published AdaIN checkpoints to one safetensors file. Layouts are recognised by keys and shapes.

The networks themselves, with each source's numerics, are in `adain/architectures/`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ..adain.architectures import ARCHITECTURES, architecture_of, keras, kuko6, vgg19
from ..adain.errors import ModelError
from ..adain.media.tensor_files import metadata_of, save_tensors
from .checkpoints import read_tensors
from .checksums import sha256_of
from .files import model_from_state, save_model

_VGG = tuple(name for name in vgg19.ENCODER if name != "pool")


class Layout(NamedTuple):
    """A published way to name the tensors of a network, or of one half of it."""

    title: str
    signature: Mapping[str, tuple[int, ...]]
    """Tensors, with their shapes, that tell this layout from every other."""
    layers: Mapping[str, str]
    """Our name of each layer -> the layout's."""

    def detect(self, state: Mapping[str, Tensor]) -> bool:
        return all(key in state and tuple(state[key].shape) == shape for key, shape in self.signature.items())

    def looked_for(self) -> str:
        return f"{self.title}: " + " and ".join(f"{key} {list(shape)}" for key, shape in self.signature.items())


def _layers(part: str, names: Mapping[int, str], prefix: str = "") -> dict[str, str]:
    return {f"{part}.{name}": f"{prefix}{index}" for index, name in names.items()}


def _own(part: str, names: Sequence[str]) -> dict[str, str]:
    return {f"{part}.{name}": f"{part}.{name}" for name in names}


LAYOUTS = (
    Layout(
        "kuko6's model",
        {"encoder.0.weight": (64, 3, 3, 3), "decoder.15.weight": (3, 64, 3, 3)},
        _layers("encoder", kuko6.SOURCE_ENCODER, "encoder.") | _layers("decoder", kuko6.SOURCE_DECODER, "decoder."),
    ),
    Layout(
        "naoto0804's encoder",
        {"0.weight": (3, 3, 1, 1), "29.weight": (512, 256, 3, 3)},
        _layers("encoder", vgg19.NAOTO_ENCODER),
    ),
    Layout(
        "naoto0804's decoder",
        {"1.weight": (256, 512, 3, 3), "28.weight": (3, 64, 3, 3)},
        _layers("decoder", vgg19.NAOTO_DECODER),
    ),
    Layout(
        "our decoder for the paper's VGG-19",
        {"decoder.conv4_1.weight": (256, 512, 3, 3), "decoder.conv3_4.weight": (256, 256, 3, 3)},
        _own("decoder", _VGG),
    ),
    Layout(
        "torchvision's VGG-19",
        {"features.0.weight": (64, 3, 3, 3), "features.19.weight": (512, 256, 3, 3)},
        _layers("encoder", kuko6.SOURCE_ENCODER, "features."),
    ),
    Layout(
        "our decoder for torchvision's VGG-19",
        {"decoder.conv4_1.weight": (256, 512, 3, 3), "decoder.conv3_2.weight": (256, 256, 3, 3)},
        _own("decoder", tuple(kuko6.SOURCE_DECODER.values())),
    ),
    Layout(
        "the Keras example's encoder",
        {"block1_conv1.weight": (64, 3, 3, 3), "block4_conv1.weight": (512, 256, 3, 3)},
        {f"encoder.{name}": f"block{name[4]}_conv{name[6]}" for name in _VGG},
    ),
    Layout(
        "the Keras example's decoder",
        {"conv2d.0.weight": (512, 512, 3, 3), "conv2d.8.weight": (3, 64, 3, 3)},
        {f"decoder.{name}": f"conv2d.{i}" for i, name in enumerate(keras.DECODER_WIDTHS)},
    ),
)


def convert(files: Sequence[str | os.PathLike[str]], out: str | os.PathLike[str], metadata: Mapping[str, str] | None = None) -> str:
    """Write the model that `files` make up to the safetensors file `out`, and say what was recognised.

    `files` are a whole model, or an encoder and a decoder. Sources and their hashes are added to `metadata`. Raises
    ModelError if a file is none of the known layouts or the parts do not make one model.
    """
    paths = [Path(file) for file in files]
    if not paths:
        raise ModelError("No file was given to convert. Give a model, or an encoder and a decoder.")
    merged: dict[str, Tensor] = {}
    story = []
    for path in paths:
        state = read_tensors(path)
        title, tensors = _recognised(state, path)
        if again := sorted(merged.keys() & tensors.keys()):
            raise ModelError(f"{path.name} is {title}, but {again[0]} came with another file already. Give one encoder and one decoder.")
        merged |= tensors
        story.append(f"{path.name} is {title}{_left_out(state, tensors)}.")
    halves = {key.split(".")[0] for key in merged}
    for half, other in (("encoder", "decoder"), ("decoder", "encoder")):
        if halves == {half}:
            raise ModelError(f"{' '.join(story)} The {half} alone makes no picture. Give the file of its {other} too.")
    model = model_from_state(merged, " + ".join(path.name for path in paths))
    kinds = {value.dtype for value in merged.values()}
    dtype = kinds.pop() if kinds in ({torch.float16}, {torch.bfloat16}) else torch.float32
    save_model(model, out, {**(metadata or {}), **_sources(paths)}, dtype)
    count = sum(value.numel() for value in merged.values())
    story.append(f"Wrote {out}: {model.architecture}, {count / 1e6:.1f} million parameters, {str(dtype).removeprefix('torch.')}.")
    return " ".join(story)


def extract(path: Path, layers: Sequence[str], out: Path, metadata: Mapping[str, str]) -> None:
    """Write only the weight and bias of `layers`, under the names they have, to the safetensors file `out`.

    Raises ModelError if the file lacks one of them.
    """
    state = read_tensors(path)
    wanted = [f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")]
    if missing := [name for name in wanted if name not in state]:
        raise ModelError(f"{path} lacks {', '.join(missing[:3])}. Its first tensors are {', '.join(list(state)[:3])}. Give the right file.")
    save_tensors({name: state[name] for name in wanted}, out, {**metadata, **_sources([path])})


def extract_decoder(path: Path, out: Path) -> str:
    """Write only the decoder of the model at `path` to the safetensors file `out`, in float16, and say so.

    Half the size to pass on where everyone can get the encoder: `convert` joins the two. The model's metadata is kept.
    Raises ModelError if the file holds no decoder that goes with a published encoder.
    """
    _, tensors = _recognised(read_tensors(path), path)
    decoder = {key: value.to(torch.float16) for key, value in tensors.items() if key.startswith("decoder.")}
    layout = next((layout for layout in LAYOUTS if decoder and set(layout.layers.values()) == _layer_names(decoder)), None)
    if layout is None:
        raise ModelError(f"{path} has no decoder that could be joined to a published encoder. Give a model with VGG-19 as its encoder.")
    try:
        save_tensors(decoder, out, {**metadata_of(path), "part": "decoder", **_sources([path])})
    except OSError as error:
        raise ModelError(f"{out} cannot be written ({error.strerror}). Choose another folder.") from error
    count = sum(value.numel() for value in decoder.values())
    return f"Wrote {out}: {layout.title}, {count / 1e6:.1f} million parameters, {out.stat().st_size / 1e6:.1f} MB."


def _layer_names(state: Mapping[str, Tensor]) -> set[str]:
    return {key.rpartition(".")[0] for key in state}


def made_from(output: Path, hashes: Sequence[str]) -> bool:
    """Whether `output` says that it was made from files with these hashes."""
    return metadata_of(output).get("source_sha256") == ", ".join(hashes)


def _sources(paths: Sequence[Path]) -> dict[str, str]:
    return {"source": ", ".join(path.name for path in paths), "source_sha256": ", ".join(sha256_of(path) for path in paths)}


def _recognised(state: Mapping[str, Tensor], path: Path) -> tuple[str, dict[str, Tensor]]:
    """The title of what is in a file, and its tensors under our names."""
    if architecture := architecture_of(state):
        return f"a model of the architecture {architecture.name}", dict(state)
    for layout in LAYOUTS:
        if layout.detect(state):
            pairs = [(f"{ours}.{kind}", f"{theirs}.{kind}") for ours, theirs in layout.layers.items() for kind in ("weight", "bias")]
            if missing := [theirs for _, theirs in pairs if theirs not in state]:
                raise ModelError(f"{path} looks like {layout.title} but lacks {', '.join(missing[:4])}. Download it again.")
            return layout.title, {ours: state[theirs] for ours, theirs in pairs}
    first = ", ".join(f"{key} {list(value.shape)}" for key, value in list(state.items())[:3])
    looked_for = "; ".join([*(layout.looked_for() for layout in LAYOUTS), f"a model of {', '.join(ARCHITECTURES)} under our names"])
    raise ModelError(f"{path} was not recognised. Its first tensors are {first}. Looked for {looked_for}.")


def _left_out(state: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> str:
    used = {id(tensor) for tensor in tensors.values()}
    rest = [key for key, value in state.items() if id(value) not in used]
    return f" ({len(rest)} more tensors left out, from {rest[0]} to {rest[-1]})" if rest else ""
