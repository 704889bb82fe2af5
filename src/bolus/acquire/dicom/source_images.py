"""Whether an image can be a source image of a perfusion scan, by the codes in its header.

Free text (descriptions, folder names) decides nothing: "5 s delay" and "MEAN mAs" are found on true
source images.
"""

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
MAP_TYPES = frozenset({"CBF", "CBV", "RCBF", "RCBV", "MTT", "TTP", "TMAX", "TTD", "PBV", "DELAY"})
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
    if kinds & MAP_TYPES:
        return "perfusion map"
    if image.encoding.samples != 1 or image.photometric not in ("MONOCHROME2", ""):
        return "colour or inverted image"
    return ""


def unusual_units(image: Slice) -> str:
    """RescaleType where it is not Hounsfield units, as in maps and material images; else ""."""
    return "" if image.rescale_type in RESCALE_TYPES else image.rescale_type
