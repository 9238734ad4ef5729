"""The composition root of invoicing: its roles, the topics and the settings of each."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from common.service import Runtime, Service
from common.settings import WrongSetting

from invoicing.domain.numbering import SellerCalendar
from invoicing.domain.snapshot import Address, Seller
from invoicing.events import INVOICES_TOPIC, ORDERS_TOPIC
from invoicing.settings import InvoicingSettings
from invoicing.tables import metadata

if TYPE_CHECKING:
    from common.jobs.handler import JobHandler
    from common.messaging.incoming.records import Handlers
    from common.reconciliation.check import Check
    from fastapi import FastAPI

    from invoicing.document_store.port import DocumentStore


def gateway(runtime: Runtime[InvoicingSettings]) -> "FastAPI":
    from common.edge.gateway import create_gateway
    from common.signed_links import SignedLinks

    from invoicing.repository.reading import count_by_status
    from invoicing.routes import router, timelines

    app = create_gateway(runtime, [router, timelines], entities="invoices", count_by_status=count_by_status)
    app.state.signed_links = SignedLinks(runtime.settings.link_signing_key.get_secret_value())
    app.state.document_store = _document_store(runtime.settings)
    return app


def event_handlers(settings: InvoicingSettings) -> "Handlers":
    from invoicing import consumer

    calendar = SellerCalendar(ZoneInfo(settings.seller_time_zone))
    return consumer.event_handlers(_seller(settings), calendar)


@asynccontextmanager
async def job_handlers(settings: InvoicingSettings) -> "AsyncIterator[Iterable[JobHandler]]":
    from common.mail.mailer import Mailer

    from invoicing.invoice_pdf.renderer import Renderer
    from invoicing.worker.document_job import DocumentJob
    from invoicing.worker.mail_job import MailJob

    store = _document_store(settings)
    async with Renderer(processes=settings.rendering_processes, timeout=settings.rendering_timeout_seconds) as renderer:
        yield [DocumentJob(renderer, store), MailJob(store, Mailer(settings))]


@asynccontextmanager
async def checks(settings: InvoicingSettings) -> "AsyncIterator[Iterable[Check]]":
    from invoicing.checks import invoice_checks

    yield invoice_checks(_document_store(settings))


def _seller(settings: InvoicingSettings) -> Seller:
    return Seller(
        id=settings.seller_id,
        brand=settings.seller_brand,
        name=settings.seller_name,
        address=Address(
            street=settings.seller_street,
            city=settings.seller_city,
            state=settings.seller_state,
            zip=settings.seller_zip,
            country=settings.seller_country,
        ),
        vat_id=settings.seller_vat_id,
        email=settings.seller_email,
    )


def _document_store(settings: InvoicingSettings) -> "DocumentStore":
    from invoicing.document_store.bucket import BucketDocumentStore
    from invoicing.document_store.folder import FolderDocumentStore

    if settings.document_bucket is not None:
        try:
            return BucketDocumentStore.open(settings.document_bucket)
        except Exception as error:  # the store's client has errors of its own
            raise WrongSetting("DOCUMENT_BUCKET", str(error)) from error
    try:
        return FolderDocumentStore(settings.document_folder)
    except OSError as error:
        raise WrongSetting("DOCUMENT_FOLDER", f"cannot be used: {error.strerror}") from error


SERVICE = Service(
    name="invoicing",
    settings=InvoicingSettings,
    metadata=metadata,
    gateway=gateway,
    publishes=(INVOICES_TOPIC,),
    consumes=(ORDERS_TOPIC,),
    event_handlers=event_handlers,
    job_handlers=job_handlers,
    checks=checks,
)
