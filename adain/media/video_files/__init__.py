"""Files of videos: frames decoded, painted and encoded one by one, everything else copied as it is."""
