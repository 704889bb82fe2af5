"""Decoding compressed pixels in a child process, seen from the parent.

gdcm aborts the process on damaged JPEG-LS and JPEG 2000, other decoders panic or allocate without
limit; here that costs one child and ends in one error that names the file.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bolus.acquire.dicom import decoder
from bolus.acquire.dicom.headers import Slice
from bolus.child_process import Child, ChildEnded
from bolus.errors import DamagedFile

JPEG_LS = "pyjpegls" if find_spec("jpeg_ls") else "gdcm"
"""gdcm gives the same pixels in 6.4 ms instead of 5.6 where pyjpegls has no wheels."""
PLUGINS = {
    "1.2.840.10008.1.2.4.50": "gdcm",  # JPEG Baseline, 8 bit, lossy
    "1.2.840.10008.1.2.4.51": "gdcm",  # JPEG Extended, 12 bit, lossy
    "1.2.840.10008.1.2.4.57": "gdcm",  # JPEG Lossless
    "1.2.840.10008.1.2.4.70": "gdcm",  # JPEG Lossless, first-order prediction: the usual one
    "1.2.840.10008.1.2.4.80": JPEG_LS,  # JPEG-LS lossless
    "1.2.840.10008.1.2.4.81": JPEG_LS,  # JPEG-LS near-lossless
    "1.2.840.10008.1.2.4.90": "pylibjpeg",  # JPEG 2000 lossless
    "1.2.840.10008.1.2.4.91": "pylibjpeg",  # JPEG 2000
    "1.2.840.10008.1.2.4.201": "pylibjpeg",  # HTJ2K lossless
    "1.2.840.10008.1.2.4.202": "pylibjpeg",  # HTJ2K lossless, RPCL
    "1.2.840.10008.1.2.4.203": "pylibjpeg",  # HTJ2K
    "1.2.840.10008.1.2.5": "pydicom",  # RLE
}
"""One decoder per codec, by transfer syntax: the fastest one that gave the right pixels."""
JPEG_XL = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in ("110", "111", "112"))
"""Lossless, recompressed JPEG, any.  Of the decoders on PyPI, imagecodecs alone gives 16 bits
(pylibjxl and pillow-jxl-plugin give 8); with 26 MB it is used where it is installed."""
if find_spec("imagecodecs"):
    PLUGINS |= dict.fromkeys(JPEG_XL, "imagecodecs")
DECODE_TIMEOUT_S = 30.0
START_TIMEOUT_S = 60.0
"""Importing the decoders on a cold disk takes seconds."""
CRASHED = "the decoder crashed"

Stored = NDArray[np.integer[Any]]


class Decoder:
    """A child process that decodes compressed images, one at a time; another one if it dies."""

    def __enter__(self) -> Decoder:
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._child.close()

    def _start(self) -> None:
        self._child = Child(decoder.__name__)
        self._timeout_s = START_TIMEOUT_S
        self._sent: bytes | None = None

    def decode(self, one: Slice, data: bytes) -> Stored:
        """Decode one image of a file.

        Parameters
        ----------
        data
            The whole file.

        Raises
        ------
        DamagedFile
            If the decoder refuses, dies, or doesn't finish in time.
        """
        unsent = b"" if data is self._sent else data
        request = {"plugin": PLUGINS[one.encoding.syntax], "frame": one.encoding.frame}
        self._sent = data
        answer: dict[str, Any] = {"error": CRASHED}
        try:
            answer, body = self._child.ask(
                request, unsent, seconds=self._timeout_s, most_bytes=decoder.MAX_MEMORY_BYTES
            )
            self._timeout_s = DECODE_TIMEOUT_S
        except ChildEnded:
            self._start()
        reason = answer.get("error")
        if reason is None and answer.get("shape") != [one.rows, one.columns]:
            reason = f"{answer.get('shape')} pixels instead of {[one.rows, one.columns]}"
        if reason is not None:
            raise DamagedFile(
                f"{one.name}: its compressed pixels can't be decoded ({reason}); copy or export "
                "the exam again, uncompressed if possible."
            )
        return np.frombuffer(body, dtype=answer["dtype"]).reshape(one.rows, one.columns)
