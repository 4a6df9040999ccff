"""Recipes: what to train on what, and how. Frozen, validated, TOML in and out.

The order of precedence is: defaults < recipe file < overrides (`--set key=value`). The options of a
model or an augmentation are the keyword-only parameters of the function registered under its name,
so a recipe is checked against the very code that will use it; all mistakes are reported at once.
"""

from __future__ import annotations

import inspect
import tomllib
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args, get_type_hints

import tomli_w
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, create_model, model_validator

from tenfold.errors import RecipeError, UnknownNameError, unknown
from tenfold.registry import AUGMENTATIONS, MODELS

Monitor = Literal["val_loss", "val_accuracy", "loss", "accuracy"]


def _share(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError("must be a fraction from 0 to below 1, or a whole number of images")
    if value < 0 or (value >= 1 and value != int(value)):
        raise ValueError("must be a fraction from 0 to below 1, or a whole number of images")
    return int(value) if value >= 1 else float(value)


def _names(value: object) -> object:
    return [str(item) for item in value] if isinstance(value, (list, tuple)) else value


Share = Annotated[float, BeforeValidator(_share)]
Names = Annotated[list[str], BeforeValidator(_names)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]


def _none(cls: type[BaseModel], values: object) -> object:
    """TOML has no null: "none" stands for it wherever a field may be None."""
    if not isinstance(values, dict):
        return values
    optional = {name for name, field in cls.model_fields.items() if type(None) in get_args(field.annotation)}
    return {k: None if k in optional and v == "none" else v for k, v in values.items()}


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())

    none_is_null = model_validator(mode="before")(classmethod(_none))


class DataSection(_Section):
    """Which images: the source, and what becomes of its splits."""

    source: str = Field("cifar10", description="a data set's name or URI, as `--data` takes it")
    classes: Names = Field([], description="the classes to keep, in this order; empty: all")
    train_size: int | None = Field(None, ge=1, description="a stratified subset of the training images; none: all")
    validation: Share = Field(0.1, description="held out of train where the source has no validation split: "
                                               "a fraction or a number of images; 0: none")
    test: Share = Field(0.2, description="held out of train where the source has no test split")
    seed: Seed = Field(0, description="seed of the splits and subsets (training has a seed of its own)")


class ModelSection(BaseModel):
    """Which network; every further key is an option of that model."""

    model_config = ConfigDict(frozen=True, extra="allow", protected_namespaces=())

    none_is_null = model_validator(mode="before")(classmethod(_none))

    name: str = Field("cnn", description="a registered model")
    image_size: int | None = Field(None, ge=8, le=1024, description="resize images to this many pixels a side; "
                                                                    "none: as they are")

    @property
    def options(self) -> dict[str, Any]:
        """The model's own options, complete with their defaults."""
        return dict(self.model_extra or {})


class EarlyStopping(_Section):
    """Stop when the monitored value no longer improves, as `keras.callbacks.EarlyStopping` does."""

    monitor: Monitor = Field("val_loss", description="the recorded value to watch")
    patience: int = Field(3, ge=0, description="epochs without improvement before stopping")
    min_delta: float = Field(0.0, ge=0, description="the least change that counts as improvement")
    start_from_epoch: int = Field(0, ge=0, description="epochs to wait before watching")
    restore_best_weights: bool = Field(True, description="end with the weights of the best monitored epoch")


class Plateau(_Section):
    """Lower the learning rate when progress stalls, as `keras.callbacks.ReduceLROnPlateau` does."""

    monitor: Monitor = Field("val_loss", description="the recorded value to watch")
    factor: float = Field(0.1, gt=0, lt=1, description="new learning rate = learning rate × factor")
    patience: int = Field(10, ge=0, description="epochs without improvement before lowering")
    min_delta: float = Field(1e-4, ge=0, description="the least change that counts as improvement")
    cooldown: int = Field(0, ge=0, description="epochs to wait after lowering")
    min_lr: float = Field(0.0, ge=0, description="the learning rate is never lowered below this")


class Checkpoint(_Section):
    """Which epoch is the best, as `keras.callbacks.ModelCheckpoint(save_best_only=True)` chooses it."""

    monitor: Monitor = Field("val_accuracy", description="the recorded value that the best epoch has best")


