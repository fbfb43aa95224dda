"""Names for agents, environments, experiments and trials, and where plug-ins enter.

    @register_agent("ucb1", source="Auer et al. (2002), Fig. 1")
    class UCB1: ...

The built-in ones are found by importing every file of ``bandits.agents``, ``bandits.environments`` and
``bandits.experiments``: adding one is adding one file. Of the subfolders of experiments only files that register
something are imported, those whose text has ``@register_trial`` or ``register_experiment(``; methods, networks and
loaders beside them are ordinary modules. A file that registers a trial imports torch inside functions only, so that
listing names, and all of the scheduler, work without it. Plug-ins come from files (``--plugin file.py``) and from the
entry-point group ``bandits.plugins``.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import importlib.util
import inspect
import pkgutil
import re
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from .errors import BadParameter, PluginError, UnknownName, did_you_mean, in_one_line

if TYPE_CHECKING:
    from .experiment import Experiment
    from .neural.trials import NeuralExperiment

__all__ = [
    "Entry",
    "Plugin",
    "entries",
    "export_folder",
    "load_builtin",
    "load_plugin",
    "lookup",
    "plugins",
    "register_agent",
    "register_environment",
    "register_experiment",
    "register_trial",
]

Kind = Literal["agent", "environment", "experiment", "trial"]
T = TypeVar("T")
E = TypeVar("E", bound="Experiment | NeuralExperiment")

_FOLDERS: dict[Kind, str] = {
    "agent": "bandits.agents",
    "environment": "bandits.environments",
    "experiment": "bandits.experiments",
    "trial": "bandits.experiments",
}


@dataclass(frozen=True)
class Entry:
    """One registered name.

    Attributes:
        name: What users write.
        kind: "agent", "environment", "experiment" or "trial".
        target: The class (agents, environments, trials) or the declaration (experiments).
        source: Paper and place that define it.
        summary: First line of the documentation.
        origin: Module that registered it.
    """

    name: str
    kind: Kind
    target: Any
    source: str
    summary: str
    origin: str


@dataclass(frozen=True)
class Plugin:
    """A plug-in file, carried with its text so that a worker without our disk can load it too."""

    path: str
    text: str


_REGISTERS = re.compile(r"^@register_trial\(|\bregister_experiment\(", re.MULTILINE)

_entries: dict[Kind, dict[str, Entry]] = {"agent": {}, "environment": {}, "experiment": {}, "trial": {}}
_plugins: dict[str, Plugin] = {}  # by path: an edited file replaces its former text
_builtin_loaded: set[Kind] = set()
_entry_points_loaded = False


def register_agent(name: str, *, source: str = "") -> Callable[[T], T]:
    """Register a class under ``name``; use as a decorator. ``source`` cites the paper and place."""
    return _register("agent", name, source)


def register_environment(name: str, *, source: str = "") -> Callable[[T], T]:
    """Register an environment class under ``name``; use as a decorator."""
    return _register("environment", name, source)


def register_trial(name: str, *, source: str = "") -> Callable[[T], T]:
    """Register a class whose objects run a batch of replications of a neural model; use as a decorator."""
    return _register("trial", name, source)


def register_experiment(experiment: E, *, source: str = "") -> E:
    """Register a declared experiment under its own name, and return it."""
    return _register("experiment", experiment.name, source)(experiment)


def _register(kind: Kind, name: str, source: str) -> Callable[[T], T]:
    if not name.isidentifier() or name != name.lower():
        raise BadParameter(f"{name!r} cannot name an {kind}: use snake case, such as 'my_{kind}'")

    def decorate(target: T) -> T:
        origin = str(target.__module__) if inspect.isclass(target) else _calling_module()
        if not origin.startswith("bandits."):
            load_builtin(kind)  # so that a name that is taken is found out here, not when the folder is loaded
        known = _entries[kind].get(name)
        if known is not None and not _may_replace(kind, known.origin, origin):
            raise BadParameter(
                f"the {kind} name '{name}' is taken by {known.origin}: register yours under another name"
            )
        summary = (inspect.getdoc(target) or "").strip().split("\n")[0]
        if kind == "experiment":
            summary = getattr(target, "summary", summary)
        _entries[kind][name] = Entry(name, kind, target, source, summary, origin)
        return target

    return decorate


def _may_replace(kind: Kind, old: str, new: str) -> bool:
    """Whether two modules are one file: loaded again, run as a script, or a plug-in that was edited."""
    files = [getattr(sys.modules.get(name), "__file__", None) for name in (old, new)]
    if None not in files and Path(str(files[0])).resolve() == Path(str(files[1])).resolve():
        return True
    if kind != "experiment" and old.startswith("bandits.") != new.startswith("bandits."):
        return False
    scripts = {"__main__", "__mp_main__"}
    plugin = re.compile(r"^(bandits_plugin_.*)_[0-9a-f]{12}$")
    return old == new or bool(scripts & {old, new}) or plugin.sub(r"\1", old) == plugin.sub(r"\1", new)


def _calling_module() -> str:
    frame = inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__") == __name__:
        frame = frame.f_back
    return "" if frame is None else str(frame.f_globals.get("__name__", ""))


def lookup(kind: Kind, name: str) -> Entry:
    """Return the entry of that kind and name.

    Raises:
        UnknownName: Nothing is registered under the name; the message offers the nearest one.
    """
    if name not in _entries[kind]:  # a name that is there already needs no scan of the folders
        load_builtin(kind)
    known = _entries[kind]
    if name not in known:
        article = "an" if kind[0] in "aeiou" else "a"
        raise UnknownName(
            f"no {kind} is registered as '{name}'.{did_you_mean(name, known)} "
            f"'bandits list {kind}s' shows all {len(known)}; "
            f"a file with {article} {kind} of yours enters with --plugin."
        )
    return known[name]


def entries(kind: Kind) -> list[Entry]:
    """All entries of one kind, sorted by name."""
    load_builtin(kind)
    return sorted(_entries[kind].values(), key=lambda entry: entry.name)


def load_builtin(kind: Kind) -> None:
    """Import every file of the kind's folder and every ``bandits.plugins`` entry point, once."""
    if kind not in _builtin_loaded:
        _builtin_loaded.add(kind)
        importlib.import_module(_FOLDERS[kind])
    _load_entry_points()


