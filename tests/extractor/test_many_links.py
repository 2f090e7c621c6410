"""An atom with more links than a reply should hold."""

from tests.conftest import Deployment
from tests.extractor.calling import asked
from tests.extractor.test_merging import FRIDAY, tell


async def test_an_atom_shows_its_surest_links(deployment: Deployment) -> None:
    """Of very many links a thousand are shown, the surest first."""
    async with asked(deployment) as (knowledge, call):
        await tell(knowledge, FRIDAY)
        (atom,) = (await call("ListAtoms")).atoms
        await deployment.admin.execute(
            """with made as (
                 insert into extractor.atom (workspace_id, id, source_id, window_id, type, title, content,
                   text_sha256, confidence, valid_from)
                 select a.workspace_id, uuidv7(), a.source_id, a.window_id, a.type, a.title || n, a.content,
                   sha256(n::text::bytea), 1, a.valid_from
                 from extractor.atom a, generate_series(1, 1001) n
                 returning workspace_id, id)
               insert into extractor.atom_link (workspace_id, from_atom_id, to_atom_id, type, confidence)
               select m.workspace_id, m.id, $1, 'supports', 0.9 - row_number() over (order by m.id) / 2000.0
               from made m""",
            atom.id,
        )
        links = (await call("GetAtom", atom_id=atom.id)).links
        sure = [link.confidence for link in links]
        assert len(sure) == 1000
        assert sure == sorted(sure, reverse=True)
        assert min(sure) > 0.4
