"""How far outlines, lesions and maps of two sources agree."""
