"""The child process that decodes compressed pixels: ``python -m bolus.acquire.dicom.decoder``.

It is sent the bytes of DICOM files and answers with stored values (see `bolus.child_process`).
A crash in a codec ends this process and nothing else.
"""

from __future__ import annotations

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
    return pixel_array(dataset, index=frame, raw=True, decoding_plugin=plugin)


if __name__ == "__main__":
    main()
