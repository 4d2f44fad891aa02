"""HTML files that draw without any network: a round, a simulation, a payoff matrix."""

from settlement.report.page.assemble import attack_page, page, simulation_page
from settlement.report.page.data import page_data

__all__ = ["attack_page", "page", "page_data", "simulation_page"]
