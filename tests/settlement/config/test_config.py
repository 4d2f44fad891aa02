from decimal import Decimal
from importlib.resources import files

import pytest

from settlement.config.reading import ConfigError, read_config
from settlement.config.schema import BudgetUnreadable, parse_budget
from settlement.config.templates import TemplateError, template_names, write_template

TWO_CHAINS = ("chain.chain_id", "leave one of the two out")


@pytest.fixture
def read(tmp_path):
    def read_text(text):
        path = tmp_path / "round.toml"
        path.write_text(text)
        return read_config(path)

    return read_text


def template(name):
    return files("settlement.config.templates").joinpath(f"{name}.toml").read_text()


def faults_of(read, text):
    with pytest.raises(ConfigError) as caught:
        read(text)
    return {fault.place: fault.message for fault in caught.value.faults}


@pytest.mark.parametrize("name", ["digits", "mnist", "three-parties"])
def test_every_template_is_a_valid_configuration(read, name):
    assert name in template_names()
    assert len(read(template(name)).parties) >= 3


def test_budgets_are_read_exactly(read):
    config = read(template("three-parties"))
    assert [party.budget for party in config.parties] == [Decimal("0.2"), None, None]
    assert [party.budget_units(10**6) for party in config.parties] == [200_000, None, None]


def test_a_party_that_never_funds_has_budget_zero(read):
    text = template("three-parties").replace("budget = 0.2", "budget = 0.2\nfunds = false")
    assert read(text).parties[0].budget_units(10**6) == 0


@pytest.mark.parametrize("budget", ['"300000 units"', '"300_000 units"', '"300,000 units"'])
def test_a_budget_may_be_written_in_base_units(read, budget):
    text = template("three-parties").replace("budget = 0.2", f"budget = {budget}")
    assert read(text.replace("= 1_000_000 ", "= 7 ")).parties[0].budget_units(7) == 300_000


def test_all_faults_are_listed_at_once_with_their_lines(read):
    text = (
        template("digits")
        .replace("exchange_rate = 1_000_000 ", 'exchange_rate = "much" ')
        .replace("epochs = 30", "epochs = -1\nspeed = 3")
        .replace("budget = 0.1", "budget = -0.1")
        .replace("labels = [2, 3, 4, 5, 6]", "labels = [2, 2, 77]")
        .replace('name = "high"', 'name = "low"\ncolour = "red"')
    )
    with pytest.raises(ConfigError) as caught:
        read(text)
    lines = text.splitlines()
    for fragment in (
        "round.exchange_rate",
        "training.epochs",
        "training.speed",
        "party[0].budget",
        "party[1].labels",
        "party[2].colour",
        "party[2].name",
    ):
        named = [line for line in str(caught.value).splitlines() if f" {fragment}:" in line]
        assert named, f"{fragment} is not in\n{caught.value}"
        message = named[0]
        number = int(message.split(":")[1])
        assert fragment.rpartition(".")[2] in lines[number - 1]


