from decimal import Decimal
from importlib.resources import files

import pytest

from settlement.config.reading import ConfigError, read_config
from settlement.config.templates import TemplateError, template_names, write_template


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
    assert [party.budget_value for party in config.parties] == [Decimal("0.2"), None, None]


def test_a_party_that_never_funds_has_budget_zero(read):
    text = template("three-parties").replace("budget = 0.2", "budget = 0.2\nfunds = false")
    assert read(text).parties[0].budget_value == 0


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
        ("budget = 0.2", "budget = -1", "party[0].budget", "greater than or equal to 0"),
        ("budget = 0.2", 'budget = "lots"', "party[0].budget", '"unlimited"'),
        ("budget = 0.2", "budget = 1e30", "party[0].budget", "more than"),
        ("budget = 0.2", "budget = true", "party[0].budget", "found True"),
        ('name = "c"', 'name = "a"', "party[2].name", "name of party 0 too"),
        ('name = "c"', 'name = "../c"', "party[2].name", "expected a name without"),
        ('name = "c"', 'name = "c\\u202e"', "party[2].name", "signs that do not print"),
        ('name = "c"', 'name = " "', "party[2].name", "spaces at its ends"),
        ("0.8, 1.0]", "0.8]", "values.given", "7 values"),
        ("0.8, 1.0]", "0.8, nan]", "values.given[7]", "finite"),
        ("0.8, 1.0]", "0.8, 1.5]", "values.given[7]", "1.5"),
        ("[0.0, 0.2", "[0.1, 0.2", "values.given[0]", "empty coalition"),
        ("0.8, 1.0]", "0.8, 0.75]", "values.given", 'where party 0 ("a") joins {1, 2} ("b", "c")'),
        ('monotone = "refuse"', 'monotone = "hope"', "round.monotone", "hope"),
        ('provider = "in-process" ', 'provider = "carrier pigeon" ', "chain.provider", "pigeon"),
        ('provider = "in-process" ', 'provider = "http://h" ', "chain.chain_id", "needs it"),
        ('provider = "in-process" ', 'provider = "http://" ', "chain.provider", "127.0.0.1:8545"),
        ('provider = "in-process" ', 'provider = "http://h:x" ', "chain.provider", "http://h:x"),
        ("funding_s = 3_600", "funding_s = 0", "chain.funding_s", "found 0"),
        ("[chain]", "[training]\nepochs = 5\n[chain]", "training", "not expected"),
        ("[chain]", "[weather]\nrain = 5\n[chain]", "weather", "unknown key"),
        ("[chain]", '[chain]\nbond_wei = "x"', "chain.bond_wei", "valid integer"),
        ("given =", 'method = "estimate"\ngiven =', "values.method", "not expected"),
        ("budget = 0.2", "cap = 1e400", "party[0].cap", "more than any model"),
        ("budget = 0.2", f'address = "0x{"1" * 40}"', "party[0].address", "not expected"),
        ("[chain]", '[chain]\nkeystore = "keys"', "chain.keystore", "not expected"),
        ("[chain]", "[chain]\nmax_fee_gwei = 0", "chain.max_fee_gwei", "equal to 1"),
        ("[chain]", "[chain]\npriority_fee_gwei = 200", "chain.priority_fee_gwei", "expected 0"),
        ("funding_s = 3_600", "funding_s = 22", "chain.funding_s", "expected at least 23"),
        ("= 1_000_000 ", f"= {2**62} ", "round.exchange_rate", "all deposits together"),
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
        "expected a table; found 3",
        "expected a table; found 4",
        "expected a table; found x",
        "expected a table; found 1",
    }


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read_config(tmp_path / "round.toml")


def test_an_unknown_template_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(TemplateError, match="digits, mnist, three-parties"):
        write_template(tmp_path, "cifar")


def test_a_configuration_is_never_overwritten(tmp_path):
    write_template(tmp_path, "digits")
    with pytest.raises(TemplateError, match="is there already"):
        write_template(tmp_path, "mnist")
    assert "digits" in (tmp_path / "round.toml").read_text()


def test_what_the_optimistic_way_cannot_carry_is_a_fault(read):
    text = template("three-parties").replace("= 1_000_000 ", f"= {2**48 + 1} ")
    assert len(read(text).parties) == 3
    chain = '[chain]\nsettlement = "optimistic"\nsettlement_s = 7_222'
    lines = [line for line in text.splitlines() if not line.startswith("settlement")]
    faults = faults_of(read, "\n".join(lines).replace("[chain]", chain))
    assert f"at most {2**48} base units" in faults["round.exchange_rate"]
    assert "do not fit into settlement_s = 7222" in faults["chain.challenge_window_s"]


def test_everybody_on_the_simulated_chain_can_pay_the_largest_bond(read):
    bond_wei = 10**24
    text = template("three-parties").replace("unit_scale = 1_000_000_000_000", "unit_scale = 1")
    config = read(text.replace("[chain]", f"[chain]\nbond_wei = {bond_wei}"))
    gas_wei = 50_000_000 * 100 * 10**9  # all the gas of a round, at the highest fee
    assert config.chain_spec().balance_wei >= bond_wei + gas_wei


def test_an_estimate_of_few_parties_cannot_be_posted(read):
    text = template("digits").replace('monotone = "above"', 'monotone = "refuse"')
    estimate = '[values]\nmethod = "estimate"\nevaluations = 6\n[chain]'
    assert read(text.replace("[chain]", estimate)).values.method == "estimate"
    optimistic = text.replace("[chain]", estimate + '\nsettlement = "optimistic"')
    assert "whole table of up to 8 parties" in faults_of(read, optimistic)["values.method"]


def test_faults_of_the_chain_are_listed_with_the_others(read):
    text = template("three-parties").replace('"in-process" ', '"pigeon" ').replace("0.8, ", "8, ")
    assert {"chain.provider", "values.given[6]"} <= faults_of(read, text).keys()


def test_a_wrong_address_is_a_fault_of_its_party(read):
    text = template("three-parties").replace('provider = "in-process"', 'provider = "http://h"')
    text = text.replace("[chain]", "[chain]\nchain_id = 5")
    assert len(read(text).parties) == 3
    faults = faults_of(read, text.replace("budget = 0.2", 'address = "0x12"'))
    assert "40 hex digits" in faults["party[0].address"]
