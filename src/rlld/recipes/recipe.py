"""Recipes: a network, a denoiser, an objective and a schedule under one name."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlld.denoisers.base import Denoiser
from rlld.errors import RlldError, nearest
from rlld.metrics.gates import Gate
from rlld.networks._ensemble import Ensemble
from rlld.networks.base import Network, built, require_mask
from rlld.objectives.base import Objective, require_term
from rlld.recipes.fitting import Decision, Sizes, decide
from rlld.recipes.schedule import Schedule
from rlld.recipes.selection import Selection
from rlld.recipes.supervision import Supervision
from rlld.utils.config import apply_overrides, from_dict, read_yaml, to_dict
from rlld.utils.plain import kind_of, yaml_value
from rlld.utils.registry import DENOISERS, NETWORKS, OBJECTIVES, Registry

if TYPE_CHECKING:
    from rlld.data.spec import DataSpec

RECIPES = Path(__file__).parent
COMPONENTS: dict[str, Registry] = {
    "network": NETWORKS,
    "denoiser": DENOISERS,
    "objective": OBJECTIVES,
}
SETTINGS: dict[str, type[Any]] = {
    "schedule": Schedule,
    "selection": Selection,
    "gate": Gate,
    "supervision": Supervision,
}


TOGETHER = (
    frozenset({"schedule.rounds", "schedule.updates"}),
    frozenset(
        {
            "selection.score",
            "selection.reward_share",
            "selection.annotated",
            "supervision.weight",
            "supervision.mixing",
        }
    ),
)
"""Settings that mean something together: who gives one of them has decided of all."""

SOURCE = "denoiser.source"
"""A denoiser on top of which another one works: chosen by name, as components are."""

FIT = "fit"
"""Key of a recipe file that leaves to the data what it does not say; see ``recipes.fitting``."""


@dataclass(frozen=True)
class Component:
    """A component and its options.

    Attributes:
        name: Name in its registry.
        config: Its ``Config`` dataclass; ``config.build(spec)`` makes the component.
    """

    name: str
    config: Any


@dataclass(frozen=True)
class Recipe:
    """Everything about a run except data, seed and machine.

    Attributes:
        name: Name of the recipe file.
        network: The task network.
        denoiser: The source of training labels.
        objective: The loss.
        schedule: Length, order and learning rate.
        selection: Which validation score picks the kept weights.
        gate: How probabilities become 0/1 predictions when scoring and parsing.
        supervision: How much the reward videos teach the task network directly.
    """

    name: str
    network: Component
    denoiser: Component
    objective: Component
    schedule: Schedule
    selection: Selection
    gate: Gate
    supervision: Supervision

    def build_network(self, spec: DataSpec, settings: Mapping[str, Any] | None = None) -> Network:
        """Builds the task network for a data set.

        Args:
            spec: The data set.
            settings: What is other than in the recipe, as for ``varied``.

        Raises:
            RlldError: If a size does not fit the data set, or all of them make it too large.
        """
        if settings:
            return self.varied(settings).build_network(spec)
        what = f"network {self.network.name}"
        network: Network = built(lambda: self.network.config.build(spec), what)
        if spec.any_length:
            require_mask(network, what)
        return network

    def build_parser(self, spec: DataSpec) -> Network:
        """Builds what is trained and parses: the task network, or as many as ``schedule`` says.

        Raises:
            RlldError: As ``build_network``, or if all together are too large.
        """
        count = self.schedule.ensemble
        if count == 1:
            return self.build_network(spec)
        what = f"schedule.ensemble {count} of network {self.network.name}"
        return built(lambda: Ensemble([self.build_network(spec) for _ in range(count)]), what)

    def build_denoiser(self, spec: DataSpec) -> Denoiser:
        """Builds the source of training labels for a data set.

        Raises:
            RlldError: If an option or a file that it names does not fit the data set.
        """
        denoiser: Denoiser = self.denoiser.config.build(spec)
        return denoiser

    def build_objective(self, spec: DataSpec) -> Objective:
        """Builds the loss for a data set; networks of its own are as wide as the task network."""
        config = self.objective.config
        if getattr(config, "hidden", 0) is None:
            config = replace(config, hidden=getattr(self.network.config, "hidden", None))
        objective: Objective = config.build(spec)
        return objective

    def as_dict(self) -> dict[str, Any]:
        """Returns the recipe as plain data; ``recipe_from`` reads it back."""
        data: dict[str, Any] = {"name": self.name}
        for section in COMPONENTS:
            component: Component = getattr(self, section)
            data[section] = {"name": component.name, **to_dict(component.config)}
        for section in SETTINGS:
            data[section] = to_dict(getattr(self, section))
        return data

    def varied(self, settings: Mapping[str, Any]) -> Recipe:
        """Returns the recipe with other components and dotted settings.

        Settings for which the components have no option are passed over. Another network keeps
        the width and whatever else it has in common with the recipe's, unless it is set.
        """
        own, where = self.as_dict(), f"recipe {self.name}"
        data = apply_overrides(own, _choices(settings))
        if data["network"]["name"] != self.network.name:
            data["network"] = {**_common(data, own["network"], where), **data["network"]}
        return _trainable(apply_overrides(data, _applicable(data, settings, where)), where)


def recipe_names() -> list[str]:
    """Returns the names of the packaged recipes."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def recipe_file(name: str | Path) -> Path:
    """Returns the file of a packaged recipe, or the YAML file that is named.

    Raises:
        RlldError: If there is no such recipe.
    """
    name = str(name)
    own = name.endswith((".yaml", ".yml"))
    path = Path(name) if own else RECIPES / f"{name}.yaml"
    if own and not path.is_file():
        raise RlldError(f"{name}: no such file; give a recipe of your own, or the name of one")
    if not path.is_file():
        raise RlldError(f"unknown recipe {name!r}{nearest(name, recipe_names())}")
    return path