@pytest.mark.parametrize(
    ("old", "new", "place", "message"),
    [
        ("budget = 0.2", "budget = nan", "party[0].budget", "finite"),
        ("budget = 0.2", "budget = -1", "party[0].budget", "at least 0"),
        ("budget = 0.2", 'budget = "lots"', "party[0].budget", '"unlimited"'),
        ("budget = 0.2", "budget = 1e30", "party[0].budget", "more than"),
        ("budget = 0.2", "budget = true", "party[0].budget", "found True"),
        ('name = "c"', 'name = "a"', "party[2].name", "name of party 0 too"),
        ('name = "c"', 'name = "\uff21"', "party[2].name", "name of party 0 too"),
        ('name = "c"', 'name = "c\\u3164"', "party[2].name", "characters that do not print"),
        ('name = "c"', 'name = "../c"', "party[2].name", "expected a name without"),
        ('name = "c"', 'name = "c\\u202e"', "party[2].name", "characters that do not print"),
        ('name = "c"', 'name = " "', "party[2].name", "spaces at its ends"),
        ("0.8, 1.0]", "0.8]", "values.given", "7 values"),
        ("0.8, 1.0]", "0.8, nan]", "values.given[7]", "finite"),
        ("0.8, 1.0]", "0.8, 1.5]", "values.given[7]", "1.5"),
        ("[0.0, 0.2", "[0.1, 0.2", "values.given[0]", "empty coalition"),
        ("0.8, 1.0]", "0.8, 0.75]", "values.given", 'Party 0 is "a", 1 is "b", 2 is "c"'),
        ('monotone = "refuse"', 'monotone = "hope"', "round.monotone", "hope"),
        ('provider = "in-process" ', 'provider = "carrier pigeon" ', "chain.provider", "pigeon"),
        ('provider = "in-process" ', 'provider = "http://h" ', "chain.provider", "http://h"),
        ('provider = "in-process" ', 'provider = "in-process"\nchain_id = 1 ', *TWO_CHAINS),
        ('provider = "in-process" ', "chain_id = 0 ", "chain.chain_id", "at least 1"),
        ("funding_s = 3_600", "funding_s = 0", "chain.funding_s", "found 0"),
        ("[chain]", "[training]\nepochs = 5\n[chain]", "training", "not expected"),
        ("[chain]", "[weather]\nrain = 5\n[chain]", "weather", "unknown key"),
        ("[chain]", '[chain]\nasset = "x"', "chain.asset", "40 hex digits"),
        ("given =", 'method = "estimate"\ngiven =', "values.method", "not expected"),
        ("budget = 0.2", "cap = 1e400", "party[0].cap", "more than any model"),
        ("budget = 0.2", f'address = "0x{"1" * 40}"', "party[0].address", "not expected"),
        ("[chain]", f'[chain]\noperator = "0x{"1" * 40}"', "chain.operator", "not expected"),
        ("[chain]", '[chain]\nkeystore = "keys"', "chain.keystore", "unknown key"),
        ("[chain]", "[chain]\nmax_fee_gwei = 9", "chain.max_fee_gwei", "unknown key"),
        ("budget = 0.2", "budgets = 0.2", "party[0].budgets", 'did you mean "budget"?'),
        ("budget = 0.2", "labels = [1]", "party[0].labels", "nothing is trained"),
        ("[chain]", '[data]\nsource = "mnist"\n[chain]', "data", "not expected"),
        ("[values]", "[value]", "value", 'did you mean "values"?'),
        ("budget = 0.2", 'budget = "2 unit"', "party[0].budget", '"300000 units"'),
        ("budget = 0.2", f'budget = "{2**63} units"', "party[0].budget", "more than"),
        ("funding_s = 3_600", "funding_s = 22", "chain.funding_s", "expected at least 23"),
        ("budget = 0.2", f'budget = "{2**63 - 1} units"', "round.exchange_rate", "together"),
    ],
)
def test_a_fault_names_its_place(read, old, new, place, message):
    text = template("three-parties")
    assert old in text
    assert message in faults_of(read, text.replace(old, new))[place]


def test_one_party_is_no_round(read):
    text = template("three-parties").split("[[party]]")
    message = faults_of(read, "[[party]]".join(text[:2]))["party"]
    assert message.startswith("1 parties; expected 2 to")


def test_more_parties_than_the_exact_method_takes_are_refused(read):
    head = template("mnist").partition("[[party]]")[0]
    parties = "".join(f'[[party]]\nname = "p{k}"\nlabels = [1]\n' for k in range(17))
    assert "17 parties; expected 2 to 16" in faults_of(read, head + parties)["party"]


@pytest.mark.parametrize(
    "text", ["[round\n", "a = 1e99999999999999999999", "a = " + "[" * 5000, "a = " + "9" * 5000]
)
def test_text_that_is_not_toml_is_refused(read, text):
    assert "is not TOML" in faults_of(read, text)[""]


def test_tables_of_another_kind_are_refused_in_words_of_the_file(read):
    faults = faults_of(read, 'round = 3\nvalues = 4\nparty = [1]\ndata = "x"\n')
    assert {faults[place] for place in ("round", "values", "data", "party[0]")} == {
        "found 3; expected a table",
        "found 4; expected a table",
        "found x; expected a table",
        "found 1; expected a table",
    }


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read_config(tmp_path / "round.toml")


def test_an_unknown_template_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(
        TemplateError, match="csv, digits, estimate, external, folder, hospitals, ids, images"
    ):
        write_template(tmp_path, "cifar")


