"""Files of spender's weights: what is read, and what is said of those that cannot be."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from models.errors import InputError
from models.spender import files as spender_files
from models.spender.files import SpenderFile, read_spender_file
from models.spender.weights import autoencoder_of, flow_of, sorted_files
from tests.models.spender.spender_made import desi_wavelength, made_autoencoder, made_files, made_flow

State = dict[str, Tensor]


class Code:
    """What a pickle may hold: a call made while it is loaded."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.target,))


def refused(
    state: State, change: Callable[[State], object], of: Callable[[SpenderFile], object]
) -> InputError:
    changed = dict(state)
    change(changed)
    with pytest.raises(InputError) as caught:
        of(SpenderFile(Path("made.pt"), "", changed))
    assert caught.value.remedy
    return caught.value


@pytest.fixture(scope="module")
def autoencoder() -> State:
    # Its rest-frame spectrum is short: nothing here is about what it computes.
    rest = torch.linspace(2000.0, 9824.0, 60, dtype=torch.float64)
    return dict(made_autoencoder(desi_wavelength(), rest).state_dict())


@pytest.fixture(scope="module")
def flow() -> State:
    return dict(made_flow().state_dict())


def test_both_files_in_any_order(tmp_path: Path) -> None:
    paths = made_files(tmp_path)
    for order in (paths, paths[::-1]):
        found = sorted_files([read_spender_file(path) for path in order])
        assert [file.path for file in found] == list(paths)


def test_a_list_of_models_is_its_first(tmp_path: Path, autoencoder: State) -> None:
    torch.save({"model": [autoencoder]}, tmp_path / "list.pt")
    assert set(read_spender_file(tmp_path / "list.pt").tensors) == set(autoencoder)


@pytest.mark.parametrize("in_archive", [True, False])
def test_a_pickle_is_refused_and_not_run(tmp_path: Path, in_archive: bool) -> None:
    file, trace = tmp_path / "weights.pt", tmp_path / "it-ran"
    if in_archive:
        torch.save({"model": Code(trace)}, file)
    else:
        file.write_bytes(pickle.dumps(Code(trace)))
    with pytest.raises(InputError, match="would run code") as caught:
        read_spender_file(file)
    assert caught.value.kind == "spender-pickle"
    assert "state_dict" in caught.value.remedy
    assert not trace.exists()


def test_a_whole_pickled_model_is_refused(tmp_path: Path) -> None:
    torch.save(made_flow(), tmp_path / "flow.pt")
    with pytest.raises(InputError, match="would run code"):
        read_spender_file(tmp_path / "flow.pt")


def test_a_cut_file_is_refused(tmp_path: Path) -> None:
    _, path = made_files(tmp_path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError):
        read_spender_file(path)


