"""Raw tables and their contracts, made into the warehouse. Build time only."""

from labserver.pipeline.sources.contracts import SOURCES, Source
from labserver.pipeline.sources.warehouse import build_warehouse, open_warehouse

__all__ = ["SOURCES", "Source", "build_warehouse", "open_warehouse"]
