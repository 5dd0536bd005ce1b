"""Request bodies from outside: bounded in size, unpacked with a bound, decoded without ever failing unexpectedly."""

import json
import zlib

import msgspec
from fastapi import Request

_GZIP = 16 + zlib.MAX_WBITS


class Unusable(Exception):
    """A body that is not taken; `status` is what the sender gets, the text says why."""

    def __init__(self, why: str, status: int = 400) -> None:
        super().__init__(why)
        self.status = status


async def read_body(request: Request, *, most: int) -> bytes:
    """The body as it was sent; it is not read beyond `most` bytes.

    Raises:
        Unusable: it is larger.
    """
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise Unusable(f"the body is larger than {most:,} bytes; send fewer records at once", 413)
        chunks.append(chunk)
    return b"".join(chunks)


def unpacked(body: bytes, encoding: str, *, most: int) -> bytes:
    """The body without its Content-Encoding.

    Raises:
        Unusable: an encoding that is not known, damaged data, or more than `most` bytes unpacked.
    """
    if encoding in ("", "identity"):
        return body
    if encoding != "gzip":
        raise Unusable("only Content-Encoding: gzip is known", 415)
    unzip = zlib.decompressobj(_GZIP)
    try:
        plain = unzip.decompress(body, most)
    except zlib.error as error:
        raise Unusable(f"the body is not gzip: {error}") from error
    if unzip.unconsumed_tail:
        raise Unusable(f"the body is larger than {most:,} bytes unpacked; send fewer records at once", 413)
    if not unzip.eof or unzip.unused_data:
        raise Unusable("the gzip body is cut off, or something follows it")
    return plain


def json_value(body: bytes) -> object:
    """The JSON value of a body; NaN and Infinity, which Python's writers make, are taken and judged by their fields.

    Raises:
        Unusable: it is not JSON.
    """
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError):
        pass
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise Unusable("the body is not JSON") from None