def load_recipe(
    name: str | Path,
    overrides: Mapping[str, Any] | None = None,
    defaults: Mapping[str, Any] | None = None,
    sizes: Sizes | None = None,
) -> Recipe:
    """Reads a recipe.

    Args:
        name: A packaged recipe, or the path of a YAML file.
        overrides: Dotted settings of the user; an unknown one is an error. ``fit`` says whether
            the data decide, whatever the recipe says of it.
        defaults: Dotted settings that a data set needs (``DataSpec.overrides``); those for
            which the recipe's component has no option are passed over.
        sizes: Counts of the data, by which a recipe with ``fit: true`` decides what its file
            leaves to them; such a recipe is as its file says where they are not given.

    Raises:
        RlldError: If there is no such recipe or a setting is wrong.
    """
    return decided_recipe(name, overrides, defaults, sizes)[0]


def decided_recipe(
    name: str | Path,
    overrides: Mapping[str, Any] | None = None,
    defaults: Mapping[str, Any] | None = None,
    sizes: Sizes | None = None,
) -> tuple[Recipe, list[Decision]]:
    """Reads a recipe as ``load_recipe``, and returns beside it what the data decided.

    A decision may hold settings that the user or the data set overrode.
    """
    path = recipe_file(name)
    given, needed = _spelled(overrides or {}), _spelled(defaults or {})
    for key in _choices(needed):
        raise RlldError(
            f"overrides of dataset.yaml: {key} chooses a component, which no data set does for all "
            f"recipes; give options ({key}.OPTION: VALUE), or choose in training (--{key} NAME)"
        )
    data = {"name": path.stem, **read_yaml(path)}
    fit = _whether(given.pop(FIT, data.get(FIT)), f"recipe {name}: {FIT}")
    data.pop(FIT, None)
    decided = decide(sizes, **_taught(data)) if fit and sizes is not None else []
    data = apply_overrides(data, _choices(given))
    fitted = {path: value for each in decided for path, value in each.settings.items()}
    chosen = given.keys() | needed.keys()
    for group in TOGETHER:
        if group & chosen:
            fitted = {path: value for path, value in fitted.items() if path not in group}
    for settings in (fitted, needed):
        data = apply_overrides(
            data, _applicable(data, settings, f"{path}, overrides of dataset.yaml")
        )
    rest = {key: value for key, value in given.items() if key not in _choices(given)}
    recipe = _trainable(apply_overrides(data, rest), f"recipe {name}")
    for settings in getattr(recipe.denoiser.config, "variations", ()):
        # What is wrong with the networks of a denoiser is said before they are trained.
        recipe.varied(settings)
    return recipe, decided


