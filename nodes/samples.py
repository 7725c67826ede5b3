"""Sample Picture."""

from __future__ import annotations

import os

import folder_paths
from comfy_api.latest import io

from ..adain.media.images import read_picture
from ..weights.samples import sample_names, sample_path
from .folders import fingerprint
from .sockets import CATEGORY, ImageOut, chosen, to_image


class SamplePicture(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AdaIN_SamplePicture",
            display_name="Sample Picture",
            category=CATEGORY,
            description="A photograph that ships with the pack, to try styles on, or a picture of yours.",
            search_aliases=["example image", "test image", "demo picture", "sample photo", "upload photo"],
            inputs=[
                io.Combo.Input(
                    "picture",
                    options=[*sample_names(), *_uploaded()],
                    default=sample_names()[0],
                    upload=io.UploadType.image,
                    tooltip="The photograph: a sample, free to use (the first is the default), or a file of yours, uploaded or "
                    "chosen from ComfyUI's input folder.",
                ),
            ],
            outputs=[io.Image.Output("image", display_name="image", tooltip="For AdaIN Transfer, Stylize, Style Grid and any other node.")],
        )

    @classmethod
    def validate_inputs(cls, picture: str | None = None) -> bool | str:
        if picture is None or picture in sample_names() or _uploaded_file(picture):
            return True
        return f"There is no picture {picture!r} in the input folder. Upload it, or choose one of: {', '.join(sample_names())}."

    @classmethod
    def fingerprint_inputs(cls, picture: str | None = None) -> str:
        file = _uploaded_file(picture)
        return fingerprint(file) if file else ""

    @classmethod
    def execute(cls, picture: str) -> ImageOut:
        read = read_picture(_uploaded_file(picture) or sample_path(chosen(picture, sample_names(), "picture")))
        return io.NodeOutput(to_image(read.rgb, read.alpha))


def _uploaded() -> list[str]:
    """Names of the pictures in ComfyUI's input folder, as Load Image lists them."""
    with os.scandir(folder_paths.get_input_directory()) as entries:
        names = [entry.name for entry in entries if entry.is_file()]
    return sorted(folder_paths.filter_files_content_types(names, ["image"]))


def _uploaded_file(picture: str | None) -> str | None:
    """Where the user's `picture` is; None for a sample, and for what is not there."""
    if not isinstance(picture, str) or picture in sample_names():
        return None
    name, base = folder_paths.annotated_filepath(picture)
    folder = os.path.abspath(base or folder_paths.get_input_directory())
    path = os.path.abspath(os.path.join(folder, name))
    # ComfyUI 0.20 and older look outside the folder too.
    return path if os.path.isfile(path) and path.startswith(folder + os.sep) else None
