-- :rows refunds of cancelled orders with their payments in the book; of 100 one has failed.
INSERT INTO refunds (id, business_key, cause, order_id, order_number, amount, currency, payment_reference, status,
                     transaction_id, error, attempts, key_epoch, key_spent, created_at, completed_at, audit_position,
                     audit_hash)
SELECT lpad(to_hex(n), 32, '0')::uuid, 'cancellation:' || n, 'ORDER_CANCELLED', lpad(to_hex(n), 32, '0')::uuid,
       'ORD-2025-' || lpad(n::text, 8, '0'), 142.09, 'EUR', 'pi_' || n,
       CASE WHEN n % 100 = 0 THEN 'DECLINED' ELSE 'SUCCEEDED' END, CASE WHEN n % 100 > 0 THEN 're_' || n END,
       CASE WHEN n % 100 = 0 THEN 'the card is closed' END, 1, 0, false, now() - make_interval(secs => n),
       CASE WHEN n % 100 > 0 THEN now() END, 0, decode(repeat('00', 32), 'hex')
FROM generate_series(1, :rows) AS n;
INSERT INTO refund_counts (status, count) VALUES ('SUCCEEDED', :rows) ON CONFLICT DO NOTHING;
WITH paid AS (
INSERT INTO book_payments (order_id, kind, reference, currency, order_number)
SELECT order_id, 'CAPTURE', payment_reference, currency, order_number FROM refunds RETURNING id)
INSERT INTO postings (payment_id, subject, number, kind, source, target, amount, actor, created_at)
SELECT id, 'payment:' || id, 1, 'CAPTURE', 'payment', 'refundable', 142.09, 'order.paid', now() FROM paid;
