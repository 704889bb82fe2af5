"""The child process that decodes compressed pixels: ``python -m bolus.acquire.dicom.decoder``.

It is sent the bytes of DICOM files and answers with stored values (see `bolus.child_process`).
A crash in a codec ends this process and nothing else.
"""

from __future__ import annotations

from importlib import import_module
from io import BytesIO
from typing import Any

from bolus.child_process import serve

MAX_MEMORY_BYTES = 4 * 2**30


def main() -> None:
    """Answer requests until standard input ends."""
    file = b""

    def answer(request: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
        nonlocal file
        file = data or file
        stored = decode(file, request["plugin"], request["frame"])
        return {"shape": list(stored.shape), "dtype": stored.dtype.str}, stored.tobytes()

    serve(answer, MAX_MEMORY_BYTES)


def decode(data: bytes, plugin: str, frame: int) -> Any:
    """Stored values of one image of a DICOM file, (Y, X) of an integer type."""
    import pydicom
    from pydicom.pixels.utils import pixel_array

    dataset = pydicom.dcmread(BytesIO(data), force=True)
    if plugin == "imagecodecs":
        return _jpeg_xl(dataset, frame)
    return pixel_array(dataset, index=frame, raw=True, decoding_plugin=plugin)


def _jpeg_xl(dataset: Any, frame: int) -> Any:
    """pydicom knows JPEG XL from its version 3.1 on, and decodes none."""
    from pydicom.encaps import get_frame

    count = int(dataset.get("NumberOfFrames", 1) or 1)
    codestream = get_frame(dataset.PixelData, frame, number_of_frames=count)
    stored = import_module("imagecodecs").jpegxl_decode(codestream)
    # a codestream has no signs: two's complement is stored as it is
    return stored.view("i2") if dataset.PixelRepresentation and stored.itemsize == 2 else stored


if __name__ == "__main__":
    main()
