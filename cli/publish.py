"""`adain publish`: a model with its card on the Hugging Face Hub."""

from __future__ import annotations

import argparse

from .options import path


def add_arguments(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=_publish)
    command.add_argument("file", type=path, metavar="FILE.safetensors")
    command.add_argument("--repo-id", required=True, metavar="OWNER/NAME")
    command.add_argument("--license", default="", help="licence id (default: what the file says)")
    command.add_argument(
        "--picture", type=path, action="append", default=list[str](), help="an example to show on the card; may be repeated"
    )
    command.add_argument("--private", action="store_true", help="only for its owner to see")


def _publish(options: argparse.Namespace) -> int:
    from ..weights.publish import publish

    entry = publish(options.file, options.repo_id, license=options.license, pictures=options.picture, private=options.private)
    print(f"# Published. For a catalogue (catalog.toml in the models folder):\n{entry}", end="")
    return 0
