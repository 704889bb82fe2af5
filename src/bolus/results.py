"""Results for users of the library: maps and lesion of each method, and their display."""

from __future__ import annotations

import gzip
import os
from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bolus import types
from bolus.errors import UsageError
from bolus.infer import predict
from bolus.options import check_name
from bolus.plain_text import RESEARCH_USE
from bolus.quality.verdict import verdict
from bolus.types import MAP_UNITS, Float32Array, Geometry, Lesion

if TYPE_CHECKING:
    import nibabel as nib


@dataclass(frozen=True, eq=False, repr=False)
class Maps(types.Maps):
    """Perfusion maps of one method: ``cbf``, ``cbv``, ``mtt``, ``tmax``, ``ttp``, ``delay``.

    Arrays (Z, Y, X) float32 in ml/100g/min, ml/100g and s, 0 where nothing is mapped; maps made of
    plain arrays have the shape of these.
    """

    geometry: Geometry | None = None
    """Geometry of the voxels; None for maps from plain arrays."""

    @classmethod
    def of(cls, maps: types.Maps, geometry: Geometry | None = None) -> Maps:
        """These maps, with the place of their voxels."""
        return cls(**{**vars(maps), "geometry": geometry})

    def to_nifti(self, name: str = "cbf", geometry: Geometry | None = None) -> nib.Nifti1Image:
        """A map as an image in scanner space (RAS mm), as nibabel and all viewers know it.

        Parameters
        ----------
        name : ``cbf``, ``cbv``, ``mtt``, ``tmax``, ``ttp``, ``delay``, or ``cbf_se`` and so on.
        geometry : for maps made of plain arrays.

        Raises
        ------
        UsageError
            There is no such map, or its geometry is unknown.
        """
        import nibabel as nib

        from bolus.volumes import nifti_bytes

        where = geometry or self.geometry
        if where is None:
            raise UsageError("maps from plain arrays have no geometry; give one")
        what = f"{name} {self._unit(name)}, {self.method}"
        content = gzip.decompress(nifti_bytes(self.volume(name), where, what))
        image: nib.Nifti1Image = nib.Nifti1Image.from_bytes(content)
        return image

    def volume(self, name: str) -> Float32Array:
        """(Z, Y, X) a map or a standard error by its name; the same errors as `to_nifti`."""
        known = self.volumes()
        check_name("map", name, tuple(known))
        return known[name]

    def volumes(self) -> dict[str, Float32Array]:
        """All maps and standard errors by name."""
        found: dict[str, Float32Array] = {name: getattr(self, name) for name in MAP_UNITS}
        if self.delay is not None:
            found["delay"] = self.delay
        return found | {f"{name}_se": values for name, values in self.se.items()}

    @staticmethod
    def _unit(name: str) -> str:
        return MAP_UNITS.get(name.removesuffix("_se"), "s")

    def __repr__(self) -> str:
        """Method, size, and the spread of each map."""
        shape = " x ".join(map(str, self.cbf.shape)) or "one curve"
        mapped = self.cbf > 0
        lines = [f"<bolus maps by {self.method}: {shape}, voxels mapped: {int(mapped.sum())}"]
        for name, values in self.volumes().items():
            if mapped.any():
                low, middle, high = np.percentile(values[mapped], (5, 50, 95))
                spread = f"median {middle:.3g} (5 to 95 %: {low:.3g} to {high:.3g})"
                lines.append(f"  {name:8s}{spread} {self._unit(name)}")
        return "\n".join(lines) + ">"

    def _repr_html_(self) -> str:
        """The maps as images, for a notebook."""
        from bolus.publish.notebook import maps_html

        return maps_html(self, self.geometry)


@dataclass(frozen=True, eq=False, repr=False)
class MethodResult(types.MethodResult):
    """Results of one method: ``maps``, ``lesion``, and the maps by their names."""

    maps: Maps
    lesion: Lesion

    @property
    def cbf(self) -> Float32Array:
        """(Z, Y, X) cerebral blood flow, ml/100g/min."""
        return self.maps.cbf

    @property
    def cbv(self) -> Float32Array:
        """(Z, Y, X) cerebral blood volume, ml/100g."""
        return self.maps.cbv

    @property
    def mtt(self) -> Float32Array:
        """(Z, Y, X) mean transit time, s."""
        return self.maps.mtt

    @property
    def tmax(self) -> Float32Array:
        """(Z, Y, X) time to the maximum of the residue function, s."""
        return self.maps.tmax

    @property
    def ttp(self) -> Float32Array:
        """(Z, Y, X) time to peak, s after the first frame."""
        return self.maps.ttp

    @property
    def delay(self) -> Float32Array | None:
        """Arrival time after the arterial input, s, (Z, Y, X); None where the method has none."""
        return self.maps.delay

    def to_nifti(self, name: str = "cbf") -> nib.Nifti1Image:
        """A map as an image; see `Maps.to_nifti`."""
        return self.maps.to_nifti(name)

    def __repr__(self) -> str:
        """The lesion in one line, then the maps."""
        return f"{lesion_line(self.maps.method, self.lesion)}\n{self.maps!r}"

    def _repr_html_(self) -> str:
        return self.maps._repr_html_()


