"""The summary as one self-contained HTML page: no script, no address outside itself, light and dark, fit to print."""

from base64 import b64encode

from jinja2 import Environment, PackageLoader, StrictUndefined

from agent.report.view import EXPECTED_NOTE, LOST_NOTE, View

_PAGES = Environment(
    loader=PackageLoader("agent.report", "."),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(view: View, *, light: bytes, dark: bytes) -> str:
    """The page; `light` and `dark` are the chart as PNG for either colour scheme."""
    return _PAGES.get_template("summary.html.j2").render(
        view=view,
        light=_data_uri(light),
        dark=_data_uri(dark),
        lost_note=LOST_NOTE,
        expected_note=EXPECTED_NOTE,
    )


def _data_uri(image: bytes) -> str:
    return f"data:image/png;base64,{b64encode(image).decode()}"
