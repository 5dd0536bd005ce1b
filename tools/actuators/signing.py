"""The key that signs what the guard believes: Ed25519 over the exact bytes that are sent."""

import base64
import hashlib
import os
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from store.errors import BadInput

KEY_NAME = "guard.key"


class Signer:
    """Signs with one private key; signatures are deterministic, so replicas that share the key agree."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        public = key.public_key().public_bytes_raw()
        self.public_key = base64.b64encode(public).decode()
        """What the operator gives the guard: 32 bytes in base64."""
        self.key_id = hashlib.sha256(public).hexdigest()[:16]

    def sign(self, text: str) -> str:
        """The signature of the text's bytes, in base64."""
        return base64.b64encode(self._key.sign(text.encode())).decode()

    def seal(self, text: str) -> str:
        """PAYLOAD.SIGNATURE in URL-safe base64, as a header carries it."""
        raw = text.encode()
        return f"{_url_safe(raw)}.{_url_safe(self._key.sign(raw))}"


def open_signer(path: Path) -> Signer:
    """The signer of the key in that file; made at first use, readable by the owner only.

    Raises:
        BadInput: the file cannot be read or written, others may read it, or it holds no key.
    """
    try:
        if not path.exists():
            _make(path)
        if path.stat().st_mode & 0o077:
            raise BadInput(f"{path}: others may read this private key; run `chmod 600 {path}`, or make a new one")
        raw = base64.b64decode(path.read_text(encoding="ascii"), validate=False)
        return Signer(Ed25519PrivateKey.from_private_bytes(raw))
    except OSError as error:
        raise BadInput(f"{path}: the guard's key cannot be used ({error.strerror})") from error
    except ValueError as error:
        raise BadInput(f"{path}: this is no Ed25519 key (32 bytes in base64); move it away to have one made") from error


def _make(path: Path) -> None:
    """Write a new key whole or not at all; where two processes do it at once, the first one's stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent)  # made with mode 0600
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(base64.b64encode(Ed25519PrivateKey.generate().private_bytes_raw()).decode() + "\n")
            file.flush()
            os.fsync(file.fileno())
        Path(path).hardlink_to(draft)
    except FileExistsError:
        return
    finally:
        Path(draft).unlink()


def _url_safe(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