@dataclass(frozen=True, eq=False, repr=False)
class Results(types.Results):
    """All results of a run: ``results["bma"].cbf``, ``results["cnn"].lesion.core_ml``."""

    methods: Mapping[str, MethodResult]
    """By method name, in the order asked for."""

    def __post_init__(self) -> None:
        """Give each method the maps that users call, with their geometry."""
        if not isinstance(self.methods, Mapping):
            raise UsageError("methods are a dict of method results by name")
        methods = {}
        for name, one in self.methods.items():
            if not isinstance(one, types.MethodResult):
                raise UsageError(
                    f"methods['{name}'] is a bolus.MethodResult (maps and lesion), not "
                    f"{type(one).__name__}"
                )
            methods[name] = MethodResult(Maps.of(one.maps, self.geometry), one.lesion)
        object.__setattr__(self, "methods", methods)

    @classmethod
    def of(cls, found: types.Results) -> Results:
        """These results, as users call them."""
        return cls(**vars(found))

    def __getitem__(self, method: str) -> MethodResult:
        """Maps and lesion of a method; UsageError, which lists those there are, for another."""
        check_name("method", method, tuple(self.methods))
        return self.methods[method]

    def __len__(self) -> int:
        """The number of methods."""
        return len(self.methods)

    def __iter__(self) -> Iterator[str]:
        """The methods' names, in the order asked for."""
        return iter(self.methods)

    def keys(self) -> KeysView[str]:
        """The methods' names."""
        return self.methods.keys()

    def values(self) -> ValuesView[MethodResult]:
        """The methods' results."""
        return self.methods.values()

    def items(self) -> ItemsView[str, MethodResult]:
        """The methods' names and results."""
        return self.methods.items()

    def __contains__(self, method: object) -> bool:
        """Whether a method was run."""
        return method in self.methods

    def save(self, folder: str | os.PathLike[str], *, deidentified: bool = False) -> None:
        """Write the files of ``bolus run``: report, summary, NIfTI; all or nothing.

        Parameters
        ----------
        folder : missing, empty, or previous results, which are replaced.
        deidentified : write hashes in place of the exam's UIDs.

        Raises
        ------
        OutputError
            The folder holds something else, or can't be written.
        UsageError
            There are no maps to save.
        """
        from bolus.publish.write import publish

        publish(self, as_path(folder), deidentify=deidentified)

    @property
    def verdict(self) -> str:
        """ "passed", "read with care" or "not reliable": the grade in words."""
        return verdict(self).word

    def __repr__(self) -> str:
        """Size, verdict and the lesion of each method."""
        z, y, x = self.geometry.shape
        size = f"{len(self.times_s)} frames, {z} slices of {y} x {x}"
        head = f"<bolus results: {size}, {self.verdict}"
        lines = [lesion_line(name, one.lesion) for name, one in self.methods.items()]
        return "\n".join([head, *(f"  {line}" for line in lines), f"  {RESEARCH_USE}.>"])

    def _repr_html_(self) -> str:
        """Verdict, volumes and maps, for a notebook."""
        from bolus.publish.notebook import results_html

        return results_html(self)


@dataclass(frozen=True, eq=False, repr=False)
class Prediction(predict.Prediction):
    """The network's maps and their findings."""

    maps: Maps


def as_path(path: str | os.PathLike[str]) -> Path:
    """A path that a user gives, ``~`` being his home.

    Raises
    ------
    UsageError
        It is empty, or no path.
    """
    try:
        given = os.fspath(path)
    except TypeError as error:
        raise UsageError(f"give a path, not {type(path).__name__}") from error
    if not given:
        raise UsageError("the path is empty; give a file or a folder")
    return Path(given).expanduser()


def lesion_line(name: str, lesion: Lesion) -> str:
    """Volumes of a lesion in one line, ml."""
    ratio = f"ratio {lesion.mismatch_ratio:.1f}" if lesion.mismatch_ratio else "no ratio"
    return (
        f"{name:9s} core {lesion.core_ml:.1f} ml, "
        f"hypoperfused {lesion.hypoperfused_ml:.1f} ml, "
        f"mismatch {lesion.mismatch_ml:.1f} ml ({ratio}), side {lesion.side}"
        f"{', lower bounds' if lesion.hypoperfused_lower_bound else ''}"
    )
