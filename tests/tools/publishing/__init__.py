"""The course on paper and on the wall: lessons as pages and as slides, from the notebooks as they are stored."""
