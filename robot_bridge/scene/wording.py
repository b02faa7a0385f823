"""How a task is said: the templates of training, and others that training never says."""

from robot_bridge.scene.catalogue import CatalogueObject, Receptacle

SEEN_TEMPLATES = (
    "put the {object} {on} the {receptacle}",
    "place the {object} {on} the {receptacle}",
    "pick up the {object} and put it {on} the {receptacle}",
)
UNSEEN_TEMPLATES = (
    "set the {object} down {on} the {receptacle}",
    "move the {object} so that it sits {on} the {receptacle}",
    "take the {object} and leave it {on} the {receptacle}",
    "could you put that {object} {on} the {receptacle}?",
    "I would like the {object} {on} the {receptacle}",
    "the {object} belongs {on} the {receptacle}",
    "{on} the {receptacle} is where the {object} should go",
    "grab the {object} and drop it {on} the {receptacle}",
    "please bring the {object} over and rest it {on} the {receptacle}",
    "lift the {object}, then lower it {on} the {receptacle}",
    "let the {object} end up {on} the {receptacle}",
    "find the {object} and deposit it {on} the {receptacle}",
)


def instruction(
    template: str, target: CatalogueObject, receptacle: Receptacle, *, other_noun: int | None = None
) -> str:
    """Fill a template; `other_noun` takes one of the object's wordings that training does not use."""
    noun = target.noun if other_noun is None else target.other_nouns[other_noun % len(target.other_nouns)]
    return template.format(object=noun, on=receptacle.preposition, receptacle=receptacle.noun)
