"""`python -m adain_style_transfer` is the `adain` command."""

from .adain.cli import main

raise SystemExit(main())
