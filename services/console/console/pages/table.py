"""The table of all pages. A page is one module, one template and one row here (CONTRIBUTING, "Add a page").

The order of the rows is that of the navigation.
"""

from console.pages import overview
from console.pages.page import Page
from console.pages.work_table import WORK_PAGES

PAGES = (Page("/", "Overview", overview.page, in_navigation=True), *WORK_PAGES)
