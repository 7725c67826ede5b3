"""The app as a Hugging Face Space; `adain_style_transfer` is this repository, copied beside this file."""

from adain_style_transfer.app.page import build

build().launch()
