"""Files of flows: three forms that say the same, and hostile ones, each refused by name."""

import contextlib
import io
import json
import pickle
import zipfile

import numpy as np
import pytest

from ml.game import GivenFlows, sparse_flows
from settlement.store.flows_arrays import FLOWS_BYTES
from settlement.store.flows_file import FlowsFileError, read_flows, write_flows

FLOWS = [[0.0, 0.35, 0.45], [0.15, 0.0, 0.35], [0.25, 0.35, 0.0]]
OWN = [0.2, 0.5, 0.4]
NAMES = ["a", "b", "c"]
WHOLE = {"flows": FLOWS, "own_values": OWN, "grand_value": 1.0, "parties": NAMES}
CSV = "party,own_value,grand_value,a,b,c\na,0.2,1,0,.35,.45\nb,0.5,1,.15,0,.35\nc,.4,1,.25,.35,0\n"


def written(path, content):
    if path.suffix == ".npz":
        np.savez(path, **content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_all_forms_say_the_same(tmp_path):
    payers, payees = np.nonzero(FLOWS)
    sparse = {"payers": payers, "payees": payees, "amounts": np.array(FLOWS)[payers, payees]}
    others = {"own_values": OWN, "grand_value": 1.0, "parties": NAMES}
    files = [
        written(tmp_path / "one.json", WHOLE),
        written(tmp_path / "two.csv", CSV),
        written(tmp_path / "three.npz", WHOLE),
        written(tmp_path / "four.npz", sparse | others),
        written(
            tmp_path / "five.json", {k: np.array(v).tolist() for k, v in (sparse | others).items()}
        ),
    ]
    for path in files:
        found = read_flows(path)
        assert found.parties == ("a", "b", "c")
        flows = found.given.flows
        flows = flows.toarray() if found.given.is_sparse else flows
        np.testing.assert_array_equal(flows, FLOWS)
        np.testing.assert_allclose(found.given.own_values, OWN, atol=1e-15)
        assert found.given.grand_value == 1.0


@pytest.mark.parametrize("is_sparse", [False, True])
def test_what_is_written_reads_back_to_the_last_digit_and_is_the_same_bytes(tmp_path, is_sparse):
    flows = np.random.default_rng(0).dirichlet(np.ones(5), 6) * 0.7
    flows = np.array([np.insert(row, k, 0.0) for k, row in enumerate(flows)])
    form = sparse_flows(*np.nonzero(flows), flows[np.nonzero(flows)], 6) if is_sparse else flows
    given = GivenFlows(form, np.full(6, 0.3), 1.0)
    for name in ("one.npz", "two.npz"):
        write_flows(tmp_path / name, given)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    found = read_flows(tmp_path / "one.npz").given
    assert found.is_sparse == is_sparse
    np.testing.assert_array_equal(found.flows.toarray() if is_sparse else found.flows, flows)
    np.testing.assert_array_equal(found.own_values, given.own_values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"flows": None}, "flows must be a list"),
        ({"flows": [[0, 1], [1]]}, "rows of one length"),
        ({"flows": [[0, "x"], [1, 0]]}, "nothing but numbers"),
        ({"flows": [[False, True], [True, False]]}, "nothing but numbers"),
        ({"own_values": [0.2, 0.5]}, "2 own values and 3 names"),
        ({"own_values": []}, "0 own values"),
        ({"parties": ["a", "b", "b"]}, r"\['b'\] are named twice"),
        ({"parties": ["a", "b", "\x1b[2J"]}, "no name that can be printed"),
        ({"parties": [1, 2, 3]}, "a list of names"),
        ({"grand_value": 1e400}, "NaN or infinity"),
        ({"grand_value": [1.0]}, r"v.N. has shape .1,.; expected a single number"),
        ({"grand_value": 0.9}, 'eq. .4.* Party 0 is "a"'),
        ({"payers": [0]}, "amounts, payees missing"),
        ({"more": 1}, "'more' is not expected"),
    ],
)
def test_json_that_holds_no_flows_is_refused_by_name(tmp_path, change, message):
    path = written(tmp_path / "flows.json", WHOLE | change)
    with pytest.raises(FlowsFileError, match=message):
        read_flows(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not even a header"),
        (CSV.replace("own_value", "value"), "the header begins with"),
        (CSV.replace("\nb,", "\nx,"), "names of the rows"),
        (CSV.replace(",.35,0\n", ",.35\n"), "row 4 has 5 cells; expected 6"),
        (CSV.replace(".45", "much"), "row 2, column 'c': 'much' is no number"),
        (CSV.replace("0.5,1,", "0.5,2,"), "grand_value is 1 in one row and 2 in another"),
        (CSV.replace("0.5,1,", "0.5,nan,"), "grand_value is nan in one row and nan in another"),
        (CSV.replace(".45", "nan"), "NaN"),
        ('party,"own', "no CSV"),
    ],
)
def test_csv_that_holds_no_flows_is_refused_by_name(tmp_path, text, message):
    with pytest.raises(FlowsFileError, match=message):
        read_flows(written(tmp_path / "flows.csv", text))


