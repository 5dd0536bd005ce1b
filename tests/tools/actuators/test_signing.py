"""The key that signs the rules: made once, for the owner's eyes, and never replaced by itself."""

import base64
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from store.errors import BadInput
from tools.actuators.signing import open_signer


def test_the_key_is_made_at_first_use_and_kept(tmp_path: Path) -> None:
    """Mode 0600, no leftovers, and the same key ever after."""
    path = tmp_path / "data" / "guard.key"
    first = open_signer(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [found.name for found in path.parent.iterdir()] == ["guard.key"]
    again = open_signer(path)
    assert (again.public_key, again.key_id) == (first.public_key, first.key_id)
    assert again.sign("text") == first.sign("text")


def test_many_processes_that_start_at_once_agree(tmp_path: Path) -> None:
    """The first key stays; nobody signs with another one."""
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: open_signer(tmp_path / "guard.key").public_key, range(16)))
    assert len(keys) == 1


def test_the_public_key_verifies_what_was_signed(tmp_path: Path) -> None:
    """And nothing else; both forms of a signature are of the exact bytes."""
    signer = open_signer(tmp_path / "guard.key")
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(signer.public_key))
    public.verify(base64.b64decode(signer.sign('{"a":"é"}')), '{"a":"é"}'.encode())
    payload, signature = (base64.urlsafe_b64decode(part + "==") for part in signer.seal('{"a":1}').split("."))
    public.verify(signature, payload)
    with pytest.raises(InvalidSignature):
        public.verify(signature, b'{"a":2}')


def test_a_key_that_others_may_read_is_not_used(tmp_path: Path) -> None:
    """The message says what to run."""
    path = tmp_path / "guard.key"
    open_signer(path)
    path.chmod(0o644)
    with pytest.raises(BadInput, match="chmod 600"):
        open_signer(path)


@pytest.mark.parametrize("content", ["", "not a key", "AAAA", "\N{SNOWMAN}"])
def test_a_file_that_is_no_key_is_said_so(tmp_path: Path, content: str) -> None:
    """It is never overwritten: the proxies trust the old key."""
    path = tmp_path / "guard.key"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(BadInput, match="no Ed25519 key"):
        open_signer(path)
    assert path.read_text() == content


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A file where a folder should be."""
    (tmp_path / "data").write_text("")
    with pytest.raises(BadInput, match=r"guard\.key: the guard's key cannot be used"):
        open_signer(tmp_path / "data" / "guard.key")
