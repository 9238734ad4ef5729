-- All rows of the order :id as one JSON document, without positions, which depend on the ids, and numbers of transactions.
SELECT json_build_object(
  'order', (SELECT to_jsonb(o) FROM orders o WHERE id = :'id'),
  'lines', (SELECT jsonb_agg(to_jsonb(l) ORDER BY position) FROM order_lines l WHERE order_id = :'id'),
  'audit', (SELECT jsonb_agg(to_jsonb(a) - 'transaction_id') FROM audit a WHERE entity_id = :'id'),
  'details', (SELECT jsonb_agg(to_jsonb(d) || jsonb_build_object('details', d.details::jsonb))
              FROM audit_details d JOIN audit a ON a.id = audit_id WHERE entity_id = :'id'),
  'event', (SELECT jsonb_agg(to_jsonb(e) - '{payload, position}'::text[]
                             || jsonb_build_object('data', convert_from(payload, 'UTF8')::jsonb))
            FROM outbox e WHERE aggregateid = :'id'),
  'answer', (SELECT to_jsonb(k) - '{body, key}'::text[]
                    || jsonb_build_object('json', convert_from(body, 'UTF8')::jsonb)
             FROM idempotency_keys k WHERE convert_from(body, 'UTF8')::jsonb ->> 'id' = :'id'));
