"""What invoicing is told by its environment, beside what every service is told."""

from pathlib import Path

from common.setting_types import BucketUrl, Folder, Line, MailboxText, PrintedAddress, TimeZoneName
from common.settings import MailSettings
from pydantic import Field


class InvoicingSettings(MailSettings):
    # Who sells, as printed on invoices made from now on; those that are numbered already keep what they were made with.
    # The id names the numbering series: with another id, numbers begin anew.
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

    # IANA name: an invoice's date, its year and its series of numbers are those of the seller's day.
    seller_time_zone: TimeZoneName = "UTC"

    document_folder: Folder = Path("storage/invoices")
    # `s3://bucket/prefix`, in place of the folder.
    document_bucket: BucketUrl | None = None

    rendering_processes: int = Field(default=1, ge=1, le=32)
    rendering_timeout_seconds: float = Field(default=15, gt=0)

    mail_sender: MailboxText = "ArtiCurated <billing@articurated.example>"
