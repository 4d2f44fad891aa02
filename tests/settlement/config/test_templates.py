"""Every template is a round that a new user can look at, once the data are where it says."""

import numpy as np
import pytest

from settlement.config.looking import NothingTrained, check_round, look_at_data
from settlement.config.reading import ConfigError, read_config
from settlement.config.templates import template_names, write_template

PARTIES = ("north", "south", "east")
ORDERS = [
    ("a", "b", "c", "target"),
    ("target", "c", "b", "a"),
    ("c", "target", "a", "b"),
    ("b", "target", "c", "a"),
]


def rows(seed, n=30):
    generator = np.random.default_rng(seed)
    features = generator.normal(size=(n, 3))
    return features, (features.sum(axis=1) > 0).astype(int)


def write_csv(path, seed, order=("a", "b", "c", "target"), ids=False):
    features, targets = rows(seed)
    cells = {"a": features[:, 0], "b": features[:, 1], "c": features[:, 2], "target": targets}
    order = ("id", *order) if ids else order
    cells["id"] = [f"{seed}-{k}" for k in range(len(targets))]
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [",".join(order)]
    lines += [",".join(str(cells[name][k]) for name in order) for k in range(len(targets))]
    path.write_text("\n".join(lines) + "\n")
    return cells["id"]


def csv(folder, parties=PARTIES):
    for seed, (name, order) in enumerate(zip(parties, ORDERS, strict=False)):
        write_csv(folder / "data" / "parties" / name / "rows.csv", seed, order)
    write_csv(folder / "data" / "validation" / "rows.csv", 9)


def folder_of_arrays(folder):
    for seed, name in enumerate((*PARTIES, "validation")):
        features, targets = rows(seed)
        place = folder / "data" / ("" if name == "validation" else "parties") / name
        place.mkdir(parents=True)
        ids = [f"{seed}-{k}" for k in range(len(targets))]
        np.savez(place / "rows.npz", features=features, target=targets * 1.5, id=ids)


def ids(folder):
    names = write_csv(folder / "data" / "samples.csv", 0, ids=True)
    for k, party in enumerate(PARTIES):
        (folder / "data" / f"{party}.txt").write_text("\n".join(names[8 * k : 8 * k + 12]))


def images(folder):
    image = pytest.importorskip("PIL.Image")
    for part in (*(f"parties/{name}" for name in PARTIES), "validation"):
        for kind, level in (("cat", 40), ("dog", 200)):
            place = folder / "data" / part / kind
            place.mkdir(parents=True)
            for k in range(4):
                image.fromarray(np.full((8, 8), level + k, np.uint8)).save(place / f"{k}.png")


def hospitals(folder):
    csv(folder, (*PARTIES, "west"))


DATA = {
    "csv": csv,
    "hospitals": hospitals,
    "folder": folder_of_arrays,
    "ids": ids,
    "images": images,
}


@pytest.mark.parametrize("name", template_names())
def test_a_template_is_a_round_once_its_data_are_there(tmp_path, name):
    path = write_template(tmp_path, name)
    if name in DATA:
        with pytest.raises(ConfigError, match=r"does not exist|expected a file"):
            read_config(path)
        DATA[name](tmp_path)
    assert check_round(tmp_path)
    if name in ("three-parties", "external"):
        with pytest.raises(NothingTrained):
            look_at_data(tmp_path)
    else:
        found = look_at_data(tmp_path)
        assert [party.name for party in found.parties] == list(read_config(path).party_names)
        assert all(party.samples for party in found.parties)


def test_the_look_at_data_counts_what_parties_share(tmp_path):
    write_template(tmp_path, "ids")
    ids(tmp_path)
    found = look_at_data(tmp_path)
    held = [set((tmp_path / "data" / f"{name}.txt").read_text().split()) for name in PARTIES]
    assert [party.samples for party in found.parties] == [len(ids) for ids in held] == [12] * 3
    assert found.distinct_samples == len(set().union(*held)) == 28
    assert [party.shared for party in found.parties] == [4, 8, 4]
    assert found.validation.samples + found.holdout.samples == 30 - 28
    assert found.columns == ("a", "b", "c")
    assert sum(found.parties[0].targets.values()) == found.parties[0].samples


def test_the_look_at_data_names_columns_that_say_nothing(tmp_path):
    write_template(tmp_path, "csv")
    csv(tmp_path)
    for path in (tmp_path / "data").rglob("*.csv"):
        lines = path.read_text().splitlines()
        path.write_text("\n".join([f"{lines[0]},site", *(f"{line},7" for line in lines[1:])]))
    assert look_at_data(tmp_path).constant_columns == ("site",)


def test_every_key_of_data_that_templates_show_is_used(tmp_path):
    """A wrong target is found by the check, not after everybody has locked money."""
    path = write_template(tmp_path, "csv")
    csv(tmp_path)
    path.write_text(path.read_text().replace('target = "target"', 'target = "ill"'))
    with pytest.raises(Exception, match='a, b, c, target; expected also "ill"'):
        check_round(tmp_path)


@pytest.mark.parametrize(
    ("template", "verb"),
    [("three-parties", "run"), ("csv", "data"), ("external", "ask"), ("scenario", "simulate")],
)
def test_init_names_the_verb_that_comes_first(fairround, tmp_path, template, verb):
    """`run` right after `init` cannot work where data or scores are still to be brought."""
    folder = tmp_path / "new"
    assert f"Next: fairround {verb} {folder}" in fairround("init", folder, "--template", template)
