"""The arithmetic of ranking."""

from uuid import UUID

import numpy as np
import pytest

from services.search import legs, ranking
from services.search.keyword import KeywordCandidates, candidate_query
from services.search.lookup import Lookup
from services.search.nearest import unite
from services.search.ranking import Fused, Fusion, Hit
from services.search.semantic import EXACT_ROWS_MAX, Plan, choose_plan
from services.search.statistics import TERM_DOCUMENTS_MAX
from services.search.store import Document, Near, Subject
from tests.search.vicinities import around


def subjects(count: int) -> list[Subject]:
    """Messages whose ids ascend."""
    return [Subject("message", UUID(int=i + 1)) for i in range(count)]


def lookup(*containing: int, documents: int = 1_000) -> Lookup:
    """Terms a, b, … that occur in so many of some documents."""
    names = tuple("abcdefgh"[: len(containing)])
    weights = tuple(ranking.rarity(documents, count) for count in containing)
    return Lookup(names, names, containing, weights, documents)


def test_fusion_by_rank_is_the_weighted_sum_of_reciprocal_ranks() -> None:
    """A subject's fused score must be the sum over its legs of weight / (60 + rank)."""
    a, b, c = subjects(3)
    hits = {
        "semantic": [Hit(a, 0.9, 0.9), Hit(b, 0.8, 0.8)],
        "keyword": [Hit(b, 7, 7), Hit(c, 3, 3)],
    }
    fused = ranking.fuse(hits, {"semantic": 1.0, "keyword": 0.5}, Fusion.RANK)
    scores = {each.subject: each.score for each in fused}
    assert scores[b] == pytest.approx(1 / 62 + 0.5 / 61)
    assert scores[a] == pytest.approx(1 / 61)
    assert scores[c] == pytest.approx(0.5 / 62)
    assert [each.subject for each in fused] == [b, a, c]
    assert fused[0].places["keyword"].rank == 1
    assert "keyword" not in fused[1].places


def test_fusion_by_score_is_the_weighted_sum_of_shares_of_the_best() -> None:
    """A share must be the score over the best of its leg, and a strong second count more than a weak one."""
    a, b, c, d = subjects(4)
    hits = {
        "semantic": [Hit(a, 0.2, 0.9), Hit(b, 0.15, 0.85), Hit(d, 0.01, 0.8)],
        "keyword": [Hit(c, 8, 8), Hit(b, 4, 4), Hit(d, 1, 1)],
    }
    fused = ranking.fuse(hits, {"semantic": 1.0, "keyword": 0.6})
    scores = {each.subject: each.score for each in fused}
    assert scores[a] == pytest.approx(1)
    assert scores[c] == pytest.approx(0.6)
    assert scores[b] == pytest.approx(0.75 + 0.6 * 0.5, abs=1e-3)
    assert [each.subject for each in fused] == [b, a, c, d]
    assert [
        each.subject for each in ranking.fuse(hits, {"semantic": 1, "keyword": 1}, Fusion.RANK)
    ][:2] == [b, d]
    assert all(
        each.score
        == sum({"semantic": 1.0, "keyword": 0.6}[leg] * at.share for leg, at in each.places.items())
        for each in fused
    )


def test_shares_keep_the_order_of_their_leg() -> None:
    """Equal scores and those that are not positive must keep their order, and no leg divide by nothing."""
    legs_orders = [[3.0, 3.0, 1e-9, 0.0, -0.1, -0.2], [0.0], [0.0, 0.0, -1.0], [-0.2, -0.3], []]
    for orders in legs_orders:
        hits = [Hit(s, o, o) for s, o in zip(subjects(len(orders)), orders, strict=True)]
        shares = ranking.score_shares(hits)
        assert shares == sorted(set(shares), reverse=True)
        assert all(0 < share <= 1 for share in shares)
        assert shares[:1] == [pytest.approx(1)][: len(orders)]


def test_equal_scores_are_ordered_by_id() -> None:
    """Ties must fall the same way every time."""
    a, b = subjects(2)
    assert [h.subject for h in ranking.best_first([Hit(b, 1, 1), Hit(a, 1, 1)])] == [a, b]


