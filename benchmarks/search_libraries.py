"""One library over the vectors of benchmarks.search: recall and latency as JSON, in a virtual environment of its own.

python benchmarks/search_libraries.py faiss|usearch|qdrant|lancedb|chroma FOLDER
"""

import argparse
import importlib.metadata
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

AT = 10
Search = Callable[[Any], Sequence[int]]


def faiss(vectors: Any, folder: Path) -> Search:
    """HNSW with the same shape as the product's index."""
    import faiss as library

    index = library.IndexHNSWFlat(vectors.shape[1], 16, library.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction, index.hnsw.efSearch = 64, 400
    index.add(vectors)
    return lambda query: index.search(query.reshape(1, -1), AT)[1][0].tolist()


def usearch(vectors: Any, folder: Path) -> Search:
    """HNSW with the same shape."""
    from usearch.index import Index

    index = Index(
        ndim=vectors.shape[1],
        metric="cos",
        dtype="f16",
        connectivity=16,
        expansion_add=64,
        expansion_search=400,
    )
    index.add(np.arange(len(vectors)), vectors)
    return lambda query: index.search(query, AT).keys.tolist()


def qdrant(vectors: Any, folder: Path) -> Search:
    """Its local engine, which compares everything."""
    from qdrant_client import QdrantClient, models

    client = QdrantClient(path=str(folder / "qdrant"))
    shape = models.VectorParams(size=vectors.shape[1], distance=models.Distance.COSINE)
    client.create_collection("bench", vectors_config=shape)
    client.upload_collection("bench", vectors, ids=range(len(vectors)), batch_size=2048)
    return lambda query: [
        point.id for point in client.query_points("bench", query=query.tolist(), limit=AT).points
    ]


def lancedb(vectors: Any, folder: Path) -> Search:
    """A table with its HNSW index."""
    import lancedb as library
    import pyarrow

    flat = pyarrow.array(vectors.reshape(-1))
    column = pyarrow.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
    rows = pyarrow.table({"id": pyarrow.array(range(len(vectors))), "vector": column})
    table = library.connect(str(folder / "lancedb")).create_table("bench", rows)
    table.create_index(
        metric="cosine", index_type="IVF_HNSW_SQ", num_partitions=1, m=16, ef_construction=64
    )
    return lambda query: [
        row["id"] for row in table.search(query).ef(400).limit(AT).select(["id"]).to_list()
    ]


def chroma(vectors: Any, folder: Path) -> Search:
    """A collection on disk with HNSW of the same shape."""
    import chromadb

    client = chromadb.PersistentClient(str(folder / "chroma"))
    shape = {
        "hnsw:space": "cosine",
        "hnsw:M": 16,
        "hnsw:construction_ef": 64,
        "hnsw:search_ef": 400,
    }
    collection = client.create_collection("bench", metadata=shape)
    for start in range(0, len(vectors), 5000):
        part = vectors[start : start + 5000]
        collection.add([str(start + i) for i in range(len(part))], embeddings=part)
    return lambda query: [
        int(found)
        for found in collection.query(
            query_embeddings=query.reshape(1, -1), n_results=AT, include=[]
        )["ids"][0]
    ]


PACKAGES = {"faiss": "faiss-cpu", "qdrant": "qdrant-client", "chroma": "chromadb"}
LIBRARIES = {each.__name__: each for each in (faiss, usearch, qdrant, lancedb, chroma)}


def main() -> None:
    """Fill, search, and print one JSON object."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=LIBRARIES)
    parser.add_argument("folder", type=Path, help="where benchmarks.search has written in.npz")
    options = parser.parse_args()
    name, folder = options.name, options.folder
    given = np.load(folder / "in.npz")
    vectors, queries, truth = given["vectors"], given["queries"], given["truth"]
    began = time.perf_counter()
    search = LIBRARIES[name](vectors.astype(np.float32), folder)
    built = time.perf_counter() - began
    for query in queries[:10]:
        search(query)
    spent, shares = [], []
    for query, best in zip(queries, truth, strict=True):
        began = time.perf_counter()
        found = search(query)
        spent.append((time.perf_counter() - began) * 1000)
        least = vectors[best[-1]] @ query - 1e-5
        shares.append(float((vectors[list(found)] @ query >= least).sum()) / len(best))
    print(
        json.dumps(
            {
                "version": importlib.metadata.version(PACKAGES.get(name, name)),
                "recall": round(float(np.mean(shares)), 4),
                "p50_ms": round(float(np.quantile(spent, 0.5)), 3),
                "p99_ms": round(float(np.quantile(spent, 0.99)), 3),
                "build_seconds": round(built, 2),
            }
        )
    )


if __name__ == "__main__":
    main()