class TrainSection(_Section):
    """How the weights are found."""

    epochs: int = Field(10, ge=1, description="passes over the training images, at most")
    batch_size: int = Field(128, ge=1, description="images a step")
    optimizer: Literal["adam", "adamw", "sgd", "rmsprop", "muon"] = Field("adam", description="update rule")
    learning_rate: float = Field(1e-3, gt=0, description="peak learning rate")
    momentum: float = Field(0.9, ge=0, lt=1, description="momentum of sgd, rmsprop and muon")
    nesterov: bool = Field(True, description="Nesterov momentum, for sgd and muon")
    weight_decay: float = Field(0.0, ge=0, description="decoupled weight decay of kernels, for every optimizer")
    schedule: Literal["constant", "cosine", "one-cycle", "linear-decay"] = Field(
        "constant", description="course of the learning rate over the steps")
    warmup: float = Field(0.0, ge=0, description="epochs of linear warm-up before the schedule")
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="probability mass spread evenly over all classes")
    class_weights: Literal["none", "balanced"] | dict[str, float] = Field(
        "none", description="weight of each class in the loss: none, balanced (inverse frequency) or a table")
    augment: dict[str, dict[str, Any]] = Field({}, description="augmentations of the training batches, by name")
    early_stopping: EarlyStopping | None = Field(None, description="table; none: train all epochs")
    plateau: Plateau | None = Field(None, description="table; none: no reduction on plateau")
    checkpoint: Checkpoint | None = Field(Checkpoint(), description="table: which epoch is kept; none: the last")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="auto: bfloat16 where the processor computes in it, else float32")
    seed: Seed = Field(0, description="seed of the initial weights, the shuffling, augmentation and dropout")


class EvaluateSection(_Section):
    """How the finished model is judged."""

    batch_size: int = Field(500, ge=1, description="images a step in evaluation")


class _Body(_Section):
    data: DataSection = DataSection()
    model: ModelSection = ModelSection()
    train: TrainSection = TrainSection()
    evaluate: EvaluateSection = EvaluateSection()


class Recipe(_Body):
    """A complete, valid recipe. Make one with `load`, `loads` or `from_dict`; it never changes after."""

    name: str = "recipe"

    @classmethod
    def load(cls, name_or_path: str | Path, overrides: Iterable[str] = ()) -> Self:
        """Read a shipped recipe by name or a TOML file by path, then apply `key=value` overrides.

        Raises UnknownNameError if there is neither, RecipeError with every mistake it holds.
        """
        name, text = read(name_or_path)
        return cls.loads(text, name=name, overrides=overrides)

    @classmethod
    def loads(cls, text: str, name: str = "recipe", overrides: Iterable[str] = ()) -> Self:
        """A recipe from TOML text. Raises RecipeError."""
        try:
            tree = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise RecipeError(f"recipe {name}", [f"no valid TOML: {error}"]) from None
        return cls.from_dict(tree, name=name, overrides=overrides)

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any], name: str = "recipe", overrides: Iterable[str] = ()) -> Self:
        """A recipe from nested mappings of sections. Raises RecipeError with every mistake at once."""
        problems: list[str] = []
        tree = _copy(tree)
        name = str(tree.pop("name", name))
        for override in overrides:
            _apply(tree, override, problems)
        tree, augment_problems = _complete_augment(tree)
        tree, model_problems = _complete_model(tree)
        problems += model_problems + augment_problems
        try:
            body = _Body.model_validate(tree)
        except ValidationError as error:
            raise RecipeError(f"recipe {name}", problems + _explain(error, _Body)) from None
        problems += _contradictions(body)
        if problems:
            raise RecipeError(f"recipe {name}", problems)
        return cls(name=name, **{section: getattr(body, section) for section in _Body.model_fields})

    def replace(self, *overrides: str) -> Self:
        """The same recipe with `key=value` overrides. Raises RecipeError."""
        return type(self).from_dict(self.to_dict(), name=self.name, overrides=overrides)

    def to_dict(self) -> dict[str, Any]:
        """The name and the sections as nested dicts, complete; "none" stands for what is not set."""
        return _spell_none(self.model_dump(include={"name"}) | self.model_dump(exclude={"name"}))

    def dumps(self) -> str:
        """The recipe as TOML, resolved and complete; `loads` gives the same recipe back."""
        return tomli_w.dumps(self.to_dict())