def test_the_best_are_those_of_the_whole_order() -> None:
    """Cutting before ordering must leave what ordering before cutting leaves, ties included."""
    dice = np.random.default_rng(3)
    values = dice.integers(0, 12, 200).astype(np.float64)
    values[dice.integers(0, 200, 20)] = -np.inf
    ids = [UUID(int=int(each)) for each in dice.permutation(200)]
    hits = [Hit(Subject("message", i), v, v) for i, v in zip(ids, values.tolist(), strict=True)]
    whole = [hit.subject.id for hit in ranking.best_first(hits) if hit.order > -np.inf]
    for limit in (1, 7, 50, 1000):
        assert [ids[place] for place in ranking.best_places(values, ids, limit)] == whole[:limit]


def test_rare_words_weigh_more() -> None:
    """A word in fewer documents must weigh more, and one in all of them nearly nothing."""
    weights = [ranking.rarity(1000, count) for count in (1, 10, 100, 1000)]
    assert weights == sorted(weights, reverse=True)
    assert 0 <= weights[-1] < 0.001
    assert ranking.rarity(5, 10) >= 0


def test_short_documents_and_more_words_score_higher() -> None:
    """With the same words a shorter document must score higher, and with more of them even more so."""
    counts = ranking.term_counts([0b01, 0b01, 0b11], [30, 5, 5], 2)
    scores = ranking.word_score(counts, np.array([2.0, 1.0]))
    assert scores[0] < scores[1] < scores[2]


def test_who_has_all_words_agrees() -> None:
    """What has all terms must agree wholly, what lacks a common one nearly, and what lacks a rare one hardly."""
    counts = np.array([[0.4, 0.4], [0.4, 0.0], [0.0, 1.0], [0.0, 0.0]])
    whole, rare, common, none = ranking.agreement(counts, np.array([8.0, 1.0]))
    assert whole == 1
    assert 0.8 < rare < 1
    assert none <= common < 0.001
    assert ranking.agreement(counts, np.zeros(2)).tolist() == [0, 0, 0, 0]


def test_what_has_all_words_comes_before_what_stands_between_such() -> None:
    """Of a hybrid search by words, a message with all words must come before one that is told them from both sides."""
    one, between, other, both = subjects(4)
    documents = [Document(one, 0b01, 5), Document(other, 0b10, 5), Document(both, 0b11, 60)]
    candidates = KeywordCandidates(lookup(3, 3), documents)
    seen = around((one.id, 0), (between.id, 1), (other.id, 2))
    hits = legs.by_words(candidates, seen, 10, heard=True)
    assert hits[0].subject == both
    assert hits[0].score < max(hit.score for hit in hits)
    assert 1 < ranking.emphasis(hits) < 2
    assert ranking.emphasis([]) == ranking.emphasis([Hit(one, 0.0, 0.0)]) == 1


def test_what_has_all_words_that_occur_anywhere_comes_first() -> None:
    """A word of the question that no message has must not keep the one that has all others from its place."""
    one, beside = subjects(2)
    candidates = KeywordCandidates(lookup(0, 3), [Document(one, 0b10, 40)])
    hits = legs.by_words(candidates, around((one.id, 0), (beside.id, 1)), 10, heard=True)
    assert hits[0].subject == one
    assert ranking.emphasis(hits) == pytest.approx(2)


def test_neighbours_words_count_and_less_with_distance() -> None:
    """A message beside a hit must be credited with its words, and the further away the less."""
    hit, near, far, other = subjects(4)
    candidates = KeywordCandidates(lookup(3), [Document(hit, 1, 5)])
    seen = around((hit.id, 0), (near.id, 1), (far.id, 3), (other.id, 2), unfit=[other.id])
    ordered = legs.by_words(candidates, seen, 10, heard=True)
    assert [each.subject for each in ordered] == [hit, near, far]
    assert legs.by_words(candidates, seen, 2, heard=True) == ordered[:2]
    only = legs.by_words(candidates, seen, 10, heard=False)
    assert [each.subject for each in only] == [hit]


def test_similar_messages_that_stand_together_rise() -> None:
    """Of messages equally near to the query, those beside another candidate must come first."""
    alone, left, right, last = subjects(4)
    nearest = [Near(alone, 0.8), Near(left, 0.8), Near(right, 0.79), Near(last, 0.5)]
    ordered = legs.by_meaning_around(nearest, around((left.id, 0), (right.id, 1)), 10)
    assert [each.subject for each in ordered] == [right, left, alone, last]
    assert legs.by_meaning(nearest)[0].subject == alone