class Command:
    def __reduce__(self):
        return (open, ("owned", "w"))


def npy(shape, descr="<f8", body=b"", version=b"\x01\x00"):
    header = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape!r}, }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    return b"\x93NUMPY" + version + len(header).to_bytes(2, "little") + header.encode() + body


def packed(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return path


def plain(array):
    file = io.BytesIO()
    np.save(file, np.asarray(array))
    return file.getvalue()


HOSTILE = {
    "a pickle": (npy((1,), "|O", pickle.dumps(Command())), "type object"),
    "words for numbers": (plain(["a"]), "type <U1; expected numbers"),
    "complex numbers": (plain([1j]), "type complex128"),
    "a huge shape": (npy((2**40, 2**40)), "says that it is of shape"),
    "a negative shape": (npy((-1, 3)), "says that it is of shape"),
    "fewer bytes than it says": (npy((3, 3), body=bytes(8)), "ends after 8 of 72 bytes"),
    "no array": (b"nothing", "no npz file"),
    "a header that is code": (npy("__import__('os')"), "no npz file"),
    "a header without an end": (
        plain(FLOWS)[:10] + b"{'descr': '<f8', 'fortran_order': False, 'shape': (3, 3".ljust(118),
        "no npz file",
    ),
    "a header that no set can hold": (plain(FLOWS)[:10] + b"{[]: 1}".ljust(118), "no npz file"),
    "another format": (npy((3, 3), body=bytes(72), version=b"\x09\x00"), "numpy's format|no npz"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_arrays_are_refused_by_name(tmp_path, monkeypatch, what):
    monkeypatch.chdir(tmp_path)
    content, message = HOSTILE[what]
    path = packed(
        tmp_path / "flows.npz", flows=content, own_values=plain(OWN), grand_value=plain(1.0)
    )
    with pytest.raises(FlowsFileError, match=message):
        read_flows(path)
    assert not (tmp_path / "owned").exists()


def test_names_and_packers_that_are_broken_are_refused_by_name(tmp_path):
    content = {"flows": plain(FLOWS), "own_values": plain(OWN), "grand_value": plain(1.0)}
    beyond = np.array([0x7FFFFFFF, 98, 99], dtype="<u4").tobytes()
    path = packed(tmp_path / "a.npz", **content, parties=npy((3,), "<U1", beyond))
    with pytest.raises(FlowsFileError, match=r"no npz file: "):
        read_flows(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        for name, member in content.items():
            archive.writestr(f"{name}.npy", member)
    raw = bytearray(path.read_bytes())
    raw[60:90] = (byte ^ 0x5A for byte in raw[60:90])
    path.write_bytes(raw)
    with pytest.raises(FlowsFileError, match=r"no npz file: "):
        read_flows(path)


def test_a_bomb_is_not_unpacked(tmp_path):
    zeros = bytes(FLOWS_BYTES // 2)
    path = packed(tmp_path / "bomb.npz", flows=zeros, own_values=zeros, grand_value=plain(1.0))
    assert path.stat().st_size < 2**20
    with pytest.raises(FlowsFileError, match=r"unpacked it has .* expected at most"):
        read_flows(path)


def test_other_members_repeated_ones_and_no_archives_are_refused(tmp_path):
    path = written(tmp_path / "flows.npz", WHOLE | {"more": [1]})
    with pytest.raises(FlowsFileError, match=r"'more\.npy' is not expected"):
        read_flows(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("flows.npy", plain(FLOWS))
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("flows.npy", plain(FLOWS))
    with pytest.raises(FlowsFileError, match=r"flows\.npy is in it twice"):
        read_flows(path)
    path.write_bytes(b"PK\x03\x04" + bytes(100))
    with pytest.raises(FlowsFileError, match="no npz file"):
        read_flows(path)
    with pytest.raises(FlowsFileError, match="cannot be read"):
        read_flows(tmp_path / "absent.npz")
    with pytest.raises(FlowsFileError, match=r"expected \.json, \.csv or \.npz"):
        read_flows(tmp_path / "flows.pickle")


def test_no_changed_byte_is_a_traceback(tmp_path):
    path = written(tmp_path / "flows.npz", WHOLE)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(150):
        raw = bytearray(whole[: rng.integers(len(whole))] if rng.random() < 0.3 else whole)
        for place in rng.integers(0, max(len(raw), 1), 3):
            if raw:
                raw[place] = rng.integers(256)
        path.write_bytes(raw)
        with contextlib.suppress(FlowsFileError):
            read_flows(path)
