-- What providers charge for answers that nobody wants any more.

-- Adds what an attempt has used to an execution that was cancelled meanwhile or given to another worker: the answer is dropped,
-- its price is not. Called once for an attempt, by the worker that asked; enters the carrier.
CREATE FUNCTION app.book_unheard(p_id uuid, p_attempt integer, p_input_tokens bigint, p_output_tokens bigint, p_cost numeric)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    carrier uuid := (SELECT e.tenant_id FROM executions e WHERE e.id = p_id AND e.attempt >= p_attempt);
BEGIN
    PERFORM app.set_context(carrier, NULL, NULL, NULL, NULL);
    UPDATE executions e
    SET input_tokens = e.input_tokens + p_input_tokens, output_tokens = e.output_tokens + p_output_tokens, cost = e.cost + p_cost
    WHERE (e.tenant_id, e.id) = (carrier, p_id);
END
$$;
CALL app.give_to_gate('app.book_unheard(uuid, integer, bigint, bigint, numeric)');
GRANT EXECUTE ON FUNCTION app.book_unheard(uuid, integer, bigint, bigint, numeric) TO carhaul_ai;
