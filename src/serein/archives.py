"""Untrusted zip files, and NumPy's npz, which is one."""

from __future__ import annotations

import io
import re
import zipfile
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

MAX_DIRECTORY_BYTES = 2**16  # of the list of members, of which zipfile makes many times more
MAX_ARRAY_BYTES = 2**26  # of all arrays of an npz, unpacked
TAIL_BYTES = 2**17  # where zipfile looks for the end of the list, and more


def open_zip(file: BinaryIO) -> zipfile.ZipFile:
    """Open a zip file whose list of members is short: zipfile reads all of it into memory.

    Raises: whatever zipfile does; BadZipFile if there are too many members.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - TAIL_BYTES))
    tail = file.read()
    ends = re.finditer(rb"(?s)(?=PK\x05\x06.{8}(.{4}))", tail)
    long = any(int.from_bytes(end[1], "little") > MAX_DIRECTORY_BYTES for end in ends)
    if long or re.search(rb"(?s)PK\x06\x07.{16}PK\x05\x06", tail):  # that of zip64
        raise zipfile.BadZipFile("it has too many members")
    return zipfile.ZipFile(file)


def read_arrays(content: bytes) -> dict[str, npt.NDArray[np.generic]]:
    """Read the arrays of an npz, without pickle.

    Raises: whatever zipfile and NumPy do; BadZipFile if the arrays are too large.
    """
    with open_zip(io.BytesIO(content)) as archive:
        if sum(member.file_size for member in archive.infolist()) > MAX_ARRAY_BYTES:
            raise zipfile.BadZipFile(f"the arrays unpack to more than {MAX_ARRAY_BYTES} bytes")
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        return dict(file)
