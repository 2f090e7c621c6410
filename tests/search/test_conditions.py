"""Conditions: what the limits count, and which SQL says what."""

from services.search.conditions import (
    DEPTH_MAX,
    All,
    Any_,
    Attribute,
    Condition,
    Leaf,
    Listed,
    None_,
    Parameters,
    listed,
    size_of,
    to_sql,
)

ANN = Leaf(Attribute.AUTHOR, ("ann",))
SIGNAL = Leaf(Attribute.LABEL, ("signal",))


def test_values_are_parameters_and_shared() -> None:
    """A value must never stand in the text, and an equal one must not be sent twice."""
    parameters = Parameters(5)
    text = to_sql(All((ANN, None_((ANN,)))), "message", parameters)
    assert text.count("$5") == 2
    assert "ann" not in text
    assert parameters.values == [["ann"]]


def test_what_a_kind_lacks_is_not_so() -> None:
    """A label must hold for no atom, and its negation for every one."""
    assert to_sql(SIGNAL, "atom", Parameters(1)) == "false"
    assert to_sql(None_((SIGNAL,)), "atom", Parameters(1)) == "not (false)"
    assert to_sql(Leaf(Attribute.KIND, ("atom",)), "atom", Parameters(1)) == "true"


def test_sizes_are_counted() -> None:
    """Depth, conditions and values must be counted over the whole tree, and a deep one must not fit."""
    nested: Condition = ANN
    for _ in range(DEPTH_MAX - 1):
        nested = Any_((nested, SIGNAL))
    size = size_of(nested)
    assert (size.depth, size.leaves, size.values) == (DEPTH_MAX, DEPTH_MAX, DEPTH_MAX)
    assert size.fits
    assert not size_of(All((nested,))).fits


def test_only_what_leaves_little_is_listed() -> None:
    """Parts must be listed each where an index finds every one of them, and nowhere else."""
    topic = Leaf(Attribute.TOPIC, ("t",))
    little = Any_((All((SIGNAL, ANN)), Any_((topic, ANN))))
    assert listed(All((SIGNAL, little))) == All((SIGNAL, Listed(little.parts)))
    for kept in (
        None,
        ANN,
        Any_((ANN,)),
        Any_((ANN, SIGNAL)),
        Any_((ANN, None_((topic,)))),
        None_((little,)),
    ):
        assert listed(kept) == kept
