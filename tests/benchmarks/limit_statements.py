"""The SQL of the limit: the tables of the product, with a separate statement for each step."""

LOCK_ORDER = "SELECT *, greatest(clock_timestamp(), updated_at) AS now FROM orders WHERE id = $1 FOR UPDATE"
READ_ORDER = "SELECT * FROM orders WHERE id = $1"
READ_LINES = """
SELECT id, product_id, product_name, quantity, unit_price, tax_rate, subtotal
FROM order_lines WHERE order_id = $1 ORDER BY position"""
READ_PAYMENTS = """
SELECT order_id, reference, amount, CASE WHEN late THEN 'LATE' WHEN surplus THEN 'SURPLUS' ELSE 'CAPTURED' END AS kind,
       reported_at, refund_transaction_id,
       coalesce(refund_status, CASE WHEN late OR surplus THEN 'PENDING' ELSE 'NONE' END) AS refund_status
FROM payments WHERE order_id = any($1::uuid[]) ORDER BY order_id, reported_at"""
READ_PAGE = "SELECT * FROM orders ORDER BY created_at DESC, id DESC LIMIT $1 OFFSET $2"
READ_LINES_OF_PAGE = """
SELECT order_id, id, product_id, product_name, quantity, unit_price, tax_rate, subtotal
FROM order_lines WHERE order_id = any($1::uuid[]) ORDER BY order_id, position"""
COUNT_ORDERS = """
SELECT ((SELECT coalesce(sum(count), 0) FROM order_counts)
        + (SELECT coalesce(sum(change), 0) FROM order_count_changes))::bigint"""
UPDATE_ORDER = """
UPDATE orders SET status = $2, tracking_number = $3, carrier = $4, shipped_at = $5, updated_at = $5, version = $6,
                  sequence = $7, audit_position = $8, audit_hash = $9 WHERE id = $1"""
PLACEMENT = "SELECT uuidv7() AS id, nextval('order_numbers') AS number, clock_timestamp() AS now"
INSERT_ORDER = """
INSERT INTO orders (id, order_number, customer_id, customer_email, customer_name, status, currency, net_amount,
                    tax_amount, total_amount, payment_method, shipping_address, billing_address, refund_status,
                    created_at, updated_at, version, sequence, audit_position, audit_hash)
VALUES ($1, $2, $3, $4, $5, 'PENDING_PAYMENT', $6, $7, $8, $9, $10, $11, $12, 'NONE', $13, $13, 1, 1, 1, $14)
RETURNING *"""
INSERT_LINES = """
INSERT INTO order_lines (order_id, position, id, product_id, product_name, quantity, unit_price, tax_rate, subtotal)
SELECT $1, position, id, product_id, product_name, quantity, unit_price, tax_rate, subtotal
FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::int[], $6::numeric[], $7::numeric[], $8::numeric[])
     WITH ORDINALITY AS line (id, product_id, product_name, quantity, unit_price, tax_rate, subtotal, position)"""
INSERT_AUDIT = """
INSERT INTO audit (id, entity_type, entity_id, position, previous_state, new_state, outcome, actor_id, actor_type,
                   trigger, created_at, details_digest, previous_hash, hash)
VALUES ($1, 'ORDER', $2, $3, $4, $5, 'ACCEPTED', $6, 'USER', 'API_CALL', $7, $8, $9, $10)"""
INSERT_DETAILS = "INSERT INTO audit_details (audit_id, salt, details, ip_address) VALUES ($1, $2, $3, $4)"
COUNT_ARRIVAL = "INSERT INTO order_count_changes (status, change) VALUES ($1, 1)"
COUNT_TRANSITION = "INSERT INTO order_count_changes (status, change) VALUES ($1, -1), ($2, 1)"
INSERT_EVENT = """
WITH event AS (
INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload, topic, key, sequence, traceparent)
VALUES ($1, 'order', $2, $3, $4, 'articurated.orders', $2, $5, $7) RETURNING position)
INSERT INTO outbox_pending (position, lane) SELECT position, $6::smallint FROM event"""
FIND_RESPONSE = """
SELECT pg_try_advisory_xact_lock($1) AS locked,
       (SELECT body FROM idempotency_keys WHERE scope = $2 AND key = $3 AND expires_at > clock_timestamp()) AS body"""
INSERT_RESPONSE = """
INSERT INTO idempotency_keys (scope, key, request_hash, status, headers, body, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, now() + interval '24 hours')"""
