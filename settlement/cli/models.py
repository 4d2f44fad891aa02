"""Verbs about trained models: cache, predict."""

from __future__ import annotations

from pathlib import Path

import click

from settlement.cli.own_code import allow_module
from settlement.cli.printing import as_json, print_json, print_result, round_folder

__all__ = ["cache", "predict"]


@click.command()
@click.option(
    "--prune", "most_mib", type=click.IntRange(min=0), metavar="MIB", help="Keep at most so much."
)
@as_json
def cache(most_mib: int | None, json_: bool) -> None:
    """Show the cache of finished trainings; prune it to a size.

    The least recently used models are deleted first. A round that later needs one trains it again.

    Example: fairround cache --prune 1000
    """
    from dataclasses import asdict

    from ml.training.cache import ModelCache
    from settlement.cache import cache_folder

    store = ModelCache(cache_folder("models"))
    report = store.report() if most_mib is None else store.prune(most_mib * 2**20)
    text = f"{report.n_models:,} models, {report.n_bytes / 2**20:.1f} MiB in {report.folder}\n"
    if most_mib is not None:
        text += f"removed {report.n_removed:,} models, {report.removed_bytes / 2**20:.1f} MiB\n"
    print_result(asdict(report), lambda _: text, json_)


@click.command()
@round_folder
@allow_module
@click.option("--party", "name", required=True, metavar="NAME", help="Whose model reward.")
@click.argument("samples", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
@as_json
def predict(folder: Path, name: str, samples: Path, json_: bool) -> None:
    """Let a party's model reward predict the samples in FILE.

    FILE is an npy array, an npz archive with the array "features", a csv file with a header, a text
    file with one text a line, or one image.

    Example: fairround predict ROUND --party clinic-a new-patients.csv
    """
    from settlement.party.desk import reward_file

    path = reward_file(folder, name)
    from ml.training.models.predict import predict_file

    found = predict_file(path, samples)
    if json_:
        classes = list(found.classes) if found.classes is not None else None
        print_json({"party": name, "classes": classes, "values": found.values.tolist()})
        return
    for k, values in enumerate(found.values):
        if found.classes is None:
            click.echo(f"{values:.6g}")
        else:
            click.echo(f"{found.classes[k]}  {values.max():.3f}")