def test_what_follows_a_similar_message_is_found() -> None:
    """What follows the nearest message must be found before what precedes it, each with the cosine it is then given."""
    asked, far, ahead, follows = subjects(4)
    nearest = [Near(asked, 0.9), Near(far, 0.5)]
    seen = around((asked.id, 0), (follows.id, 2), (ahead.id, -2))
    ordered = legs.by_meaning_around(nearest, seen, 10)
    assert [each.subject for each in ordered] == [asked, follows, ahead, far]
    scored = legs.with_scores(ordered, {asked: 0.8, follows: 0.3, far: 0.4})
    assert [each.score for each in scored] == [0.8, 0.3, 0.0, 0.4]
    assert [each.order for each in scored] == [each.order for each in ordered]


def test_candidates_come_from_the_rarest_words() -> None:
    """Words that are everywhere must only weigh once the rarer ones promise enough documents."""
    assert candidate_query(lookup(3, 0, 40)) == "(a) | (c)"
    assert candidate_query(lookup(900, TERM_DOCUMENTS_MAX)) == "(a)"
    everywhere = lookup(*[TERM_DOCUMENTS_MAX] * 3)
    assert candidate_query(everywhere) == "(a) & ((b) | (c))"
    assert candidate_query(lookup(450, 300, 200)) == "(c) | (b) | (a)"


def test_words_alone_reach_twice_as_far() -> None:
    """Where nothing else finds what has the commoner words alone, twice as many must be weighed."""
    assert candidate_query(lookup(800, 300)) == "(b)"
    assert candidate_query(lookup(800, 300), 2) == "(b) | (a)"
    assert candidate_query(lookup(1_800, 300, 90), 2) == "(c) | (b)"


def test_commoner_words_count_where_two_of_them_are() -> None:
    """Beside the rarest words, documents with two commoner ones must be asked for as far as these are not too many."""
    counts, rarest = (30, 200, 450, 600, 2_000), "(a) | (b) | ((d) & ((c)))"
    many, few = lookup(*counts, documents=5_000), lookup(*counts, documents=50_000)
    assert candidate_query(many) == rarest
    assert candidate_query(few) == f"{rarest} | ((e) & ((c) | (d)))"


def test_coverage_is_the_share_of_the_weight_that_occurs() -> None:
    """Coverage must be 1 when every word occurs, 0 when none does."""
    assert lookup(5, 5).coverage == 1
    assert lookup(0, 0).coverage == 0
    assert 0.3 < lookup(5, 0).coverage < 0.5
    assert Lookup((), (), (), ()).coverage == 0


NEED_NOT_BE_SAID = (
    *("Monday", "понеділок", "пʼятницю", "вчера", "say", "казала"),
    *("twice", "Кілька", "самий", "несколько"),
)


@pytest.mark.parametrize("word", NEED_NOT_BE_SAID)
def test_what_no_message_need_have_covers_nothing_and_leaves_nothing_uncovered(word: str) -> None:
    """No message need say its day, that it was said, or how often: the rest of the question may be there."""
    assert Lookup((word, "outage"), ("q", "r"), (0, 5), (3.0, 1.0), 9).coverage == 1
    assert Lookup((word, "outage"), ("q", "r"), (0, 0), (3.0, 3.0), 9).coverage == 0
    assert Lookup((word, "outage"), ("q", "r"), (5, 0), (1.0, 3.0), 9).coverage == 0.25


@pytest.mark.parametrize("word", ["identical", "multiple", "однакові", "другого"])
def test_what_decides_a_question_is_asked_for(word: str) -> None:
    """Of identical keys, or of the second of May, what is said of keys and of May alone is no answer."""
    assert Lookup((word, "keys"), ("q", "r"), (0, 5), (3.0, 1.0), 9).coverage == 0.25


def test_a_share_of_the_words_counts_each_once() -> None:
    """Of what is asked a share must be held by some terms, and the rest be lacking, the weightiest first."""
    known = Lookup(("intern", "monday", "salary"), ("i", "m", "s"), (5, 0, 0), (1.0, 9.0, 3.0), 9)
    assert known.share(0b001) == 0.25
    assert known.share(0b101) == known.share(0b111) == 1
    assert known.lacking(0b001) == ["salary"]
    assert known.lacking(0) == ["salary", "intern"]
    assert Lookup((), (), (), ()).share(0) == 0


