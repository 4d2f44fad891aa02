"""One HTML file of a settled round that draws, recomputes and checks it, without any network."""

from settlement.report.page.assemble import page
from settlement.report.page.data import page_data

__all__ = ["page", "page_data"]
