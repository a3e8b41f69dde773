-- What housekeeping needs to compare what we know with what Stripe says: shared/core/src/billing/reconcile.rs.

-- How far a walk through a list of Stripe's has come that ran out of time: the next run goes on there. No row: it begins anew.
CREATE TABLE stripe_walks (
    list text PRIMARY KEY CHECK (list IN ('events', 'subscriptions')),
    started_at timestamptz NOT NULL,
    -- Stripe's id of the last one that was looked at.
    last_id text NOT NULL
);
COMMENT ON TABLE stripe_walks IS 'SHARED: a place in lists of Stripe''s, which are of all carriers; only functions of carhaul_gate touch it.';
ALTER TABLE stripe_walks ENABLE ROW LEVEL SECURITY;
ALTER TABLE stripe_walks FORCE ROW LEVEL SECURITY;
CALL app.open_to_gate('stripe_walks');
GRANT SELECT, INSERT, UPDATE, DELETE ON stripe_walks TO carhaul_gate;

CREATE FUNCTION app.stripe_walk(p_list text) RETURNS TABLE (started_at timestamptz, last_id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT w.started_at, w.last_id FROM stripe_walks w WHERE w.list = p_list
$$;
CALL app.give_to_gate('app.stripe_walk(text)');

-- Keeps the place; without an id the walk is over.
CREATE FUNCTION app.save_stripe_walk(p_list text, p_started_at timestamptz, p_last_id text) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    DELETE FROM stripe_walks w WHERE w.list = p_list AND p_last_id IS NULL;
    INSERT INTO stripe_walks (list, started_at, last_id) SELECT p_list, p_started_at, p_last_id WHERE p_last_id IS NOT NULL
    ON CONFLICT (list) DO UPDATE SET started_at = EXCLUDED.started_at, last_id = EXCLUDED.last_id
$$;
CALL app.give_to_gate('app.save_stripe_walk(text, timestamptz, text)');

-- Which of these subscriptions, as Stripe says that they are (rows of `subscriptions`), are otherwise here or not here at all,
-- though their customer is one of ours. What is over here stays over. A plan that Stripe's price does not tell is not compared.
CREATE FUNCTION app.drifting_subscriptions(p_said jsonb) RETURNS TABLE (stripe_id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT said.stripe_id
    FROM jsonb_populate_recordset(NULL::subscriptions, p_said) said
    JOIN stripe_customers c ON c.id = said.customer_id
    LEFT JOIN subscriptions here ON here.stripe_id = said.stripe_id
    WHERE here.stripe_id IS NULL
       OR here.status NOT IN ('canceled', 'incomplete_expired')
          AND (here.status, here.plan, here.stripe_price_id, here.quantity, here.started_at, here.current_period_start_at,
               here.current_period_end_at, here.trial_ends_at, here.cancel_at, here.cancel_at_period_end, here.canceled_at,
               here.ended_at)
              IS DISTINCT FROM
              (said.status, coalesce(said.plan, here.plan), said.stripe_price_id, said.quantity, said.started_at,
               said.current_period_start_at, said.current_period_end_at, said.trial_ends_at, said.cancel_at,
               said.cancel_at_period_end, said.canceled_at, said.ended_at)
$$;
CALL app.give_to_gate('app.drifting_subscriptions(jsonb)');

GRANT EXECUTE ON FUNCTION
    app.stripe_walk(text), app.save_stripe_walk(text, timestamptz, text), app.drifting_subscriptions(jsonb)
TO carhaul_housekeeping;
-- Which plan a price buys.
GRANT SELECT ON prices, plans TO carhaul_housekeeping;

-- Stripe's own list is walked instead: ours can't name what we have never heard of.
SET LOCAL ROLE carhaul_gate;
DROP FUNCTION app.live_subscriptions(text, integer);
RESET ROLE;

-- The audit log has what a repair changed; a line of its own says that it was one.
CREATE TRIGGER record_change AFTER INSERT ON billing_events
FOR EACH ROW WHEN (NEW.outcome = 'repaired') EXECUTE FUNCTION app.record_change('', 'id');
