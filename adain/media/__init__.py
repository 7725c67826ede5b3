"""Files of pictures: read as sRGB floats, upright and with alpha; written whole or not at all."""
