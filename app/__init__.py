"""The demo app in a browser, twice: `page`, painted by this process, needs gradio, the extra `app`; the static one paints by itself."""
