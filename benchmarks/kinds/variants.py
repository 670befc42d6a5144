"""Variants of a method within a suite: the same class with other settings, each compared as a method of its own."""

from omegaconf import DictConfig, OmegaConf, open_dict

from benchmarks.errors import BadInput, unknown
from benchmarks.plan.choices import chosen
from benchmarks.plan.configuration import plain


def with_variants(config: DictConfig) -> DictConfig:
    """The configuration in which every method that `suite.variants` names is replaced by its variants.

    `suite.variants`: by method a list of settings, such as {med_lsdm: [{decoder: normal}, {decoder: spade}]}; null for
    none. A variant is named METHOD-VALUE-VALUE. Raises BadInput for a method that is not compared and for settings that
    it does not have.
    """
    asked = config.suite.variants
    if not asked:
        return config
    if not OmegaConf.is_dict(asked):
        raise BadInput(f"suite.variants={asked}: expected lists of settings by method, or null.")
    own, compared = config.copy(), chosen(config, "methods")
    names: list[str] = []
    for name in compared:
        variants = asked.get(name)
        if variants is None:
            names.append(name)
            continue
        if not OmegaConf.is_list(variants) or not all(OmegaConf.is_dict(one) and len(one) for one in variants):
            raise BadInput(f"suite.variants.{name}={variants}: expected a list such as [{{decoder: spade}}].")
        for settings in (plain(one) for one in variants):
            base = plain(own.method[name])
            if wrong := [key for key in settings if key not in base]:
                raise BadInput(f"suite.variants.{name}: {unknown('setting', wrong[0], list(base))}")
            names.append(f"{name}-{'-'.join(str(value) for value in settings.values())}")
            said = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in settings.items())
            with open_dict(own):
                own.method[names[-1]] = base | settings | {"title": f"{base.get('title') or name}, {said}"}
    if absent := sorted(set(map(str, asked)) - set(compared)):
        raise BadInput(
            f"suite.variants.{absent[0]}: is none of the methods compared, {', '.join(compared)}. Add it to methods, "
            "or take it out of variants."
        )
    own.methods = names
    return own
