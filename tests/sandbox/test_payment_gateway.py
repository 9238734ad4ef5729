"""The payment provider of the sandbox, used with Stripe's own SDK."""

import asyncio

import httpx
import pytest
import stripe

# The SDK passes the form to httpx as text, which httpx deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>':DeprecationWarning")


async def create_refund(
    client: stripe.StripeClient, payment: str, key: str = "refund-1", amount: int = 4550
) -> stripe.Refund:
    return await client.v1.refunds.create_async(
        {
            "payment_intent": payment,
            "amount": amount,
            "currency": "eur",
            "reason": "requested_by_customer",
            "metadata": {"reference": f"return-of-{payment}"},
        },
        {"idempotency_key": f"{payment}/{key}"},
    )


async def test_a_refund_succeeds_and_can_be_read(stripe_client: stripe.StripeClient, order_payment: str) -> None:
    refund = await create_refund(stripe_client, order_payment)

    assert refund.id.startswith("re_")
    assert (refund.amount, refund.currency, refund.status) == (4550, "eur", "succeeded")
    assert (refund.payment_intent, refund.reason) == (order_payment, "requested_by_customer")
    same_refund = await stripe_client.v1.refunds.retrieve_async(refund.id)
    assert same_refund.to_dict() == refund.to_dict()
    page = await stripe_client.v1.refunds.list_async({"payment_intent": order_payment})
    assert [entry.id for entry in page.data] == [refund.id]
    assert page.data[0].metadata is not None
    assert page.data[0].metadata["reference"] == f"return-of-{order_payment}"


async def test_a_charge_can_be_refunded_too(stripe_client: stripe.StripeClient, order_payment: str) -> None:
    refund = await stripe_client.v1.refunds.create_async({"charge": order_payment, "amount": 1})

    assert (refund.charge, refund.payment_intent, refund.currency) == (order_payment, None, "usd")
    page = await stripe_client.v1.refunds.list_async({"charge": order_payment})
    assert [entry.id for entry in page.data] == [refund.id]


async def test_lists_are_paged_newest_first(stripe_client: stripe.StripeClient, order_payment: str) -> None:
    refund_ids = [(await create_refund(stripe_client, order_payment, key=str(n), amount=n)).id for n in range(1, 6)]

    first_page = await stripe_client.v1.refunds.list_async({"payment_intent": order_payment, "limit": 2})

    assert [refund.id for refund in first_page.data] == [refund_ids[4], refund_ids[3]]
    assert first_page.has_more
    assert [refund.id async for refund in first_page.auto_paging_iter()] == refund_ids[::-1]


async def test_the_same_key_gets_the_same_refund(stripe_client: stripe.StripeClient, order_payment: str) -> None:
    first = await create_refund(stripe_client, order_payment)
    again = await create_refund(stripe_client, order_payment)

    assert again.id == first.id
    assert again.last_response is not None
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    assert len((await stripe_client.v1.refunds.list_async({"payment_intent": order_payment})).data) == 1


async def test_ten_concurrent_calls_with_one_key_make_one_refund(
    stripe_client: stripe.StripeClient, order_payment: str
) -> None:
    refunds = await asyncio.gather(*(create_refund(stripe_client, order_payment) for _ in range(10)))

    assert len({refund.id for refund in refunds}) == 1
    assert len((await stripe_client.v1.refunds.list_async({"payment_intent": order_payment})).data) == 1


async def test_the_same_key_with_another_amount_is_rejected(
    stripe_client: stripe.StripeClient, order_payment: str
) -> None:
    await create_refund(stripe_client, order_payment)

    with pytest.raises(stripe.IdempotencyError):
        await create_refund(stripe_client, order_payment, amount=9999)


async def test_without_an_api_key_nothing_is_disclosed(payments_url: str) -> None:
    async with httpx.AsyncClient(base_url=payments_url) as anonymous:
        response = await anonymous.post("/v1/refunds", data={"payment_intent": "order-1", "amount": "1"})

    assert response.status_code == 401
    assert response.json()["error"]["type"] == "invalid_request_error"


async def test_an_api_key_may_be_sent_as_basic_auth(payments_url: str) -> None:
    async with httpx.AsyncClient(base_url=payments_url, auth=("sk_test_1", "")) as client:
        assert (await client.get("/v1/refunds")).status_code == 200