def _spelled(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns settings by dotted path, whether they were written so or as sections."""
    found: dict[str, Any] = {}
    for path, value in settings.items():
        named = path in COMPONENTS or path == SOURCE
        if (named or path in SETTINGS) and isinstance(value, str):
            value = yaml_value(value, f"setting {path!r}")
        if not (isinstance(value, Mapping) and (named or path in SETTINGS)):
            found[path] = value
            continue
        options = dict(value)
        if named and "name" in options:
            found[path] = options.pop("name")
        found |= _spelled({f"{path}.{option}": each for option, each in options.items()})
    return found


def _taught(data: Mapping[str, Any]) -> dict[str, bool]:
    """Says what annotated videos teach in a recipe, and whether it can do without."""

    def given(section: str, option: str, usual: Any) -> Any:
        value = data.get(section, {})
        return value.get(option, usual) if isinstance(value, Mapping) else usual

    return {
        "teaches": given("selection", "reward_share", 1) != 1,
        "supervised": given("supervision", "weight", 0) != 0,
        "cleans": given("denoiser", "credit", "") == "labelwise",
    }


def _whether(value: Any, where: str) -> bool:
    value = yaml_value(value, where) if isinstance(value, str) else value
    if value is not None and not isinstance(value, bool):
        raise RlldError(f"{where}: expected true or false, found {kind_of(value)}")
    return bool(value)


def _trainable(data: Mapping[str, Any], where: str) -> Recipe:
    """Builds a recipe to train from plain data, as ``recipe_from``.

    Raises:
        RlldError: If a setting is wrong, no term of the objective counts, or the network does not
            give what it needs.
    """
    recipe = recipe_from(data, where)
    network, objective = recipe.network, recipe.objective
    require_term(objective.config, f"{where}: objective {objective.name}")
    missing = _declared(objective.config, "needs") - _declared(network.config, "gives")
    if missing:
        keys = ", ".join(map(repr, sorted(missing)))
        raise RlldError(
            f"{where}: objective {objective.name} needs {keys}, which network {network.name} does "
            f"not give; choose a network that does ({', '.join(_giving(missing))}), or an "
            "objective or weights that do without"
        )
    return recipe


def _declared(config: Any, what: str) -> frozenset[str]:
    """Returns the extras that options need or give; another distribution's may say nothing."""
    found: frozenset[str] = getattr(config, what, frozenset())
    return found


def _giving(keys: frozenset[str]) -> list[str]:
    """Returns the networks that give extras."""
    made = {name: getattr(NETWORKS.config_type(name), "made", Network) for name in NETWORKS.names()}
    return [name for name, kind in made.items() if keys <= kind.gives]


def recipe_from(data: Mapping[str, Any], where: str) -> Recipe:
    """Builds a recipe from plain data; ``where`` names it in messages."""
    known = {field.name for field in dataclasses.fields(Recipe)}
    for key in data:
        if key not in known:
            raise RlldError(f"{where}: unknown section {key!r}{nearest(key, known)}")
    parts: dict[str, Any] = {"name": data.get("name", "unnamed")}
    if not isinstance(parts["name"], str):
        raise RlldError(f"{where}: name: expected text, found {kind_of(parts['name'])}")
    for section, registry in COMPONENTS.items():
        value = _section(data, section, where)
        config = registry.config(value, f"{where}: {section}")
        parts[section] = Component(value["name"], config)
    for section, kind in SETTINGS.items():
        parts[section] = from_dict(kind, data.get(section, {}), f"{where}: {section}")
    return Recipe(**parts)


def _section(data: Mapping[str, Any], section: str, where: str) -> Mapping[str, Any]:
    value = data.get(section)
    if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
        raise RlldError(
            f"{where}: section {section!r} is missing or has no name; write {section}: "
            "{name: ...}, known: " + ", ".join(COMPONENTS[section].names())
        )
    return value


def _choices(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings that choose components, whose options the others then set."""
    found = {key: value for key, value in settings.items() if key in COMPONENTS}
    source = settings.get(SOURCE)
    if isinstance(source, str):
        source = yaml_value(source, f"setting {SOURCE!r}")
    if source is not None:
        # Written out, so that options of the source have a place.
        found[SOURCE] = {"name": source} if isinstance(source, str) else source
    return found


def _common(data: Mapping[str, Any], options: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Returns the options of a former network that the chosen one has too."""
    rest = {f"network.{key}": value for key, value in options.items() if key != "name"}
    kept = _applicable(data, rest, where)
    return {path.partition(".")[2]: value for path, value in kept.items()}


def _applicable(data: Mapping[str, Any], defaults: Mapping[str, Any], where: str) -> dict[str, Any]:
    usable: dict[str, Any] = {}
    for path, value in defaults.items():
        section, _, option = path.partition(".")
        if section in COMPONENTS:
            key = option.partition(".")[0]
            places = [p for p, options in _places(data, section, where) if key in options]
            usable |= {f"{place}.{option}": value for place in places}
            if key and not places:
                _require_somewhere(section, key, where)
        elif section in SETTINGS:
            known = {field.name for field in dataclasses.fields(SETTINGS[section])}
            if option.partition(".")[0] not in known:
                near = nearest(option, known)
                raise RlldError(f"{where}: {section} has no setting {option!r}{near}")
            usable[path] = value
        else:
            near = nearest(section, (*COMPONENTS, *SETTINGS))
            raise RlldError(f"{where}: {path!r} is of no section of a recipe{near}")
    return usable


def _places(
    data: Mapping[str, Any], section: str, where: str
) -> Iterator[tuple[str, frozenset[str]]]:
    """Yields where options of a component stand, and their names: its own, then its source's."""
    component = _section(data, section, where)
    yield section, _options(section, component["name"])
    source = component.get("source") if section == "denoiser" else None
    if isinstance(source, Mapping) and isinstance(source.get("name"), str):
        yield SOURCE, _options(section, source["name"])


def _require_somewhere(section: str, option: str, where: str) -> None:
    """Refuses an option that no component of the section has: it would be passed over for ever."""
    known: set[str] = set()
    for name in COMPONENTS[section].names():
        try:
            known |= _options(section, name)
        except RlldError:  # another distribution's that cannot be loaded: it may have it
            return
        if option in known:
            return
    raise RlldError(f"{where}: no {section} has an option {option!r}{nearest(option, known)}")


def _options(section: str, name: str) -> frozenset[str]:
    fields = dataclasses.fields(COMPONENTS[section].config_type(name))
    return frozenset(field.name for field in fields)
