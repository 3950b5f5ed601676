"""The site: what the reports said beside what came out, as static pages; no torch in this package.

`content` gathers what publishing has written, `build` renders it with the templates in `templates/`. The
pages ask for nothing from anywhere: styles, scripts and uPlot (MIT licence, see assets/uPlot.LICENSE) lie in
`assets/` and are copied beside them.
"""

from reprise.site.build import write_site

__all__ = ["write_site"]
