"""`python -m adain_style_transfer` is the `adain` command."""

from .cli import main

raise SystemExit(main())