def shipped() -> dict[str, str]:
    """The recipes that come with Tenfold: name → TOML text."""
    folder = resources.files("tenfold") / "recipes"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".toml")), key=lambda f: f.name)
    return {f.name.removesuffix(".toml"): f.read_text(encoding="utf-8") for f in files}


def read(name_or_path: str | Path) -> tuple[str, str]:
    """(name, TOML text) of a shipped recipe or of a file. Raises UnknownNameError, RecipeError."""
    known = shipped()
    if str(name_or_path) in known:
        return str(name_or_path), known[str(name_or_path)]
    path = Path(name_or_path)
    if path.suffix != ".toml":
        raise UnknownNameError("recipe (nor a path to a .toml file)", str(name_or_path), known)
    try:
        return path.stem, path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise RecipeError(f"recipe file {path}", [f"can't be read: {reason}"]) from None


def header(text: str) -> dict[str, str]:
    """The facts in the comment block that opens a recipe file.

    The first comment lines are its `title`; each `# key: value` line is a fact (origin, command,
    machine, seconds, accuracy), continued on lines that are indented further.
    """
    facts: dict[str, str] = {"title": ""}
    key = "title"
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        content = line[1:].removeprefix(" ")
        start, colon, rest = content.partition(":")
        if colon and start.isidentifier() and start.islower() and (not rest or rest[0] == " "):
            key = start
            facts[key] = rest.strip()
        else:
            facts[key] = f"{facts[key]} {content.strip()}".strip()
    return facts


# ----------------------------------------------------------------------------------------------------
# options of registered functions


@cache
def options_of(function: Callable[..., Any]) -> type[BaseModel]:
    """The keyword-only parameters of a registered function, as a pydantic model."""
    hints = get_type_hints(_KeywordOnly(function), vars(inspect.getmodule(function)), include_extras=True)
    parameters = inspect.signature(function).parameters.values()
    fields: dict[str, Any] = {
        p.name: (hints[p.name], p.default if p.default is not p.empty else ...)
        for p in parameters if p.kind is p.KEYWORD_ONLY
    }
    return create_model(function.__name__, __base__=_Section, **fields)


class _KeywordOnly:
    """Shows `get_type_hints` only the keyword-only annotations: the others name engine types."""

    def __init__(self, function: Callable[..., Any]) -> None:
        keyword_only = [p.name for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY]
        self.__annotations__ = {k: v for k, v in function.__annotations__.items() if k in keyword_only}