def test_a_configuration_is_never_overwritten(tmp_path):
    write_template(tmp_path, "digits")
    with pytest.raises(TemplateError, match="is there already"):
        write_template(tmp_path, "mnist")
    assert "digits" in (tmp_path / "round.toml").read_text()


def test_an_exchange_rate_that_the_escrow_does_not_take_is_a_fault(read):
    text = template("three-parties")
    assert len(read(text.replace("= 1_000_000 ", f"= {2**48} ")).parties) == 3
    faults = faults_of(read, text.replace("= 1_000_000 ", f"= {2**48 + 1} "))
    assert f"at most {2**48} base units" in faults["round.exchange_rate"]


@pytest.mark.parametrize(
    ("quorum", "units"), [('"250000 units"', 250_000), ("0.25", 250_000), ('"unlimited"', 0)]
)
def test_a_quorum_is_written_as_a_budget_is(read, quorum, units):
    config = read(template("three-parties").replace("[chain]", f"[chain]\nquorum = {quorum}"))
    assert config.chain.quorum_units(config.exchange_rate) == units
    assert read(template("three-parties")).chain.quorum_units(10**6) == 0


def test_a_token_is_no_asset_of_a_simulated_chain(read):
    token = f'[chain]\nasset = "0x{"12" * 20}"'
    text = template("three-parties").replace("[chain]", token)
    assert "has no tokens" in faults_of(read, text)["chain.asset"]


def test_an_estimate_of_few_parties_is_settled_either_way(read):
    text = template("digits").replace('monotone = "isotonic"', 'monotone = "refuse"')
    for way in ("proof", "signatures"):
        estimate = f'[values]\nmethod = "estimate"\n[chain]\nsettlement = "{way}"'
        assert read(text.replace("[chain]", estimate)).chain.settlement == way


@pytest.mark.parametrize(
    ("text", "budget"),
    [("0.2", Decimal("0.2")), ("300000 units", 300_000), ("unlimited", None), ("0", Decimal(0))],
)
def test_a_budget_is_read_as_people_write_it(text, budget):
    assert parse_budget(text) == budget


@pytest.mark.parametrize("text", ["", "-1", "much", "1e", "inf", "nan", "-5 units", "0.2 units"])
def test_a_budget_that_is_no_amount_is_refused(text):
    with pytest.raises(BudgetUnreadable, match="Budget"):
        parse_budget(text)


def test_faults_of_the_chain_are_listed_with_the_others(read):
    text = template("three-parties").replace('"in-process" ', '"pigeon" ').replace("0.8, ", "8, ")
    assert {"chain.provider", "values.given[6]"} <= faults_of(read, text).keys()


def test_a_wrong_address_is_a_fault_of_its_party(read):
    text = template("three-parties").replace('provider = "in-process"', "chain_id = 5")
    places = {"chain.operator", "party[0].address", "party[1].address", "party[2].address"}
    faults = faults_of(read, text)
    assert faults.keys() == places
    assert all("missing; on a real chain" in message for message in faults.values())
    faults = faults_of(read, text.replace("budget = 0.2", 'address = "0x12"'))
    assert "40 hex digits" in faults["party[0].address"]
    misspelt = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD".replace("Ef1", "eF1")
    faults = faults_of(read, text.replace("budget = 0.2", f'address = "{misspelt}"'))
    assert "no checksum" in faults["party[0].address"]


def test_one_fault_hides_no_other(read):
    """Also where a whole table, or the key that others are judged by, is wrong."""
    text = template("digits").replace('source = "digits"', 'sources = "digits"')
    text = text.replace('name = "digits, three parties"', "").replace('name = "high"', "name = 7")
    text = text.replace("budget = 0.1", "budget = 1e30").replace(
        "funding_s = 3_600", "funding_s = 1"
    )
    assert faults_of(read, text).keys() == {
        "data.source",
        "data.sources",
        "round.name",
        "party[2].name",
        "party[0].budget",
        "chain.funding_s",
    }


def test_a_round_that_trains_needs_data(read):
    text = template("digits").replace("[data]", "[other]").replace("[training]", "[training]")
    assert "data that models are trained on" in faults_of(read, text)["data"]
