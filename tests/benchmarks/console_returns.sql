-- :rows returns, of which one of 100 waits for a decision.
INSERT INTO returns (id, order_id, order_number, customer_id, customer_email, status, reason, refund_amount, currency,
                     payment_reference, refund_status, created_at, updated_at, completed_at, version, sequence,
                     audit_position, audit_hash)
SELECT lpad(to_hex(n), 32, '0')::uuid, lpad(to_hex(n), 32, '0')::uuid, 'ORD-2025-' || lpad(n::text, 8, '0'),
       md5((n % 1000)::text)::uuid, 'ada@example.org', CASE WHEN n % 100 = 0 THEN 'REQUESTED' ELSE 'COMPLETED' END,
       'One teacup came in two.', 142.09, 'EUR', 'pi_' || n, CASE WHEN n % 100 = 0 THEN 'NONE' ELSE 'SUCCEEDED' END,
       now() - make_interval(secs => n), now(), CASE WHEN n % 100 > 0 THEN now() END, 1, 1, 0,
       decode(repeat('00', 32), 'hex')
FROM generate_series(1, :rows) AS n;
INSERT INTO return_counts (status, count) VALUES ('REQUESTED', :rows / 100), ('COMPLETED', :rows - :rows / 100)
ON CONFLICT (status) DO UPDATE SET count = excluded.count;
