"""The document of the playbooks says what the playbooks say."""

from pathlib import Path

from playbooks.catalogue import catalogue
from playbooks.registry import PLAYBOOKS

DOCUMENT = Path(__file__).parents[2] / "docs" / "playbooks.md"


def test_the_document_is_the_catalogue() -> None:
    """A changed docstring, bound or default shows here: run `python -m playbooks.catalogue > docs/playbooks.md`."""
    assert DOCUMENT.read_text(encoding="utf-8") == catalogue()


def test_every_parameter_is_in_its_table() -> None:
    """With its bounds, so that the operator's file can be written from the page alone."""
    page = catalogue()
    for playbook in PLAYBOOKS:
        entry = page.split(f"\n## {playbook.name}\n")[1].split("\n## ")[0]
        assert all(f"| `{name}` |" in entry for name in playbook.params.model_fields)
