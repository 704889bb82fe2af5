"""The child process that decodes compressed pixels: ``python -m bolus.acquire.decoder``.

Reads requests from standard input (one line of JSON, then the bytes of a DICOM file) and answers
on standard output (one line of JSON, then the stored values).  It limits its own memory; its parent
limits its time.  A crash in a codec ends this process and nothing else.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from io import BytesIO
from typing import IO, Any

MAX_MEMORY_BYTES = 4 * 2**30


def main() -> None:
    """Answer requests until standard input ends."""
    requests = sys.stdin.buffer
    answers = os.fdopen(os.dup(1), "wb")
    # what a codec prints must not get between the answers
    os.dup2(2, 1)
    _limit_memory()
    warnings.simplefilter("ignore")
    data = b""
    while line := requests.readline():
        request = json.loads(line)
        if request["bytes"]:
            data = requests.read(request["bytes"])
        _answer(answers, data, request)


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limit; the time limit remains
        return
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))


def _answer(answers: IO[bytes], data: bytes, request: dict[str, Any]) -> None:
    try:
        stored = decode(data, request["plugin"], request["frame"])
        body = stored.tobytes()
        head = {"shape": list(stored.shape), "dtype": stored.dtype.str, "bytes": len(body)}
    except BaseException as error:  # a panic of a Rust decoder is no Exception
        head, body = {"error": f"{type(error).__name__}: {str(error)[:200]}"}, b""
    answers.write(json.dumps(head).encode() + b"\n" + body)
    answers.flush()


def decode(data: bytes, plugin: str, frame: int) -> Any:
    """Stored values of one image of a DICOM file, (Y, X) of an integer type."""
    import pydicom
    from pydicom.pixels.utils import pixel_array

    dataset = pydicom.dcmread(BytesIO(data), force=True)
    return pixel_array(dataset, index=frame, raw=True, decoding_plugin=plugin)


if __name__ == "__main__":
    main()