async def test_an_unknown_refund_is_not_found(stripe_client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        await stripe_client.v1.refunds.retrieve_async("re_never")
    assert (refusal.value.http_status, refusal.value.code) == (404, "resource_missing")


@pytest.mark.parametrize(
    ("form", "code", "param"),
    [
        ({"amount": "1"}, "parameter_missing", "payment_intent"),
        ({"payment_intent": "a", "charge": "b", "amount": "1"}, "parameter_missing", "payment_intent"),
        ({"payment_intent": "a"}, "parameter_missing", "amount"),
        ({"payment_intent": "", "amount": "1"}, "parameter_invalid_empty", "payment_intent"),
        ({"payment_intent": "a", "amount": "45.50"}, "parameter_invalid_integer", "amount"),
        ({"payment_intent": "a", "amount": "0"}, "parameter_invalid_integer", "amount"),
        ({"payment_intent": "a", "amount": str(10**15)}, "amount_too_large", "amount"),
        ({"payment_intent": "a", "amount": "1", "currency": "euro"}, None, "currency"),
        ({"payment_intent": "a", "amount": "1", "reason": "broken"}, None, "reason"),
        ({"payment_intent": "a", "amount": "1", "colour": "blue"}, "parameter_unknown", "colour"),
        ({"payment_intent": "a", "amount": "1", "metadata[note]": "x" * 501}, None, "metadata[note]"),
        ({"payment_intent": "a", "amount": "1"} | {f"metadata[{n}]": "x" for n in range(51)}, None, "metadata"),
    ],
)
async def test_invalid_parameters_are_named(
    payments: httpx.AsyncClient, form: dict[str, str], code: str | None, param: str
) -> None:
    response = await payments.post("/v1/refunds", data=form)

    error = response.json()["error"]
    assert (response.status_code, error["type"]) == (400, "invalid_request_error")
    assert (error.get("code"), error["param"]) == (code, param)
    assert error["message"]


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=many", "created=1", "starting_after=re_never"])
async def test_invalid_list_parameters_are_rejected(payments: httpx.AsyncClient, query: str) -> None:
    response = await payments.get(f"/v1/refunds?{query}")
    assert response.status_code in {400, 404}
    assert response.json()["error"]["param"] == query.split("=")[0]


async def test_a_body_that_is_not_a_form_is_rejected(payments: httpx.AsyncClient) -> None:
    response = await payments.post("/v1/refunds", content=b"\xff\xfe")
    assert (response.status_code, response.json()["error"]["param"]) == (400, "body")


async def test_an_overlong_idempotency_key_is_rejected(payments: httpx.AsyncClient) -> None:
    response = await payments.post("/v1/refunds", headers={"Idempotency-Key": "k" * 256})
    assert (response.status_code, response.json()["error"]["param"]) == (400, "idempotency_key")


async def test_an_unknown_route_is_a_404_in_stripes_format(payments: httpx.AsyncClient) -> None:
    response = await payments.get("/v1/charges")
    assert (response.status_code, response.json()["error"]["type"]) == (404, "invalid_request_error")


async def test_no_more_than_a_declared_capture_is_refunded(
    payments: httpx.AsyncClient, stripe_client: stripe.StripeClient, order_payment: str
) -> None:
    capture = {"payment": order_payment, "amount": 5000, "currency": "EUR"}
    assert (await payments.post("/sandbox/captures", json=capture)).status_code == 201

    await create_refund(stripe_client, order_payment, "first", amount=4550)
    with pytest.raises(stripe.InvalidRequestError) as too_large:
        await create_refund(stripe_client, order_payment, "second", amount=451)
    rest = await stripe_client.v1.refunds.create_async({"payment_intent": order_payment})
    with pytest.raises(stripe.InvalidRequestError) as nothing_left:
        await create_refund(stripe_client, order_payment, "third", amount=1)

    assert too_large.value.param == "amount"
    assert (rest.amount, rest.currency) == (450, "eur")
    assert nothing_left.value.code == "charge_already_refunded"


async def test_a_captured_payment_is_refunded_only_in_its_currency(
    payments: httpx.AsyncClient, stripe_client: stripe.StripeClient, order_payment: str
) -> None:
    await payments.post("/sandbox/captures", json={"payment": order_payment, "amount": 5000, "currency": "usd"})

    with pytest.raises(stripe.InvalidRequestError) as refusal:
        await create_refund(stripe_client, order_payment)
    assert refusal.value.param == "currency"


@pytest.mark.parametrize(
    "capture",
    [
        [],
        {"payment": "a"},
        {"payment": "", "amount": 1, "currency": "usd"},
        {"payment": "a", "amount": 0, "currency": "usd"},
        {"payment": "a", "amount": 1, "currency": "dollar"},
    ],
)
async def test_an_invalid_capture_is_rejected(payments: httpx.AsyncClient, capture: object) -> None:
    response = await payments.post("/sandbox/captures", json=capture)
    assert response.status_code == 400
    assert response.json()["error"]["message"]


async def test_the_ledger_shows_every_refund_and_every_call(
    payments: httpx.AsyncClient, stripe_client: stripe.StripeClient, order_payment: str
) -> None:
    refund = await create_refund(stripe_client, order_payment)
    await create_refund(stripe_client, order_payment)
    await create_refund(stripe_client, f"other-{order_payment}")
    await stripe_client.v1.refunds.list_async({"payment_intent": order_payment})

    by_payment = (await payments.get("/sandbox/ledger", params={"payment": order_payment})).json()
    by_reference = (await payments.get("/sandbox/ledger", params={"reference": f"return-of-{order_payment}"})).json()

    assert [entry["id"] for entry in by_payment["refunds"]] == [refund.id]
    assert by_payment["refunds"][0]["idempotency_key"] == f"{order_payment}/refund-1"
    assert by_payment["refunds"][0]["recorded_at"]
    assert by_reference["refunds"] == by_payment["refunds"]
    assert [(call["method"], call["outcome"], call["status"]) for call in by_payment["calls"]] == [
        ("POST", "applied", 200),
        ("POST", "replayed", 200),
        ("GET", "listed", 200),
    ]
    assert [call["outcome"] for call in by_reference["calls"]] == ["applied", "replayed"]


async def test_the_sandbox_is_alive_and_ready(payments: httpx.AsyncClient) -> None:
    assert (await payments.get("/livez")).status_code == 200
    assert (await payments.get("/readyz")).status_code == 200
