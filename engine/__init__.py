"""Everything that computes or moves data: readers, occlusion, the store, clustering, query."""