def _complete_model(tree: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Check the model's name and options against its function and fill in the defaults."""
    section = tree.get("model", {})
    if not isinstance(section, dict):
        return tree, []
    own = ModelSection.model_fields
    name = section.get("name", own["name"].default)
    if not isinstance(name, str):
        return tree, []
    if name not in MODELS:
        return tree, [f"model.name: {unknown('model', name, MODELS.names())}"]
    given = {k: v for k, v in section.items() if k not in own}
    options = options_of(MODELS.get(name))
    try:
        complete = options.model_validate(given).model_dump()
    except ValidationError as error:
        kept = {k: v for k, v in section.items() if k in own}
        return {**tree, "model": kept}, _explain(error, options, prefix="model", more=list(own))
    kept = {k: v for k, v in section.items() if k in own}
    return {**tree, "model": {"name": name, **kept, **complete}}, []


def _complete_augment(tree: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Check augmentations against their functions, fill in defaults, put them into applied order."""
    train = tree.get("train", {})
    given = train.get("augment", {}) if isinstance(train, dict) else {}
    if not isinstance(given, dict):
        return tree, []
    problems: list[str] = []
    complete: dict[str, dict[str, Any]] = {}
    for name, options in given.items():
        if options is False:
            continue
        if name not in AUGMENTATIONS:
            problems.append(f"train.augment: {unknown('augmentation', name, AUGMENTATIONS.names())}")
            continue
        schema = options_of(AUGMENTATIONS.get(name))
        try:
            complete[name] = schema.model_validate({} if options is True else options).model_dump()
        except ValidationError as error:
            problems += _explain(error, schema, prefix=f"train.augment.{name}")
    if "augment" in train:
        ordered = {name: complete[name] for name in AUGMENTATIONS.names() if name in complete}
        tree = {**tree, "train": {**train, "augment": ordered}}
    return tree, problems


def _contradictions(body: _Body) -> list[str]:
    """Settings that are fine alone and can't hold together."""
    problems = []
    watched = {"train.early_stopping.monitor": body.train.early_stopping, "train.plateau.monitor": body.train.plateau}
    if body.data.validation == 0:
        for key, section in watched.items():
            if section is not None and section.monitor.startswith("val_"):
                problems.append(f"{key}: {section.monitor!r} needs a validation split, and data.validation is 0; "
                                "set data.validation=0.1, say")
    if body.train.plateau is not None and body.train.schedule != "constant":
        problems.append(f"train.plateau: works on a constant learning rate, and train.schedule is "
                        f"{body.train.schedule!r}; set train.schedule=constant or leave out train.plateau")
    if body.train.warmup >= body.train.epochs and body.train.warmup > 0:
        problems.append(f"train.warmup: received {body.train.warmup:g} epochs of train.epochs={body.train.epochs}; "
                        "expected fewer than all")
    return problems


# ----------------------------------------------------------------------------------------------------
# overrides and messages


def _copy(tree: Mapping[str, Any]) -> dict[str, Any]:
    return {k: _copy(v) if isinstance(v, Mapping) else v for k, v in tree.items()}


def _spell_none(tree: dict[str, Any]) -> dict[str, Any]:
    return {k: _spell_none(v) if isinstance(v, dict) else "none" if v is None else v for k, v in tree.items()}


def _apply(tree: dict[str, Any], override: str, problems: list[str]) -> None:
    """Set one `key=value` in the tree."""
    key, equals, text = override.partition("=")
    path = key.strip().split(".")
    if not equals or len(path) < 2 or not all(path):
        problems.append(f"--set {override}: expected section.key=value, as in train.epochs=20")
        return
    node = tree
    for part in path[:-1]:
        child = node.get(part)
        if not isinstance(child, dict):
            child = node[part] = {}
        node = child
    if path[:2] == ["model", "name"] and node.get("name") not in (None, text.strip()):
        for option in [k for k in node if k not in ModelSection.model_fields]:
            del node[option]  # the options of another model
    node[path[-1]] = _value(text.strip())


def _value(text: str) -> Any:
    """A TOML value; a list where there are commas (`32,64`, `cat,dog`); else the text itself."""
    for candidate in (text, f"[{text}]" if "," in text else text):
        try:
            return tomllib.loads(f"value = {candidate}")["value"]
        except tomllib.TOMLDecodeError:
            pass
    return [part.strip() for part in text.split(",")] if "," in text else text


def _explain(error: ValidationError, schema: type[BaseModel], prefix: str = "", more: Iterable[str] = ()) -> list[str]:
    """One line for each mistake: the key, the value received, what was expected, a suggestion."""
    lines = []
    for item in error.errors():
        location = [str(part) for part in item["loc"]]
        key = ".".join([prefix, *location] if prefix else location)
        received, context = item["input"], item.get("ctx", {})
        if item["type"] == "extra_forbidden":
            siblings = [*_fields_at(schema, location[:-1]), *more]
            lines.append(f"{key}: {unknown('key', location[-1], siblings)}")
        elif item["type"] == "literal_error":
            choices = [str(c) for c in _choices(schema, location)] or [context.get("expected", "")]
            lines.append(f"{key}: {unknown('value', str(received), choices)}")
        elif item["type"] == "missing":
            lines.append(f"{key}: missing; give it a value")
        else:
            message = item["msg"].removeprefix("Value error, ")
            lines.append(f"{key}: received {received!r}; {message[0].lower()}{message[1:]}")
    return list(dict.fromkeys(lines))


def _section_at(schema: type[BaseModel], location: list[str]) -> type[BaseModel] | None:
    current: type[BaseModel] | None = schema
    for part in location:
        field = current.model_fields.get(part) if current else None
        kinds = [field.annotation, *get_args(field.annotation)] if field else []
        current = next((k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)), None)
    return current


def _fields_at(schema: type[BaseModel], location: list[str]) -> list[str]:
    section = _section_at(schema, location)
    return list(section.model_fields) if section else []


def _choices(schema: type[BaseModel], location: list[str]) -> tuple[Any, ...]:
    for depth in range(len(location), 0, -1):
        section = _section_at(schema, location[: depth - 1])
        field = section.model_fields.get(location[depth - 1]) if section else None
        if field is not None:
            kinds = [field.annotation, *get_args(field.annotation)]
            literal = next((k for k in kinds if getattr(k, "__origin__", None) is Literal), None)
            return get_args(literal) if literal else ()
    return ()
