"""The old place of ``rlld.recipes.recipe``."""

from rlld.recipes.recipe import Recipe, load_recipe, recipe_from, recipe_names

__all__ = ["Recipe", "load_recipe", "recipe_from", "recipe_names"]