def test_the_better_of_two_cosines_counts() -> None:
    """Of several vectors of one query, each subject must be judged by the one it is nearest to."""
    a, b, c = subjects(3)
    united = unite([[Near(a, 0.8), Near(b, 0.7)], [Near(b, 0.9), Near(c, 0.1)]])
    assert united == [Near(b, 0.9), Near(a, 0.8), Near(c, 0.1)]


def test_few_rows_are_read_exactly() -> None:
    """Few rows must be compared one by one, many through the index."""
    assert choose_plan(EXACT_ROWS_MAX, filtered=True).plan is Plan.EXACT
    assert choose_plan(EXACT_ROWS_MAX + 1, filtered=False).plan is Plan.HNSW
    assert choose_plan(EXACT_ROWS_MAX + 1, filtered=True).plan is Plan.HNSW_ITERATIVE


def test_what_does_not_satisfy_the_filter_is_neither_found_nor_lends_by_meaning() -> None:
    """A near message's neighbour that the filter leaves out must not be a result, nor pass credit on."""
    asked, out, last = subjects(3)
    nearest = [Near(asked, 0.9), Near(last, 0.5)]
    seen = around((asked.id, 0), (out.id, 1), unfit=[out.id])
    assert legs.by_meaning_around(nearest, seen, 10) == legs.by_meaning_around(
        nearest, around((asked.id, 0)), 10
    )


def test_steps_between_neighbours_are_inferred() -> None:
    """Two messages seen from a third must stand as far apart as their steps differ; what others see too counts once."""
    anchors, places, steps = np.array([[0, 1, -2], [0, 0, 0], [0, 2, 2], [1, 0, 0], [1, 2, 2]]).T
    all_lend = np.ones(3, bool)
    found = ranking.surroundings(anchors, places, steps, all_lend, 5)
    pairs = list(
        zip(found.earlier.tolist(), found.later.tolist(), found.steps.tolist(), strict=True)
    )
    assert sorted(pairs) == [(0, 2, 2), (1, 0, 2), (1, 2, 4)]
    assert ranking.surroundings(anchors, places, steps, all_lend, 3).steps.tolist() == [2, 2]


def test_pairs_of_which_none_lends_are_left_out() -> None:
    """A pair must be found if either of the two lends, and not if neither does."""
    anchors, places, steps = np.array([[0, 1, -2], [0, 0, 0], [0, 2, 2]]).T
    found = ranking.surroundings(anchors, places, steps, np.array([False, True, False]), 5)
    assert list(zip(found.earlier.tolist(), found.later.tolist(), strict=True)) == [(1, 0), (1, 2)]


def ranked(**scores: float) -> list[Fused]:
    """Atoms (a…) and messages (m…) with fused scores, best first."""
    found = [
        Fused(Subject("atom" if name[0] == "a" else "message", UUID(int=ord(name[1]))), score, {})
        for name, score in scores.items()
    ]
    return sorted(found, key=lambda each: -each.score)


def names(found: list[Fused]) -> list[str]:
    """What ranked called them."""
    return [f"{each.subject.kind[0]}{chr(each.subject.id.int)}" for each in found]


def test_an_atom_that_asks_keeps_as_much_as_a_message_that_does() -> None:
    """A question atom must fall behind what is nearly as good; a message was weighed before."""
    found = ranked(aq=1.0, ax=0.8, mr=0.75)
    asking = {UUID(int=ord("q")): frozenset[UUID](), UUID(int=ord("r")): frozenset[UUID]()}
    assert names(ranking.answers_first(found, asking)) == ["ax", "mr", "aq"]
    assert names(ranking.answers_first(found, {})) == ["aq", "ax", "mr"]


def test_the_best_answer_takes_the_place_of_its_question() -> None:
    """It must stand right before its question; the question's other answers and what lies between stay."""
    found = ranked(mq=1.0, mx=0.8, mb=0.3, mc=0.2)
    asking = {UUID(int=ord("q")): frozenset(UUID(int=ord(each)) for each in "bcz")}
    assert names(ranking.answers_first(found, asking)) == ["mb", "mq", "mx", "mc"]


def test_an_answer_before_its_question_stays() -> None:
    """Nothing must move where the answer is better already."""
    found = ranked(mb=1.0, mq=0.9)
    asking = {UUID(int=ord("q")): frozenset({UUID(int=ord("b"))})}
    assert ranking.answers_first(found, asking) == found
