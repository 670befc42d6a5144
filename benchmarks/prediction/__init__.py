"""Using what was trained: new images in, masks, overlays and maps of uncertainty out (action=segment)."""
