"""The report: one HTML file that needs no other and loads nothing."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from engine.report.findings import Chart, card, cluster_section, place_charts, score_charts
from engine.report.gather import StoreFacts, explained_outliers, gather
from engine.report.outlier_table import COLUMNS, TABLE_ROWS, cells, table_note
from engine.report.overview import caution_note, cautions, notices, settings, statuses, tiles
from engine.report.viewers import short_name
from engine.store.entries import RUN_SET
from engine.store.root import code_version
from models.errors import ConfigurationError, ErrorKind
from models.output_files import check_output, output_file
from models.secrets import escaped


def write_report(url: str, path: Path, top: int = 12, explanation: str = RUN_SET) -> None:
    """Write the report on a store to one HTML file: open it in any browser, mail it, print it.

    Parameters
    ----------
    url : the store.
    path : HTML file; replaced if it is there.
    top : number of outliers shown with their figure.
    explanation : name of the set of explanations that is shown.

    Raises
    ------
    InputError : there is no store, or no such set, or the file cannot be written.
    ConfigurationError : ``top`` is negative, or the file is named for something else than HTML.
    StoreError : the store is damaged.
    """
    if top < 0:
        raise ConfigurationError(
            "The number of outliers to show is negative.",
            where="--top",
            got=top,
            allowed="0 or more",
            remedy="Leave it out to show 12.",
            kind=ErrorKind.REPORT_TOP,
        )
    if path.suffix.lower() not in (".html", ".htm"):
        raise ConfigurationError(
            "A report is one HTML file.",
            where="--output",
            got=path.name,
            allowed="a name that ends in .html",
            remedy="Name it so. Tables of spectra are written by `whyspec query`.",
            kind=ErrorKind.OPTION,
        )
    check_output(path)
    page = render(gather(url, explanation), top)
    with output_file(path) as partial:
        partial.write_bytes(escaped(page).encode())


def render(facts: StoreFacts, top: int) -> str:
    """The report's HTML. Everything from the store is escaped by the template."""
    here = files("engine.report")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=False)
    environment.globals["figure"] = _figure_element
    template = environment.from_string(here.joinpath("page.html.j2").read_text(encoding="utf-8"))
    configuration = facts.view.configuration
    # Our own files, not the store's: the only text that is not escaped.
    css = Markup(here.joinpath("page.css").read_text(encoding="utf-8"))  # noqa: S704
    js = Markup(here.joinpath("page.js").read_text(encoding="utf-8"))  # noqa: S704
    return template.render(
        css=css,
        js=js,
        release=", ".join(dict.fromkeys(map(short_name, facts.releases))) or "an empty store",
        store=facts.store,
        model=", ".join(short_name(model.name) for model in configuration.models),
        explanation=facts.view.explanation if len(facts.view.explanation_sets()) > 1 else "",
        code_version=f"whyspec {code_version()}",
        threshold=f"{configuration.threshold * 100:g} %",
        tiles=tiles(facts),
        notices=notices(facts),
        score_charts=score_charts(facts),
        place_charts=place_charts(facts),
        clustering=cluster_section(facts.clustering) if facts.clustering else None,
        cards=[
            card(row, explained, facts.scored, configuration.attribution.method, agreement)
            for row, explained, agreement in explained_outliers(facts, top)
        ],
        columns=COLUMNS,
        rows=[cells(row) for _, row in facts.outliers.head(TABLE_ROWS).iterrows()],
        table_note=table_note(facts),
        cautions=cautions(facts),
        caution_note=caution_note(facts),
        statuses=statuses(facts),
        refused=facts.refused,
        refused_note="The run went on without these files; the next run tries them again.",
        settings=settings(facts),
    )


def _figure_element(chart: Chart) -> Markup:
    # Markup.format escapes what it is given.
    return Markup(
        '<figure><img src="{}" alt="{}" loading="lazy"><figcaption>{}</figcaption></figure>'
    ).format(chart.url, chart.alt, chart.caption)
