"""Figures as tests measure them."""

from reprise.publishing import figures


def build_figure(*arguments, **options):
    """As `figures.build_figure`, and drawn once: only that makes the ticks and their labels. Call it within
    `style.style()`.
    """
    figure, drawn = figures.build_figure(*arguments, **options)
    figure.draw_without_rendering()
    return figure, drawn
