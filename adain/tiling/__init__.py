"""Pictures painted tile by tile, with the result that they have in one piece."""
