"""`adain app`: the demo app, served to a browser."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..adain.errors import AdaINError
from ..adain.extras import install
from .messages import say, tell
from .options import add_overwrite, make_folder, path, port
from .targets import check_new

_PORT, _STATIC_PORT = 7860, 7861  # two, since the static page stays at its address in browsers that have kept it


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=_app)
    command.add_argument("--host", default="127.0.0.1", help="address to serve at (default: 127.0.0.1, this machine alone)")
    command.add_argument("--port", type=port, help=f"default: {_PORT}, with --static {_STATIC_PORT}")
    command.add_argument("--static", action="store_true", help="the page that paints in the browser itself, on any machine")
    command.add_argument("--out", type=path, metavar="FOLDER", help="with --static: write the page there, for any web host")
    add_overwrite(command)


def _app(options: argparse.Namespace) -> int:
    if options.static:
        return _static(options)
    if options.out:
        raise AdaINError("--out writes the static page. Add --static.")
    try:
        from ..app.page import launch  # an extra, and seconds to load
    except ModuleNotFoundError as error:
        if error.name != "gradio":
            raise
        raise install("The app", "gradio") from error
    launch(options.host, options.port or _PORT)
    return 0


def _static(options: argparse.Namespace) -> int:
    import shutil

    from ..app.static_server import static_server
    from ..app.static_site import static_site

    output = Path(options.out) if options.out else None
    if output:
        check_new(output / "index.html", options.overwrite, option="--out")
        make_folder(output, "--out")
    folder = static_site(_write_model, lambda: tell("building the page, once; it takes a minute"))
    if output:
        shutil.rmtree(output / "assets", ignore_errors=True)  # whose names are other ones in another page
        shutil.copytree(folder, output, dirs_exist_ok=True)
        say(output.resolve())
        return 0
    number = options.port or _STATIC_PORT
    with static_server(folder, options.host, number) as server:
        say(f"The page is at http://{options.host}:{number}; Ctrl-C ends it.")
        server.serve_forever()
    return 0


def _write_model(folder: Path) -> None:
    """The graphs of the embedded model, in parts."""
    from ..adain.media.tensor_files import metadata_of
    from ..export import export_parts
    from ..weights.files import read_model
    from ..weights.loading import model_path

    source = model_path(None)
    export_parts(read_model(source), folder, metadata_of(source))