def test_a_file_with_a_changed_byte_is_refused_or_reads_the_same(tmp_path: Path) -> None:
    _, path = made_files(tmp_path)
    whole = path.read_bytes()
    wanted = {name: value.tolist() for name, value in read_spender_file(path).tensors.items()}
    for place in range(0, len(whole), len(whole) // 60):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            tensors = read_spender_file(path).tensors
        except InputError:
            continue
        assert {name: value.tolist() for name, value in tensors.items()} == wanted


def test_sizes_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = tmp_path / "packed.pt"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("weights/data.pkl", b"\0" * 10_000_000)
    strides = tmp_path / "strides.pt"
    torch.save({"decoder.wave_rest": torch.zeros(1).expand(10_000_000)}, strides)
    monkeypatch.setattr(spender_files, "LARGEST", 1_000_000)
    for path in (packed, strides):
        assert path.stat().st_size < 100_000
        with pytest.raises(InputError, match="too large"):
            read_spender_file(path)


def test_what_is_not_tensors_is_refused(tmp_path: Path) -> None:
    for number, content in enumerate(([1, 2], {"a": 3}, {}, torch.ones(2), {"model": None})):
        path = tmp_path / f"{number}.pt"
        torch.save(content, path)
        with pytest.raises(InputError, match="something else than a state dict"):
            read_spender_file(path)


def test_numbers_that_are_not_finite_are_refused(tmp_path: Path, flow: State) -> None:
    name = next(name for name in flow if name.endswith("final_layer.bias"))
    torch.save({**flow, name: flow[name] * float("nan")}, tmp_path / "flow.pt")
    with pytest.raises(InputError, match="not finite") as caught:
        read_spender_file(tmp_path / "flow.pt")
    assert name in caught.value.where


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_spender_file(tmp_path / "nothing.pt")


def test_a_file_without_its_partner_is_refused(flow: State) -> None:
    file = SpenderFile(Path("flow.pt"), "", flow)
    for files in ([file], [file, file], [file, SpenderFile(Path("x.pt"), "", {"a": torch.ones(1)})]):
        with pytest.raises(InputError, match="autoencoder's file and its flow's") as caught:
            sorted_files(files)
        assert "flow.pt: a flow" in caught.value.got


@pytest.mark.parametrize(
    "name",
    ["encoder.conv2.0.bias", "encoder.mlp.4.weight", "decoder.mlp.6.weight", "decoder.wave_rest"],
)
def test_missing_and_unknown_entries_are_named(autoencoder: State, name: str) -> None:
    error = refused(autoencoder, lambda state: state.pop(name), autoencoder_of)
    assert f"no {name}" in error.got

    def add(state: State) -> None:
        state[f"{name}_more"] = torch.ones(2)

    assert f"also {name}_more" in refused(autoencoder, add, autoencoder_of).got


def test_missing_and_unknown_entries_of_a_flow_are_named(flow: State) -> None:
    for name in flow:
        error = refused(flow, lambda state, name=name: state.pop(name), flow_of)
        assert name in f"{error.got} {error.where}" or "_transform" in error.got
    error = refused(flow, lambda state: state.update({"_distribution.more": torch.ones(1)}), flow_of)
    assert "also _distribution.more" in error.got


def test_wrong_shapes_are_named(autoencoder: State, flow: State) -> None:
    for state, of in ((autoencoder, autoencoder_of), (flow, flow_of)):
        for name in state:
            if name.endswith("wave_obs"):
                continue

            def reshape(changed: State, name: str = name) -> None:
                changed[name] = torch.ones(3, 3, 3)

            error = refused(state, reshape, of)
            assert error.kind == "spender-entries", name


def test_sizes_that_only_names_claim_are_not_believed(autoencoder: State, flow: State) -> None:
    def wide(state: State) -> None:
        for place in (0, 3, 6):
            state[f"decoder.mlp.{place}.bias"] = torch.zeros(3_000_000)

    assert "decoder.mlp.3.weight" in refused(autoencoder, wide, autoencoder_of).where

    def deep(state: State) -> None:
        state["_transform._transforms.1._transforms.999999999._transforms.1._permutation"] = torch.ones(1)

    assert "transforms" in refused(flow, deep, flow_of).got


def test_a_flow_that_is_not_autoregressive_is_refused(flow: State) -> None:
    mask = next(name for name in flow if name.endswith("final_layer.mask"))
    permutation = next(name for name in flow if name.endswith("_permutation"))
    changes: dict[str, Tensor] = {
        mask: torch.ones_like(flow[mask]),
        permutation: torch.zeros_like(flow[permutation]),
        "_transform._transforms.0._scale": -flow["_transform._transforms.0._scale"],
    }
    for name, value in changes.items():
        error = refused(flow, lambda state, name=name, value=value: state.update({name: value}), flow_of)
        assert name in error.where


def test_wavelengths_of_no_known_grid_are_refused(autoencoder: State) -> None:
    def other(state: State) -> None:
        state["encoder.instrument.wave_obs"] = torch.linspace(3000, 9000, 7781, dtype=torch.float64)

    error = refused(autoencoder, other, autoencoder_of)
    assert "3000.00 to 9000.00" in error.got

    def falling(state: State) -> None:
        state["decoder.wave_rest"] = state["decoder.wave_rest"].flip(0)

    assert "decoder.wave_rest" in refused(autoencoder, falling, autoencoder_of).where


def test_files_as_older_versions_wrote_them(autoencoder: State) -> None:
    """No wavelengths of the instrument, perceptrons one name deeper, a redshift beside the features."""
    old = {name.replace(".mlp.", ".mlp.mlp."): value for name, value in autoencoder.items()}
    old["encoder.instrument.skyline_mask"] = torch.zeros(7781, dtype=torch.bool)
    del old["encoder.instrument.wave_obs"]
    first = old["encoder.mlp.mlp.0.weight"]
    old["encoder.mlp.mlp.0.weight"] = torch.cat([first, torch.ones(len(first), 1)], dim=1)
    file = SpenderFile(Path("old.pt"), "", old)
    with pytest.raises(InputError, match="does not say the wavelengths") as caught:
        autoencoder_of(file)
    assert "--instrument" in caught.value.remedy
    now = autoencoder_of(file, "desi")
    assert torch.equal(now.encoder.mlp[0].weight, first)
    assert now.instrument.pixels == 7781