def export_folder(package: ModuleType) -> list[str]:
    """Import every file of a package whose name has no leading underscore, and lift what its ``__all__`` names.

    Of subfolders, only files that register something are imported.

    Returns:
        The names lifted, for the package's own ``__all__``.
    """
    names = []
    for file in pkgutil.iter_modules(package.__path__):
        if file.ispkg:
            _load_subfolder(f"{package.__name__}.{file.name}")
        elif not file.name.startswith("_"):
            module = importlib.import_module(f"{package.__name__}.{file.name}")
            for name in getattr(module, "__all__", []):
                setattr(package, name, getattr(module, name))
                names.append(name)
    return sorted(names)


def _load_subfolder(name: str) -> None:
    """Import the files of a subfolder that register something; the others may import what they want."""
    for folder in importlib.import_module(name).__path__:
        for file in sorted(Path(folder).glob("[!_]*.py")):
            if _REGISTERS.search(file.read_text(encoding="utf-8")):
                importlib.import_module(f"{name}.{file.stem}")


def _load_entry_points() -> None:
    global _entry_points_loaded
    if _entry_points_loaded:
        return
    _entry_points_loaded = True
    for point in importlib.metadata.entry_points(group="bandits.plugins"):
        try:
            point.load()
        except Exception as error:
            raise PluginError(
                f"the installed plug-in '{point.name}' ({point.value}) failed to load: "
                f"{in_one_line(error)}. Repair or uninstall the package that brings it."
            ) from error


def load_plugin(plugin: Plugin | str | Path) -> ModuleType:
    """Load a plug-in file, once per content, so that it registers what it defines.

    Raises:
        PluginError: The file does not exist, cannot be read, or raised while it was loaded.
    """
    if not isinstance(plugin, Plugin):
        plugin = _read_plugin(Path(plugin))
    digest = hashlib.sha256(plugin.text.encode()).hexdigest()[:12]
    place = hashlib.sha256(plugin.path.encode()).hexdigest()[:8]
    name = re.sub(r"\W", "_", f"bandits_plugin_{Path(plugin.path).stem}_{place}_{digest}")
    if name in sys.modules and plugin.path in _plugins and _plugins[plugin.path].text == plugin.text:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, _file_of(plugin, digest))
    if spec is None or spec.loader is None:
        raise PluginError(f"{plugin.path} is not a Python file: a plug-in ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    beside = str(Path(plugin.path).parent)
    if beside not in sys.path:
        sys.path.append(beside)  # a plug-in may import the files that lie beside it
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, KeyboardInterrupt):
            raise
        raise PluginError(f"the plug-in {plugin.path} failed to load: {_where(error, plugin.path)}") from error
    _plugins[plugin.path] = plugin
    return module


def plugins() -> tuple[Plugin, ...]:
    """The plug-in files loaded so far: what a worker process must load too."""
    return tuple(_plugins.values())


def _read_plugin(path: Path) -> Plugin:
    try:
        return Plugin(str(path.resolve()), path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise PluginError(f"cannot read the plug-in {path}: {reason}") from error


def _file_of(plugin: Plugin, digest: str) -> Path:
    """The plug-in's own path where it is readable here and unchanged, else a temporary copy."""
    path = Path(plugin.path)
    try:
        if path.read_text(encoding="utf-8") == plugin.text:
            return path
    except OSError:
        pass
    copy = Path(tempfile.mkdtemp(prefix=f"bandits-plugin-{digest}-")) / path.name
    copy.write_text(plugin.text, encoding="utf-8")
    return copy


def _where(error: BaseException, path: str) -> str:
    """One line: type and message, and the last line of the plug-in that was running."""
    trace, line = error.__traceback__, None
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == path:
            line = trace.tb_lineno
        trace = trace.tb_next
    place = "" if line is None else f" (line {line})"
    return in_one_line(error) + place
