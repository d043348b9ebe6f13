"""The body of one answer as it comes in: put together, unpacked, and never larger than any that the API gives."""

from __future__ import annotations

import zlib

import httpx

from paperspace_storage_server.http.trouble import TooLarge

# Bytes of a body, packed or not: a list of ten thousand, which is not paged in the published dialect, takes half of it.
LARGEST_ANSWER = 4 * 1024 * 1024
_GZIP_OR_ZLIB = 47  # for zlib: whichever of the two it begins like, with a window of any size


class Body:
    """Fragments are joined as they come: kept apart, a body in pieces of two bytes would take thirty times its size."""

    def __init__(self) -> None:
        self._first = b""
        self._all: bytearray | None = None  # once there are two fragments; most answers are one
        self.size = 0

    def add(self, fragment: bytes) -> None:
        """Raises:
        TooLarge: what came so far is more than any answer has.
        """
        self.size += len(fragment)
        if self.size > LARGEST_ANSWER:
            raise TooLarge
        if self._all is not None:
            self._all += fragment
        elif self._first:
            self._all = bytearray(self._first)
            self._all += fragment
        else:
            self._first = fragment

    def whole(self, coding: bytes) -> bytes:
        """All of it, unpacked by its content coding (`identity` where the answer names none).

        Raises:
            httpx.DecodingError: it is not packed so, or cut off.
            TooLarge: a few packed bytes may make gigabytes.
        """
        body = self._first if self._all is None else bytes(self._all)
        if coding.lower() == b"identity" or not body:
            return body
        unpacker = zlib.decompressobj(_GZIP_OR_ZLIB)
        try:
            unpacked = unpacker.decompress(body, LARGEST_ANSWER + 1)
        except zlib.error as error:
            raise httpx.DecodingError(str(error)) from error
        if len(unpacked) > LARGEST_ANSWER:
            raise TooLarge
        if not unpacker.eof:
            raise httpx.DecodingError("the packed body ends too early")
        return unpacked
