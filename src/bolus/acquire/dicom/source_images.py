"""Whether an image is a source image of a perfusion scan, by its header alone."""

from __future__ import annotations

from bolus.acquire.dicom.headers import Slice

CT_CLASSES = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.2",  # CT Image Storage
        "1.2.840.10008.5.1.4.1.1.2.1",  # Enhanced CT Image Storage
        "1.2.840.10008.5.1.4.1.1.2.2",  # Legacy Converted Enhanced CT Image Storage
    }
)
LOCALIZER = "localizer"
LOCALIZER_TYPES = frozenset({"LOCALIZER", "SCOUT"})
PROJECTIONS = frozenset({"MIP", "TMIP", "MINIP", "MAXIP", "AVERAGE", "AVG", "MEAN", "PROJECTION"})
MAP_WORDS = frozenset({"CBF", "CBV", "RCBF", "RCBV", "MTT", "TTP", "TMAX", "TTD", "PBV", "DELAY"})
RESCALE_TYPES = frozenset({"", "HU", "HU_MOD", "US", "UNSPECIFIED"})
"""US (unspecified) occurs on true source images: registered UniToBrain series carry it."""


def why_not_source(image: Slice) -> str:
    """Why an image can't belong to a perfusion scan; "" if it can."""
    kinds = set(image.image_type)
    if image.sop_class not in CT_CLASSES and (image.sop_class or image.modality != "CT"):
        return f"not CT ({image.modality or 'unknown'})"
    if image.modality not in ("CT", ""):
        return f"not CT ({image.modality})"
    if kinds & LOCALIZER_TYPES:
        return LOCALIZER
    if kinds & PROJECTIONS:
        return "projection or average"
    if kinds & MAP_WORDS:
        return "perfusion map"
    if image.encoding.samples != 1 or image.photometric not in ("MONOCHROME2", ""):
        return "colour or inverted image"
    if image.rescale_type not in RESCALE_TYPES:
        return f"not Hounsfield units ({image.rescale_type})"
    return ""


def derived(image: Slice) -> bool:
    """Whether an image is declared or named as derived from others, or of another body part."""
    kinds = set(image.image_type)
    return bool(kinds & (LOCALIZER_TYPES | PROJECTIONS | MAP_WORDS)) or bool(
        named_like_derived(image)
    )


def named_like_derived(image: Slice) -> str:
    """What an image seems to be by its series' description or its folder; "" for a source image.

    Names prove nothing: "MEAN mAs" and "5 s delay" are found on true source series.
    """
    folders = image.name.upper().split("/")[:-1]
    in_map_folder = any(part.startswith("NLR_") or part.endswith("_MAPS") for part in folders)
    if image.words & PROJECTIONS:
        return "named like a projection or average"
    return "named like a perfusion map" if in_map_folder or image.words & MAP_WORDS else ""
