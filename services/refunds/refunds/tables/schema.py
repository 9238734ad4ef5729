"""The schema of refunds' own tables."""

import sqlalchemy as sa
from common.database.tables import NAMING_CONVENTION

metadata = sa.MetaData(naming_convention=NAMING_CONVENTION)
