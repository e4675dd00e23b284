"""A picture, and the windows of its overlapping tiles."""

from makers import make_indices, make_picture
from makers_tiles import grid_of

INDICES = make_indices(300, 400, 5)


PICTURE = make_picture(INDICES)


WINDOWS = grid_of(300, 400, 160, 120)
