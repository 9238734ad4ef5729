"""The settings of invoicing, in addition to those of every service."""

import re
import unicodedata
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

from common.settings import MailSettings
from common.text.email_address import parse_email_address
from pydantic import AfterValidator, Field

# Control characters, surrogates, and what separates lines and paragraphs.
_NOT_IN_A_LINE = ("Cc", "Cs", "Zl", "Zp")
_BUCKET = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](?:/[^?#\s]*)?")


def _line(text: str) -> str:
    if not text.strip() or any(unicodedata.category(each) in _NOT_IN_A_LINE for each in text):
        raise ValueError("must be one line of printable characters")
    return text


def _folder(path: Path) -> Path:
    """The folder need not exist, but must be possible. A role that does not use it may lack permission to see it."""
    try:
        nearest = next(each for each in (path, *path.absolute().parents) if each.exists())
        is_possible = nearest.is_dir()
    except PermissionError:
        return path
    except OSError as error:
        raise ValueError(f"must be a folder: {error.strerror}") from None
    if not is_possible:
        raise ValueError(f"must be a folder, or become one: {nearest} is a file")
    return path


def _bucket(url: str) -> str:
    if not _BUCKET.fullmatch(url):
        raise ValueError("must be s3://bucket or s3://bucket/prefix")
    return url


def _time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError("must be the IANA name of a time zone, such as Europe/Paris or UTC") from None
    return name


Line = Annotated[str, AfterValidator(_line)]
Folder = Annotated[Path, AfterValidator(_folder)]
BucketUrl = Annotated[str, AfterValidator(_bucket)]
TimeZoneName = Annotated[str, AfterValidator(_time_zone)]
PrintedAddress = Annotated[str, AfterValidator(parse_email_address)]


class InvoicingSettings(MailSettings):
    # The seller, as printed on new invoices; an invoice that has its number keeps the seller that it was numbered with.
    # The id names the series of numbers: with another id, they start again.
    seller_id: Line = "articurated"
    seller_brand: Line = "ArtiCurated"
    seller_name: Line = "ArtiCurated SARL"
    seller_street: Line = "12 Rue des Potiers"
    seller_city: Line = "Limoges"
    seller_state: Line = "Nouvelle-Aquitaine"
    seller_zip: Line = "87000"
    seller_country: Line = "France"
    seller_vat_id: Line = "FR40303265045"
    seller_email: PrintedAddress = "billing@articurated.example"

    # An IANA name. An invoice's date, its year and its series of numbers follow the day in this zone.
    seller_time_zone: TimeZoneName = "UTC"

    document_folder: Folder = Path("storage/invoices")
    # `s3://bucket/prefix`; replaces the folder.
    document_bucket: BucketUrl | None = None

    rendering_processes: int = Field(default=1, ge=1, le=32)
    rendering_timeout_seconds: float = Field(default=15, gt=0)

    mail_sender: str = "ArtiCurated <billing@articurated.example>"
