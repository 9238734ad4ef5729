"""What invoicing is told by its environment, beside what every service is told."""

from pathlib import Path

from common.settings import MailSettings
from pydantic import Field


class InvoicingSettings(MailSettings):
    # Who sells, as printed on invoices made from now on; those that are numbered already keep what they were made with.
    # The id names the numbering series: with another id, numbers begin anew.
    seller_id: str = Field(default="articurated", min_length=1)
    seller_brand: str = "ArtiCurated"
    seller_name: str = "ArtiCurated SARL"
    seller_street: str = "12 Rue des Potiers"
    seller_city: str = "Limoges"
    seller_state: str = "Nouvelle-Aquitaine"
    seller_zip: str = "87000"
    seller_country: str = "France"
    seller_vat_id: str = "FR40303265045"
    seller_email: str = "billing@articurated.example"

    document_folder: Path = Path("storage/invoices")
    # `s3://bucket/prefix`, in place of the folder.
    document_bucket: str | None = None

    rendering_processes: int = Field(default=1, ge=1, le=32)
    rendering_timeout_seconds: float = Field(default=15, gt=0)

    mail_sender: str = "ArtiCurated <billing@articurated.example>"
