"""Verbs that compute and change no round: calculate, sweep, estimate."""

from __future__ import annotations

from pathlib import Path

import click

from ml.game.words import ESTIMATORS, MONOTONE, SOLVERS
from settlement.cli.printing import as_form, print_form

__all__ = ["calculate", "estimate", "sweep"]


@click.command()
@click.argument(
    "file", metavar="FILE", required=False, type=click.Path(dir_okay=False, path_type=Path)
)
@click.option(
    "--flows",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Flows instead of values: JSON, CSV or npz.",
)
@click.option("--budget", "budgets", multiple=True, metavar="NAME=VALUE", help="Else unlimited.")
@click.option("--cap", "caps", multiple=True, metavar="NAME=VALUE", help="Best model wanted.")
@click.option(
    "--monotone",
    type=click.Choice(MONOTONE),
    default="refuse",
    show_default=True,
    help="What to do where a larger coalition has a smaller value.",
)
@click.option(
    "--method",
    type=click.Choice(SOLVERS),
    default="clearing",
    show_default=True,
    help="Whose adjustment factors to print; both are computed and must agree.",
)
@click.option("--compare", is_flag=True, help="Set other schemes beside it (no caps).")
@click.option("--sponsor", type=float, metavar="BETA", help="Given from outside, shared equally.")
@as_form
def calculate(
    file: Path | None,
    flows: Path | None,
    budgets: tuple[str, ...],
    caps: tuple[str, ...],
    monotone: str,
    method: str,
    compare: bool,
    sponsor: float | None,
    form: str,
) -> None:
    """Work out flows, payoffs and adjustment factors of the values in FILE, without a round.

    FILE is JSON: {"parties": [n names], "values": [2**n numbers]}; bit i of an index is party i.
    With --flows it holds flows (n rows of n, payer by payee), own_values (n) and grand_value, as
    many parties as there are; or CSV: party,own_value,grand_value and a column a payee.

    Of the schemes of --compare, conditional Shapley (with a sponsor too), ratio Shapley,
    leave-one-out and equal split keep budgets; the Shapley value and alpha-beta (1, 0) ignore
    them, and rho-Shapley moves no money.

    Example: fairround calculate values.json --budget a=0.2 --format csv
    """
    from settlement.calculator import calculator, comparisons

    if (file is None) == (flows is None):
        raise click.UsageError("Give one file: of values, or of flows with --flows.")
    if flows is not None and (compare or monotone != "refuse" or sponsor is not None):
        raise click.UsageError(
            "--flows takes no --compare, no --monotone and no --sponsor: they need values."
        )
    if not compare:
        if flows is not None:
            result = calculator.calculate_flows(flows, budgets, caps, method)
        else:
            assert file is not None
            result = calculator.calculate(file, budgets, caps, monotone, method, sponsor)
        print_form(form, result, calculator.readable, lambda: calculator.tables(result))
        return
    if caps:
        raise click.UsageError("--compare takes no --cap: other schemes know none.")
    assert file is not None
    compared = calculator.compare(file, budgets, monotone, sponsor)
    print_form(
        form,
        compared,
        comparisons.comparison_text,
        lambda: comparisons.comparison_tables(compared),
    )


@click.command()
@click.argument("source", metavar="SOURCE", type=click.Path(exists=True, path_type=Path))
@click.option("--over", required=True, metavar="budget|cap|rate", help="What is moved.")
@click.option("--party", metavar="NAME", help="Whose budget or cap.")
@click.option("--from", "begin", type=float, default=0.0, show_default=True, help="First value.")
@click.option("--to", "end", type=float, required=True, help="Last value.")
@click.option("--steps", default=11, show_default=True, help="Values, both ends among them.")
@click.option(
    "--budget",
    "budgets",
    multiple=True,
    metavar="NAME=VALUE",
    help='Of the others: 0.2, "200000 units", unlimited.',
)
@click.option("--cap", "caps", multiple=True, metavar="NAME=VALUE", help="Best model wanted.")
@click.option("--rate", type=click.IntRange(min=1), help="Of a file: base units a unit of value.")
@click.option("--monotone", type=click.Choice(MONOTONE), help="Of a file, as for calculate.")
@as_form
def sweep(
    source: Path,
    over: str,
    party: str | None,
    begin: float,
    end: float,
    steps: int,
    budgets: tuple[str, ...],
    caps: tuple[str, ...],
    rate: int | None,
    monotone: str | None,
    form: str,
) -> None:
    """Move one budget, one cap or the exchange rate: lambda, payoffs, model values of everybody.

    SOURCE is the folder of a round that is trained, or a file of values as `calculate` takes it. A
    round brings its own rate, caps, and its deposits or else the budgets of its configuration.
    Shadow prices say what one more unit of each budget would do.

    Example: fairround sweep values.json --over budget --party a --to 0.5
    """
    from settlement.calculator import base_game, sweeps

    if source.is_dir():
        if rate is not None or monotone is not None:
            raise click.UsageError("--rate and --monotone are for files; a round has its own.")
        game = base_game.game_of_round(source, budgets, caps)
    else:
        game = base_game.game_of_file(source, budgets, caps, monotone or "refuse", rate or 10**6)
    result = sweeps.sweep(game, over, party, begin, end, steps)
    print_form(form, result, sweeps.sweep_text, lambda: sweeps.sweep_tables(result))


@click.command()
@click.option("--family", "name", default="saturating", show_default=True, help="Closed-form game.")
@click.option("--parties", "n_parties", default=12, show_default=True, help="2 to 256.")
@click.option("--evaluations", default=500, show_default=True, help="Coalitions to evaluate.")
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Seed of the random choice of coalitions.",
)
@click.option(
    "--method",
    type=click.Choice(ESTIMATORS),
    default=ESTIMATORS[0],
    show_default=True,
    help="Estimator.",
)
@as_form
def estimate(
    name: str, n_parties: int, evaluations: int, seed: int, method: str, form: str
) -> None:
    """Estimate flows of a game from a sample of its coalitions, and compare with the true ones.

    Example: fairround estimate --family coverage --parties 12 --evaluations 500
    """
    from settlement.calculator import comparisons

    result = comparisons.estimate_beside_truth(name, n_parties, evaluations, seed, method)
    print_form(
        form, result, comparisons.estimate_text, lambda: [comparisons.estimate_table(result)]
    )
